"""optimize_population: the trials of a study in one program, told as `study.optimize` does."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

from search_spaces import TuningTask
from tests.tuners.tasks import rows
from tuners import narrow, optimize_population, train

X, Y = rows()
DATA = {"data": (X[:64], Y[:64]), "validation": (X[64:], Y[64:])}


def build(trial: Any, highest: float = 1.0) -> Any:
    rate = trial.suggest_float("learning_rate", 1e-4, highest, log=True)
    units = trial.suggest_categorical("units", [3, 5])
    layers = [keras.Input(X.shape[1:]), keras.layers.Dense(units, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def study_of(seed: int = 0) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


def run(study: optuna.Study, builder: Any = build, **changes: Any) -> None:
    settings: dict[str, Any] = {"n_trials": 5, "epochs": 3, "batch_size": 16, "lanes": 4}
    optimize_population(study, builder, **{**DATA, **settings, "verbose": 0, **changes})


@pytest.mark.slow
def test_values_are_those_of_trials_trained_alone() -> None:
    study = narrow(study_of(), (1e-3, 0.1))
    run(study, seed=3)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 5
    assert {trial.params["units"] for trial in study.trials} == {3, 5}
    for trial in study.trials:
        assert 1e-3 <= trial.params["learning_rate"] <= 0.1
        task = TuningTask(
            "alone",
            lambda params=trial.params: build(FixedTrial(params)),
            *DATA.values(),
            batch_size=16,
        )
        alone = train(task, [trial.params["learning_rate"]], [3], epochs=3, how="sequential")
        assert trial.value == pytest.approx(alone.scores()[0], rel=1e-4)


@pytest.mark.slow
def test_a_pool_gives_the_same_values() -> None:
    values = []
    for workers in (1, 2):
        study = study_of()
        run(study, workers=workers)
        values.append([trial.value for trial in study.trials])
    assert values[0] == values[1]


@pytest.mark.slow
def test_a_trial_that_diverges_is_failed() -> None:
    study = study_of()
    for rate in (1e-3, 1e3):
        study.enqueue_trial({"learning_rate": rate, "units": 3})

    run(study, partial(build, highest=1e4), n_trials=2, epochs=9)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL"]
    assert study.trials[1].user_attrs["diverged"] is True


def unused(trial: Any) -> Any:
    trial.suggest_float("learning_rate", 1e-4, 1.0)
    return build(FixedTrial({"learning_rate": 0.5, "units": 3}))


def broken(trial: Any) -> Any:
    build(trial)
    raise RuntimeError("the user's own")


@pytest.mark.parametrize(
    ("builder", "changes", "error", "message"),
    [
        (build, {"learning_rate_name": "lr"}, ValueError, "`learning_rate_name` must .*'units'"),
        (unused, {}, ValueError, "`build_model` must compile .* suggests, .* but it has 0.5"),
        (broken, {}, RuntimeError, "the user's own"),
        (build, {"n_trials": 0}, ValueError, "`n_trials` must"),
        (build, {"objective": "val_auc"}, ValueError, "val_auc"),
    ],
)
def test_what_goes_wrong_leaves_no_trial_that_runs(
    builder: Any, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    study = study_of()
    with pytest.raises(error, match=message):
        run(study, builder, **changes)
    assert all(trial.state == TrialState.FAIL for trial in study.trials)


def test_random_state_of_the_user_is_left_alone() -> None:
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    run(study_of(), n_trials=1, epochs=1)
    assert np.random.random() == expected  # noqa: NPY002
