"""Searches whose trials are read off the stored truth, and how they went."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.bounds_quality import DECLARED
from benchmarks.bounds_truth import EQUAL, Truth, load_truth
from benchmarks.searchers import ARMS, MOST_TRIALS, SLOW, Searcher, make_searcher
from search_spaces.learning_rate import LearningRateBounds

STORED = Path(__file__).with_name("declared_searches.json")
LONG = 50  # batches of an epoch

Run = dict[str, Any]  # a range test, as benchmarks.bounds_quality writes it


class Trial(NamedTuple):
    """A trial of a search: its rate, its loss (NaN where it has none), whether it diverged."""

    rate: float
    loss: float
    diverged: bool


@dataclass(frozen=True)
class Outcome:
    """How a search went.

    Args:
        trials: Trials until one was within 1 % of the best; `MOST_TRIALS + 1` where none was.
        equal: Trials until one was as good as the best, within noise; likewise.
        diverged: Trials that diverged until the first of the two.
    """

    trials: int
    equal: int
    diverged: int


Outcomes = dict[tuple[str, str, str], list[Outcome]]  # of each (task, sampler, arm), by seed


def read_trial(truth: Truth, rate: float, number: int) -> Trial:
    """Return a trial read off the table, interpolated in the logarithm of the rate.

    Between a rate that has a finite loss and one that has none, the nearer one's holds.

    Args:
        truth: The task's losses.
        rate: The trial's rate.
        number: Number of its search, which decides which of the truth's seeds it has.
    """
    whole = np.flatnonzero(~np.isnan(truth.losses).any(axis=0))  # seeds that all rates have
    own = truth.losses[:, whole[number % len(whole)]]
    place = float(np.interp(np.log(rate), np.log(truth.rates), np.arange(len(own))))
    below, above = float(own[int(place)]), float(own[int(np.ceil(place))])
    if np.isfinite(below) and np.isfinite(above):
        loss = below + (above - below) * (place % 1)
    else:
        loss = float(own[round(place)])
    loss = loss if np.isfinite(loss) else np.nan
    return Trial(rate, loss, not loss <= ceiling(truth))


def ceiling(truth: Truth) -> float:
    """Return the loss above which a trial has diverged: the highest of the lowest rate."""
    return float(np.nanmax(truth.losses[0]))


def target(truth: Truth) -> float:
    """Return the loss that is within 1 % of the best mean loss."""
    lowest = float(truth.mean[truth.best])
    return lowest + EQUAL * abs(lowest)


def run_search(truth: Truth, searcher: Searcher, number: int) -> list[Trial]:
    """Search the table until a trial is within 1 % of the best, `MOST_TRIALS` at most.

    Args:
        truth: The task's losses.
        searcher: A search that has not begun.
        number: See `read_trial`.
    """
    trials: list[Trial] = []
    while not is_over(truth, trials):
        trials.append(read_trial(truth, searcher.ask(), number))
        searcher.tell(trials[-1].loss, trials[-1].diverged)
    return trials


def is_over(truth: Truth, trials: Sequence[Trial]) -> bool:
    """Return whether a search has come within 1 % of the best, or has no trials left."""
    near = any(truth.loss(trial.rate) <= target(truth) for trial in trials)
    return near or len(trials) >= MOST_TRIALS


def judge(truth: Truth, trials: Sequence[Trial]) -> Outcome:
    """Return how a search went, by the mean loss of the rates that it tried.

    Args:
        truth: The task's losses.
        trials: What `run_search` returned.
    """
    means = [truth.loss(trial.rate) for trial in trials]

    def first(level: float) -> int:
        return next((i for i, mean in enumerate(means, 1) if mean <= level), MOST_TRIALS + 1)

    count = first(target(truth))
    return Outcome(count, first(truth.tolerance), sum(trial.diverged for trial in trials[:count]))


def as_bounds(run: Run) -> LearningRateBounds:
    """Return the bounds of a range test."""
    low, high = max(run["low"], DECLARED[0]), min(run["high"], DECLARED[1])
    rate = min(max(run["rate"], low), high)
    return LearningRateBounds(low, high, rate, run["status"], "a benchmark's run", DECLARED)


def runs_of(runs: Sequence[Run], task: str) -> list[Run]:
    """Return the range tests of one task."""
    return [run for run in runs if run["task"] == task]


def range_test_costs(runs: Sequence[Run], task: str, seeds: int) -> np.ndarray:
    """Return what the range test of each search cost, in trials at the task's budget, (seeds,)."""
    truth, own = load_truth(task), runs_of(runs, task)
    steps = [own[seed % len(own)]["steps"] for seed in range(seeds)]
    return np.array(steps) / (truth.epochs * truth.batches)


def search_task(
    runs: Sequence[Run],
    task: str,
    sampler: str,
    arm: str,
    seeds: int,
    known: Sequence[list[Trial] | None] = (),
) -> list[list[Trial]]:
    """Search a task with several seeds, the bounds of its range tests taken in turn.

    Args:
        runs: Range tests.
        task: Name of the task.
        sampler: A name of `ARMS`.
        arm: One of its arms.
        seeds: Searches, 1 or more.
        known: Searches that need not be run again, None for those that must.
    """
    truth, own, found = load_truth(task), runs_of(runs, task), []
    for seed in range(seeds):
        trials = known[seed] if seed < len(known) else None
        if trials is None:
            searcher = make_searcher(sampler, arm, seed, as_bounds(own[seed % len(own)]))
            trials = run_search(truth, searcher, seed)
        found.append(trials)
    return found


def load_stored(sampler: str, task: str, arm: str) -> list[list[Trial] | None]:
    """Return stored searches over the declared range, None for those that the truth has outdated.

    What a sampler asks for follows from the losses that it was told, so these must read the same
    in the truth that stands, and the search must have come to its end by it.
    """
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    truth, searches = load_truth(task), list[list[Trial] | None]()
    for number, entry in enumerate(stored.get(f"{sampler}, {arm}, {task}", [])):
        trials = [read_trial(truth, rate, number) for rate in entry["rates"]]
        told = np.array(entry["losses"], dtype=float)
        same = np.allclose([trial.loss for trial in trials], told, rtol=1e-3, equal_nan=True)
        searches.append(trials if same and is_over(truth, trials) else None)
    return searches


def store(sampler: str, task: str, arm: str, searches: Sequence[Sequence[Trial]]) -> None:
    """Write searches over the declared range into the stored file, beside the others."""
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    stored[f"{sampler}, {arm}, {task}"] = [
        {
            "rates": [float(f"{trial.rate:.6g}") for trial in trials],
            "losses": [
                float(f"{trial.loss:.6g}") if np.isfinite(trial.loss) else None for trial in trials
            ],
        }
        for trials in searches
    ]
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(stored[key])}" for key in sorted(stored))
    STORED.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def measure(
    runs: Sequence[Run], samplers: Sequence[str], seeds: int, *, everywhere: bool = False
) -> Outcomes:
    """Run all the searches, or read the stored ones, and judge them.

    Args:
        runs: Range tests.
        samplers: Names of `ARMS`.
        seeds: Searches of each task, sampler and arm.
        everywhere: Whether the slow samplers search the tasks of short epochs too.
    """
    found: Outcomes = {}
    for sampler in samplers:
        for task in dict.fromkeys(run["task"] for run in runs):
            truth, slow, started = load_truth(task), sampler in SLOW, time.perf_counter()
            if slow and not everywhere and truth.batches < LONG:
                continue
            for arm in ARMS[sampler]:
                kept = slow and arm != "narrowed"  # no range test changes these
                known = load_stored(sampler, task, arm) if kept else []
                searches = search_task(runs, task, sampler, arm, seeds, known)
                if kept and seeds >= len(known) and searches != known:
                    store(sampler, task, arm, searches)
                found[task, sampler, arm] = [judge(truth, trials) for trials in searches]
            if slow:
                print(f"{sampler}, {task}: {time.perf_counter() - started:.0f} s", flush=True)
    return found
