"""Trials that a search needs to come within 1 % of the best loss, narrowed and not.

    python -m benchmarks.bounds_quality --repeats 5 --out runs.json
    python -m benchmarks.search_efficiency runs.json

The trials are not trained anew: a trial's loss is read off the stored truth of
`benchmarks.bounds_quality`, one of its seeds by chance, interpolated between rates. A search has
arrived with the first trial whose rate, by the mean over seeds, is within 1 % of the best loss. The
narrowed search tries the suggestion first, and the range test's gradient steps count as trials.
Diverged trials are those whose loss is above that of the lowest rate of the grid.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.bounds_quality import DECLARED
from benchmarks.bounds_tasks import TASKS, BenchmarkTask
from benchmarks.bounds_truth import EQUAL, Truth, load_truth

MOST_TRIALS = 48
SAMPLERS: dict[str, Callable[[int], Any]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed, warn_independent_sampling=False),
}


def trials_needed(
    truth: Truth, low: float, high: float, first: float | None, sampler: Any, seed: int
) -> tuple[int, int]:
    """Return the trials until one is within 1 % of the best, and how many of them diverged.

    Args:
        truth: The task's losses.
        low: Lowest rate searched.
        high: Highest rate searched.
        first: The rate of the first trial, None to leave it to the sampler.
        sampler: An Optuna sampler.
        seed: Seed of the trials' noise.
    """
    random = np.random.default_rng(seed)
    study = optuna.create_study(sampler=sampler)
    if first is not None:
        study.enqueue_trial({"learning_rate": first})
    target = float(truth.mean[truth.best]) * (1 + EQUAL)
    ceiling = float(np.nanmax(truth.losses[0]))
    diverged = 0
    for count in range(1, MOST_TRIALS + 1):
        trial = study.ask()
        rate = trial.suggest_float("learning_rate", low, high, log=True)
        own = np.minimum(truth.losses[:, random.integers(truth.losses.shape[1])], 1e6)
        loss = float(np.interp(np.log(rate), np.log(truth.rates), own))
        failed = loss > ceiling
        diverged += failed
        state = optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE
        study.tell(trial, None if failed else loss, state=state)
        if truth.loss(rate) <= target:
            return count, diverged
    return MOST_TRIALS, diverged


def main() -> None:
    """Read the runs, search, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_efficiency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, help="what bounds_quality wrote with --out")
    parser.add_argument("--seeds", type=int, default=20, help="searches a task and sampler")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    runs = json.loads(options.runs.read_text(encoding="utf-8"))
    tasks = [task for task in TASKS if any(run["task"] == task.name for run in runs)]
    groups = {
        "all tasks": tasks,
        "50 batches or more": [task for task in tasks if load_truth(task.name).batches >= 50],
    }
    print(
        f"{'tasks':20} {'sampler':8} {'range':10} {'trials':>7} {'+ test':>7} {'90 %':>6} diverged"
    )
    for group, members in groups.items():
        for name, make in SAMPLERS.items() if members else ():
            for narrowed in (False, True):
                found = search_all(members, runs, make, options.seeds, narrowed=narrowed)
                label = "narrowed" if narrowed else "declared"
                print(
                    f"{group:20} {name:8} {label:10} {np.median(found[0]):7.1f} "
                    f"{np.median(found[1]):7.1f} {np.quantile(found[0], 0.9):6.0f} "
                    f"{np.mean(found[2]):8.2f}",
                    flush=True,
                )


def search_all(
    tasks: list[BenchmarkTask],
    runs: list[dict[str, Any]],
    make: Callable[[int], Any],
    seeds: int,
    *,
    narrowed: bool,
) -> tuple[list[int], list[float], list[int]]:
    """Return trials, trials with the range test's cost, and diverged trials of every search.

    Args:
        tasks: The tasks to search.
        runs: Runs of `benchmarks.bounds_quality`, taken in turn.
        make: Makes a sampler from a seed.
        seeds: Searches of each task.
        narrowed: Whether to search inside the bounds, the suggestion first.
    """
    counts, costs, diverged = [], [], []
    for task in tasks:
        truth, own = load_truth(task.name), [run for run in runs if run["task"] == task.name]
        for seed in range(seeds):
            run = own[seed % len(own)]
            low, high = (run["low"], run["high"]) if narrowed else DECLARED
            first = run["rate"] if narrowed else None
            count, bad = trials_needed(truth, low, high, first, make(seed), seed)
            counts.append(count)
            costs.append(count + (run["steps"] / (truth.epochs * truth.batches) if narrowed else 0))
            diverged.append(bad)
    return counts, costs, diverged


if __name__ == "__main__":
    main()
