"""Every trial trains on the same splits, and its value is the mean of their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search_spaces import LearningRateBounds, TuningTask
from search_spaces.task import with_data
from tests.tuners.tasks import dense_model, make_task
from tuners import search, train
from tuners.study.recording import recorded_facts

pytestmark = pytest.mark.slow

BOUNDS = LearningRateBounds(1e-2, 0.3, 0.05, "ok", "by hand")
ENGINES = ["optuna", "keras-tuner"]


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return make_task(dense_model("sgd"), resplit="shuffle")


@pytest.fixture(scope="module")
def line() -> TuningTask:
    """A linear model, whose highest rate that trains depends on the rows of the split."""

    def build() -> Any:
        import keras

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.01), loss="mse")
        return model

    random = np.random.default_rng(0)
    x = random.normal(size=(48, 3)).astype("float32")
    y = x @ [1.0, -2.0, 0.5] + 0.1 * random.normal(size=48)
    parts = (x[:32], y[:32]), (x[32:], y[32:])
    return TuningTask("line", build, *parts, batch_size=8, resplit="shuffle")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trial_trains_on_the_splits_of_its_task(task: TuningTask, engine: str) -> None:
    options: dict[str, Any] = {"trials": 2, "epochs": 2, "splits": 3, "seed": 5}
    study = search(task, BOUNDS, engine=engine, tuner="random", **options)
    assert recorded_facts(study)["resplit"] is True
    for trial in study.trials:
        rate = trial.params["learning_rate"]
        # by hand: each seed's split as the rows of a task without splits
        for seed, score in zip((5, 6, 7), trial.user_attrs["scores"], strict=True):
            rows, held_out, _ = task.split(seed)
            alone = with_data(task, train=rows, validation=held_out, resplit=None)
            record = train(alone, [rate], [seed], epochs=2, how="sequential")
            assert record.scores()[0] == pytest.approx(score, rel=1e-3)
        assert len(set(trial.user_attrs["scores"])) == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_the_splits_are_the_same_for_all_trials(task: TuningTask, engine: str) -> None:
    point = LearningRateBounds(0.05, 0.05, 0.05, "ok", "by hand", declared=(0.01, 0.1))
    given = search(task, point, trials=2, epochs=2, engine=engine, tuner="random", baseline=0.051)
    twice = search(task, point, trials=2, epochs=2, batch=1, baseline=0.051)
    by_rate = [
        {trial.params["learning_rate"]: trial.user_attrs["scores"] for trial in study.trials}
        for study in (given, twice)
    ]
    assert set(by_rate[0]) == {0.05, 0.051}
    for rate, scores in by_rate[0].items():
        assert by_rate[1][rate] == pytest.approx(scores, rel=1e-5)
    # almost the same rate on the same splits: almost the same scores, which differ by split
    near, far = by_rate[0][0.05], by_rate[0][0.051]
    assert np.abs(np.subtract(near, far)).max() < 0.1 * np.ptp(near)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_value_is_the_mean_of_the_scores_and_most_lanes_decide_on_failure(
    line: TuningTask, engine: str
) -> None:
    bounds = LearningRateBounds(0.5, 1.0, 0.8, "ok", "by hand", declared=(0.01, 1.0))
    sizes: dict[str, Any] = {"trials": 6, "epochs": 4, "splits": 4, "baseline": 1.0}
    study = search(line, bounds, engine=engine, tuner="grid", **sizes)
    shares = []
    for trial in study.trials:
        rate, attributes = trial.params["learning_rate"], trial.user_attrs
        record = train(line, [rate] * 4, range(4), epochs=4)
        shares.append(record.diverged.mean())
        assert attributes["scores"] == pytest.approx(record.scores(), rel=1e-4)
        assert attributes["best_values"] == pytest.approx(record.best(), rel=1e-4)
        assert (trial.state.name == "FAIL") == attributes["diverged"] == (shares[-1] > 0.5)
        if trial.value is not None:
            assert trial.value == pytest.approx(np.mean(attributes["scores"]), rel=1e-5)
    assert any(0 < share <= 0.5 for share in shares)  # one that goes on without some lanes
    assert any(share > 0.5 for share in shares)
