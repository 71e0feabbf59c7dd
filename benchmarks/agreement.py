"""Whether the replay tells the truth: real jobs of six tasks, each beside its replays.

    python -m benchmarks.agreement      two real jobs a task, some five minutes

A real job does the range test, searches with 8 trials on 4 splits and chooses, on rows and seeds
that the stored truth has not. Both its rate and those of the replays are judged by that truth, on
all its splits. Where the replay is true, real excess and replayed excess differ by noise alone.
The results go to `benchmarks/results/agreement.json`.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from benchmarks.policies import ours
from benchmarks.replay import World, played, replay
from benchmarks.stored import add_out, write
from benchmarks.task_list import TASKS
from benchmarks.truth import DECLARED, load_truth

NAMES = (
    "digits mlp adam",
    "quality values tanh sgd",
    "loans mlp adam",
    "doctor visits mlp rmsprop",
    "friedman 1 mlp adam",
    "wages mlp adamax",
)
FIRST_SEED = 100_000  # far from those of the truth
TRIALS, SPLITS = 8, 4


def real_job(name: str, seed: int) -> tuple[float, float]:
    """Return the rate that a real job names, and what it cost in trainings."""
    from tuners import choose, range_test, search

    task = next(task for task in TASKS if task.name == name)
    built = task.task()
    curve = range_test(built, declared=DECLARED, epochs=task.epochs, seed=seed, verbose=0)
    study = search(
        built, curve, trials=TRIALS, splits=SPLITS, epochs=task.epochs, seed=seed, verbose=0
    )
    steps = (curve.gradient_steps or 0) + study.user_attrs["gradient_steps"]
    return choose(study).learning_rate, steps / (curve.training_steps or 1)


def measure(name: str, jobs: int, repeats: int) -> dict[str, Any]:
    """Return the rates and excesses of real jobs and of replays of a task."""
    truth = load_truth(name)
    world = World(truth, 0)
    real = [real_job(name, FIRST_SEED + 100 * job) for job in range(jobs)]
    rates = [
        replay(played(ours.search(TRIALS, SPLITS)), World(truth, repeat))[-1].learning_rate
        for repeat in range(repeats)
    ]
    replayed = [rate for rate in rates if rate is not None]
    return {
        "task": name,
        "best": float(truth.learning_rates[world.best]),
        "real_rates": [rate for rate, _ in real],
        "cost": float(np.mean([cost for _, cost in real])),
        "replayed_rates": replayed,
        "real": [world.excess_of_all(rate)[0] for rate, _ in real],
        "replayed": [world.excess_of_all(rate)[0] for rate in replayed],
    }


def gather(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean difference of real and replayed excess, and its standard error."""
    values = [np.mean(task["real"]) - np.mean(task["replayed"]) for task in tasks]
    decades = [
        np.log10(task["real_rates"]).mean() - np.log10(task["replayed_rates"]).mean()
        for task in tasks
    ]
    count = np.sqrt(len(tasks))
    return {
        "tasks": tasks,
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
    add_out(parser)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tasks = []
    for name in NAMES:
        tasks.append(measure(name, options.jobs, options.repeats))
        print(tasks[-1], flush=True)
    results = gather(tasks)
    print({key: value for key, value in results.items() if key != "tasks"})
    write("agreement", results, options.out, whole=options.jobs >= 2)


if __name__ == "__main__":
    main()
