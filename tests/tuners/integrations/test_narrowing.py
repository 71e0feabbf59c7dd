"""narrow() on Optuna studies; tuners have their own test."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import optuna
import pytest

from search_spaces import LearningRateBounds
from tuners import LossCurve, NarrowedSampler, narrow
from tuners.integrations.narrowing import as_bounds
from tuners.integrations.notes import UNUSED
from tuners.study.recording import recorded_bounds, recorded_curves

BOUNDS = LearningRateBounds(1e-4, 1e-2, 2e-3, "ok", "by hand", declared=(1e-5, 1.0))


def objective(trial: optuna.Trial) -> float:
    return trial.suggest_float("learning_rate", 1e-6, 1.0, log=True)


def roles(study: optuna.Study) -> list[str]:
    return [trial.user_attrs.get("role", "") for trial in study.trials]


def test_wraps_records_and_queues() -> None:
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    assert narrow(study, BOUNDS, baseline=0.5) is study
    study.optimize(objective, n_trials=8)
    rates = [trial.params["learning_rate"] for trial in study.trials]
    assert rates[:2] == [2e-3, 0.5]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates[2:])
    assert roles(study)[:3] == ["suggestion", "baseline", ""]
    assert recorded_bounds(study) == {"learning_rate": BOUNDS}


def test_again_replaces_the_bounds_and_queues_nothing_twice() -> None:
    study = optuna.create_study()
    for _ in range(3):
        narrow(study, BOUNDS, baseline=0.5)
        study.optimize(objective, n_trials=1)
    assert roles(study) == ["suggestion", "baseline", ""]
    assert isinstance(study.sampler, NarrowedSampler)
    assert not isinstance(study.sampler.base_sampler, NarrowedSampler)
    narrow(study, (2e-4, 5e-4))
    narrow(study, (1e-3, 2e-3), "decay")
    assert study.sampler.bounds == {"learning_rate": (2e-4, 5e-4), "decay": (1e-3, 2e-3)}
    assert roles(study) == ["suggestion", "baseline", "", "suggestion", "suggestion"]


@pytest.mark.slow
def test_on_a_study_loaded_again(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/study.db"
    for n_trials in (1, 3):
        study = optuna.create_study(storage=address, study_name="mine", load_if_exists=True)
        narrow(study, BOUNDS, baseline=np.float64(0.5), widen=False)
        study.optimize(objective, n_trials=n_trials)
    assert roles(study) == ["suggestion", "baseline", "", ""]
    resumed = optuna.load_study(storage=address, study_name="mine")
    resumed.sampler = NarrowedSampler.from_study(resumed, widen=False)
    resumed.optimize(objective, n_trials=4)
    assert all(1e-4 <= trial.params["learning_rate"] <= 1e-2 for trial in resumed.trials[2:])


def test_a_loss_curve_gives_its_bounds_and_is_recorded() -> None:
    rates = np.geomspace(1e-6, 1.0, 200)
    decades = np.log10(rates)
    losses = 1 - 0.8 / (1 + np.exp(-3 * (decades + 3))) + np.exp(np.minimum(3 * (decades + 0.7), 9))
    curve = LossCurve(
        rates, losses[:, None] + 0.01 * np.random.default_rng(0).normal(size=(200, 4))
    )
    study = narrow(optuna.create_study(), curve)
    assert recorded_bounds(study)["learning_rate"] == curve.bounds()
    assert recorded_curves(study)["learning_rate"].learning_rates == pytest.approx(rates, rel=1e-5)


def test_a_name_that_never_comes_up_is_said() -> None:
    study = narrow(optuna.create_study(), BOUNDS, "lr")
    with pytest.warns(UserWarning, match=r"`lr`: came up in no trial.*\['learning_rate'\]"):
        study.optimize(objective, n_trials=1)
    assert study.user_attrs[UNUSED] == {"lr": "no trial suggested it"}


def test_per_epoch_reports_and_pruning_stay_as_they_were() -> None:
    def reporting(trial: optuna.Trial) -> float:
        rate = objective(trial)
        for epoch in range(4):
            trial.report(abs(math.log10(rate) + 3) + 1 / (epoch + 1), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return abs(math.log10(rate) + 3)

    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.MedianPruner())
    narrow(study, BOUNDS).optimize(reporting, n_trials=16)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}


def test_refuses() -> None:
    study = optuna.create_study()
    with pytest.raises(TypeError, match=r"`target` must be an optuna.Study or a keras_tuner.Tuner"):
        narrow(3, BOUNDS)
    with pytest.raises(ValueError, match="`name` must be the parameter's name, but got ''"):
        narrow(study, BOUNDS, "")
    for baseline in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="`baseline` must be positive and finite"):
            narrow(study, BOUNDS, baseline=baseline)
    with pytest.raises(ValueError, match="`widen` must be True or False, but got 'no'; pass False"):
        narrow(study, BOUNDS, widen="no")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`add_missing` is for a KerasTuner tuner"):
        narrow(study, BOUNDS, add_missing=True)
    with pytest.raises(ValueError, match="`transform` is for a KerasTuner tuner; let an Optuna"):
        narrow(study, BOUNDS, "lr_exp", transform=lambda value: 10**value)
    with pytest.raises(ValueError, match="`bounds` must be LearningRateBounds, a LossCurve or"):
        narrow(study, 0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`bounds` must hold 0 < low <= high"):
        narrow(study, (0.0, 1.0))
    study.sampler = optuna.samplers.GridSampler({"learning_rate": [0.1]})
    with pytest.raises(TypeError, match="GridSampler draws from its own grid only"):
        narrow(study, BOUNDS)
    assert study.trials == []
    assert study.user_attrs == {}


def test_pairs_become_bounds() -> None:
    bounds, curve = as_bounds((1e-3, 1e-3))
    assert (bounds.low, bounds.suggestion, bounds.high) == (1e-3, 1e-3, 1e-3)
    assert curve is None


@pytest.mark.slow
def test_a_keras_objective_with_its_pruning_callback() -> None:
    import keras
    from optuna_integration import KerasPruningCallback

    random = np.random.default_rng(0)
    x = random.normal(size=(32, 3)).astype("float32")
    y = x.sum(axis=1)

    def trains(trial: optuna.Trial) -> float:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        rate = trial.suggest_float("learning_rate", 1e-6, 1e20, log=True)
        model.compile(keras.optimizers.SGD(rate), loss="mse")
        history = model.fit(
            x,
            y,
            validation_data=(x, y),
            batch_size=4,
            epochs=2,
            verbose=0,
            callbacks=[KerasPruningCallback(trial, "val_loss")],
        )
        return float(min(history.history["val_loss"]))

    pruner = optuna.pruners.ThresholdPruner(upper=1e9)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
    narrow(study, LearningRateBounds(1e-3, 1e20, 0.1, "no_divergence", "by hand"))
    study.optimize(trains, n_trials=5)
    # a rate that diverges reports NaN or infinity, which the pruner stops and the sampler notes
    assert study.trials[0].state.name == "COMPLETE"
    assert "PRUNED" in {trial.state.name for trial in study.trials}
    diverged = [
        trial.params["learning_rate"]
        for trial in study.trials
        if not all(map(math.isfinite, trial.intermediate_values.values()))
    ]
    assert isinstance(study.sampler, NarrowedSampler)
    assert study.sampler.ceiling(study, "learning_rate") < min(diverged) / 10


@pytest.mark.slow
def test_a_keras_tuner_goes_to_its_own_narrowing(tmp_path: Path) -> None:
    import keras
    import keras_tuner

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        rate = hp.Float("learning_rate", 1e-6, 1.0, sampling="log")
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate), loss="mse")
        return model

    tuner = keras_tuner.RandomSearch(build, "val_loss", max_trials=4, directory=tmp_path)
    assert narrow(tuner, BOUNDS) is tuner
    entry = tuner.oracle.hyperparameters.space[0]
    assert (entry.min_value, entry.max_value) == (1e-4, 1e-2)


@pytest.mark.slow
def test_bounds_of_an_exponent_are_not_recorded_as_its_values(tmp_path: Path) -> None:
    import keras_tuner

    from tuners.study.tuner_study import as_study

    def space(hp):
        hp.Int("lr_exp", -6, 0)

    tuner = keras_tuner.RandomSearch(space, "val_loss", directory=tmp_path)
    narrow(tuner, BOUNDS, "lr_exp", transform=lambda value: 10**value)
    (entry,) = tuner.oracle.hyperparameters.space
    assert (entry.min_value, entry.max_value) == (-4, -2)
    assert recorded_bounds(as_study(tuner)) == {}


def of_hp(hp):
    return hp.Float("learning_rate", 1e-5, 1.0, sampling="log")


@pytest.mark.slow
def test_a_tuner_of_other_trainings_than_those_tested_is_warned_of(tmp_path: Path) -> None:
    import keras_tuner

    rates = np.geomspace(1e-7, 100, 200)
    losses = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2
    curve = LossCurve(rates, losses, epochs=30, training_steps=40, gradient_steps=200)
    tuner = keras_tuner.Hyperband(of_hp, "val_loss", max_epochs=9, directory=tmp_path / "a")
    message = r"trainings of 30 epochs, but the tuner trains for 9 .* range_test\(\.\.\., epochs=9"
    with pytest.warns(UserWarning, match=message):
        narrow(tuner, curve)
    fewer = keras_tuner.RandomSearch(of_hp, "val_loss", max_trials=4, directory=tmp_path / "b")
    with pytest.warns(UserWarning, match=r"steps of 5\.0 trainings, .* only 4 trials to spend"):
        narrow(fewer, curve)
    enough = keras_tuner.RandomSearch(of_hp, "val_loss", max_trials=5, directory=tmp_path / "c")
    narrow(enough, curve)
    narrow(fewer, curve.bounds())  # that know nothing of trainings


RATES = [1e-4, 1e-3, 1e-2, 0.1, 1.0]


def suggesters(name):
    return {
        "choices": lambda trial: trial.suggest_categorical(name, RATES),
        "grid": lambda trial: trial.suggest_float(name, 2e-4, 0.7002, step=0.0007),
        "short": lambda trial: trial.suggest_float(name, 1e-5, 1e-3, log=True),
        "apart": lambda trial: trial.suggest_float(name, 0.1, 1.0, log=True),
        "one": lambda trial: trial.suggest_categorical(name, [0.1]),
        "text": lambda trial: trial.suggest_categorical(name, ["slow", "fast"]),
        "whole": lambda trial: trial.suggest_int(name, 1, 5),
    }


@pytest.mark.filterwarnings("ignore:`learning_rate`:UserWarning")
@pytest.mark.parametrize("kind", suggesters(""))
@pytest.mark.parametrize("storage", [None, "sqlite"])
def test_nothing_is_tried_that_the_objective_does_not_take(kind, storage, tmp_path) -> None:
    """The first trial runs, on the nearest value to the suggestion; a stray baseline is not one."""
    suggest = suggesters("learning_rate")[kind]
    given: list[object] = []
    storage = storage and f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), storage=storage)
    narrow(study, BOUNDS, baseline=0.05)  # suggests 2e-3, in [1e-4, 1e-2]
    study.optimize(lambda trial: float(bool(given.append(suggest(trial)))), n_trials=4)
    expected = {"choices": 1e-3, "grid": 2.3e-3, "short": 1e-3, "apart": 0.1, "one": 0.1}
    if kind in expected:
        assert given[0] == pytest.approx(expected[kind])
    says = "suggestion" if kind in expected else "search"
    assert roles(study)[:2] == [says, "search"]
    narrow(study, BOUNDS, baseline=0.05)
    assert len(study.trials) == 4  # nothing is queued twice


def test_choices_are_narrowed_to_those_inside() -> None:
    for sampler in (optuna.samplers.TPESampler(seed=0), optuna.samplers.RandomSampler(seed=0)):
        study = optuna.create_study(sampler=sampler)
        narrow(study, BOUNDS, baseline=0.1, widen=False)
        study.optimize(lambda t: -t.suggest_categorical("learning_rate", RATES), n_trials=20)
        rates = [trial.params["learning_rate"] for trial in study.trials]
        assert roles(study)[:3] == ["suggestion", "baseline", ""]
        assert rates[:2] == [1e-3, 0.1]
        assert set(rates[2:]) == {1e-4, 1e-3, 1e-2}
        assert {t.distributions["learning_rate"].choices for t in study.trials} == {tuple(RATES)}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("whole", "`learning_rate`: suggested as IntDistribution, which is left alone"),
        ("text", "`learning_rate`: suggested as CategoricalDistribution, which is left alone"),
        ("apart", "kept as it is; they lie below it: lower its lower end to 0.0001"),
    ],
)
def test_what_cannot_be_narrowed_is_said_once(kind, message) -> None:
    study = narrow(optuna.create_study(), BOUNDS)
    suggest = suggesters("learning_rate")[kind]
    with pytest.warns(UserWarning, match=message) as caught:
        study.optimize(lambda trial: float(len(str(suggest(trial)))), n_trials=4)
    assert len(caught) == 1
    assert set(study.user_attrs[UNUSED]) == {"learning_rate"}


def test_a_baseline_that_is_no_choice_is_said() -> None:
    study = narrow(optuna.create_study(), BOUNDS, baseline=0.05)
    with pytest.warns(UserWarning, match=r"baseline 0\.05 is not tried; .*0\.1 at the nearest"):
        study.optimize(lambda trial: suggesters("learning_rate")["choices"](trial), n_trials=3)


def test_another_process_tries_what_was_queued_without_our_sampler(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/study.db"
    narrow(optuna.create_study(storage=address, study_name="mine"), BOUNDS, baseline=0.5)
    plain = optuna.load_study(storage=address, study_name="mine")
    plain.optimize(objective, n_trials=2)
    assert [trial.params["learning_rate"] for trial in plain.trials] == [2e-3, 0.5]


def test_what_the_user_queued_is_not_touched() -> None:
    study = narrow(optuna.create_study(), BOUNDS)
    study.enqueue_trial({"learning_rate": 0.7})
    study.optimize(objective, n_trials=2)
    assert study.trials[1].params["learning_rate"] == 0.7


def one_rate(hp):
    hp.Choice("optimizer", ["sgd", "adam", "rmsprop"], default="adam")
    hp.Float("learning_rate", 1e-5, 1.0, sampling="log")


def scoped_rates(hp):
    hp.Choice("optimizer", ["sgd", "adam"])
    for kind in ("sgd", "adam"):
        with hp.conditional_scope("optimizer", [kind]), hp.name_scope(kind):
            hp.Float("learning_rate", 1e-5, 1.0, sampling="log")


def own_rates(hp):
    hp.Choice("optimizer", ["sgd", "adam"])
    hp.Float("adam_lr", 1e-5, 1.0, sampling="log")
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("rate", 1e-5, 1.0, sampling="log")


def one_optimizer(hp):
    hp.Choice("optimizer", ["sgd"])
    hp.Choice("activation", ["relu", "gelu"])
    hp.Float("learning_rate", 1e-5, 1.0, sampling="log")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "name", "shared"),
    [
        (one_rate, "learning_rate", r"\['sgd', 'adam', 'rmsprop'\] of `optimizer`.*one, 'adam'"),
        (scoped_rates, "learning_rate", r"\['sgd', 'adam'\] of `optimizer`.*the tested one, 'sgd'"),
        (scoped_rates, "adam/learning_rate", None),
        (own_rates, "adam_lr", None),
        (own_rates, "rate", None),
        (one_optimizer, "learning_rate", None),
    ],
)
def test_bounds_of_one_optimizer_on_several_are_warned_of(space, name, shared, tmp_path) -> None:
    import keras_tuner

    tuner = keras_tuner.RandomSearch(space, "val_loss", directory=tmp_path)
    narrow(tuner, (1e-4, 1e-2), name)  # the user's own bounds, for whatever he wants
    if shared is None:
        narrow(tuner, BOUNDS, name)
        return
    with pytest.warns(UserWarning, match=shared) as caught:
        narrow(tuner, BOUNDS, name)
    assert caught[0].filename == __file__
