"""The truth that policies are replayed on: every epoch's losses of a grid of constant rates.

    python -m benchmarks.truth                  train what is not stored yet (some hours)
    python -m benchmarks.truth --processes 2    two tasks at a time
    python -m benchmarks.truth --tasks NAME     of some

Each rate of a task's grid is trained to its budget on several splits of all rows into training,
validation and test; all rates see the same splits. Of each epoch the training loss and the losses
and metrics on validation and test rows are kept, and today's range tests of some seeds beside them.
A task has one file in `benchmarks/truth/`; what is there is not trained again.

A third of the data sets is set aside (`benchmarks/set_aside.txt`): `load_truth` refuses their tasks
unless it is told that a finished method looks.
"""

from __future__ import annotations

import argparse
import datetime
import json
import multiprocessing
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.task_list import TASKS
from benchmarks.tasks import RATES, BenchmarkTask
from benchmarks.worlds import WORLDS

FOLDER = Path(__file__).with_name("truth")
SET_ASIDE = Path(__file__).with_name("set_aside.txt")
FIRST_SEED = 5_000  # of the splits: far from those of range tests and searches
RAMP_SEED = 1_000  # of the first range test; no seed below 5,000 is one of the splits'
RAMPS = 4  # range tests of a task
BITS = 12  # of a stored number's mantissa: steps of 0.02 %, far below the noise of a split
CURVES = ("loss", "val_loss", "val_metric", "test_loss", "test_metric")
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ramp:
    """A stored range test: the loss of each step of each seed.

    Args:
        learning_rates: The rate of each step, (steps,).
        losses: The losses, (steps, seeds).
        trainings: What it cost, in trainings of full length.
    """

    learning_rates: Values
    losses: Values
    trainings: float


@dataclass(frozen=True, eq=False)
class Truth:
    """The curves of a task: NaN from the epoch in which a training turned non-finite.

    Args:
        name: Of the task.
        data_set: The data set that its rows are of.
        learning_rates: The grid, rising, (rates,).
        loss: Mean training loss of each epoch, (rates, splits, epochs).
        val_loss: Validation loss after each epoch, likewise.
        val_metric: Accuracy, or an absolute or squared error, on the validation rows.
        test_loss: Test loss after each epoch.
        test_metric: The metric on the test rows.
        start: Validation loss before any training, (rates, splits).
        diverged: Which trainings turned non-finite or ended far above their start.
        ramps: Range tests, with other seeds.
        batches: Gradient steps of an epoch.
        default: The rate that Keras's optimizer has where nobody chooses one.
        offset: What Keras leaves out of Poisson's loss, the mean of log(y!); else 0. With it no
            loss is below 0, so that a share of it has a meaning.
        facts: The command, the versions, the task in words.
    """

    name: str
    data_set: str
    learning_rates: Values
    loss: Values
    val_loss: Values
    val_metric: Values
    test_loss: Values
    test_metric: Values
    start: Values
    diverged: NDArray[np.bool_]
    ramps: tuple[Ramp, ...]
    batches: int
    default: float
    offset: float
    facts: dict[str, Any]

    @property
    def splits(self) -> int:
        """How many splits each rate was trained on."""
        return self.val_loss.shape[1]

    @property
    def epochs(self) -> int:
        """Epochs of a training of full length."""
        return self.val_loss.shape[2]

    @cached_property
    def reached(self) -> Values:
        """The test loss at each training's best validation epoch, (rates, splits); inf for none.

        Who keeps the best epoch has this loss; a comparison of this project judges by it.
        """
        found = np.where(np.isfinite(self.val_loss), self.val_loss, np.inf)
        test = np.take_along_axis(self.test_loss, found.argmin(axis=2)[..., None], axis=2)[..., 0]
        return np.where(np.isfinite(found).any(axis=2) & np.isfinite(test), test, np.inf)

    @property
    def judges(self) -> bool:
        """Whether some rate has a finite test loss on every split; else no mean can judge."""
        return bool(np.isfinite(self.reached).all(axis=1).any())

    @cached_property
    def kept_last(self) -> Values:
        """The test loss after the last epoch, (rates, splits); inf where there is none."""
        last = self.test_loss[:, :, -1]
        return np.where(np.isfinite(last), last, np.inf)


def train_truth(task: BenchmarkTask) -> float:
    """Train a task's grid and its range tests, write its file, and return the seconds."""
    from tuners import range_test, train
    from tuners.study.metadata import machine_facts

    started, built = time.perf_counter(), task.task()
    rates, seeds = np.array(task.rates), FIRST_SEED + np.arange(task.splits)
    lanes = np.repeat(rates, len(seeds)), np.tile(seeds, len(rates))
    record = train(built, *lanes, epochs=task.epochs, test_curves=True)
    shape = (len(rates), len(seeds), task.epochs)
    metric = next(name for name in record.metrics if not name.startswith(("val_", "test_")))
    named = {
        "val_metric": f"val_{metric}",
        "test_loss": "test_loss",
        "test_metric": f"test_{metric}",
    }
    arrays = {name: record.curve(named.get(name, name)).reshape(shape) for name in CURVES}
    trained = time.perf_counter() - started
    batches = -(-len(built.train[1]) // built.batch_size)
    costs = []
    for number in range(RAMPS if task.rates == RATES else 1):
        seed = RAMP_SEED + 100 * number
        curve = range_test(
            built, declared=DECLARED, epochs=task.epochs, mode="ramp", seed=seed, verbose=0
        )
        arrays[f"ramp_rates_{number}"] = curve.learning_rates
        arrays[f"ramp_losses_{number}"] = curve.table
        costs.append((curve.gradient_steps or 0) / (task.epochs * batches))
    facts = {
        "task": task.name,
        "data_set": task.data_set,
        "command": f"python -m benchmarks.truth --tasks {task.name!r}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **machine_facts(),
        "seeds": seeds.tolist(),
        "metric": metric,
        "optimizer": task.optimizer,
        "settings": dict(task.settings),
        "schedule": task.schedule,
        "averaged": task.averaged,
        "batches": batches,
        "default": default_rate(task),
        "offset": poisson_offset(built, task),
        "ramp_trainings": costs,
        "how": f"{record.how}: {record.why}",
        "seconds": round(trained, 1),
    }
    write_truth(
        task.name,
        arrays,
        start=record.initial_val_loss.reshape(shape[:2]),
        diverged=record.diverged.reshape(shape[:2]),
        rates=rates,
        facts=facts,
    )
    return time.perf_counter() - started


DECLARED = (1e-5, 1.0)


def default_rate(task: BenchmarkTask) -> float:
    """Return the rate of the optimizer as Keras makes it; the usual peak under a schedule."""
    import keras

    if task.schedule:
        return 1e-3
    return float(getattr(keras.optimizers, task.optimizer)(**task.settings).learning_rate)


def poisson_offset(built: Any, task: BenchmarkTask) -> float:
    """Return the mean of log(y!) over the test rows where the loss is Poisson's, else 0."""
    from scipy.special import gammaln

    if task.loss or WORLDS[task.world].target != "count":
        return 0.0
    return float(gammaln(built.test[1] + 1).mean())


def write_truth(
    name: str,
    arrays: dict[str, Any],
    *,
    start: Values,
    diverged: NDArray[np.bool_],
    rates: Values,
    facts: dict[str, Any],
    folder: Path | None = None,
) -> Path:
    """Write a task's file: all numbers rounded to `BITS`, so that they compress."""
    path = file_of(name, folder)
    path.parent.mkdir(exist_ok=True)
    rounded = {key: rounded_bits(value) for key, value in (arrays | {"start": start}).items()}
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(
            file, **rounded, diverged=diverged, rates=rates, facts=np.array(json.dumps(facts))
        )
    part.replace(path)
    return path


def rounded_bits(values: Any) -> NDArray[np.float32]:
    """Return values as float32 whose mantissa has `BITS` bits, the rest 0.

    Example:
        >>> rounded_bits([1.00001, 0.1, np.nan])
        array([1.        , 0.09999084,        nan], dtype=float32)
    """
    single = np.asarray(values, dtype=np.float32)
    mantissa, exponent = np.frexp(single)
    return np.ldexp(np.round(mantissa * 2**BITS) / 2**BITS, exponent).astype(np.float32)


def file_of(name: str, folder: Path | None = None) -> Path:
    """Return the file of a task."""
    return (folder or FOLDER) / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.npz"


@cache
def set_aside() -> frozenset[str]:
    """Return the data sets that only a finished method may look at."""
    lines = SET_ASIDE.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def load_truth(name: str, *, finished: bool = False, folder: Path | None = None) -> Truth:
    """Return the stored truth of a task.

    Args:
        name: Of the task.
        finished: Whether a finished method looks, which alone may read what is set aside.
        folder: Where the files are; None for `FOLDER`.

    Raises:
        ValueError: The task has no file; or its data set is set aside.
    """
    path = file_of(name, folder)
    if not path.exists():
        raise ValueError(
            f"`name` must be a task with a stored truth, but got {name!r}; "
            "run python -m benchmarks.truth."
        )
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    facts = json.loads(str(arrays["facts"]))
    if facts["data_set"] in set_aside() and not finished:
        raise ValueError(
            f"`name` must be a task that is developed on, but {name!r} is of the data set "
            f"{facts['data_set']!r}, which is set aside; pass finished=True once, when nothing "
            "will be changed after it."
        )
    ramps = tuple(
        Ramp(*(arrays[f"ramp_{part}_{number}"].astype(float) for part in ("rates", "losses")), cost)
        for number, cost in enumerate(facts["ramp_trainings"])
    )
    return Truth(
        name=facts["task"],
        data_set=facts["data_set"],
        learning_rates=arrays["rates"].astype(float),
        **{curve: arrays[curve].astype(float) for curve in CURVES},
        start=arrays["start"].astype(float),
        diverged=arrays["diverged"],
        ramps=ramps,
        batches=facts["batches"],
        default=facts["default"],
        offset=facts.get("offset", 0.0),
        facts=facts,
    )


def stored_tasks(*, aside: bool = False) -> list[BenchmarkTask]:
    """Return the tasks with a file: those developed on, or those set aside."""
    return [
        task
        for task in TASKS
        if file_of(task.name).exists() and (task.data_set in set_aside()) == aside
    ]


def overview() -> dict[str, Any]:
    """Return how much truth is stored, in numbers for the documentation; no loss is read."""
    facts = []
    for task in TASKS:
        if (path := file_of(task.name)).exists():
            with np.load(path) as stored:
                facts.append(json.loads(str(stored["facts"])) | {"epochs": task.epochs})
    sets = {each["data_set"] for each in facts}
    steps = [each["epochs"] * each["batches"] for each in facts]
    size = sum(path.stat().st_size for path in FOLDER.glob("*.npz"))
    return {
        "tasks": len(facts),
        "data_sets": len(sets),
        "steps": (min(steps), max(steps)),
        "schedules": sum(each["schedule"] is not None for each in facts),
        "averaged": sum(each["averaged"] for each in facts),
        "megabytes": round(size / 1e6),
        "aside": sum(each["data_set"] in set_aside() for each in facts),
        "aside_sets": len(sets & set_aside()),
    }


def _only_some_cores(processes: int) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    cores = max(1, len(os.sched_getaffinity(0)) // processes)
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def train_all(tasks: Iterable[BenchmarkTask], processes: int) -> None:
    """Train the tasks that have no file, so many at a time."""
    wanted = [task.name for task in tasks if not file_of(task.name).exists()]
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(
        processes,
        initializer=_only_some_cores,
        initargs=(processes,),
        maxtasksperchild=6,  # TensorFlow keeps some memory of each program
    ) as pool:
        for done, words in enumerate(pool.imap_unordered(_train_named, wanted), 1):
            passed = time.perf_counter() - started
            print(f"{done} of {len(wanted)}, {passed:.0f} s: {words}", flush=True)


def _train_named(name: str) -> str:
    """Train one task; what goes wrong with it is told and stops no other."""
    try:
        seconds = train_truth(next(task for task in TASKS if task.name == name))
    except Exception as error:
        return f"{name} failed: {error!r}"
    return f"{name}: {seconds:.0f} s"


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tasks", nargs="*", default=None, help="names; all by default")
    parser.add_argument("--processes", type=int, default=1, help="tasks that train at a time")
    options = parser.parse_args()
    names = {task.name for task in TASKS}
    if unknown := set(options.tasks or ()) - names:
        parser.error(f"no such task: {', '.join(sorted(unknown))}")
    train_all([t for t in TASKS if not options.tasks or t.name in options.tasks], options.processes)


if __name__ == "__main__":
    main()
