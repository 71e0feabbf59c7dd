from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces import TuningTask
from tuners import compare
from tuners.comparison.result import recorded_comparison
from tuners.report.summary import summarize
from tuners.study.recording import recorded_facts

pytestmark = pytest.mark.slow


def make_data(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 3)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("float32")


def make_builder(optimizer: Callable[[], Any]) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
        model.compile(optimizer=optimizer(), loss="binary_crossentropy", metrics=["accuracy"])
        return model

    return build


def sgd() -> Any:
    import keras

    return keras.optimizers.SGD(1e-3)


def make_task(**changes: Any) -> TuningTask:
    def resplit(seed: int) -> Any:
        return make_data(48, seed), make_data(24, seed + 500), make_data(40, 9)

    settings = {"batch_size": 16, "resplit": resplit, "test": make_data(40, 9)} | changes
    build = settings.pop("build", make_builder(sgd))
    return TuningTask("toy", build, make_data(48, 1), make_data(24, 2), **settings)


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return make_task()


def test_a_good_rate_beats_a_slow_one(task: TuningTask) -> None:
    study = optuna.create_study()
    told: list[tuple[int, int]] = []
    result = compare(
        task, 1.0, pairs=6, epochs=3, study=study, on_epoch=lambda a, b: told.append((a, b))
    )
    assert (result.verdict, result.pairs, result.wins) == ("better", 6, 6.0)
    assert result.baseline_learning_rate == 1e-3  # what it was compiled with
    assert result.recommended_learning_rate == 1.0
    assert (result.measured_on, result.metric, result.rows) == ("test", "loss", 40)
    assert result.seeds == (1000, 1001, 1002, 1003, 1004, 1005)
    assert result.resplit
    assert told[-1] == (36, 36)
    assert told == sorted(told)
    assert [sum(row) for row in result.chosen.confusion] == pytest.approx(
        [float((make_data(40, 9)[1] == label).sum()) for label in (0, 1)]
    )
    # accuracy by our own count is Keras's metric on the same rows
    assert result.chosen.accuracy == pytest.approx(result.chosen.metrics["accuracy"], abs=1e-6)
    assert len(result.chosen.curves["val_loss"]) == 3
    assert recorded_comparison(study).differences == pytest.approx(result.differences)
    assert recorded_facts(study)["epochs_comparison"] == 36
    assert summarize(study)["verdict"] == "better"


def test_the_same_seed_gives_the_same_pairs(task: TuningTask) -> None:
    first, second = (compare(task, 0.5, baseline=0.1, pairs=6, epochs=2) for _ in range(2))
    assert first.differences == second.differences
    assert compare(task, 0.5, baseline=0.1, pairs=6, epochs=2, seed=7).differences != (
        first.differences
    )
    # the arms are swapped: every gain is a loss of the same size
    swapped = compare(task, 0.1, baseline=0.5, pairs=6, epochs=2)
    assert swapped.differences == pytest.approx([-gain for gain in first.differences], abs=1e-6)


def test_without_test_data_it_is_measured_on_validation_and_says_so() -> None:
    task = make_task(test=None, resplit=None)
    result = compare(task, 1.0, pairs=2, epochs=2, objective="val_accuracy")
    assert result.optimistic
    assert (result.measured_on, result.metric, result.rows) == ("validation", "accuracy", 24)
    assert result.direction == "maximize"
    assert not result.resplit
    assert result.chosen.confusion is None
    assert result.differences[0] == pytest.approx(
        result.chosen.values[0] - result.baseline.values[0]
    )


def test_a_rate_that_diverges_loses(task: TuningTask) -> None:
    result = compare(task, 3e38, baseline=0.1, pairs=6, epochs=2)
    assert all(result.chosen.diverged)
    assert not any(result.baseline.diverged)
    assert result.wins == 0
    assert all(np.isfinite(result.differences))


def test_the_baseline_itself_trains_nothing(task: TuningTask) -> None:
    study = optuna.create_study()
    result = compare(task, 1.005e-3, study=study)
    assert (result.verdict, result.pairs, result.differences) == ("no_difference_shown", 0, ())
    assert "within 1% of 0.001" in result.reason
    assert result.recommended_learning_rate == 1e-3
    assert recorded_comparison(study) == result


def adam() -> Any:
    import keras

    return keras.optimizers.Adam(1e-3)


def test_two_optimizers_on_the_same_data() -> None:
    sides = [make_task(resplit=None, build=make_builder(make)) for make in (adam, sgd)]
    result = compare((sides[0], sides[1]), 1e-3, pairs=2, epochs=1)
    assert result.pairs == 2  # equal rates, yet two models
    assert result.baseline_learning_rate == pytest.approx(1e-3)
    other = make_task(resplit=None, test=make_data(40, 10))
    with pytest.raises(ValueError, match="must hold the same data, but their `test` differ"):
        compare((sides[0], other), 0.1)
    with pytest.raises(ValueError, match="must both have a `resplit` or none, but 'toy' alone has"):
        compare((sides[0], make_task()), 0.1)


def test_each_of_two_arms_has_its_own_rate() -> None:
    tasks = make_task(build=make_builder(adam)), make_task()
    told: list[tuple[int, int]] = []
    both = compare(
        tasks, (0.1, 1e-3), pairs=6, epochs=2, on_epoch=lambda *counts: told.append(counts)
    )
    assert (both.verdict, both.sides) == ("better", ("Adam at 0.1", "SGD at 0.001"))
    assert (both.chosen_learning_rate, both.baseline_learning_rate) == (0.1, 1e-3)
    assert told == sorted(told)
    assert told[-1] == (24, 24)
    # None: what the arm's own task was compiled with
    assert compare(tasks, (0.1, None), pairs=6, epochs=2).differences == both.differences
    swapped = compare(tasks[::-1], (None, 0.1), pairs=6, epochs=2)
    assert (swapped.verdict, swapped.recommended_learning_rate) == ("worse", 0.1)
    assert swapped.differences == pytest.approx([-gain for gain in both.differences], abs=1e-6)
    # two rates of one task are the rate and its baseline
    pair = compare(tasks[1], (0.5, 0.1), pairs=6, epochs=2)
    assert pair.differences == compare(tasks[1], 0.5, baseline=0.1, pairs=6, epochs=2).differences


def test_a_schedule_against_a_constant_rate() -> None:
    def cosine() -> Any:
        import keras

        return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1.0, 6))

    tasks = make_task(build=make_builder(cosine)), make_task()
    result = compare(tasks, (None, 1.0), pairs=2, epochs=2)
    assert result.chosen_learning_rate == 1.0  # its highest rate
    assert result.sides == ("CosineDecay at 1", "constant rate at 1")


def test_arms_that_both_diverge_are_told_and_neither_is_recommended(task: TuningTask) -> None:
    study = optuna.create_study()
    result = compare(task, (3e38, 2e38), epochs=2, study=study)
    assert (result.verdict, result.pairs) == ("no_difference_shown", 6)  # no more are worth it
    assert result.recommended_learning_rate is None
    summary = summarize(study)
    assert summary["headline"] == "Both arms diverged: try lower rates"
    assert summary["recommended_learning_rate"] is summary["paste"] is None


def test_arms_that_are_the_same_are_equal(task: TuningTask) -> None:
    result = compare((task, make_task()), (0.5, 0.5), epochs=2)
    assert (result.verdict, result.pairs, result.wins) == ("equal", 6, 3.0)
    assert result.recommended_learning_rate == 0.5


def test_the_margin_decides_what_is_equal(task: TuningTask) -> None:
    near = {"baseline": 0.5, "pairs": 6, "epochs": 2}
    assert compare(task, 0.49, **near, margin=0.5).verdict == "equal"
    assert compare(task, 0.49, **near, margin=0.0).verdict != "equal"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": 0.0}, "`learning_rate` must be positive and finite, but got 0.0"),
        ({"learning_rate": float("inf")}, "`learning_rate` must be positive"),
        ({"learning_rate": "fast"}, "`learning_rate` must be positive and finite, but got 'fast'"),
        ({"baseline": -1.0}, "`baseline` must be positive and finite, but got -1.0"),
        (
            {"learning_rate": (0.1, -1.0)},
            "`learning_rate` must be positive and finite, but got -1.0",
        ),
        (
            {"learning_rate": (0.1,)},
            "`learning_rate` must be one rate, or one for each of two arms",
        ),
        (
            {"learning_rate": (0.1, 0.2), "baseline": 0.3},
            "`baseline` is the second of two rates already, but got 0.3 beside",
        ),
        ({"margin": 1.0}, r"`margin` must be in \[0, 1\), but got 1.0; 0.01 is 1 %"),
        ({"margin": "small"}, r"`margin` must be in \[0, 1\), but got 'small'"),
        ({"pairs": 0}, "`pairs` must be a whole number of 1 or more, but got 0; 6 is the fewest"),
        ({"pairs": 2.5}, "`pairs` must be a whole number"),
        ({"epochs": 0}, "`epochs` must be a whole number of 1 or more, but got 0"),
        ({"objective": "val_beauty", "pairs": 6, "epochs": 1}, "val_beauty"),
    ],
)
def test_bad_arguments(task: TuningTask, arguments: dict[str, Any], message: str) -> None:
    arguments = {"learning_rate": 0.1} | arguments
    with pytest.raises(ValueError, match=message):
        compare(task, arguments.pop("learning_rate"), **arguments)


@pytest.mark.parametrize(
    ("given", "got"),
    [("wine", "str"), (None, "NoneType"), ((), "nothing"), ((make_task(),) * 3, "TuningTask")],
)
def test_what_is_no_task_is_refused(given: Any, got: str) -> None:
    with pytest.raises(ValueError, match=f"`task` must be a TuningTask, .* but got {got}; pass"):
        compare(given, 0.1)


def test_verbose_prints_the_verdict_in_one_line_and_0_nothing(task: TuningTask, capfd) -> None:
    capfd.readouterr()
    result = compare(task, 1.0, pairs=2, epochs=1)
    assert capfd.readouterr() == (f"{result.describe()}\n", "")
    compare(task, 1.0, pairs=2, epochs=1, verbose=0)
    assert capfd.readouterr().out == ""
