"""What a report should say of a task, its model and the machine: plain numbers and strings."""

from __future__ import annotations

import functools
import importlib.metadata
import math
import os
import platform
import weakref
from collections.abc import Mapping
from typing import Any

from search_spaces._arrays import list_arrays
from search_spaces._data import count_rows, data_hash, is_dataset
from search_spaces.task import TuningTask
from tuners._checks import check_choice
from tuners.study.fingerprint import model_fingerprint
from tuners.training.models import built_model, leaf_optimizers
from tuners.training.rates import schedule_values
from tuners.training.rows import batches_of, first_rows

PACKAGES = ("tensorflow", "keras", "optuna", "keras-tuner", "numpy", "scikit-learn")


_Described = tuple[dict[str, Any], dict[str, str]]
# a task does not change, so that its model is built once for all who ask
_described: weakref.WeakKeyDictionary[TuningTask, dict[int, _Described]]
_described = weakref.WeakKeyDictionary()


def task_facts(task: TuningTask, epochs: int) -> dict[str, Any]:
    """Return the facts of a task: data, model, optimizer, baseline rate.

    Args:
        task: The task; its model is built the first time that it is asked about.
        epochs: Length of a run, over which the maximum of a compiled schedule is taken.

    Raises:
        InputError: `build_model` returns no compiled model.

    Example:
        >>> from search_spaces import wine_task
        >>> task_facts(wine_task(), epochs=40)["model_parameters"]  # doctest: +SKIP
        100737
    """
    return dict(_describe(task, epochs)[0])


def task_fingerprint(task: TuningTask, epochs: int) -> dict[str, str]:
    """Return the `model_fingerprint` of a task's model.

    Args:
        task: The task; its model is built the first time that it is asked about.
        epochs: As for `task_facts`.

    Raises:
        InputError: `build_model` returns no compiled model.
    """
    return dict(_describe(task, epochs)[1])


def _describe(task: TuningTask, epochs: int) -> _Described:
    known = _described.setdefault(task, {})
    if epochs not in known:
        model = built_model(task, 0)
        known[epochs] = _facts_of(task, model, epochs), model_fingerprint(model)
    return known[epochs]


def _facts_of(task: TuningTask, model: Any, epochs: int) -> dict[str, Any]:
    optimizer = leaf_optimizers(model.optimizer)[0]
    rate = task.baseline_learning_rate
    if rate is None:
        schedule = schedule_values(optimizer, epochs * max(batches_of(task), 1))
        rate = float(optimizer.learning_rate if schedule is None else schedule.max())
    facts: dict[str, Any] = {
        "task": task.name,
        "optimizer": type(optimizer).__name__,
        "model_parameters": int(model.count_params()),
        "baseline_learning_rate": float(f"{rate:.7g}"),  # Keras keeps it in single precision
        "batch_size": task.batch_size,
        "data_hash": task_hash(task),
    }
    for part in ("train", "validation", "test"):
        data = getattr(task, part)
        if data is not None and not is_dataset(data):
            facts[f"{part}_rows"] = count_rows(data)
    if not is_dataset(task.train):
        inputs = list_arrays(task.train[0])
        facts["features"] = sum(int(math.prod(array.shape[1:])) for array in inputs)
    return {**facts, **(task.facts or {})}


@functools.cache
def machine_facts() -> Mapping[str, Any]:
    """Return versions and machine, without the machine's name.

    Example:
        >>> sorted(machine_facts())
        ['machine', 'versions']
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = f"{platform.system()} {platform.machine()}, {cores} cores"
    return {"versions": versions, "machine": machine}


def task_hash(task: TuningTask) -> str:
    """Return a hash of all arrays of a task, 12 hexadecimal digits; datasets are left out."""
    parts = [task.train, task.validation, task.test]
    return data_hash([part for part in parts if part is not None and not is_dataset(part)])


def check_objective(task: TuningTask, objective: str) -> None:
    """Check that training a task gives a curve of that name.

    Args:
        task: The task; for a metric its model is built and evaluated on one batch.
        objective: "val_loss", "loss", or a compiled metric, "val_" before it for validation.

    Raises:
        InputError: There is no such curve; the message lists those that there are.
    """
    if objective in ("loss", "val_loss"):
        return
    model = built_model(task, 0)
    if is_dataset(task.validation):
        names = model.evaluate(task.validation.take(1), verbose=0, return_dict=True)
    else:
        x, y, *_ = first_rows(task.validation, task.batch_size)
        names = model.evaluate(x, y, batch_size=task.batch_size, verbose=0, return_dict=True)
    check_choice(objective, [*names, *(f"val_{name}" for name in names)], "objective")
