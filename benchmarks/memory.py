"""Memory that range tests on many different models take: `python -m benchmarks.memory`.

Each test gets a model of its own width. Some run in one process, which shows what stays when a test
is over: `alive` counts our programs and Keras's models that are, `kept` what malloc counts as in
use. The others run in a process that is replaced after every few tests, as the guide advises.
Resident memory is that of both processes after each test. The figures go to
`benchmarks/results/memory.json`.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import psutil

from benchmarks.stored import add_out, write
from search_spaces import TuningTask
from tuners import range_test

MB = 1e6


class _Malloc(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def make_task(number: int) -> TuningTask:
    """Return a task whose model has a width of its own, every second one with batch norm."""

    def build() -> Any:
        import keras

        layers = [keras.Input((8,)), keras.layers.Dense(16 + number, "relu")]
        if number % 2:
            layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.1)]
        model = keras.Sequential([*layers, keras.layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        return model

    random = np.random.default_rng(number)
    x = random.normal(size=(640, 8)).astype("float32")
    parts = [(x[rows], x[rows, :1]) for rows in (slice(500), slice(500, 640))]
    return TuningTask(f"model {number}", build, *parts)


def left_by_test(number: int) -> dict[str, float]:
    """Test the range of a task, and return what is left in this process when that is over."""
    range_test(make_task(number), epochs=5, seeds=4, verbose=0)
    gc.collect()
    libc = ctypes.CDLL("libc.so.6")
    libc.mallinfo2.restype = _Malloc
    alive = sum(type(each).__name__ in ("LaneProgram", "Sequential") for each in gc.get_objects())
    resident = psutil.Process().memory_info().rss
    return {"resident": resident / MB, "kept": libc.mallinfo2().uordblks / MB, "alive": alive}


def run(tests: int, renewed_after: int) -> list[dict[str, float]]:
    """Run tests beside this process, and return what each left there.

    Args:
        tests: How many, each on a model of its own.
        renewed_after: Tests of a process, before another takes its place.
    """
    found: list[dict[str, float]] = []
    context = multiprocessing.get_context("spawn")  # TensorFlow must not be forked
    for first in range(0, tests, renewed_after):
        with ProcessPoolExecutor(1, context) as pool:
            numbers = range(first, min(first + renewed_after, tests))
            found += pool.map(left_by_test, numbers)
        print(f"{len(found):4} tests: {found[-1]['resident']:,.0f} MB", flush=True)
    return found


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tests", type=int, default=100, help="range tests in all")
    parser.add_argument("--one", type=int, default=12, help="tests in one process")
    parser.add_argument("--renew", type=int, default=10, help="tests before a process is replaced")
    add_out(parser)
    options = parser.parse_args()
    one = run(options.one, options.one)
    many = run(options.tests, options.renew)
    own = psutil.Process().memory_info().rss / MB
    steps = len(one) - 1
    found = {
        "tests": len(many),
        "renewed_after": options.renew,
        "most": own + max(left["resident"] for left in many),
        "one_process": {
            "tests": len(one),
            "first": one[0]["resident"],
            "last": one[-1]["resident"],
            "kept_by_test": (one[-1]["kept"] - one[0]["kept"]) / steps,
            "resident_by_test": (one[-1]["resident"] - one[0]["resident"]) / steps,
            "alive": one[-1]["alive"],
        },
    }
    print(found)
    write("memory", found, options.out, whole=options.tests == 100)


if __name__ == "__main__":
    main()
