"""The KerasTuner engine: every tuner inside the bounds, in one study, going on where it stopped."""

from __future__ import annotations

import doctest

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from search_spaces import LearningRateBounds, TuningTask
from tuners import search
from tuners.study.recording import recorded_facts

pytestmark = pytest.mark.slow  # trains lanes of a linear model

BOUNDS = LearningRateBounds(1e-3, 0.2, 0.02, "ok", "by hand", declared=(1e-4, 1.0))
WIDE = LearningRateBounds(1e-3, 1e3, 0.02, "ok", "by hand")  # diverges from about 1 on

optuna.logging.set_verbosity(optuna.logging.WARNING)


def build_model():
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
    return model


@pytest.fixture(scope="module")
def task():
    """Return one task for all tests, so that its program is compiled once."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype("float32")
    y = (x @ np.array([[1.0], [-2.0], [0.5]]) + 0.1 * rng.normal(size=(60, 1))).astype("float32")
    return TuningTask("line", build_model, (x[:40], y[:40]), (x[40:], y[40:]), batch_size=10)


def run(task, tuner="random", bounds=BOUNDS, **options):
    options = {"trials": 6, "epochs": 6, "batch": 4, "splits": 1, **options}
    return search(task, bounds, engine="keras-tuner", tuner=tuner, **options)


def rates(study):
    return [trial.params["learning_rate"] for trial in study.trials]


@pytest.mark.parametrize("tuner", ["bayesian", "random", "hyperband", "grid"])
def test_every_tuner_fills_a_study_inside_the_bounds(task, tuner):
    seen = []
    study = run(task, tuner, splits=2, on_trial=lambda study, trial: seen.append(trial.number))
    assert seen == list(range(6))
    baseline, *proposed = study.trials
    assert (baseline.user_attrs["role"], baseline.params) == ("baseline", {"learning_rate": 0.01})
    assert all(BOUNDS.low <= rate <= BOUNDS.high for rate in rates(study))
    assert {trial.user_attrs["role"] for trial in proposed} <= {"search", "suggestion"}
    wide = optuna.distributions.FloatDistribution(1e-4, 1.0, log=True)
    for trial in study.trials:
        assert trial.distributions == {"learning_rate": wide}
        attributes = trial.user_attrs
        assert attributes["diverged"] is False
        assert len(attributes["scores"]) == len(attributes["best_values"]) == 2
        assert trial.value == pytest.approx(np.mean(attributes["scores"]), rel=1e-5)
        assert len(attributes["curves"]["val_loss"]) == attributes["epochs"] == attributes["budget"]
        # a score is a mean over half of the epochs, which the best of them cannot be above
        assert np.mean(attributes["best_values"]) <= trial.value
        assert {"loss", "val_loss", "mae", "val_mae"} == set(attributes["curves"])
    if tuner == "grid":
        points = np.geomspace(1e-3, 0.2, 5)
        assert sorted(rates(study)[1:]) == pytest.approx(points)
        # the point that is nearest to the suggestion
        assert rates(study)[1] == pytest.approx(min(points, key=lambda p: abs(np.log(p / 0.02))))
    else:
        assert rates(study)[1] == BOUNDS.suggestion
        assert proposed[0].user_attrs["role"] == "suggestion"
    facts = recorded_facts(study)
    assert facts["engine"] == "keras-tuner"
    assert facts["sampler"] == tuner
    assert facts["how"] == "population"
    budgets = [trial.user_attrs["budget"] for trial in study.trials]
    assert facts["epochs_search"] == 2 * sum(budgets)
    # 40 rows at batch 10 are 4 steps an epoch
    assert facts["steps_search"] == study.user_attrs["gradient_steps"] == 4 * 2 * sum(budgets)


def test_hyperband_prunes_short_trials_and_finishes_some(task):
    study = run(task, "hyperband", trials=10)
    short = [trial for trial in study.trials if trial.user_attrs["budget"] < 6]
    full = [trial for trial in study.trials if trial.user_attrs["budget"] == 6]
    assert short
    assert full
    assert {trial.state for trial in short} == {TrialState.PRUNED}
    assert {trial.state for trial in full} == {TrialState.COMPLETE}
    assert short[0].intermediate_values == {1: short[0].value}
    best = min(short[:4], key=lambda trial: trial.value)
    promoted = [trial for trial in full if trial.params == best.params]
    assert len(promoted) == 1
    # trained anew with the same seed: the same first epochs
    start = promoted[0].user_attrs["curves"]["loss"][:2]
    assert start == pytest.approx(best.user_attrs["curves"]["loss"], rel=1e-4)


@pytest.mark.parametrize("tuner", ["bayesian", "hyperband"])
def test_a_diverged_trial_fails_and_the_search_goes_on(task, tuner):
    study = run(task, tuner, WIDE, trials=7)
    assert len(study.trials) == 7
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert failed
    assert all(trial.user_attrs["diverged"] for trial in failed)
    assert all(trial.params["learning_rate"] > 0.3 for trial in failed)
    assert all("val_loss" in trial.user_attrs["curves"] for trial in failed)
    assert study.best_trial.params["learning_rate"] < 1.0


def test_a_search_where_all_diverges_ends(task):
    bounds = LearningRateBounds(100.0, 1e3, 300.0, "ok", "by hand")
    study = run(task, "bayesian", bounds)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 6


@pytest.mark.parametrize("tuner", ["bayesian", "hyperband"])
def test_a_search_goes_on_from_the_study(task, tuner, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    whole = run(task, tuner, trials=7)

    def interrupt(study, trial):
        if trial.number == 5:  # in the middle of a batch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(task, tuner, trials=7, storage=url, on_trial=interrupt)
    new = []
    study = run(
        task, tuner, trials=7, storage=url, on_trial=lambda _, trial: new.append(trial.number)
    )
    assert new == [6]
    assert rates(study) == rates(whole)
    assert [trial.value for trial in study.trials] == [trial.value for trial in whole.trials]
    run(task, tuner, trials=7, storage=url, on_trial=lambda _, trial: new.append(trial.number))
    assert new == [6]  # nothing was left to do


def test_trials_may_grow(task, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    before = rates(run(task, trials=4, storage=url))
    grown = rates(run(task, trials=7, storage=url))
    assert grown[:4] == before
    assert len(set(grown)) == 7
    before = rates(run(task, "grid", trials=3, storage=url, study_name="grid"))
    grown = rates(run(task, "grid", trials=5, storage=url, study_name="grid"))
    assert grown[:3] == before
    # the baseline, then the grid of what is left: of two trials, of four
    assert (grown[0], sorted(grown[1:3])) == (0.01, pytest.approx([1e-3, 0.2]))
    assert sorted(grown[1:]) == pytest.approx(np.geomspace(1e-3, 0.2, 4))


def test_a_seed_of_zero_repeats_and_differs_from_one(task):
    first, again, other = (rates(run(task, trials=4, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first[:2] == other[:2] == [0.01, BOUNDS.suggestion]
    assert not set(first[2:]) & set(other[2:])


def test_progress_counts_the_epochs_of_all_splits(task):
    done = []
    run(task, trials=3, splits=3, on_epoch=lambda done_, total: done.append((done_, total)))
    assert done == sorted(done)
    assert done[-1] == (54, 54)


def test_a_single_point_is_tried_once(task):
    bounds = LearningRateBounds(0.02, 0.02, 0.02, "ok", "by hand")
    for tuner in ("grid", "random"):
        # 0.01 is outside of the declared range
        assert rates(run(task, tuner, bounds, trials=3)) == [0.02]
    assert rates(run(task, "grid", trials=1)) == [BOUNDS.suggestion]


def test_a_repeated_rate_gives_way_to_a_random_one(task):
    bounds = LearningRateBounds(1e-4, 1e-2, 1e-3, "ok", "by hand")
    for baseline in (1e-2, 5e-4):  # at the bound, and elsewhere
        study = run(task, "bayesian", bounds, trials=7, baseline=baseline)
        assert rates(study)[0] == baseline
        assert max(rates(study)) == 1e-2  # the best is at the bound, which is asked for once
        assert len(set(rates(study))) == 7


def test_the_objectives_direction_is_explicit(task):
    from tuners.engines.keras_tuner_engine import make_oracle
    from tuners.searches.plan import Branch, SearchPlan
    from tuners.training.records import direction

    def oracle(objective, tuner="random", seed=0):
        branch = Branch(None, task, BOUNDS, None, "learning_rate", 0.01)
        pruner = optuna.pruners.NopPruner()
        return make_oracle(
            SearchPlan(
                branches=(branch,),
                engine="keras-tuner",
                sampler="tpe",
                tuner=tuner,
                trials=4,
                epochs=2,
                splits=1,
                batch=4,
                objective=objective,
                direction=direction(objective),
                pruner=pruner,
                pruner_name="none",
                how=None,
                seed=seed,
                alone="",
                on_trial=None,
                on_epoch=None,
            )
        )

    assert oracle("val_r2_score").objective.direction == "max"  # KerasTuner would guess "min"
    assert oracle("val_mae").objective.direction == "min"
    assert oracle("val_loss", "hyperband").max_trials == 3  # and the baseline
    assert oracle("val_loss").seed == oracle("val_loss").seed > 0


def test_the_reduction_factor_lets_some_trials_finish():
    from tuners.engines.keras_tuner_engine import hyperband_factor

    for trials in (1, 2, 5, 24, 60, 200):
        for epochs in (1, 2, 10, 30, 50, 81):
            import keras_tuner

            factor = hyperband_factor(trials, epochs)
            oracle = keras_tuner.oracles.HyperbandOracle("loss", max_epochs=epochs, factor=factor)
            bracket = oracle._current_bracket
            sizes = [oracle._get_size(bracket, number) for number in range(bracket + 1)]
            assert sum(sizes) <= max(trials, 2)
            assert factor == 3 or factor <= epochs + 1


def test_other_pruners_and_several_tasks_are_refused(task):
    with pytest.raises(ValueError, match='use tuner="hyperband" instead'):
        run(task, pruner="median")
    with pytest.raises(ValueError, match="several tasks by name with engine='optuna' only"):
        search({"a": task}, {"a": BOUNDS}, engine="keras-tuner")


def test_the_examples_in_docstrings_run():
    from tuners.engines import keras_tuner_engine

    assert doctest.testmod(keras_tuner_engine).failed == 0
