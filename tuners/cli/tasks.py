"""The tasks of a job: the wine task with each optimizer, or the user's own function's."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import search_spaces
import tuners
from search_spaces import TuningTask, wine_task
from search_spaces._data import is_dataset
from search_spaces._input import InputError, needed_arguments
from search_spaces.task import with_data
from tuners.cli.errors import nearest, one_line, printable, users_input
from tuners.cli.options import JobOptions
from tuners.report.formatting import shorten
from tuners.study.metadata import check_objective
from tuners.training.models import built_model
from tuners.training.rows import first_rows

FORM = "MODULE:FUNCTION or FILE.py:FUNCTION"
# where code that is not the user's lies: Python's, installed packages', ours
_OTHERS = (
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    *(str(Path(file).parent) for file in (search_spaces.__file__, tuners.__file__)),
)


def load_tasks(options: JobOptions) -> dict[str | None, TuningTask]:
    """Return what is tuned: one task under None, or one an optimizer under its name.

    Args:
        options: The checked options.

    Raises:
        InputError: The CSV or the user's function breaks a rule.
    """
    if options.task is not None:
        return {None: _changed(load_task(options.task), options.batch_size, options.baseline)}
    tasks = {name: _wine(options, name) for name in options.optimizers}
    if len(tasks) == 1:
        (task,) = tasks.values()
        return {None: _changed(task, options.batch_size, options.baseline)}
    return {
        name: with_data(_changed(task, options.batch_size), name=f"{task.name}-{name}")
        for name, task in tasks.items()
    }


def _changed(
    task: TuningTask, batch_size: int | None = None, baseline: float | None = None
) -> TuningTask:
    changes = {"batch_size": batch_size, "baseline_learning_rate": baseline}
    changes = {name: value for name, value in changes.items() if value is not None}
    # unchanged it stays the same object, whose compiled programs are kept
    return with_data(task, **changes) if changes else task


def _wine(options: JobOptions, optimizer: str) -> TuningTask:
    with users_input("`--data`", OSError):
        return wine_task(options.data, optimizer=optimizer, drop_repeats=options.drop_repeats)


def baseline_task(
    options: JobOptions, tasks: Mapping[str | None, TuningTask], chosen: str | None
) -> TuningTask:
    """Return the task that the chosen one is compared with: itself, or among several Adam's."""
    if chosen is None:
        return tasks[None]
    adam = tasks.get("adam")
    if adam is None:
        plain = _wine(options, "adam")
        adam = with_data(plain, name="wine-adam", batch_size=tasks[chosen].batch_size)
    return _changed(adam, baseline=options.baseline)


def named_tasks(options: JobOptions) -> dict[str, TuningTask]:
    """Return all tasks of a job by name, as each of its training processes builds them."""
    tasks = load_tasks(options)
    compared = [baseline_task(options, tasks, label) for label in tasks]
    return {task.name: task for task in [*compared, *tasks.values()]}


def load_task(spec: str) -> TuningTask:
    """Return the task of the user's own function, the working directory on the path.

    Args:
        spec: `package.module:function` or `file.py:function`; the function takes nothing.

    Raises:
        InputError: It cannot be imported or called, or returns no `TuningTask`.
    """
    place, _, name = spec.rpartition(":")
    if not place or not name.isidentifier():
        raise InputError(f"`--task` must be {FORM}, but got {spec!r}; pass e.g. my_task.py:task.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    prefix = f"`--task` {spec!r}"
    with users_input(prefix), _users_code("it", "on import"):
        module = _import_file(place) if place.endswith(".py") else _import_module(place)
        function = getattr(module, name, None)  # which may be the user's code too
    if not callable(function):
        known = [each for each, value in vars(module).items() if callable(value)]
        raise InputError(
            f"{prefix} must name a function of {place}, but it has no {name!r}"
            f"{nearest(name, known)}"
        )
    with users_input(prefix), _users_code("it", "when called"):
        if needed := ", ".join(each.name for each in needed_arguments(function)):
            raise InputError(
                f"the function must need no arguments, but needs {needed}; give it a default."
            )
        task = function()
    if not isinstance(task, TuningTask):
        raise InputError(
            f"{prefix} must return a TuningTask, but returned "
            f"{'None' if task is None else type(task).__name__}; return "
            "search_spaces.TuningTask(name, build_model, train, validation, test)."
        )
    return task


def check_task(task: TuningTask, objective: str, seed: int) -> None:
    """Check what only the built model tells: compiled, fits its data, a finite loss.

    Raises:
        InputError: A rule is broken.
    """
    with users_input(f"task {task.name!r}"):
        with _users_code("`build_model`", "when called"):
            model = built_model(task, seed)
        with _users_code("`resplit(seed)`", "when called"):
            task.split(seed)
        model.run_eagerly = True  # one batch is not worth a compilation
        for part in ("train", "validation", "test"):
            data = getattr(task, part)
            if data is not None:
                _check_loss(model, task.batch_size, part, data)
        check_objective(task, objective)


def safe_name(text: str) -> str:
    """Return a text as part of a folder's name: letters, digits, dots, dashes; never empty.

    Example:
        >>> safe_name("my task/2")
        'my-task-2'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "task"


def _check_loss(model: Any, batch_size: int, part: str, data: Any) -> None:
    try:
        batch = next(iter(data)) if is_dataset(data) else first_rows(data, batch_size)
        loss = float(model.test_on_batch(*batch, return_dict=True)["loss"])
    except Exception as error:  # layers, losses and metrics raise what they like
        problem = f"{type(error).__name__}: {one_line(error).split(' Arguments received by')[0]}"
        raise InputError(
            f"the model must take its `{part}` data, but fails on their first rows "
            f"({shorten(problem, 300)}); compare the shapes and kinds of x and y with its input, "
            "last layer and loss."
        ) from None
    if not np.isfinite(loss):
        raise InputError(
            f"the loss must be finite before any update, but is {loss} on the first rows of "
            f"`{part}`; look for blank or huge values in the data, or a wrong loss or last layer."
        )


def _import_module(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise InputError(
            f"there is no module {place!r} here; pass {FORM}, e.g. my_task.py:task."
        ) from None


def _import_file(place: str) -> ModuleType:
    path = Path(place).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {place!r}; check the path.")
    name = re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(f"task_file_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _users_code(what: str, when: str) -> Iterator[None]:
    """Turn whatever the user's code raises inside the block into an `InputError`."""
    try:
        yield
    except (KeyboardInterrupt, InputError):  # a check of ours says it better
        raise
    except BaseException as error:
        raise InputError(f"{what} {_failed(when, error)}") from None


def _failed(when: str, error: BaseException) -> str:
    """Return what the user's code did, with the line of it."""
    if isinstance(error, SystemExit):
        did = f"ended the program {when} (exit code {printable(str(error.code)[:80])})"
    else:
        did = f"failed {when}: {type(error).__name__}: {one_line(error)}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename[:1] != "<" and not f.filename.startswith(_OTHERS)]
    return f"{did} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else did
