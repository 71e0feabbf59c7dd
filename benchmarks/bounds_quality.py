"""How often the bounds hold the best rate, how wide they are, and what they cost.

    python -m benchmarks.bounds_quality            measure, against the stored truth
    python -m benchmarks.bounds_quality --truth    train the truth anew first (minutes)

Coverage: the bounds hold a rate within one standard error or 1 % of the best of the grid, which
may lie outside the declared range, where bounds cannot reach it; an
undecided test, whose bounds are the declared range, counts as covered in the first figure and as
a miss in the second. Width is in decades. Regret: the excess loss at the suggestion, as a share.
Spread: standard deviation over repeats, in decades. Cost: gradient steps of the range test as a
share of those of a search of 24 trainings at the task's budget. The published rules read one seed
of the same ramp, as their own range tests would.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bounds_tasks import TASKS, BenchmarkTask
from benchmarks.bounds_truth import PATH, Truth, load_truth, make_truth

DECLARED = (1e-5, 1.0)
TRIALS = 24
RULES = ("valley", "slide", "steepest", "minimum", "minimum/10", "torch-lr-finder", "lightning")
FIRST_SEED = 1_000


def measure(task: BenchmarkTask, repeats: int) -> list[dict[str, Any]]:
    """Run range tests with other seeds on a task and judge each against the truth.

    Args:
        task: The task.
        repeats: How many tests, 1 or more.
    """
    from tuners import LossCurve, range_test

    truth, built, rows = load_truth(task.name), task.task(), []
    for repeat in range(repeats):
        started = time.perf_counter()
        curve = range_test(built, declared=DECLARED, seed=FIRST_SEED * (repeat + 1))
        bounds = curve.bounds()
        ramp = curve if curve.coarse is None else curve.coarse
        single = LossCurve(ramp.learning_rates, ramp.table[:, 0])
        row = {
            "task": task.name,
            "seconds": time.perf_counter() - started,
            "steps": curve.gradient_steps or 0,
            "status": bounds.status,
            "low": bounds.low,
            "high": bounds.high,
            **judge(truth, bounds.suggestion),
            "covered": truth.covered(bounds.low, bounds.high),
            "rules": {rule: judge(truth, _suggest(single, rule)) for rule in RULES},
        }
        rows.append(row)
    return rows


def judge(truth: Truth, rate: float) -> dict[str, Any]:
    """Return a suggestion with its regret and whether it is as good as the best."""
    return {"rate": rate, "regret": truth.regret(rate), "as_good": truth.as_good(rate)}


def _suggest(curve: Any, rule: str) -> float:
    try:
        return float(np.clip(curve.suggest(rule), *DECLARED))
    except ValueError:  # too few steps left: what its user would then have is the default
        return 1e-3


def summary(rows: list[dict[str, Any]], truths: dict[str, Truth]) -> dict[str, float]:
    """Return the figures of some runs, of one task or of several."""
    decided = np.array([row["status"] == "ok" for row in rows])
    covered = np.array([row["covered"] for row in rows])
    width = np.array([np.log10(row["high"] / row["low"]) for row in rows])
    spread = [
        [np.std(np.log10([row[end] for row in rows if row["task"] == name])) for name in truths]
        for end in ("low", "rate", "high")
    ]
    budget = [TRIALS * truths[row["task"]].epochs * truths[row["task"]].batches for row in rows]
    regret = [row["regret"] for row in rows]
    return {
        "coverage": float(covered.mean()),
        "strict": float((covered & decided).mean()),
        "undecided": float(1 - decided.mean()),
        "width": float(np.median(width)),
        "mean_width": float(width.mean()),
        "as_good": float(np.mean([row["as_good"] for row in rows])),
        "regret": float(np.median(regret)),
        "regret_90": float(np.quantile(regret, 0.9)),
        "spread_low": float(np.mean(spread[0])),
        "spread_rate": float(np.mean(spread[1])),
        "spread_high": float(np.mean(spread[2])),
        "cost": float(
            np.median([row["steps"] / all_ for row, all_ in zip(rows, budget, strict=True)])
        ),
        "steps": float(np.mean([row["steps"] for row in rows])),
        "seconds": float(np.mean([row["seconds"] for row in rows])),
    }


HEAD = (
    f"{'task':28} {'cover':>6} {'strict':>6} {'width':>6} {'mean':>6} {'equal':>6} {'regret':>7} "
    f"{'90 %':>7} {'spread low, rate, high':>22} {'steps':>7} {'cost':>7} {'s':>5}  as good"
)


def line(name: str, found: dict[str, float], zone: tuple[float, float] | None) -> str:
    """Return a row of the printed table."""
    spread = " ".join(f"{found[f'spread_{end}']:6.2f}" for end in ("low", "rate", "high"))
    shown = "" if zone is None else f"  {zone[0]:.2g} to {zone[1]:.2g}"
    return (
        f"{name:28} {found['coverage']:6.0%} {found['strict']:6.0%} {found['width']:6.2f} "
        f"{found['mean_width']:6.2f} {found['as_good']:6.0%} {found['regret']:7.2%} "
        f"{found['regret_90']:7.1%} {spread:>22} {found['steps']:7.0f} {found['cost']:7.1%} "
        f"{found['seconds']:5.1f}{shown}"
    )


def show(rows: list[dict[str, Any]], tasks: list[BenchmarkTask]) -> None:
    """Print the tables: each task, totals, held-out tasks, long epochs, the published rules."""
    truths = {task.name: load_truth(task.name) for task in tasks}
    print(HEAD)
    for task in tasks:
        own = [row for row in rows if row["task"] == task.name]
        name = task.name + (" *" if task.held_out else "")
        print(
            line(
                name, summary(own, {task.name: truths[task.name]}), truths[task.name].as_good_rates
            )
        )
    groups = {
        "all": tasks,
        "seen in development": [task for task in tasks if not task.held_out],
        "held out (*)": [task for task in tasks if task.held_out],
        "50 batches or more": [task for task in tasks if truths[task.name].batches >= 50],
    }
    for name, members in groups.items():
        names = {task.name for task in members}
        if names:
            some = [row for row in rows if row["task"] in names]
            print(line(name, summary(some, {n: truths[n] for n in names}), None))
    print(f"\n{'suggestion by':28} {'equal':>6} {'regret':>7} {'90 %':>7} {'spread':>7}")
    for rule in ("bounds", *RULES):
        picks = [(row["task"], row if rule == "bounds" else row["rules"][rule]) for row in rows]
        regret = [pick["regret"] for _, pick in picks]
        spread = np.mean(
            [np.std([np.log10(p["rate"]) for n, p in picks if n == name]) for name in truths]
        )
        equal = np.mean([pick["as_good"] for _, pick in picks])
        print(
            f"{rule:28} {equal:6.0%} {np.median(regret):7.1%} "
            f"{np.quantile(regret, 0.9):7.0%} {spread:7.2f}"
        )


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bounds_quality", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--truth", action="store_true", help="train the truth anew")
    parser.add_argument("--repeats", type=int, default=10, help="range tests a task")
    parser.add_argument("--tasks", nargs="*", default=None, help="names; all by default")
    parser.add_argument("--seen", action="store_true", help="leave the held-out tasks out")
    parser.add_argument("--out", type=Path, default=None, help="write the runs to a JSON file")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tasks = [
        task
        for task in TASKS
        if (options.tasks is None or task.name in options.tasks)
        and not (options.seen and task.held_out)
    ]
    if options.truth or not PATH.exists():
        make_truth(tasks)
    rows = []
    for task in tasks if options.repeats else ():
        rows += measure(task, options.repeats)
        print(f"{task.name}: {options.repeats} range tests", flush=True)
    if rows:
        show(rows, tasks)
    if options.out is not None:
        options.out.write_text(json.dumps(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
