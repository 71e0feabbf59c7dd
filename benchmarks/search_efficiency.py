"""The rate that is named in the end: how good it is on new data, and how many trainings it took.

    python -m benchmarks.search_efficiency                          ours, TPE, random search
    python -m benchmarks.search_efficiency --keras-tuner held-out   KerasTuner's too, on some

KerasTuner's Bayesian tuner takes half a minute a search by itself, so that it runs where asked to.

Ours is what a job does: `range_test`, `search` inside its bounds with the defaults, `choose`;
really trained, with seeds and so splits that the truth does not have. The others are what their
users do: 24 trials over the declared range on one split, each scored by its lowest validation
loss, the lowest trial wins. "TPE on 4 splits" scores each trial by the mean of four. Their losses
are read off the truth's grid, interpolated between rates, on one of its splits a repeat. Excess
is of the mean test loss over the truth's 16 splits, over the best of the grid; since that best is
the lowest of 29 noisy means, no method reaches 0. Equal: within one standard error or 1 % of it.
Cost: gradient steps in trainings at the task's budget. What is found goes to
`benchmarks/results/search_efficiency.json`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.bounds_quality import DECLARED
from benchmarks.stored import add_out, write
from benchmarks.tasks import BenchmarkTask
from benchmarks.truth import Truth, load_truth, pick_tasks

TRIALS = 24
FIRST_SEED = 100_000  # far from those of the truth
NAME = "learning_rate"

See = Callable[[float], float]  # the loss that a trial at a rate shows


def ours(task: BenchmarkTask, built: Any, truth: Truth, repeat: int) -> tuple[float, float]:
    """Return the chosen rate, and what it cost in trainings."""
    from tuners import choose, range_test, search

    seed = FIRST_SEED + 100 * repeat
    curve = range_test(built, declared=DECLARED, epochs=task.epochs, seed=seed, verbose=0)
    study = search(built, curve, epochs=task.epochs, seed=seed, verbose=0)
    steps = (curve.gradient_steps or 0) + study.user_attrs["gradient_steps"]
    return choose(study).learning_rate, steps / truth.steps


def by_optuna(sampler: Any, see: See) -> float:
    """Return the best of 24 trials of a study of Optuna's with its own settings."""
    import optuna

    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: see(trial.suggest_float(NAME, *DECLARED, log=True)), TRIALS)
    return float(study.best_params[NAME])


def by_keras_tuner(seed: int, see: See) -> float:
    """Return the best of 24 trials of KerasTuner's Bayesian oracle with its own settings."""
    import keras_tuner
    from sklearn.exceptions import ConvergenceWarning

    space = keras_tuner.HyperParameters()
    space.Float(NAME, *DECLARED, sampling="log")
    oracle = keras_tuner.oracles.BayesianOptimizationOracle(
        objective=keras_tuner.Objective("val_loss", "min"),
        max_trials=TRIALS,
        seed=seed + 1,
        hyperparameters=space,
        max_consecutive_failed_trials=TRIALS + 1,  # 3 would end the search with an error
    )
    oracle.verbose = 0
    folder = tempfile.mkdtemp()
    oracle._set_project_dir(folder, "search")
    found: list[tuple[float, float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(TRIALS):
            trial = oracle.create_trial("benchmark")
            if trial.status != "RUNNING":
                break
            rate = float(trial.hyperparameters.values[NAME])
            loss = see(rate)
            trial.status = "COMPLETED" if np.isfinite(loss) else "FAILED"
            if np.isfinite(loss):
                oracle.update_trial(trial.trial_id, {"val_loss": loss})
                found.append((loss, rate))
            oracle.end_trial(trial)
    shutil.rmtree(folder, ignore_errors=True)
    return min(found)[1]


def measure(task: BenchmarkTask, repeats: int, *, keras_tuner: bool) -> list[dict[str, Any]]:
    """Return the rate that each way names in each repeat, judged by the truth."""
    import optuna

    truth, built, rows = load_truth(task.name), task.task(), []
    for repeat in range(repeats):

        def see(rate: float, split: int = repeat) -> float:
            return truth.seen(rate, split)

        def see_four(rate: float, first: int = repeat) -> float:
            return float(np.mean([truth.seen(rate, first + split) for split in range(4)]))

        named: dict[str, tuple[float, float]] = {
            "ours": ours(task, built, truth, repeat),
            "Optuna, TPE": (by_optuna(optuna.samplers.TPESampler(seed=repeat), see), TRIALS),
            "TPE on 4 splits": (
                by_optuna(optuna.samplers.TPESampler(seed=repeat), see_four),
                4 * TRIALS,
            ),
            "random": (by_optuna(optuna.samplers.RandomSampler(seed=repeat), see), TRIALS),
        }
        if keras_tuner:
            named["KerasTuner, Bayesian"] = (by_keras_tuner(repeat, see), TRIALS)
        rows += [
            {
                "task": task.name,
                "held_out": task.held_out,
                "way": way,
                "rate": rate,
                "cost": cost,
                "excess": truth.excess(rate),
                "as_good": truth.as_good(rate),
            }
            for way, (rate, cost) in named.items()
        ]
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the figures of some runs of one way."""
    excess = np.array([row["excess"] for row in rows])
    return {
        "equal": float(np.mean([row["as_good"] for row in rows])),
        "median": float(np.median(excess)),
        "excess_90": float(np.quantile(excess, 0.9)),
        "mean": float(np.minimum(excess, 10.0).mean()),
        "cost": float(np.median([row["cost"] for row in rows])),
    }


def gather(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of each group of tasks by way, and each task's median excess."""
    groups: dict[str, Any] = {}
    for name, held_out in (("all", None), ("developed on", False), ("held out", True)):
        some = [row for row in rows if held_out in (None, row["held_out"])]
        if some:
            tasks = len({row["task"] for row in some})
            groups[name] = {"tasks": tasks, "ways": _by_way(some)}
    tasks = []
    for name in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == name]
        excess = {way: found["median"] for way, found in _by_way(own).items()}
        tasks.append({"task": name, "held_out": own[0]["held_out"], "excess": excess})
    return {"groups": groups, "tasks": tasks}


def _by_way(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the figures of each way that ran on all tasks of some rows."""
    tasks, found = {row["task"] for row in rows}, {}
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        if {row["task"] for row in own} == tasks:
            found[way] = summary(own)
    return found


def show(results: dict[str, Any]) -> None:
    """Print each group of tasks by way, then each task's median excess."""
    print(f"{'tasks':14} {'way':22} {'equal':>6} {'excess':>7} {'90 %':>8} {'mean':>7} {'cost':>6}")
    for words, group in results["groups"].items():
        for way, found in group["ways"].items():
            print(
                f"{words:14} {way:22} {found['equal']:6.0%} {found['median']:7.1%} "
                f"{found['excess_90']:8.1%} {found['mean']:7.1%} {found['cost']:6.1f}"
            )
    ways = list(dict.fromkeys(way for task in results["tasks"] for way in task["excess"]))
    print(f"\n{'excess, median':28}" + "".join(f"{way:>22}" for way in ways))
    for task in results["tasks"]:
        cells = [
            f"{task['excess'][way]:22.1%}" if way in task["excess"] else 22 * " " for way in ways
        ]
        print(f"{task['task'] + ' *' * task['held_out']:28}" + "".join(cells))


def main() -> None:
    """Read the options, search, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_efficiency", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--repeats", type=int, default=4, help="searches a task and way")
    parser.add_argument("--tasks", nargs="*", default=None, help="names; all by default")
    parser.add_argument("--held-out", action="store_true", help="the held-out tasks only")
    parser.add_argument("--seen", action="store_true", help="leave the held-out tasks out")
    parser.add_argument(
        "--keras-tuner",
        choices=("held-out", "all"),
        help="tasks for its Bayesian tuner; no default",
    )
    add_out(parser)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows: list[dict[str, Any]] = []
    part = True if options.held_out else False if options.seen else None
    for task in pick_tasks(options.tasks, held_out=part):
        wanted = options.keras_tuner == "all" or (options.keras_tuner and task.held_out)
        rows += measure(task, options.repeats, keras_tuner=bool(wanted))
        print(f"{task.name}: {options.repeats} repeats", flush=True)
    results = gather(rows)
    show(results)
    whole = not options.tasks and part is None
    write("search_efficiency", results, options.out, whole=whole)


if __name__ == "__main__":
    main()
