"""The truth that bounds and choices are measured against: test losses of a grid of constant rates.

    python -m benchmarks.truth                  train the grid of all tasks (a quarter of an hour)
    python -m benchmarks.truth --tasks NAME     of some

Each rate is trained to the task's budget on 16 splits of all rows into training, validation and
test; its loss is the test loss at the epoch with the lowest validation loss, as in a comparison.
The lowest validation losses are kept too: they are what a search on one split would see.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.task_list import TASKS
from benchmarks.tasks import BenchmarkTask

PATH = Path(__file__).with_name("truth.json")
GRID = 10.0 ** np.arange(-6, 1.001, 0.25)  # four to the decade
SEEDS = 5_000 + np.arange(16)  # far from those of range tests and searches
EQUAL = 0.01  # share of the loss within which two rates count as equally good
HUGE = 1e9  # a loss in place of one that is not finite


@dataclass(frozen=True)
class Truth:
    """What each rate reached on each split within a task's budget.

    Args:
        test: Test loss at the best validation epoch, `(rates, splits)`, infinite where training
            diverged.
        validation: Lowest validation loss of one epoch, likewise, finite where one epoch was.
        epochs: The budget.
        batches: Gradient steps in an epoch.
    """

    test: NDArray[np.float64]
    validation: NDArray[np.float64]
    epochs: int
    batches: int

    @property
    def steps(self) -> int:
        """Gradient steps of one training."""
        return self.epochs * self.batches

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean test loss of each rate, `(rates,)`."""
        return np.minimum(self.test, HUGE).mean(axis=1)

    @property
    def best(self) -> int:
        """Index of the best rate."""
        return int(np.argmin(self.mean))

    def loss(self, rate: float) -> float:
        """Return the mean test loss at a rate, interpolated in its logarithm."""
        return float(np.interp(np.log(rate), np.log(GRID), self.mean))

    def excess(self, rate: float) -> float:
        """Return the excess loss of a rate as a share of the best loss, 0 or more."""
        lowest = float(self.mean[self.best])
        return max(self.loss(rate) - lowest, 0.0) / abs(lowest)

    @property
    def tolerance(self) -> float:
        """The loss up to which a rate is as good as the best: its standard error, or 1 %."""
        lowest, spread = float(self.mean[self.best]), self.test[self.best].std(ddof=1)
        return lowest + max(float(spread) / np.sqrt(self.test.shape[1]), EQUAL * abs(lowest))

    def as_good(self, rate: float) -> bool:
        """Whether a rate is as good as the best, within noise."""
        return bool(self.loss(rate) <= self.tolerance)

    def covered(self, low: float, high: float) -> bool:
        """Whether `[low, high]` holds a rate that is as good as the best, within noise."""
        inside = GRID[(low <= GRID) & (high >= GRID)]
        return any(self.as_good(rate) for rate in (*np.geomspace(low, high, 41), *inside))

    @property
    def as_good_rates(self) -> tuple[float, float]:
        """The lowest and the highest rate of the grid that are as good as the best."""
        found = GRID[self.mean <= self.tolerance]
        return float(found[0]), float(found[-1])

    def seen(self, rate: float, split: int) -> float:
        """Return the lowest validation loss that a training at a rate shows on one split.

        Between a rate that has a finite loss and one that has none, the nearer one's holds.
        """
        own = self.validation[:, split % self.validation.shape[1]]
        place = float(np.interp(np.log(rate), np.log(GRID), np.arange(len(GRID))))
        below, above = float(own[int(place)]), float(own[int(np.ceil(place))])
        if np.isfinite(below) and np.isfinite(above):
            return below + (above - below) * (place % 1)
        return float(own[round(place)])


def make_truth(tasks: Iterable[BenchmarkTask]) -> None:
    """Train the grid of the tasks and write it into the stored file, beside the others'."""
    from tuners import train
    from tuners.training.runner import evaluate

    for each in tasks:
        started, task = time.perf_counter(), each.task()
        lanes = np.repeat(GRID, len(SEEDS)), np.tile(SEEDS, len(GRID))
        record = train(task, *lanes, epochs=each.epochs, keep_weights="best")
        kept = np.flatnonzero((record.best_epoch >= 0) & ~record.diverged)
        tests = [task.split(int(record.seeds[lane]))[2] for lane in kept]
        test = np.full(len(record.seeds), np.inf)
        assert record.weights is not None
        test[kept] = evaluate(task, [record.weights[lane] for lane in kept], tests)["loss"]
        shape = (len(GRID), len(SEEDS))
        store_truth(
            each.name,
            Truth(
                np.where(np.isfinite(test), test, np.inf).reshape(shape),
                record.best("val_loss").reshape(shape),
                each.epochs,
                -(-len(task.train[1]) // each.batch_size),
            ),
        )
        print(f"{each.name}: {time.perf_counter() - started:.0f} s", flush=True)


def store_truth(name: str, truth: Truth) -> None:
    """Write a task's truth into the stored file; null where a loss is not finite."""
    stored = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {"tasks": {}}
    stored["tasks"][name] = {
        "epochs": truth.epochs,
        "batches": truth.batches,
        "test": [_plain(row) for row in truth.test],
        "validation": [_plain(row) for row in truth.validation],
    }
    stored["how"] = {
        "rates": "1e-6 to 10, four to the decade",
        "splits": SEEDS.tolist(),
        "command": "python -m benchmarks.truth",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    lines = ",\n".join(
        f"{json.dumps(task)}: {json.dumps(entry, separators=(',', ':'))}"
        for task, entry in sorted(stored["tasks"].items())
    )
    text = f'{{"how": {json.dumps(stored["how"])},\n"tasks": {{\n{lines}\n}}}}\n'
    PATH.write_text(text, encoding="utf-8")


def _plain(row: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in row]


def load_truth(name: str) -> Truth:
    """Return the stored truth of a task.

    Raises:
        ValueError: The task has none; `python -m benchmarks.truth` makes it.
    """
    stored = json.loads(PATH.read_text(encoding="utf-8"))["tasks"]
    if name not in stored:
        raise ValueError(
            f"`name` must be a task with a stored truth, but got {name!r}; "
            "run python -m benchmarks.truth."
        )
    entry = stored[name]
    test, validation = (np.array(entry[part], dtype=float) for part in ("test", "validation"))
    test = np.where(np.isnan(test), np.inf, test)
    return Truth(test, validation, entry["epochs"], entry["batches"])


def pick_tasks(names: list[str] | None, *, held_out: bool | None = None) -> list[BenchmarkTask]:
    """Return the tasks of some names, or all; of those set aside only, or the others."""
    return [
        task
        for task in TASKS
        if (not names or task.name in names) and held_out in (None, task.held_out)
    ]


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tasks", nargs="*", default=None, help="names; all by default")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    make_truth(pick_tasks(options.tasks))


if __name__ == "__main__":
    main()
