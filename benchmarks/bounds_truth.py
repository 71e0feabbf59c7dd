"""The truth that bounds are measured against: a grid of constant rates, trained to the budget.

Every rate has six seeds, and those near the best 24 more: with six, the lowest of several
nearly equal rates looks better than it is, by as much as 8 % on the tasks with few rows, and so
even a rule that knew the best rate would seem to miss it.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bounds_tasks import BenchmarkTask

PATH = Path(__file__).with_name("bounds_truth.json")
GRID = 10.0 ** np.arange(-6, 1.001, 0.25)  # four to the decade
SEEDS = 1_000_000 + np.arange(6)  # far from those of the range tests
MORE_SEEDS = 1_000_006 + np.arange(24)  # of the rates near the best: six leave it open which it is
NEAR = 0.5  # decades beyond the rates that are as good as the best
EQUAL = 0.01  # share of the loss within which two rates count as equally good


@dataclass(frozen=True)
class Truth:
    """The lowest validation loss of each rate and seed within a task's budget.

    Args:
        rates: The grid, `(rates,)`, rising.
        losses: Best-epoch validation losses, `(rates, seeds)`, infinite where training diverged.
        epochs: The budget.
        batches: Gradient steps in an epoch.
        more: The same with further seeds, NaN at rates far from the best.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    epochs: int
    batches: int
    more: NDArray[np.float64] | None = None

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean loss of each rate, `(rates,)`."""
        if self.more is None:
            return self.losses.mean(axis=1)
        return np.nanmean(np.append(self.losses, self.more, axis=1), axis=1)

    @property
    def best(self) -> int:
        """Index of the best rate."""
        return int(np.argmin(self.mean))

    @property
    def tolerance(self) -> float:
        """The loss up to which a rate is as good as the best: a standard error, or 1 %."""
        losses = self.losses[self.best]
        if self.more is not None and not np.isnan(self.more[self.best]).any():
            losses = np.append(losses, self.more[self.best])
        error = float(losses.std(ddof=1) / np.sqrt(len(losses)))
        lowest = float(self.mean[self.best])
        return lowest + max(error, EQUAL * abs(lowest))

    def loss(self, rate: float) -> float:
        """Return the loss at a rate, interpolated in its logarithm."""
        mean = np.minimum(self.mean, 1e6)
        return float(np.interp(np.log(rate), np.log(self.rates), mean))

    def regret(self, rate: float) -> float:
        """Return the excess loss of a rate as a share of the best loss, 0 or more."""
        lowest = float(self.mean[self.best])
        return max(self.loss(rate) - lowest, 0.0) / abs(lowest)

    def as_good(self, rate: float) -> bool:
        """Whether a rate is as good as the best, within noise."""
        return self.loss(rate) <= self.tolerance

    def covered(self, low: float, high: float) -> bool:
        """Whether `[low, high]` holds a rate that is as good as the best, within noise."""
        inside = self.rates[(self.rates >= low) & (self.rates <= high)]
        return any(self.as_good(rate) for rate in (*np.geomspace(low, high, 41), *inside))

    @property
    def as_good_rates(self) -> tuple[float, float]:
        """The lowest and the highest rate of the grid that are as good as the best."""
        found = self.rates[self.mean <= self.tolerance]
        return float(found[0]), float(found[-1])


def near_best(truth: Truth) -> NDArray[np.int64]:
    """Return the indices of the rates that are to have `MORE_SEEDS` and have them not yet."""
    low, high = np.log10(truth.as_good_rates)
    x = np.log10(truth.rates)
    near = (x > low - NEAR - 1e-6) & (x < high + NEAR + 1e-6)
    return np.flatnonzero(near if truth.more is None else near & np.isnan(truth.more).all(axis=1))


def refined(task: BenchmarkTask, truth: Truth) -> Truth:
    """Return a truth with `MORE_SEEDS` near the best, until it stays among the rates with them.

    Args:
        task: The task.
        truth: What `SEEDS` have shown, or more.
    """
    more = truth.more
    if more is None:
        more = np.full((len(GRID), len(MORE_SEEDS)), np.nan)
    while (near := near_best(truth)).size:
        more[near] = _train(task, GRID[near], MORE_SEEDS)
        truth = replace(truth, more=more)
    return truth


def make_truth(tasks: Iterable[BenchmarkTask]) -> None:
    """Train the grid of the tasks and write it into the stored file, beside the others'.

    Every rate is trained with `SEEDS`, and those near the best with `MORE_SEEDS` too.
    """
    for task in tasks:
        started = time.perf_counter()
        rough = Truth(GRID, _train(task, GRID, SEEDS), task.epochs, task.batches)
        store_truth(task, refined(task, rough))
        print(f"{task.name}: {time.perf_counter() - started:.0f} s", flush=True)


def _train(task: BenchmarkTask, rates: NDArray[np.float64], seeds: NDArray[np.int64]) -> Any:
    from tuners import train

    record = train(
        task.task(), np.repeat(rates, len(seeds)), np.tile(seeds, len(rates)), epochs=task.epochs
    )
    best = record.best("val_loss").reshape(len(rates), len(seeds))
    return np.where(np.isfinite(best), best, np.inf)


def store_truth(task: BenchmarkTask, truth: Truth) -> None:
    """Write a task's truth into the stored file; null where training diverged.

    Args:
        task: The task.
        truth: What was found, with `more`.
    """
    stored = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {"tasks": {}}
    assert truth.more is not None
    stored["tasks"][task.name] = {
        "epochs": task.epochs,
        "batches": task.batches,
        "losses": [_plain(row) for row in truth.losses],
        "more": [_plain(row[~np.isnan(row)]) for row in truth.more],
    }
    stored["how"] = {
        "rates": "1e-6 to 10, four to the decade",
        "seeds": SEEDS.tolist(),
        "seeds_near_the_best": MORE_SEEDS.tolist(),
        "loss": "validation loss of the best epoch within the budget",
        "command": "python -m benchmarks.bounds_quality --truth",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in stored["tasks"].items()
    )
    text = f'{{"how": {json.dumps(stored["how"])},\n"tasks": {{\n{lines}\n}}}}\n'
    PATH.write_text(text, encoding="utf-8")


def _plain(row: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in row]


def load_truth(name: str) -> Truth:
    """Return the stored truth of a task.

    Raises:
        ValueError: The task has none; `--truth` makes it.
    """
    stored = json.loads(PATH.read_text(encoding="utf-8"))["tasks"]
    if name not in stored:
        raise ValueError(
            f"`name` must be a task with a stored truth, but got {name!r}; "
            "run python -m benchmarks.bounds_quality --truth."
        )
    entry = stored[name]
    more = _table(entry["more"]) if "more" in entry else None
    return Truth(GRID, _table(entry["losses"]), entry["epochs"], entry["batches"], more)


def _table(rows: list[list[float | None]]) -> NDArray[np.float64]:
    table = np.full((len(rows), max(len(row) for row in rows)), np.nan)
    for i, row in enumerate(rows):
        table[i, : len(row)] = [np.inf if v is None else v for v in row]
    return table
