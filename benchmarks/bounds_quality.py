"""How often bounds hold a rate as good as the best on new data, how wide they are, what they cost.

    python -m benchmarks.bounds_quality             ten range tests a task
    python -m benchmarks.bounds_quality --margins   what the margins were taken from

Coverage: the bounds hold a rate whose mean test loss over the 16 splits of `benchmarks.truth` is
within one standard error or 1 % of the best of the grid. The best may lie outside the declared
range, where bounds cannot reach it. An undecided test, whose bounds are the declared range,
counts as covered in the first figure and as a miss in the second. Width is in decades. Excess: of
the suggestion's test loss over the best, as a share. Cost: gradient steps of the test, in
trainings at the task's budget. The published rules read one seed of the same ramp, as their own
range tests would. What is found goes to `benchmarks/results/bounds_quality.json`.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np

from benchmarks.stored import add_out, write
from benchmarks.tasks import BenchmarkTask
from benchmarks.truth import Truth, load_truth, pick_tasks

DECLARED = (1e-5, 1.0)
RULES = ("valley", "slide", "steepest", "minimum", "minimum/10", "torch-lr-finder", "lightning")
FIRST_SEED = 1_000  # of the first repeat; no seed below 5,000 is one of the truth's


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
        seed = FIRST_SEED + 100 * repeat
        curve = range_test(built, declared=DECLARED, epochs=task.epochs, seed=seed, verbose=0)
        bounds = curve.bounds()
        single = LossCurve(curve.learning_rates, curve.table[:, 0])
        rows.append(
            {
                "task": task.name,
                "held_out": task.held_out,
                "seconds": time.perf_counter() - started,
                "cost": (curve.gradient_steps or 0) / truth.steps,
                "status": bounds.status,
                "low": bounds.low,
                "high": bounds.high,
                "lowest": bounds.suggestion,
                "covered": truth.covered(bounds.low, bounds.high),
                **judge(truth, bounds.suggestion),
                "rules": {rule: judge(truth, _suggest(single, rule)) for rule in RULES},
            }
        )
    return rows


def judge(truth: Truth, rate: float) -> dict[str, Any]:
    """Return a rate with its excess loss and whether it is as good as the best."""
    return {"rate": rate, "excess": truth.excess(rate), "as_good": truth.as_good(rate)}


def _suggest(curve: Any, rule: str) -> float:
    try:
        return float(np.clip(curve.suggest(rule), *DECLARED))
    except ValueError:  # too few steps left: what its user would then have is the default
        return 1e-3


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the figures of some runs."""
    decided = np.array([row["status"] == "ok" for row in rows])
    covered = np.array([row["covered"] for row in rows])
    width = np.array([np.log10(row["high"] / row["low"]) for row in rows])
    excess, cost = ([row[name] for row in rows] for name in ("excess", "cost"))
    return {
        "coverage": float(covered.mean()),
        "strict": float((covered & decided).mean()),
        "undecided": float(1 - decided.mean()),
        "width": float(np.median(width)),
        "as_good": float(np.mean([row["as_good"] for row in rows])),
        "excess": float(np.median(excess)),
        "excess_90": float(np.quantile(excess, 0.9)),
        "cost": float(np.median(cost)),
        "most": float(np.max(cost)),
        "seconds": float(np.mean([row["seconds"] for row in rows])),
    }


def picks(rows: list[dict[str, Any]], rule: str) -> dict[str, float]:
    """Return the figures of the rates that a rule suggested; "bounds" is ours."""
    found = [row if rule == "bounds" else row["rules"][rule] for row in rows]
    excess = [pick["excess"] for pick in found]
    return {
        "as_good": float(np.mean([pick["as_good"] for pick in found])),
        "excess": float(np.median(excess)),
        "excess_90": float(np.quantile(excess, 0.9)),
    }


def gather(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of each group of tasks and of each task, as they are stored."""
    groups = {
        "all": rows,
        "developed on": [row for row in rows if not row["held_out"]],
        "held out": [row for row in rows if row["held_out"]],
    }
    groups = {name: some for name, some in groups.items() if some}
    tasks = []
    for name in dict.fromkeys(row["task"] for row in rows):
        own, zone = [row for row in rows if row["task"] == name], load_truth(name).as_good_rates
        ends = {end: float(np.median([row[end] for row in own])) for end in ("low", "high")}
        about = {"task": name, "held_out": own[0]["held_out"], **ends, "as_good_rates": zone}
        tasks.append(about | summary(own))
    return {
        "groups": {
            name: {"tasks": len({row["task"] for row in some}), **summary(some)}
            for name, some in groups.items()
        },
        "rules": {
            name: {rule: picks(some, rule) for rule in ("bounds", *RULES)}
            for name, some in groups.items()
        },
        "tasks": tasks,
    }


HEAD = (
    f"{'task':28} {'cover':>6} {'strict':>6} {'undec.':>6} {'width':>6} {'equal':>6} {'excess':>7} "
    f"{'90 %':>7} {'cost':>5} {'most':>5} {'s':>5}  as good"
)


def line(name: str, found: dict[str, float], zone: tuple[float, float] | None = None) -> str:
    """Return a row of the printed table."""
    shown = "" if zone is None else f"  {zone[0]:.2g} to {zone[1]:.2g}"
    return (
        f"{name:28} {found['coverage']:6.0%} {found['strict']:6.0%} {found['undecided']:6.0%} "
        f"{found['width']:6.2f} {found['as_good']:6.0%} {found['excess']:7.1%} "
        f"{found['excess_90']:7.0%} {found['cost']:5.2f} {found['most']:5.2f} "
        f"{found['seconds']:5.1f}{shown}"
    )


def show(results: dict[str, Any]) -> None:
    """Print each task, the groups of tasks, and the published rules."""
    print(HEAD)
    for task in results["tasks"]:
        star = " *" if task["held_out"] else ""
        print(line(task["task"] + star, task, task["as_good_rates"]))
    for name, found in results["groups"].items():
        print(line(f"{name} (*)" if name == "held out" else name, found))
    for name, rules in results["rules"].items():
        print(f"\n{f'suggestion by, {name}':36} {'equal':>6} {'excess':>7} {'90 %':>7}")
        for rule, found in rules.items():
            ends = f"{found['excess']:7.1%} {found['excess_90']:7.0%}"
            print(f"{rule:36} {found['as_good']:6.0%} {ends}")


def show_margins(rows: list[dict[str, Any]]) -> None:
    """Print how far below the lowest place of its ramp a rate as good as the best lies, by task."""
    from tuners.curves.ramp import ABOVE, BELOW

    middle = 10 ** ((BELOW + ABOVE) / 2)
    print(f"{'task':28} decades from the ramp's lowest place down to the rates as good as the best")
    for name in dict.fromkeys(row["task"] for row in rows):
        low, high = load_truth(name).as_good_rates
        lowest = [row["lowest"] * middle for row in rows if row["task"] == name]
        place = float(np.median(lowest))
        print(f"{name:28} {np.log10(place / high):5.2f} to {np.log10(place / low):5.2f}")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bounds_quality", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--repeats", type=int, default=10, help="range tests a task")
    parser.add_argument("--tasks", nargs="*", default=None, help="names; all by default")
    parser.add_argument("--seen", action="store_true", help="leave the held-out tasks out")
    parser.add_argument("--margins", action="store_true", help="print the margins instead")
    add_out(parser)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    rows = []
    seen = options.seen or options.margins
    for task in pick_tasks(options.tasks, held_out=False if seen else None):
        rows += measure(task, options.repeats)
        print(f"{task.name}: {options.repeats} range tests", flush=True)
    if options.margins:
        show_margins(rows)
        return
    results = gather(rows)
    show(results)
    whole = not options.tasks and not options.seen
    write("bounds_quality", results, options.out, whole=whole)


if __name__ == "__main__":
    main()
