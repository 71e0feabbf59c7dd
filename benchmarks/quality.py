"""Quality against cost: how good the rate is that each method names, by trainings spent.

    python -m benchmarks.quality                  all methods on all tasks that are developed on
    python -m benchmarks.quality --again          the same, slow rivals played anew (ten minutes)
    python -m benchmarks.quality --set-aside      once, when a method is finished
    python -m benchmarks.quality --methods NAME   of some, printed only

Nothing is trained: the stored truth is replayed (`benchmarks.replay`). Excess is how far the test
loss of the named rate lies above that of the best rate of the grid, on splits that chose nothing,
as a share of it; in a mean it counts 100 % at most. A rate is as good as the best where its excess
is within 1 %, or within the standard error of the paired difference. Intervals are of 95 %; they
draw data sets, not runs. The results go to `benchmarks/results/quality.json`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import kept
from benchmarks.budgets import BUDGETS, DEFAULT, MOST
from benchmarks.policies.methods import OURS, Method, methods
from benchmarks.policies.ours import told
from benchmarks.replay import CUT, Named, Training, World, best_rate, named_within, played, replay
from benchmarks.stored import add_out, read, write
from benchmarks.truth import DECLARED, Truth, load_truth, stored_tasks
from search_spaces import LearningRateBounds
from tuners import LearningRateRace
from tuners.curves.loss_curve import LossCurve

REPEATS = 4  # deals of a task's splits
DRAWS = 2_000  # of the data sets, for an interval
LEVEL = 0.95
HUGE = 1e6  # an excess in place of one that is not finite
TELLS = 0.005  # standard error, as a share of the loss, with which a task tells 1 %


@dataclass(frozen=True)
class Row:
    """What one replay named within one budget, judged."""

    task: str
    data_set: str
    method: str
    budget: int
    excess: float
    equal: bool
    tests: float
    alone: float
    together: float


def replay_task(
    name: str, wanted: Sequence[str] | None, finished: bool, known: kept.Kept | None = None
) -> tuple[list[Row], kept.Kept]:
    """Replay all methods on a task; return the rows, and new entries of slow rivals.

    Args:
        name: Of the task.
        wanted: Names of methods; None for all.
        finished: Whether tasks that are set aside may be read.
        known: What slow rivals named before.
    """
    _quiet()
    truth = load_truth(name, finished=finished)
    rows: list[Row] = []
    new: kept.Kept = {}
    for method in methods():
        if wanted and method.name not in wanted:
            continue
        worlds = [World(truth, repeat) for repeat in range(method.repeats)]
        key = kept.digest(method.play, name) if method.slow and method.play else ""
        named = kept.look_up(known or {}, method.name, name, key) if key else None
        if named is None:
            named = [_by_budget(method, world) for world in worlds]
            if key:
                new[f"{method.name}: {name}"] = kept.entry(named, key)
        for world, by_budget in zip(worlds, named, strict=True):
            for budget, each in by_budget.items():
                assert each.learning_rate is not None
                excess, equal = world.excess(each.learning_rate)
                spent = (each.tests, each.alone, each.together)
                rows.append(Row(name, truth.data_set, method.name, budget, excess, equal, *spent))
    return rows, new


def _quiet() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import optuna
    import threadpoolctl

    threadpoolctl.threadpool_limits(1)  # small matrices: threads would wait for each other
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


def _by_budget(method: Method, world: World) -> dict[int, Named]:
    """Return what a method names within each budget that it has an answer for."""
    default = world.truth.default
    if method.play_for is not None:
        played_for = {
            budget: replay(played(play), world) for budget, play in method.play_for.items()
        }
        return {b: named_within(named, np.inf, default) for b, named in played_for.items()}
    assert method.play is not None
    named = replay(played(method.play), world, MOST)
    return {budget: named_within(named, budget, default) for budget in BUDGETS}


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the measures of the replays of one method within one budget."""
    excess = np.minimum([row.excess for row in rows], HUGE)
    equal = np.array([row.equal for row in rows], float)
    sets = np.array([row.data_set for row in rows])
    return {
        "mean": float(np.minimum(excess, CUT).mean()),
        "mean_interval": interval(np.minimum(excess, CUT), sets),
        "median": float(np.median(excess)),
        "excess_90": float(np.quantile(excess, 0.9)),
        "excess_99": float(np.quantile(excess, 0.99)),
        "worst": float(excess.max()),
        "equal": float(equal.mean()),
        "equal_interval": interval(equal, sets),
        "cost": float(np.mean([row.tests + row.alone + row.together for row in rows])),
        "tests": float(np.mean([row.tests for row in rows])),
        "alone": float(np.mean([row.alone for row in rows])),
        "together": float(np.mean([row.together for row in rows])),
    }


def interval(values: NDArray[np.float64], sets: NDArray[np.str_]) -> tuple[float, float]:
    """Return the interval of a mean where data sets are drawn again, each with all its rows.

    Args:
        values: One a row, finite.
        sets: The data set of each row.

    Example:
        >>> interval(np.array([1.0, 1.0, 1.0]), np.array(["a", "a", "b"]))
        (1.0, 1.0)
    """
    _, own = np.unique(sets, return_inverse=True)
    count = own.max() + 1
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS)
    means = drawn @ np.bincount(own, values) / (drawn @ np.bincount(own))
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def difference(one: Sequence[Row], other: Sequence[Row]) -> dict[str, Any]:
    """Return how much higher the mean excess of one method is than another's, by task."""
    ours, theirs = _means(one), _means(other)
    tasks = sorted(ours.keys() & theirs.keys())
    values = np.array([ours[task] - theirs[task] for task in tasks])
    sets = np.array([task[0] for task in tasks])
    return {"mean": float(values.mean()), "interval": interval(values, sets)}


def _means(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        found.setdefault((row.data_set, row.task), []).append(min(row.excess, CUT))
    return {task: float(np.mean(values)) for task, values in found.items()}


def describe_task(truth: Truth) -> dict[str, Any]:
    """Return what a task is and how well it can tell two rates apart."""
    best = best_rate(truth)
    reached = truth.reached
    level = abs(float(reached[best].mean() + truth.offset))
    near = [rate for rate in (best - 2, best - 1, best + 1, best + 2) if 0 <= rate < len(reached)]
    scale = level * np.sqrt(truth.splits)
    with np.errstate(invalid="ignore"):
        apart = [float((reached[rate] - reached[best]).std(ddof=1)) / scale for rate in near]
    error = float(np.median([each for each in apart if np.isfinite(each)] or [np.inf]))
    return {
        "task": truth.name,
        "data_set": truth.data_set,
        "best": float(truth.learning_rates[best]),
        "splits": truth.splits,
        "steps": truth.epochs * truth.batches,
        "error": float(reached[best].std(ddof=1)) / scale,
        "paired_error": error,
        "tells": error <= TELLS,
        "default": truth.default,
    }


def describe_bounds(truth: Truth) -> list[dict[str, Any]]:
    """Return of range tests whether their bounds hold a rate as good as the best.

    Those of short trainings are replayed, on the first split of each deal; ramps are stored.
    """
    found, default = [], World(truth, 0)
    for repeat in range(REPEATS):
        world = World(truth, repeat)
        race = LearningRateRace(DECLARED, epochs=truth.epochs)
        asked = race.ask()
        race.tell([told(world.curve(Training(*each))) for each in asked])
        cost = sum(world.epochs(each.share) for each in asked) / truth.epochs
        found.append(_held(default, race.bounds, "short trainings", cost))
    for ramp in truth.ramps:
        curve = LossCurve(ramp.learning_rates, ramp.losses, declared=DECLARED)
        found.append(_held(default, curve.bounds(), "ramp", ramp.trainings))
    return found


def _held(world: World, bounds: LearningRateBounds, kind: str, cost: float) -> dict[str, Any]:
    truth = world.truth
    inside = [r for r in truth.learning_rates if bounds.low * 0.999 <= r <= bounds.high * 1.001]
    rates = (*np.geomspace(bounds.low, bounds.high, 9), *inside)
    return {
        "kind": kind,
        "data_set": truth.data_set,
        "held": any(world.excess_of_all(float(rate))[1] for rate in rates),
        "undecided": bounds.status != "ok",
        "width": bounds.decades,
        "cost": cost,
    }


def floor(truth: Truth) -> list[Row]:
    """Return what the test losses of four splits that may be seen choose: no method sees them."""
    rows = []
    for repeat in range(REPEATS):
        world = World(truth, repeat)
        reached = truth.reached[:, world.seen[:4]].mean(axis=1)
        low, high = DECLARED
        inside = (truth.learning_rates >= low * 0.999) & (truth.learning_rates <= high * 1.001)
        rate = float(truth.learning_rates[np.argmin(np.where(inside, reached, np.inf))])
        cost = 4.0 * len(truth.learning_rates)
        excess, equal = world.excess(rate)
        rows.append(Row(truth.name, truth.data_set, "", 0, excess, equal, 0.0, 0.0, cost))
    return rows


def gather_bounds(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of all range tests."""
    sets = np.array([each["data_set"] for each in found])
    held, undecided = (np.array([e[key] for e in found], float) for key in ("held", "undecided"))
    return {
        "range_tests": len(found),
        "held": float(held.mean()),
        "held_interval": interval(held, sets),
        "held_and_decided": float((held * (1 - undecided)).mean()),
        "undecided": float(undecided.mean()),
        "width": float(np.median([each["width"] for each in found])),
        "cost": float(np.median([each["cost"] for each in found])),
        "most": float(max(each["cost"] for each in found)),
    }


def gather(rows: Sequence[Row], tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of all methods, as they are stored."""
    known = {method.name: method for method in methods()}
    cells: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        cells.setdefault((row.method, row.budget), []).append(row)
    lines = [
        {
            "method": name,
            "kind": method.kind,
            "repeats": method.repeats,
            "points": [
                {"budget": budget, **summary(cells[name, budget])}
                for budget in BUDGETS
                if (name, budget) in cells
            ],
        }
        for name, method in known.items()
        if any(key[0] == name for key in cells)
    ]
    ours = {budget: own for (name, budget), own in cells.items() if name == OURS}
    against = [
        {"method": name, "budget": budget, **difference(cells[name, budget], ours[budget])}
        for name in known
        for budget in (DEFAULT, MOST)
        if name != OURS and (name, budget) in cells and budget in ours
    ]
    for task in tasks:
        own = [row for row in ours.get(MOST, []) if row.task == task["task"]]
        task["ours"] = float(np.mean([row.excess for row in own])) if own else None
    return {
        "tasks": tasks,
        "data_sets": len({task["data_set"] for task in tasks}),
        "telling": sum(task["tells"] for task in tasks),
        "lines": lines,
        "against": against,
    }


def show(results: dict[str, Any]) -> None:
    """Print a table of each method by budget."""
    print(f"{len(results['tasks'])} tasks of {results['data_sets']} data sets")
    print(f"{'mean excess, %, within':28}" + "".join(f"{budget:>7}" for budget in BUDGETS))
    for line in results["lines"]:
        found = {point["budget"]: point for point in line["points"]}
        cells = (f"{100 * found[b]['mean']:7.1f}" if b in found else 7 * " " for b in BUDGETS)
        print(f"{line['method']:28}" + "".join(cells))
    head = ("mean", "median", "90 %", "99 %", "worst", "equal", "cost")
    print(f"\n{'at most trainings':28}" + "".join(f"{word:>9}" for word in head))
    for line in results["lines"]:
        point = line["points"][-1]
        shown = [
            point[key] for key in ("mean", "median", "excess_90", "excess_99", "worst", "equal")
        ]
        cells = "".join(f"{100 * value:9.1f}" for value in shown)
        print(f"{line['method']:28}{cells}{point['cost']:9.1f}")


def main() -> None:
    """Read the options, replay, print, store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--methods", nargs="*", default=None, help="names; all by default")
    parser.add_argument("--tasks", nargs="*", default=None, help="names; all by default")
    parser.add_argument("--set-aside", action="store_true", help="the data sets that are set aside")
    parser.add_argument("--again", action="store_true", help="play what was kept of slow rivals")
    parser.add_argument("--processes", type=int, default=2, help="tasks at a time")
    add_out(parser)
    options = parser.parse_args()
    started = time.perf_counter()
    names = [
        task.name
        for task in stored_tasks(aside=options.set_aside)
        if not options.tasks or task.name in options.tasks
    ]
    unjudged = [n for n in names if not load_truth(n, finished=options.set_aside).judges]
    names = [name for name in names if name not in unjudged]
    known = {} if options.again else kept.load()
    work = [
        (name, options.methods, options.set_aside, {k: v for k, v in known.items() if name in k})
        for name in names
    ]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        parts = pool.starmap(replay_task, work, chunksize=1)
    rows = [row for part, _ in parts for row in part]
    if new := {name: value for _, entries in parts for name, value in entries.items()}:
        kept.store(known | new)
    truths = [load_truth(name, finished=options.set_aside) for name in names]
    results = gather(rows, [describe_task(truth) for truth in truths])
    tests = [each for truth in truths for each in describe_bounds(truth)]
    results["bounds"] = {
        kind: gather_bounds([each for each in tests if each["kind"] == kind])
        for kind in ("short trainings", "ramp")
    }
    results["floor"] = summary([row for truth in truths for row in floor(truth)])
    results["unjudged"] = unjudged
    results["seconds"] = time.perf_counter() - started
    results["seconds_of"] = read("seconds")["results"]
    show(results)
    print(f"floor: {results['floor']}")
    print(f"bounds: {results['bounds']}\n{results['seconds']:.0f} s")
    whole = not (options.methods or options.tasks)
    write(
        "quality_set_aside" if options.set_aside else "quality", results, options.out, whole=whole
    )


if __name__ == "__main__":
    main()
