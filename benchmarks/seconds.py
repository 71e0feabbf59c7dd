"""How long trainings take, of a small and of a large model: alone, among several, a range test.

    python -m benchmarks.seconds      some minutes, on a machine that does nothing else

The figure of quality against seconds is drawn with it. What is trained alone is a fresh model in
`model.fit`, its compilation included, as each trial of a tuner is. What is trained together are the
lanes of one call of `train`. Of the large model an epoch is measured, and multiplied. The results
go to `benchmarks/results/seconds.json`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.stored import add_out, write
from benchmarks.task_list import TASKS
from benchmarks.truth import DECLARED

# name of the task, what the figure calls it, epochs that are measured
MODELS = (
    ("quality classes mlp adam", "small: two layers on the wine table", 20),
    ("help text large transformer adam", "large: a transformer on text", 1),
)
LANES = 8  # of a call: enough to fill a program


def measure(name: str, title: str, epochs: int) -> dict[str, Any]:
    """Return the seconds of a task's trainings, of full length."""
    from tuners import range_test, train

    task = next(each for each in TASKS if each.name == name)
    times = task.epochs / epochs
    built = task.task()
    rates, seeds = np.full(LANES, 1e-3), np.arange(LANES)
    alone = timed(lambda: train(built, [1e-3], [0], epochs=epochs, how="sequential"))
    if times > 1:  # what was measured has the compilation, which more epochs have not
        twice = timed(lambda: train(built, [1e-3], [0], epochs=2 * epochs, how="sequential"))
        alone += (times - 1) * (twice - alone)
    first = timed(lambda: train(built, rates, seeds, epochs=epochs))
    again = timed(lambda: train(built, rates, seeds, epochs=epochs))
    fresh = replace(task).task()
    test = timed(lambda: range_test(fresh, declared=DECLARED, epochs=task.epochs, verbose=0))
    return {
        "task": name,
        "model": title,
        "alone": alone,
        "together": again * times / LANES,
        "compilation": max(first - again, 0.0),
        "range_test": test,
    }


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Read the options, measure, print, store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seconds", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_out(parser)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    results = [measure(*model) for model in MODELS]
    for result in results:
        print(result)
    write("seconds", results, options.out)


if __name__ == "__main__":
    main()
