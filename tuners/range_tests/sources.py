"""What a range test can be run on: a task, a compiled model, what builds one; as a task."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

from search_spaces._arrays import as_arrays, list_arrays, refuse_batches
from search_spaces._data import (
    batch_rows,
    check_data,
    count_rows,
    draw_split,
    is_dataset,
    warn_of_reading,
)
from search_spaces.task import TuningTask
from tuners._checks import InputError
from tuners.range_tests.builders import as_builder
from tuners.training.models import assign, model_variables, random_state_kept, refuse_distributed
from tuners.training.rows import first_rows
from tuners.training.state import state_kept

VALIDATION_SHARE = 0.1
BATCH_SIZE = 32  # Keras's own default


def as_task(
    source: Any,
    x: Any,
    y: Any,
    validation: Any,
    batch_size: int | None,
    stack: contextlib.ExitStack,
    materialise: bool | None = None,
) -> TuningTask:
    """Return the task that a source stands for.

    Args:
        source: A task, a compiled model or what `as_builder` takes.
        x: Training inputs or a dataset; None for a task.
        y: Training targets; None for a task or a dataset.
        validation: Validation data, or None for a tenth of the rows.
        batch_size: Rows to a step; None for 32, for a task or for a dataset.
        stack: Where the keeping of a model's state is entered.
        materialise: Whether a dataset is read into arrays; None where it fits.

    Raises:
        ValueError: The source is none of these, or does not go with the data.
    """
    if isinstance(source, TuningTask):
        if x is not None or y is not None or validation is not None:
            raise InputError(
                "`x`, `y` and `validation` must be left out for a TuningTask, which brings its "
                "data; build the task with other data instead."
            )
        if batch_size is not None:
            raise InputError(
                "`batch_size` must be left out for a TuningTask, which brings its own "
                f"({source.batch_size}), but got {batch_size!r}."
            )
        return source
    builder = None if is_model(source) else as_builder(source)
    if x is None:
        raise InputError(
            "`x` must hold the training inputs for a model or a builder, but got None; "
            "call range_test(model, x, y)."
        )
    if batch_size is not None and is_dataset(x):
        raise InputError(
            "`batch_size` must be left out where `x` is a dataset, which brings its batches, but "
            f"got {batch_size!r}; use x.rebatch(n)."
        )
    if is_dataset(x):
        train = _of_dataset(x, y, materialise)
        rows = batch_rows(x, BATCH_SIZE)
    else:
        train = _of_arrays(x, y)
        rows = BATCH_SIZE if batch_size is None else batch_size
    builder = builder or _copies(source, train, stack)
    resplit: Any = "shuffle" if validation is None and not is_dataset(train) else None
    if validation is None:
        train, validation = (_hold_out_batches if is_dataset(train) else hold_out)(train)
    streams = False if is_dataset(train) else materialise
    return TuningTask(
        "range test",
        builder,
        train,
        validation,
        batch_size=rows,
        resplit=resplit,
        materialise=streams,
    )


def is_model(source: Any) -> bool:
    """Return whether a source is a `keras.Model`, which is callable too."""
    import keras

    return isinstance(source, keras.Model)


def _copies(model: Any, train: Any, stack: contextlib.ExitStack) -> Callable[[], Any]:
    """Return what makes copies of a model, whose state is put back when the stack closes."""
    if not model.compiled or model.optimizer is None:
        raise InputError(
            "`source` must be a compiled model, but it was not compiled; call "
            'e.g. model.compile(optimizer="adam", loss="mse") first.'
        )
    refuse_distributed(model, "source")
    sample = next(iter(train))[0] if is_dataset(train) else first_rows(train[0], 1)
    if not model.built:
        with random_state_kept():
            model(sample)
    stack.enter_context(state_kept(model))
    return lambda: copy_of(model, sample)


def copy_of(model: Any, sample: Any) -> Any:
    """Return a compiled copy of a model with the same weights, state and loss, without metrics.

    Args:
        model: A compiled, built model.
        sample: Inputs of one batch, on which a model of one's own class is built.

    Raises:
        ValueError: It cannot be copied, or the copy differs.
    """
    import keras

    try:
        model.compiled = False  # else the copy is compiled from a config, which knows no own loss
        try:
            plain = not inspect.signature(type(model)).parameters
            copy = type(model)() if plain else keras.models.clone_model(model)
        finally:
            model.compiled = True
        if not copy.built:
            copy(sample)
        compiled = getattr(model, "_compile_config", None)
        options = dict(compiled.config) if compiled is not None else {}
        optimizer = model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        copy.compile(
            optimizer=type(optimizer).from_config(optimizer.get_config()),
            loss=model.loss,
            loss_weights=options.get("loss_weights"),
            run_eagerly=model.run_eagerly,
            jit_compile=model.jit_compile,
        )
        assign(model_variables(copy), model_variables(model))
        if type(copy) is not type(model):
            raise InputError(f"the copy is a {type(copy).__name__}")
    except Exception as error:
        raise InputError(
            f"`source` must be a model that can be copied, but Keras cannot make a second "
            f"{type(model).__name__} from its `get_config()` ({type(error).__name__}); pass the "
            "function that builds it, or use LearningRateRangeTest in fit."
        ) from error
    return copy


def _of_dataset(x: Any, y: Any, materialise: bool | None) -> Any:
    if y is not None:
        raise InputError("`y` must be left out where `x` is a dataset, which brings targets.")
    train = check_data(x, "x", materialise=materialise)
    if materialise is None and not is_dataset(train):
        warn_of_reading(["`x`"], "", stacklevel=4)
    return train


def _of_arrays(x: Any, y: Any) -> Any:
    refuse_batches(x, "x")
    if y is None:
        raise InputError("`y` must hold the training targets, but got None.")
    data = (as_arrays(x, "x"), as_arrays(y, "y"))
    rows = {len(array) if array.ndim else -1 for part in data for array in list_arrays(part)}
    if -1 in rows:
        raise InputError(
            "`x` and `y` must be arrays of one row an example, but hold single numbers; pass e.g. "
            "numpy.asarray(x)."
        )
    if len(rows) != 1 or max(rows) < 2:
        raise InputError(
            f"`x` and `y` must have the same number of rows, 2 or more, but got {sorted(rows)}."
        )
    return data


def _hold_out_batches(dataset: Any) -> tuple[Any, Any]:
    """Return a dataset without its first batches, and these; of one batch alone it is both."""
    batches = int(dataset.cardinality())
    if batches == 1:
        return dataset, dataset
    held = max(1, round(VALIDATION_SHARE * batches))  # below 0 where the length is unknown
    return dataset.skip(held), dataset.take(held)


def hold_out(data: Any) -> tuple[Any, Any]:
    """Return training and validation rows of arrays, of which a tenth validates."""
    return draw_split(data, max(1, round(VALIDATION_SHARE * count_rows(data))), seed=0)
