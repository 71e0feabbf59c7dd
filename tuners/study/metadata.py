"""What is known of a task, its model and the machine before it trains, and what tells two apart.

Facts are what a report should say, plain numbers and strings. A fingerprint tells whether a model
is still the one that a study was begun with.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.metadata
import json
import marshal
import math
import os
import platform
import re
import warnings
import weakref
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from search_spaces.task import TuningTask, count_rows, data_hash, is_dataset, list_arrays
from tuners._checks import check_choice
from tuners.training.models import (
    built_model,
    first_rows,
    leaf_optimizers,
    schedule_values,
    steps_per_epoch,
)

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
        steps = 1 if task.streams else epochs * steps_per_epoch(task)
        schedule = schedule_values(optimizer, steps)
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


def model_fingerprint(model: Any) -> dict[str, str]:
    """Return a hash of each part of a compiled model, the same in every process that builds it.

    Names that Keras counts up (dense, dense_1, ...) are numbered by their order in the model;
    functions count by module and name, lambdas by what they do. A model without a
    configuration, or whose parts have none, counts by the names of classes and the shapes of its
    variables.

    Args:
        model: A built and compiled `keras.Model`.

    Returns:
        12 hexadecimal digits for each of "model architecture", "model loss", "model metrics" and
        "optimizer settings", the compiled learning rate among the last.
    """
    optimizer = model.optimizer
    compiled = _config(model.get_compile_config) or {
        "loss": _named(model.loss),
        "metrics": [metric.name for metric in model.metrics],
        "optimizer": _config_of(optimizer),
    }
    shapes = [[tuple(variable.shape), variable.trainable] for variable in model.variables]
    parts = {
        "model architecture": [_config_of(model), shapes],
        "model loss": [compiled.get("loss"), compiled.get("loss_weights")],
        "model metrics": [compiled.get("metrics"), compiled.get("weighted_metrics")],
        "optimizer settings": compiled.get("optimizer"),
    }
    return {name: _digest(part) for name, part in parts.items()}


def _config(read: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is saved, so that a lambda is no danger
        try:
            return read()
        except Exception:  # users' own classes raise what they like
            return None


def _config_of(thing: Any) -> dict[str, Any]:
    return {"class_name": type(thing).__name__, "config": _config(thing.get_config)}


def _digest(part: Any) -> str:
    names: dict[str, str] = {}

    def number(node: Any) -> None:
        if isinstance(node, Mapping):
            kind, config = str(node.get("class_name")), node.get("config")
            name = config.get("name") if isinstance(config, Mapping) else None
            if isinstance(name, str) and _is_counted(name, kind):
                names.setdefault(name, f"{kind} {len(names)}")
        for child in node.values() if isinstance(node, Mapping) else node:
            if isinstance(child, (Mapping, list, tuple)):
                number(child)

    def stable(node: Any) -> Any:
        if isinstance(node, Mapping):
            if node.get("class_name") == "__lambda__":
                return _lambda_body(node["config"])
            # None is what a later version of Keras adds; an object's number is of its process
            kept = {key: item for key, item in node.items() if key != "shared_object_id"}
            return {str(key): stable(item) for key, item in kept.items() if item is not None}
        if isinstance(node, (list, tuple)):
            return [stable(item) for item in node]
        return names.get(node, node) if isinstance(node, str) else node

    number([part])
    text = json.dumps(stable(part), sort_keys=True, default=_named)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _is_counted(name: str, kind: str) -> bool:
    """Whether Keras made a name from that of its class: conv2d_3 of Conv2D."""
    return re.sub(r"_\d+$", "", name).replace("_", "") == kind.replace("_", "").lower()


def _lambda_body(config: Mapping[str, Any]) -> Any:
    """Return what a lambda does, without the file and line that it stands in."""
    dumped = config["value"] if "value" in config else [config.get("code"), config.get("defaults")]
    code = marshal.loads(base64.b64decode(str(dumped[0])))

    def body(constant: Any) -> Any:
        if isinstance(constant, frozenset):
            return sorted(map(repr, constant))  # whose order is that of the process
        if not isinstance(constant, CodeType):
            return repr(constant)
        return [constant.co_code.hex(), constant.co_names, [body(c) for c in constant.co_consts]]

    return ["lambda", body(code), repr(dumped[1])]


def _named(thing: Any) -> Any:
    if hasattr(thing, "tolist"):
        return thing.tolist()
    if isinstance(thing, (str, list, tuple, dict)) or thing is None:
        return thing
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


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
