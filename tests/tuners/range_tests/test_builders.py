from __future__ import annotations

import functools
import random
import re

import keras
import keras_tuner
import optuna
import pytest

from tuners.integrations.narrowing import narrow
from tuners.range_tests.builders import as_builder

SEEN: list[dict] = []


def compiled(units: int = 3) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])
    model.compile("sgd", "mse")
    return model


def of_hp(hp) -> keras.Model:
    SEEN.append(
        {"units": hp.Int("units", 2, 9), "rate": hp.Float("lr", 1e-4, 1e-1, sampling="log")}
    )
    return compiled(SEEN[-1]["units"])


def of_trial(trial) -> keras.Model:
    SEEN.append(
        {
            "rate": trial.suggest_float("lr", 1e-5, 1e-1, log=True),
            "share": trial.suggest_float("share", 0.0, 0.5),
            "step": trial.suggest_float("step", 0.0, 1.0, step=0.25),
            "units": trial.suggest_int("units", 2, 9),
            "even": trial.suggest_int("even", 2, 10, step=4),
            "kind": trial.suggest_categorical("kind", ["relu", "gelu"]),
        }
    )
    trial.report(1.0, 0)
    assert not trial.should_prune()
    return compiled(SEEN[-1]["units"])


def typed(space: keras_tuner.HyperParameters) -> keras.Model:
    return of_hp(space)


def quoted(t: optuna.Trial) -> keras.Model:
    return of_trial(t)


class Wide(keras_tuner.HyperModel):
    def build(self, hp):
        return of_hp(hp)


def tuner(tmp_path, hypermodel=of_hp, **options) -> keras_tuner.Tuner:
    return keras_tuner.RandomSearch(
        hypermodel, "val_loss", max_trials=2, directory=tmp_path, **options
    )


@pytest.mark.parametrize(
    "source",
    [compiled, functools.partial(compiled, units=3), lambda units=3: compiled(units)],
)
def test_a_function_without_needed_arguments_is_called_as_it_is(source) -> None:
    assert as_builder(source)().output_shape == (None, 3)


@pytest.mark.parametrize("source", [of_hp, typed, Wide(), lambda hps: of_hp(hps)])
def test_hp_gets_its_defaults(source) -> None:
    assert as_builder(source)().output_shape == (None, 2)
    assert SEEN[-1] == {"units": 2, "rate": 1e-4}


@pytest.mark.parametrize("source", [of_trial, quoted, lambda trial: of_trial(trial)])
def test_a_trial_gets_the_middle_of_each_range(source, caplog) -> None:
    optuna.logging.enable_propagation()
    try:
        build = as_builder(source)
        first, second = build(), build()
    finally:
        optuna.logging.disable_propagation()
    assert first.output_shape == second.output_shape == (None, 6)
    rate = SEEN[-1].pop("rate")
    assert rate == pytest.approx(1e-3)
    expected = {"share": 0.25, "step": 0.5, "units": 6, "even": 6, "kind": "relu"}
    assert SEEN[-1] == expected
    assert caplog.text == ""  # a study of ours is no news for the user's log


def test_a_tuner_builds_its_hypermodel_at_the_defaults_of_its_space(tmp_path) -> None:
    made = tuner(tmp_path, optimizer=keras.optimizers.Adam(0.5), loss="mae")
    model = as_builder(made)()
    assert model.output_shape == (None, 2)
    assert (type(model.optimizer).__name__, model.loss) == ("Adam", "mae")
    narrow(made, (1e-3, 1e-2), name="lr")
    as_builder(made)()
    assert SEEN[-1]["rate"] == pytest.approx(10**-2.5)


def of_scopes(hp) -> keras.Model:
    with hp.name_scope("adam"):
        hp.Choice("learning_rate", [1e-2, 1e-3, 1e-4])
    hp.Float("sgd_lr", 1e-3, 0.5)
    hp.Float("l2", 1e-9, 10.0, sampling="log")
    hp.Float("lr_decay", 0.1, 0.9)
    return compiled()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: of_hp, ("lr", 1e-4, 1e-1)),
        (lambda path: of_trial, ("lr", 1e-5, 1e-1)),
        (lambda path: Wide(), ("lr", 1e-4, 1e-1)),
        (tuner, ("lr", 1e-4, 1e-1)),
        (lambda path: tuner(path, of_scopes), ("adam/learning_rate, sgd_lr", 1e-4, 0.5)),
        (lambda path: lambda hp: (hp.Float("lr", 0.0, 1.0), compiled())[1], None),
        (lambda path: lambda hp: (hp.Float("lr_exp", -5.0, 1.0), compiled())[1], None),
        (lambda path: lambda hp: (hp.Fixed("lr", 0.1), compiled())[1], None),
    ],
)
def test_the_range_of_a_space_is_known(make, expected, tmp_path) -> None:
    assert as_builder(make(tmp_path)).rate_range() == expected


def test_the_range_is_read_without_moving_the_random_state() -> None:
    keras.utils.set_random_seed(1)
    state = random.getstate()
    as_builder(of_hp).rate_range()
    assert random.getstate() == state


def needs_two(units, dropout) -> keras.Model:
    return compiled(units)


def keyword_only(*, hp) -> keras.Model:
    return of_hp(hp)


def objective(trial) -> float:
    return trial.suggest_float("lr", 1e-5, 1e-1)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (needs_two, "needs_two(units, dropout) needs more; pass lambda: needs_two(units=..., "),
        (lambda config: compiled(), "pass lambda: <lambda>(config=...)"),
        (keyword_only, "pass lambda: keyword_only(hp=...)"),
        (Wide, "but got Wide; pass an object of it, Wide()"),
        (keras.Sequential, "but got the class Sequential itself"),
        (keras_tuner.RandomSearch, "pass an object of it, RandomSearch()"),
        ("model", "but got str."),
        (compiled().fit, "but got a method of a Sequential; pass the model itself."),
        (None, "but got NoneType."),
        (keras_tuner.HyperParameters(), "but got HyperParameters; pass the tuner"),
    ],
)
def test_what_cannot_build_is_refused_with_the_cure(source, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        as_builder(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (objective, "objective(trial) returned float; pass the function that builds the model"),
        (lambda: None, "returned NoneType; did it forget to `return model`?"),
        (lambda: Wide(), "returned Wide; pass what it returns."),
        (lambda: "model", "returned str; return the compiled model."),
    ],
)
def test_what_builds_no_model_is_refused_with_the_cure(source, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        as_builder(source)()


def test_a_tuner_without_a_hypermodel_is_refused(tmp_path) -> None:
    class Own(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return 0.0

    made = Own(objective="val_loss", max_trials=1, directory=tmp_path)
    with pytest.raises(ValueError, match="must be a tuner with a hypermodel"):
        as_builder(made)
