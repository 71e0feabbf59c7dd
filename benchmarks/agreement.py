"""Whether the replay tells the truth: real jobs of six tasks, each beside its replays.

    python -m benchmarks.agreement               two real jobs a task, some five minutes
    python -m benchmarks.agreement --set-aside   once, of all tasks that are set aside

A real job does the range test, races and chooses, on rows and seeds that the stored truth has not.
Both its rate and those of the replays are judged by that truth, on all its splits. Where the replay
is true, real excess and replayed excess differ by noise alone. The results go to
`benchmarks/results/agreement.json`, those of the tasks set aside to `agreement_set_aside.json`.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from benchmarks.policies import ours
from benchmarks.quality import HUGE, floor, interval
from benchmarks.replay import CUT, World, played, replay
from benchmarks.stored import add_out, write
from benchmarks.task_list import TASKS
from benchmarks.truth import DECLARED, load_truth, stored_tasks

NAMES = (
    "digits mlp adam",
    "quality values tanh sgd",
    "loans mlp adam",
    "doctor visits mlp rmsprop",
    "friedman 1 mlp adam",
    "wages mlp adamax",
)
FIRST_SEED = 100_000  # far from those of the truth
BUDGET = 12  # as the command has it


def real_job(name: str, seed: int) -> dict[str, Any]:
    """Return the rate that a real job names, its bounds, and what it cost in trainings."""
    from tuners import choose, range_test, search

    task = next(task for task in TASKS if task.name == name)
    built = task.task()
    curve = range_test(built, declared=DECLARED, epochs=task.epochs, seed=seed, verbose=0)
    bounds = curve.bounds()
    study = search(
        built, bounds, curve=curve, budget=BUDGET, epochs=task.epochs, seed=seed, verbose=0
    )
    steps = (curve.gradient_steps or 0) + study.user_attrs["gradient_steps"]
    choice = choose(study)
    return {
        "rate": choice.learning_rate,
        "plateau": choice.plateau,
        "bounds": (bounds.low, bounds.high),
        "status": bounds.status,
        "cost": steps / (curve.training_steps or 1),
    }


def measure(name: str, jobs: int, repeats: int, finished: bool = False) -> dict[str, Any]:
    """Return the rates and excesses of real jobs and of replays of a task."""
    truth = load_truth(name, finished=finished)
    world = World(truth, 0)
    real = [real_job(name, FIRST_SEED + 100 * job) for job in range(jobs)]
    named = [replay(played(ours.race(BUDGET)), World(truth, deal))[-1] for deal in range(repeats)]
    replayed = [each.learning_rate for each in named if each.learning_rate is not None]
    judged = [world.excess_of_all(each["rate"]) for each in real]
    return {
        "task": name,
        "data_set": truth.data_set,
        "best": float(truth.learning_rates[world.best]),
        "real_rates": [each["rate"] for each in real],
        "costs": [each["cost"] for each in real],
        "held": [_holds(world, each["bounds"]) for each in real],
        "decades": [float(np.log10(each["bounds"][1] / each["bounds"][0])) for each in real],
        "undecided": [each["status"] != "ok" for each in real],
        "plateau_held": [_holds(world, each["plateau"]) for each in real],
        "replayed_rates": replayed,
        "real": [excess for excess, _ in judged],
        "equal": [equal for _, equal in judged],
        "replayed": [world.excess_of_all(rate)[0] for rate in replayed],
        "floor": [row.excess for row in floor(truth)],
    }


def _holds(world: World, ends: tuple[float, float]) -> bool:
    """Whether a range holds a rate as good as the best."""
    low, high = ends
    rates = [each for each in world.truth.learning_rates if low * 0.999 <= each <= high * 1.001]
    return any(world.excess_of_all(float(r))[1] for r in (*np.geomspace(low, high, 9), *rates))


def gather(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the measures of the real jobs, and how far their replays lie from them.

    A task without a rate whose test loss is finite on every split cannot be judged.
    """
    unjudged = [task["task"] for task in tasks if not np.isfinite(task["floor"]).all()]
    tasks = [task for task in tasks if task["task"] not in unjudged]
    real = np.minimum([excess for task in tasks for excess in task["real"]], HUGE)
    reach = np.minimum([excess for task in tasks for excess in task["floor"]], CUT)
    costs = [cost for task in tasks for cost in task["costs"]]
    sets = np.array([task["data_set"] for task in tasks for _ in task["real"]])
    cut = np.minimum(real, CUT)

    def mean(key: str) -> float:
        return float(np.mean([each for task in tasks for each in task[key]]))

    values = [np.mean(task["real"]) - np.mean(task["replayed"]) for task in tasks]
    decades = [
        np.log10(task["real_rates"]).mean() - np.log10(task["replayed_rates"]).mean()
        for task in tasks
    ]
    count = np.sqrt(len(tasks))
    return {
        "tasks": tasks,
        "unjudged": unjudged,
        "mean": float(cut.mean()),
        "mean_interval": interval(cut, sets),
        "floor": float(reach.mean()),
        "median": float(np.median(real)),
        "excess_90": float(np.quantile(real, 0.9)),
        "worst": float(real.max()),
        "equal": mean("equal"),
        "held": mean("held"),
        "plateau_held": mean("plateau_held"),
        "width": float(np.median([each for task in tasks for each in task["decades"]])),
        "undecided": mean("undecided"),
        "cost": float(np.median(costs)),
        "cost_most": float(max(costs)),
        "difference": float(np.mean(values)),
        "error": float(np.std(values, ddof=1) / count),
        "decades": float(np.mean(decades)),
        "decades_error": float(np.std(decades, ddof=1) / count),
    }


def main() -> None:
    """Read the options, run, print, store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--jobs", type=int, default=2, help="real jobs of a task")
    parser.add_argument("--repeats", type=int, default=8, help="replays of a task")
    parser.add_argument("--set-aside", action="store_true", help="all tasks that are set aside")
    add_out(parser)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tasks = []
    aside = options.set_aside
    for name in [task.name for task in stored_tasks(aside=True)] if aside else NAMES:
        tasks.append(measure(name, options.jobs, options.repeats, finished=aside))
        print(tasks[-1], flush=True)
    results = gather(tasks)
    print({key: value for key, value in results.items() if key != "tasks"})
    stored = "agreement_set_aside" if aside else "agreement"
    write(stored, results, options.out, whole=options.jobs >= 2)


if __name__ == "__main__":
    main()
