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

# Looks lie even numbers of pairs apart, so one program of four lanes, two a pair, trains all pairs
# and never runs with an empty lane. On the wine data ten epochs of a lane take 0.34 s in it, 0.29
# to 0.33 s among 8 or 16, 0.56 s among 2.
PAIRS_AT_ONCE = 2


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
    """

    tasks: tuple[TuningTask, TuningTask]
    rates: tuple[float, float]
    epochs: int
    objective: str
    metric: str
    direction: str | None = None
    how: Any = None

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
    trained: list[Pair] = []
    for start in range(0, len(seeds), PAIRS_AT_ONCE):
        trained += _train_few(design, seeds[start : start + PAIRS_AT_ONCE], len(trained), on_epoch)
    return trained


def _train_few(
    design: PairedDesign,
    seeds: np.ndarray,
    before: int,
    on_epoch: Callable[[int], None] | None,
) -> list[Pair]:
    """Train as many pairs as a program takes, after some that were trained before."""
    started = time.perf_counter()
    pairs, one, other = len(seeds), *design.tasks
    settings: dict[str, Any] = {
        "epochs": design.epochs,
        "how": design.how,
        "objective": design.objective,
        "direction": design.direction,
        "resplit": design.resplit,
        "keep_weights": "best",
    }

    def arm(task: TuningTask, rates: np.ndarray, seeds: np.ndarray, done: int) -> TrainingRecord:
        first = (2 * before + done) * design.epochs

        def tell(further: int, _: int) -> None:
            if on_epoch is not None:
                on_epoch(first + further)

        record = train(task, rates, seeds, on_epoch=tell, **settings)
        if record.interrupted:
            raise KeyboardInterrupt
        return record

    chosen, baseline = (np.full(pairs, rate) for rate in design.rates)
    if one is other:
        settings["width"] = 2 * PAIRS_AT_ONCE
        record = arm(one, np.append(chosen, baseline), np.tile(seeds, 2), 0)
        both = _measure(one, record, design)
        runs = both[:pairs], both[pairs:]
    else:
        settings["width"] = PAIRS_AT_ONCE
        record = arm(one, chosen, seeds, 0)
        second = arm(other, baseline, seeds, pairs)
        runs = _measure(one, record, design), _measure(other, second, design)
    seconds = (time.perf_counter() - started) / pairs
    return [
        Pair(int(seed), run, rival, record.how, record.why, record.chunk_size, round(seconds, 4))
        for seed, run, rival in zip(seeds, runs[0], runs[1], strict=True)
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


def _measure(task: TuningTask, record: TrainingRecord, design: PairedDesign) -> list[Run]:
    validation = record.best(design.objective)
    diverged = np.asarray(record.diverged) | (record.best_epoch < 0)
    counts: list[np.ndarray | None] = [None] * len(record.seeds)
    if task.test is None:
        values = validation
        measured = {
            name.removeprefix("val_"): record.best(name)
            for name in ("val_loss", *(n for n in record.metrics if n.startswith("val_")))
        }
    else:
        measured, counts = _test(task, record.weights or [], record.seeds, diverged)
        if measured and design.metric not in measured:
            raise InputError(
                f"`objective` {design.objective!r} must name a metric that is measured on the "
                f"test data, but those are {', '.join(sorted(measured))}."
            )
        values = measured.get(design.metric, np.full(len(record.seeds), np.nan))
    curves = {"loss": record.loss, "val_loss": record.val_loss, **record.metrics}
    runs = []
    for lane, (lost, count) in enumerate(zip(diverged, counts, strict=True)):
        runs.append(
            Run(
                value=None if lost else _finite(values[lane]),
                validation=None if lost else _finite(validation[lane]),
                metrics={
                    name: None if lost else _finite(value[lane]) for name, value in measured.items()
                },
                confusion=None if lost or count is None else count.tolist(),
                best_epoch=int(record.best_epoch[lane]),
                diverged=bool(lost),
                curves={
                    name: tuple(_finite(value) for value in curve[lane])
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
    """Return metrics (lanes,) by name, and the confusion of each lane where there is one.

    Runs that diverged may have no weights; they get NaN and None.
    """
    kept, lanes = np.flatnonzero(~diverged), len(seeds)
    confusion: list[np.ndarray | None] = [None] * lanes
    if not kept.size:
        return {}, confusion
    test: Any = task.test
    if is_dataset(test) and not task.streams:
        with warnings.catch_warnings():  # that its maps are frozen does not matter: one pass
            warnings.simplefilter("ignore")
            test = check_data(test, "test", materialise=True)
    filled = np.append(kept, np.full(lanes - kept.size, kept[0]))  # as many as were trained
    tests: list[Any] = [test] * lanes
    data: Any = test
    if task.resplit is not None:  # each split scales the test rows as it scaled its training rows
        own = {seed: task.split(seed)[2] for seed in dict.fromkeys(seeds[kept].tolist())}
        data = tests = [own[seed] for seed in seeds[filled].tolist()]
    kept_weights = [weights[lane] for lane in filled]
    measured = {
        name: _spread(values[: kept.size], kept, lanes)
        for name, values in evaluate(task, kept_weights, data).items()
    }
    if not is_dataset(test):
        outputs = predict(task, kept_weights, data)
        if isinstance(outputs, np.ndarray):  # several outputs have no one confusion
            for lane, rows, output in zip(kept, tests, outputs, strict=False):
                confusion[lane] = count_confusion(rows[1], output)
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
