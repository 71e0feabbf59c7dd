"""Trials that a search needs to come within 1 % of the best loss, narrowed and not.

    python -m benchmarks.bounds_quality --out runs.json
    python -m benchmarks.search_efficiency runs.json            TPE, random, QMC: a minute
    python -m benchmarks.search_efficiency runs.json --slow     GP, KerasTuner's Bayesian tuner
    python -m benchmarks.search_efficiency runs.json --real     some tasks really trained

The benchmark is tabular: no trial is trained anew. A trial's loss is read off the stored truth of
`benchmarks.bounds_quality`, interpolated between rates. All trials of a search share one of the
truth's first six seeds, as those of `tuners.search` share theirs. A search has arrived with the
first trial whose rate, by the mean over seeds, is within 1 % of the best loss; in a second figure,
within one standard error or 1 %. The range test's gradient steps count as trials. A trial has
diverged where its loss is not finite or above that of the lowest rate of the grid. A search that
has not arrived after 24 trials counts as 25.

The arms are those of `benchmarks.searchers`: a library's defaults over the declared range, and
`tuners.search` inside the bounds. Figures of several tasks are medians of the tasks' medians.
GP and KerasTuner's Bayesian tuner take a third of a second a trial or more, so that they are run on
epochs of 50 batches or more, and on all tasks with `--everywhere`. Their searches over the declared
range do not depend on the range tests; they are stored, and run anew where the truth has changed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.bounds_tasks import TASKS
from benchmarks.bounds_truth import load_truth
from benchmarks.searchers import ARMS, MOST_TRIALS, SLOW
from benchmarks.table_searches import LONG, Outcomes, Run, measure, range_test_costs, runs_of


def summarise(
    found: Outcomes, runs: Sequence[Run], tasks: Sequence[str], sampler: str, arm: str
) -> dict[str, float] | None:
    """Return the figures of a sampler and arm over some tasks, None where they were not run.

    Args:
        found: What `measure` returned.
        runs: Range tests, as `benchmarks.bounds_quality` writes them.
        tasks: Names of the tasks.
        sampler: A name of `ARMS`.
        arm: One of its arms.
    """
    if not tasks or any((task, sampler, arm) not in found for task in tasks):
        return None
    trials = np.array([[o.trials for o in found[task, sampler, arm]] for task in tasks])
    equal = np.array([[o.equal for o in found[task, sampler, arm]] for task in tasks])
    diverged = np.array([[o.diverged for o in found[task, sampler, arm]] for task in tasks])
    cost = np.zeros(trials.shape)
    if arm == "narrowed":
        cost = np.array([range_test_costs(runs, task, trials.shape[1]) for task in tasks])
    return {
        "trials": float(np.median(np.median(trials, axis=1))),
        "with_test": float(np.median(np.median(trials + cost, axis=1))),
        "equal": float(np.median(np.median(equal, axis=1))),
        "equal_with_test": float(np.median(np.median(equal + cost, axis=1))),
        "never": float(np.mean(trials > MOST_TRIALS)),
        "never_equal": float(np.mean(equal > MOST_TRIALS)),
        "diverged": float(diverged.mean()),
        "diverged_share": float(diverged.sum() / np.minimum(trials, MOST_TRIALS).sum()),
    }


HEAD = (
    f"{'tasks':22} {'sampler':11} {'arm':8} | {'1 %':>5} {'+test':>6} {'ratio':>6} {'+test':>6} "
    f"{'never':>6} | {'noise':>5} {'+test':>6} {'ratio':>6} {'+test':>6} {'never':>6} | diverged"
)


def show(found: Outcomes, runs: Sequence[Run], samplers: Sequence[str]) -> None:
    """Print each group of tasks, then each task: trials by default and narrowed."""
    tasks = list(dict.fromkeys(run["task"] for run in runs))
    held_out = {task.name for task in TASKS if task.held_out}
    groups = {
        "all tasks": tasks,
        f"{LONG} batches or more": [t for t in tasks if load_truth(t).batches >= LONG],
        "shorter epochs": [t for t in tasks if load_truth(t).batches < LONG],
        "held out": [t for t in tasks if t in held_out],
    }
    print(HEAD)
    for group, members in groups.items():
        for sampler in samplers:
            base = summarise(found, runs, members, sampler, "default")
            for arm in ARMS[sampler] if base is not None else ():
                row = summarise(found, runs, members, sampler, arm)
                if row is not None and base is not None:
                    print(_line(f"{group:22} {sampler:11} {arm:8}", row, base))
    print(f"\n{'trials, default/narrowed':28} {'batches':>7} {'test':>6}", end="")
    print("".join(f"{sampler:>14}" for sampler in samplers))
    for task in tasks:
        cost = np.median(range_test_costs(runs, task, len(runs_of(runs, task))))
        print(f"{task:28} {load_truth(task).batches:7d} {cost:6.1f}", end="")
        print("".join(f"{_pair(found, runs, task, sampler):>14}" for sampler in samplers))


def _pair(found: Outcomes, runs: Sequence[Run], task: str, sampler: str) -> str:
    rows = [summarise(found, runs, [task], sampler, arm) for arm in ("default", "narrowed")]
    return "/".join("" if row is None else _count(row["trials"]) for row in rows)


def _count(trials: float) -> str:
    return f">{MOST_TRIALS}" if trials > MOST_TRIALS else f"{trials:.1f}"


def _line(name: str, row: dict[str, float], base: dict[str, float]) -> str:
    parts = []
    for kind, never in (("trials", "never"), ("equal", "never_equal")):
        key = "with_test" if kind == "trials" else "equal_with_test"
        parts.append(
            f"{_count(row[kind]):>5} {row[key]:6.1f} {row[kind] / base[kind]:6.2f} "
            f"{row[key] / base[kind]:6.2f} {row[never]:6.0%}"
        )
    return f"{name} | {parts[0]} | {parts[1]} | {row['diverged']:.2f} ({row['diverged_share']:.1%})"


def main() -> None:
    """Read the options and the runs, search, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_efficiency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, help="what bounds_quality wrote with --out")
    parser.add_argument("--seeds", type=int, default=20, help="searches a task, sampler and arm")
    parser.add_argument("--samplers", nargs="+", choices=ARMS, help="instead of the quick ones")
    parser.add_argument("--slow", action="store_true", help="the samplers gp and keras-tuner")
    parser.add_argument("--everywhere", action="store_true", help="slow samplers on all tasks")
    parser.add_argument("--real", action="store_true", help="train the trials of some tasks")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    runs = json.loads(options.runs.read_text(encoding="utf-8"))
    if options.real:
        from benchmarks.real_searches import show_real

        show_real(runs)
        return
    samplers = [name for name in ARMS if (name in SLOW) is options.slow]
    samplers = list(options.samplers or samplers)
    for sampler, needed in (("gp", "torch"), ("keras-tuner", "keras_tuner")):
        if sampler in samplers and importlib.util.find_spec(needed) is None:
            print(f"{sampler}: left out, {needed} is not installed")
            samplers.remove(sampler)
    found = measure(runs, samplers, options.seeds, everywhere=options.everywhere)
    show(found, runs, samplers)


if __name__ == "__main__":
    main()
