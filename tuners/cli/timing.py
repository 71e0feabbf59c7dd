"""How long the parts of a job take, from a few epochs of the very programs that it will run."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from search_spaces import TuningTask
from search_spaces._data import is_dataset
from tuners.training.population.cache import choose
from tuners.training.records import How
from tuners.training.runner import evaluate, predict, train

RATE = 1e-5  # at which nothing diverges; it changes no time
TIMED_EPOCHS = 3

Weights = list[list[np.ndarray]]


@dataclass(frozen=True, eq=False)
class Pace:
    """How fast lanes train, those of a chunk at once.

    Args:
        how: "population" or "sequential".
        lanes: Lanes of a chunk: 1 where models train one at a time.
        compiling: Seconds, once; each model that trains alone compiles, which is its `setup`.
        setup: Seconds of a chunk before its first epoch or step.
        unit: Seconds of a chunk's epoch or step.
        weights: Of lanes that were trained.
    """

    how: How
    lanes: int
    compiling: float
    setup: float
    unit: float
    weights: Weights | None = None

    def chunks(self, lanes: int) -> int:
        """Return how many chunks so many lanes are."""
        return -(-lanes // self.lanes)

    def seconds(self, chunks: int, units: int) -> float:
        """Return the seconds of so many chunks with so many epochs or steps each."""
        return chunks * (self.setup + units * self.unit)

    def again(self, task: TuningTask, width: int, how: How | None) -> Pace:
        """Return the pace of another width, which may get the same program."""
        same = _program(task, width, how)[1] == self.lanes
        return replace(self, compiling=0.0) if same else time_epochs(task, width, how)


def time_epochs(task: TuningTask, width: int, how: How | None) -> Pace:
    """Return the pace of epochs in the program that so many lanes get.

    Args:
        task: The task.
        width: Lanes that train at once.
        how: What the user forces, or None.
    """
    chosen, lanes, choosing = _program(task, width, how)

    def run(seed: int, epochs: int) -> tuple[np.ndarray, Weights | None]:
        ends = [time.perf_counter()]
        record = train(
            task,
            np.full(lanes, RATE),
            seed + np.arange(lanes),
            epochs=epochs,
            how=how,
            keep_weights="final",
            width=width,
            on_epoch=lambda *_: ends.append(time.perf_counter()),
        )
        return np.diff(ends)[:epochs], record.weights

    first, weights = run(0, TIMED_EPOCHS)
    unit = float(first[1:].mean())
    once = again = float(first[0])
    if chosen == "population":
        again = min(once, float(run(lanes, 1)[0][0]))
    setup = max(again - unit, 0.0)
    return Pace(chosen, lanes, choosing + once - again, setup, unit, weights)


def time_test(task: TuningTask, pace: Pace, lanes: int) -> tuple[float, float]:
    """Return the seconds of compiling the evaluation on the test rows, and of each evaluation.

    Args:
        task: The task.
        pace: Of its training.
        lanes: Models that are evaluated at once.
    """
    if task.test is None or pace.weights is None:
        return 0.0, 0.0
    weights = pace.weights[:1] * lanes
    data: Any = task.test if task.resplit is None else [task.split(0)[2]] * lanes

    def seconds() -> float:
        started = time.perf_counter()
        evaluate(task, weights, data)
        if not is_dataset(task.test):
            predict(task, weights, data)
        return time.perf_counter() - started

    once = again = seconds()
    if pace.how == "population":
        again = min(once, seconds())
    return once - again, again


def _program(task: TuningTask, width: int, how: How | None) -> tuple[How, int, float]:
    """Return how so many lanes are trained, how many at once, and the seconds to find that out."""
    started = time.perf_counter()
    program = choose(task, width, how, resplit=task.resplit is not None)
    seconds = time.perf_counter() - started
    if isinstance(program, str):
        return "sequential", 1, seconds
    return "population", program.lanes, seconds
