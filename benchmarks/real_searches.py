"""The same searches with trials that are really trained, to see how far the table can be trusted.

Searches of all seeds, samplers and arms advance in lock-step, one trial each a round; the trials
of a round are trained as lanes in one call of `tuners.train`, those of a search with one seed that
is none of the truth's. The searches on the table are driven for as many rounds. A search has
arrived with the first trial whose own loss is within 1 % of the lowest that any search of that
seed found, so that the table has no say about trained trials. By the mean loss of the rate, as in
the main table, the two differ only in what the samplers learn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.bounds_tasks import TASKS
from benchmarks.bounds_truth import EQUAL, Truth, load_truth
from benchmarks.searchers import Searcher, make_searcher
from benchmarks.table_searches import Run, as_bounds, ceiling, read_trial, runs_of, target

REAL_TASKS = ("quality mlp adam", "quality regression sgd", "quality logistic adamw")
SAMPLERS = ("tpe", "random")
REAL_ARMS = ("default", "narrowed")
SEARCHES = 8
ROUNDS = 16
FIRST_SEED = 2_000_000  # far from those of the range tests and of the truth

# (rates, number of each rate's search) -> losses, diverged
Evaluate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Trials:
    """The trials of several searches.

    Args:
        rates: Rates, (searches, rounds).
        losses: Lowest validation losses, NaN where there is none, likewise.
        diverged: Whether each diverged, likewise.
    """

    rates: np.ndarray
    losses: np.ndarray
    diverged: np.ndarray

    def arrivals(self, numbers: np.ndarray) -> np.ndarray:
        """Return the trial of each search whose own loss was the first within 1 % of the best.

        Args:
            numbers: Number of each search; the best is the lowest loss of those of one number.

        Returns:
            1-based, one more than there are rounds where none was, (searches,).
        """
        lowest = np.array([np.nanmin(self.losses[numbers == number]) for number in numbers])
        return _first(self.losses <= (lowest + EQUAL * np.abs(lowest))[:, None])

    def rate_arrivals(self, truth: Truth) -> np.ndarray:
        """Return the same by the truth's mean loss at the rate, (searches,)."""
        return _first(np.vectorize(truth.loss)(self.rates) <= target(truth))


def _first(hit: np.ndarray) -> np.ndarray:
    return np.where(hit.any(axis=1), hit.argmax(axis=1), hit.shape[1]) + 1


def run_in_lock_step(
    searchers: Sequence[Searcher], numbers: np.ndarray, evaluate: Evaluate, rounds: int
) -> Trials:
    """Return all trials of searches that advance together.

    Args:
        searchers: Searches that have not begun.
        numbers: Number of each search among those of its kind, which decides its trials' seed.
        evaluate: Gives the losses of a round's rates.
        rounds: Trials of each search.
    """
    kept = []
    for _ in range(rounds):
        rates = np.array([searcher.ask() for searcher in searchers])
        losses, diverged = evaluate(rates, numbers)
        for searcher, loss, failed in zip(searchers, losses, diverged, strict=True):
            searcher.tell(float(loss), bool(failed))
        kept.append((rates, losses, diverged))
    rates, losses, diverged = (np.array(column).T for column in zip(*kept, strict=True))
    return Trials(rates, losses, diverged)


def trained(name: str) -> Evaluate:
    """Return what really trains a benchmark task at its budget."""
    from tuners import train

    task = next(task for task in TASKS if task.name == name)
    built = task.task()

    def evaluate(rates: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        record = train(built, rates, FIRST_SEED + numbers, epochs=task.epochs)
        return record.best("val_loss"), record.diverged

    return evaluate


def tabular(truth: Truth) -> Evaluate:
    """Return what reads the losses off the truth."""

    def evaluate(rates: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        read = [read_trial(truth, r, n) for r, n in zip(rates, numbers, strict=True)]
        return np.array([trial.loss for trial in read]), np.array([t.diverged for t in read])

    return evaluate


def show_real(
    runs: Sequence[Run],
    tasks: tuple[str, ...] = REAL_TASKS,
    searches: int = SEARCHES,
    rounds: int = ROUNDS,
) -> None:
    """Search with trained trials and on the table, and print both.

    Args:
        runs: Runs of `benchmarks.bounds_quality`.
        tasks: Names of the tasks.
        searches: Searches of each sampler and arm.
        rounds: Trials of each search.
    """
    print(
        f"{'task':24} {'sampler':8} {'arm':9} {'trials by own loss':>19} {'by the rate':>15} "
        f"{'diverged a search':>18}   (trained / table; {searches} searches of {rounds} trials)",
        flush=True,
    )
    for task in tasks:
        own, truth = runs_of(runs, task), load_truth(task)
        kinds = [(sampler, arm) for sampler in SAMPLERS for arm in REAL_ARMS]
        numbers = np.tile(np.arange(searches), len(kinds))
        started, found = time.perf_counter(), []
        for evaluate in (trained(task), tabular(truth)):
            searchers = [
                make_searcher(sampler, arm, seed, as_bounds(own[seed % len(own)]))
                for sampler, arm in kinds
                for seed in range(searches)
            ]
            found.append(run_in_lock_step(searchers, numbers, evaluate, rounds))
        for index, (sampler, arm) in enumerate(kinds):
            rows = slice(index * searches, (index + 1) * searches)
            cells = [
                _cell([np.median(trials.arrivals(numbers)[rows]) for trials in found]),
                _cell([np.median(trials.rate_arrivals(truth)[rows]) for trials in found]),
                _cell([trials.diverged[rows].sum(axis=1).mean() for trials in found]),
            ]
            print(f"{task:24} {sampler:8} {arm:9} {cells[0]:>19} {cells[1]:>15} {cells[2]:>18}")
        print(
            f"{task}: {agreement(found[0], truth)}; {time.perf_counter() - started:.0f} s",
            flush=True,
        )


def _cell(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)


def agreement(trials: Trials, truth: Truth) -> str:
    """Return in words how far trained losses are from the table's mean at their rates.

    Args:
        trials: Trials that were really trained.
        truth: The task's losses.
    """
    table = np.vectorize(truth.loss)(trials.rates)
    said = table > ceiling(truth)
    both = ~trials.diverged & ~said
    gap = np.abs(trials.losses[both] / table[both] - 1)
    return (
        f"{both.sum()} trained losses are {np.median(gap):.2%} off the table's mean in the median, "
        f"{np.quantile(gap, 0.9):.1%} at the 90th percentile; the table agrees with the training "
        f"on whether a trial diverged in {np.mean(said == trials.diverged):.1%} of {said.size}"
    )
