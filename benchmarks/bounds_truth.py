"""The truth that bounds are measured against: a grid of constant rates, trained to the budget."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.bounds_tasks import BenchmarkTask

PATH = Path(__file__).with_name("bounds_truth.json")
GRID = 10.0 ** np.arange(-6, 1.001, 0.25)  # four to the decade
SEEDS = 1_000_000 + np.arange(6)  # far from those of the range tests
EQUAL = 0.01  # share of the loss within which two rates count as equally good


@dataclass(frozen=True)
class Truth:
    """The lowest validation loss of each rate and seed within a task's budget.

    Args:
        rates: The grid, `(rates,)`, rising.
        losses: Best-epoch validation losses, `(rates, seeds)`, infinite where training diverged.
        epochs: The budget.
        batches: Gradient steps in an epoch.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    epochs: int
    batches: int

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean loss of each rate, `(rates,)`."""
        return self.losses.mean(axis=1)

    @property
    def best(self) -> int:
        """Index of the best rate."""
        return int(np.argmin(self.mean))

    @property
    def tolerance(self) -> float:
        """The loss up to which a rate is as good as the best: a standard error, or 1 %."""
        losses = self.losses[self.best]
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


def make_truth(tasks: Iterable[BenchmarkTask]) -> None:
    """Train the whole grid of the tasks and write it into the stored file, beside the others'."""
    from tuners import train

    stored = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {"tasks": {}}
    for task in tasks:
        started = time.perf_counter()
        record = train(
            task.task(),
            np.repeat(GRID, len(SEEDS)),
            np.tile(SEEDS, len(GRID)),
            epochs=task.epochs,
        )
        seconds = time.perf_counter() - started
        best = record.best("val_loss").reshape(len(GRID), len(SEEDS))
        stored["tasks"][task.name] = {
            "epochs": task.epochs,
            "batches": task.batches,
            "losses": [
                [float(f"{v:.5g}") if np.isfinite(v) else None for v in row] for row in best
            ],
        }
        print(f"{task.name}: {seconds:.0f} s, {record.how}", flush=True)
        stored["how"] = {
            "rates": "1e-6 to 10, four to the decade",
            "seeds": SEEDS.tolist(),
            "loss": "validation loss of the best epoch within the budget",
            "command": "python -m benchmarks.bounds_quality --truth",
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
        }
        lines = ",\n".join(
            f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in stored["tasks"].items()
        )
        text = f'{{"how": {json.dumps(stored["how"])},\n"tasks": {{\n{lines}\n}}}}\n'
        PATH.write_text(text, encoding="utf-8")


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
    losses = np.array(entry["losses"], dtype=float)
    return Truth(
        GRID, np.where(np.isfinite(losses), losses, np.inf), entry["epochs"], entry["batches"]
    )
