"""Training and measuring the two arms of a comparison; the verdict is in `tuners.comparison`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces.task import check_data, count_rows, is_dataset
from tuners.comparison import Arm
from tuners.confusion import count_confusion

if TYPE_CHECKING:
    from search_spaces import TuningTask
    from tuners.training import TrainingRecord


@dataclass(frozen=True)
class TrainedArms:
    """The chosen arm and the baseline's, with what `Comparison` wants to know of the run."""

    chosen: Arm
    baseline: Arm
    facts: dict[str, Any]


def train_arms(
    tasks: tuple[TuningTask, TuningTask],
    rates: tuple[float, float],
    seeds: np.ndarray,
    *,
    epochs: int,
    objective: str,
    metric: str,
    how: str | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> TrainedArms:
    """Train both arms on every seed, keep each run's best epoch, and measure it.

    Args:
        tasks: Of the chosen arm and of the baseline; one and the same object trains as the lanes
            of one program, two train one after the other.
        rates: Of the chosen arm and of the baseline.
        seeds: (pairs,), the same for both arms.
        epochs: Epochs of each run.
        objective: Curve whose best epoch is kept.
        metric: What is measured with those weights on the test data.
        how: `"population"`, `"sequential"` or None.
        on_epoch: `on_epoch(done, total)` in lane-epochs of both arms.

    Raises:
        ValueError: The task does not measure `metric`.
        KeyboardInterrupt: Ctrl-C came during training; a part of the pairs is no comparison.
    """
    started = time.perf_counter()
    pairs = len(seeds)
    total = 2 * pairs * epochs

    def progress(before: int) -> Callable[[int, int], None] | None:
        return on_epoch and (lambda done, _: on_epoch(before + done, total))

    settings: dict[str, Any] = {
        "epochs": epochs,
        "how": how,
        "objective": objective,
        "resplit": tasks[0].resplit is not None,
        "keep_weights": "best",
    }
    if tasks[0] is tasks[1]:
        lanes = np.repeat(np.array(rates), pairs)
        record = _train(tasks[0], lanes, np.tile(seeds, 2), on_epoch=progress(0), **settings)
        sides = [(record, slice(0, pairs)), (record, slice(pairs, 2 * pairs))]
    else:
        sides = [
            (
                _train(
                    task,
                    np.full(pairs, rate),
                    seeds,
                    on_epoch=progress(i * pairs * epochs),
                    **settings,
                ),
                slice(0, pairs),
            )
            for i, (task, rate) in enumerate(zip(tasks, rates, strict=True))
        ]
    chosen, baseline = (
        _measure(task, rate, record, lanes, seeds, objective, metric)
        for task, rate, (record, lanes) in zip(tasks, rates, sides, strict=True)
    )
    record = sides[0][0]
    measured = tasks[0].test if tasks[0].test is not None else tasks[0].validation
    facts = {
        "resplit": tasks[0].resplit is not None,
        "rows": 0 if is_dataset(measured) else count_rows(measured),
        "how": record.how,
        "why": record.why,
        "chunk_size": record.chunk_size,
        "seconds": round(time.perf_counter() - started, 3),
    }
    return TrainedArms(chosen, baseline, facts)


def _train(task: TuningTask, *lanes: np.ndarray, **settings: Any) -> TrainingRecord:
    from tuners.training import train

    record = train(task, *lanes, **settings)
    if record.interrupted:
        raise KeyboardInterrupt
    return record


def _measure(
    task: TuningTask,
    rate: float,
    record: TrainingRecord,
    lanes: slice,
    seeds: np.ndarray,
    objective: str,
    metric: str,
) -> Arm:
    validation = record.best(objective)[lanes]
    diverged = np.asarray(record.diverged[lanes]) | (record.best_epoch[lanes] < 0)
    accuracy: list[float | None] = []
    confusion: list[np.ndarray] = []
    if task.test is None:
        values = validation
        measured = {
            name.removeprefix("val_"): record.best(name)[lanes]
            for name in ("val_loss", *(n for n in record.metrics if n.startswith("val_")))
        }
    else:
        measured, counts = _test(task, (record.weights or [])[lanes], seeds, diverged)
        if measured and metric not in measured:
            raise ValueError(
                f"`objective` {objective!r} must name a metric that is measured on the test data, "
                f"but those are {', '.join(sorted(measured))}."
            )
        values = measured.get(metric, np.full(len(seeds), np.nan))
        for lost, count in zip(diverged, counts, strict=True):
            if count is None or lost:
                accuracy.append(None)
            else:
                accuracy.append(float(np.trace(count) / count.sum()))
                confusion.append(count)
    curves = {
        "loss": record.loss[lanes],
        "val_loss": record.val_loss[lanes],
        **{name: curve[lanes] for name, curve in record.metrics.items()},
    }
    return Arm(
        name=task.name,
        learning_rate=rate,
        values=tuple(np.where(diverged, np.nan, values).tolist()),
        validation=_finite(np.where(diverged, np.nan, validation)),
        metrics={
            name: _finite(np.where(diverged, np.nan, value)) for name, value in measured.items()
        },
        accuracy=tuple(accuracy) if confusion else (),
        confusion=tuple(map(tuple, np.mean(confusion, axis=0).tolist())) if confusion else None,
        best_epochs=tuple(int(epoch) for epoch in record.best_epoch[lanes]),
        diverged=tuple(bool(lost) for lost in diverged),
        curves={name: _mean_curve(curve) for name, curve in curves.items()},
        **_describe_optimizer(task),
    )


def _test(
    task: TuningTask, weights: list[list[np.ndarray]], seeds: np.ndarray, diverged: np.ndarray
) -> tuple[dict[str, np.ndarray], list[np.ndarray | None]]:
    """Return metrics (pairs,) by name, and the confusion of each pair where there is one.

    Runs that diverged may have no weights; they get NaN and None.
    """
    from tuners.training import evaluate, predict

    kept = np.flatnonzero(~diverged)
    confusion: list[np.ndarray | None] = [None] * len(seeds)
    if not kept.size:
        return {}, confusion
    test: Any = task.test
    if is_dataset(test) and not task.streams:
        with warnings.catch_warnings():  # that its maps are frozen does not matter: one pass
            warnings.simplefilter("ignore")
            test = check_data(test, "test", materialise=True)
    tests: list[Any] = [test] * kept.size
    data: Any = test
    if task.resplit is not None:  # each split scales the test rows as it scaled its training rows
        data = tests = [task.split(int(seeds[pair]))[2] for pair in kept]
    lanes = [weights[pair] for pair in kept]
    measured = {
        name: _spread(values, kept, len(seeds))
        for name, values in evaluate(task, lanes, data).items()
    }
    if not is_dataset(test):
        outputs = predict(task, lanes, data)
        if isinstance(outputs, np.ndarray):  # several outputs have no one confusion
            for pair, rows, output in zip(kept, tests, outputs, strict=True):
                confusion[pair] = count_confusion(rows[1], output)
    return measured, confusion


def _spread(values: np.ndarray, places: np.ndarray, length: int) -> np.ndarray:
    """Return `values` at their places in a vector of NaN."""
    found = np.full(length, np.nan)
    found[places] = values
    return found


def _describe_optimizer(task: TuningTask) -> dict[str, str]:
    from tuners.lanes import built_model, leaf_optimizers, schedule_values

    optimizer = leaf_optimizers(built_model(task, 0).optimizer)[0]
    scheduled = schedule_values(optimizer, 1) is not None
    return {
        "optimizer": type(optimizer).__name__,
        "schedule": type(optimizer._learning_rate).__name__ if scheduled else "",
    }


def _finite(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)


def _mean_curve(curve: np.ndarray) -> tuple[float | None, ...]:
    """Return the mean over lanes by epoch, None where no lane is finite."""
    return tuple(
        float(f"{column[np.isfinite(column)].mean():.6g}") if np.isfinite(column).any() else None
        for column in np.asarray(curve, float).T
    )
