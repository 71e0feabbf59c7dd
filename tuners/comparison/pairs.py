"""Training and measuring the two arms of a comparison, pair by pair."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search_spaces._data import check_data, count_rows, is_dataset
from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.comparison.confusion import count_confusion
from tuners.comparison.result import Arm
from tuners.study.schema import plain
from tuners.training.models import built_model, leaf_optimizers
from tuners.training.rates import has_schedule
from tuners.training.records import TrainingRecord
from tuners.training.runner import evaluate, predict, train

PAIRS_AT_ONCE = 8


@dataclass(frozen=True)
class Run:
    """What one training of one pair reached.

    Args:
        value: The value that the verdict is on; None where the run diverged.
        validation: The objective's validation value at the best epoch; None where it diverged.
        metrics: Metric name to its value on the same rows as `value`; None where it diverged.
        confusion: Counts, true classes down, predicted across; None where there is none.
        best_epoch: The 0-based epoch whose weights were kept, -1 where none was finite.
        diverged: Whether the run diverged.
        curves: Curve name to its values by epoch, None where not finite.
    """

    value: float | None
    validation: float | None
    metrics: Mapping[str, float | None]
    confusion: Sequence[Sequence[int]] | None
    best_epoch: int
    diverged: bool
    curves: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Pair:
    """Both runs of one pair, with how they were trained and their share of the time."""

    seed: int
    chosen: Run
    baseline: Run
    how: str
    why: str
    chunk_size: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings, lists and dicts; curves have 6 digits."""
        entry = plain(asdict(self), 17)
        for side in ("chosen", "baseline"):
            entry[side]["curves"] = plain(entry[side]["curves"])
        return dict(entry)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Pair:
        """Return the pair that `to_dict` wrote."""
        sides = {side: Run(**entry[side]) for side in ("chosen", "baseline")}
        return cls(**{**entry, **sides})


@dataclass(frozen=True, eq=False)
class PairedDesign:
    """What every pair of a comparison has in common.

    Args:
        tasks: Of the chosen arm and of the baseline; one and the same object trains as the lanes
            of one program, two train one after the other.
        rates: Of the chosen arm and of the baseline.
        epochs: Epochs of each run.
        objective: Curve whose best epoch is kept.
        metric: What is measured with those weights on the test data.
        direction: `"minimize"` or `"maximize"`, of the objective; None judges by its name.
        how: `"population"`, `"sequential"` or None.
        width: Pairs whose program is used, whatever is trained at once (see `tuners.train`).
    """

    tasks: tuple[TuningTask, TuningTask]
    rates: tuple[float, float]
    epochs: int
    objective: str
    metric: str
    direction: str | None = None
    how: Any = None
    width: int = 1

    @property
    def resplit(self) -> bool:
        """Whether each pair has a split of its own."""
        return self.tasks[0].resplit is not None

    @property
    def rows(self) -> int:
        """Rows that are measured, 0 where unknown."""
        task = self.tasks[0]
        measured = task.test if task.test is not None else task.validation
        return 0 if is_dataset(measured) else count_rows(measured)


def train_pairs(
    design: PairedDesign,
    seeds: np.ndarray,
    on_epoch: Callable[[int], None] | None = None,
) -> list[Pair]:
    """Train both arms on every seed, keep each run's best epoch, and measure it.

    Args:
        design: What is compared, and how.
        seeds: (pairs,), the same for both arms.
        on_epoch: Called with the lane-epochs done, of both arms.

    Raises:
        ValueError: The task does not measure the metric.
        KeyboardInterrupt: Ctrl-C came during training.
    """
    started = time.perf_counter()
    pairs = len(seeds)
    settings: dict[str, Any] = {
        "epochs": design.epochs,
        "how": design.how,
        "objective": design.objective,
        "direction": design.direction,
        "resplit": design.resplit,
        "keep_weights": "best",
    }

    def progress(before: int) -> Callable[[int, int], None] | None:
        return on_epoch and (lambda done, _: on_epoch(before + done))

    if design.tasks[0] is design.tasks[1]:
        lanes, both = np.repeat(np.array(design.rates), pairs), np.tile(seeds, 2)
        settings["width"] = 2 * design.width
        record = _train(design.tasks[0], lanes, both, on_epoch=progress(0), **settings)
        sides = [(record, slice(0, pairs)), (record, slice(pairs, 2 * pairs))]
    else:
        settings["width"] = design.width
        sides = []
        for i, (task, rate) in enumerate(zip(design.tasks, design.rates, strict=True)):
            tell = progress(i * pairs * design.epochs)
            record = _train(task, np.full(pairs, rate), seeds, on_epoch=tell, **settings)
            sides.append((record, slice(0, pairs)))
    runs = [
        _measure(task, record, lanes, seeds, design)
        for task, (record, lanes) in zip(design.tasks, sides, strict=True)
    ]
    record, seconds = sides[0][0], (time.perf_counter() - started) / pairs
    return [
        Pair(int(seed), one, other, record.how, record.why, record.chunk_size, round(seconds, 4))
        for seed, one, other in zip(seeds, runs[0], runs[1], strict=True)
    ]


def aggregate_arms(design: PairedDesign, pairs: Sequence[Pair]) -> tuple[Arm, Arm, dict[str, Any]]:
    """Return both arms of some pairs, with what `Comparison` wants to know of their training."""
    chosen, baseline = (
        _arm(task, rate, [getattr(pair, side) for pair in pairs])
        for side, task, rate in zip(("chosen", "baseline"), design.tasks, design.rates, strict=True)
    )
    facts = {
        "resplit": design.resplit,
        "rows": design.rows,
        "how": pairs[0].how,
        "why": pairs[0].why,
        "chunk_size": pairs[0].chunk_size,
        "seconds": round(sum(pair.seconds for pair in pairs), 3),
    }
    return chosen, baseline, facts


def _train(task: TuningTask, *lanes: np.ndarray, **settings: Any) -> TrainingRecord:
    record = train(task, *lanes, **settings)
    if record.interrupted:
        raise KeyboardInterrupt
    return record


def _measure(
    task: TuningTask, record: TrainingRecord, lanes: slice, seeds: np.ndarray, design: PairedDesign
) -> list[Run]:
    validation = record.best(design.objective)[lanes]
    diverged = np.asarray(record.diverged[lanes]) | (record.best_epoch[lanes] < 0)
    counts: list[np.ndarray | None] = [None] * len(seeds)
    if task.test is None:
        values = validation
        measured = {
            name.removeprefix("val_"): record.best(name)[lanes]
            for name in ("val_loss", *(n for n in record.metrics if n.startswith("val_")))
        }
    else:
        measured, counts = _test(task, (record.weights or [])[lanes], seeds, diverged)
        if measured and design.metric not in measured:
            raise InputError(
                f"`objective` {design.objective!r} must name a metric that is measured on the "
                f"test data, but those are {', '.join(sorted(measured))}."
            )
        values = measured.get(design.metric, np.full(len(seeds), np.nan))
    curves = {"loss": record.loss, "val_loss": record.val_loss, **record.metrics}
    runs = []
    for pair, (lost, count) in enumerate(zip(diverged, counts, strict=True)):
        runs.append(
            Run(
                value=None if lost else _finite(values[pair]),
                validation=None if lost else _finite(validation[pair]),
                metrics={
                    name: None if lost else _finite(value[pair]) for name, value in measured.items()
                },
                confusion=None if lost or count is None else count.tolist(),
                best_epoch=int(record.best_epoch[lanes][pair]),
                diverged=bool(lost),
                curves={
                    name: tuple(_finite(value) for value in curve[lanes][pair])
                    for name, curve in curves.items()
                },
            )
        )
    return runs


def _arm(task: TuningTask, rate: float, runs: Sequence[Run]) -> Arm:
    confusion = [np.array(run.confusion) for run in runs if run.confusion is not None]
    shares = [
        None if run.confusion is None else float(np.trace(run.confusion) / np.sum(run.confusion))
        for run in runs
    ]
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    curves = dict.fromkeys(name for run in runs for name in run.curves)
    return Arm(
        name=task.name,
        learning_rate=rate,
        values=tuple(np.nan if run.value is None else run.value for run in runs),
        validation=tuple(run.validation for run in runs),
        metrics={name: tuple(run.metrics.get(name) for run in runs) for name in names},
        accuracy=tuple(shares) if confusion else (),
        confusion=tuple(map(tuple, np.mean(confusion, axis=0).tolist())) if confusion else None,
        best_epochs=tuple(run.best_epoch for run in runs),
        diverged=tuple(run.diverged for run in runs),
        curves={
            name: _mean_curve(np.array([run.curves[name] for run in runs], float))
            for name in curves
        },
        **_describe_optimizer(task),
    )


def _test(
    task: TuningTask, weights: list[list[np.ndarray]], seeds: np.ndarray, diverged: np.ndarray
) -> tuple[dict[str, np.ndarray], list[np.ndarray | None]]:
    """Return metrics (pairs,) by name, and the confusion of each pair where there is one.

    Runs that diverged may have no weights; they get NaN and None.
    """
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
    optimizer = leaf_optimizers(built_model(task, 0).optimizer)[0]
    scheduled = has_schedule(optimizer)
    return {
        "optimizer": type(optimizer).__name__,
        "schedule": type(optimizer._learning_rate).__name__ if scheduled else "",
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _mean_curve(curve: np.ndarray) -> tuple[float | None, ...]:
    """Return the mean over lanes by epoch, None where no lane is finite."""
    return tuple(
        float(f"{column[np.isfinite(column)].mean():.6g}") if np.isfinite(column).any() else None
        for column in np.asarray(curve, float).T
    )
