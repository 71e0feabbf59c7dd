"""What cannot be stacked, and why."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.training.models import leaf_optimizers

MIXING = ("lamb", "adafactor", "muon", "schedulefreeadamw")  # they mix elements of a weight


class CannotStack(Exception):
    """This model cannot run as lanes of one program; the message says why."""


def refuse_if_unstackable(model: Any) -> None:
    """Raise CannotStack for what is known, before trying, not to run as lanes.

    Raises:
        CannotStack: With the reason, for the record and the report.
    """
    optimizer = model.optimizer
    leaves = leaf_optimizers(optimizer)
    for method in ("train_step", "test_step", "fit", "make_train_function"):
        if getattr(type(model), method) is not getattr(keras.Model, method):
            raise CannotStack(f"the model has its own `{method}`")
    if hasattr(optimizer, "inner_optimizer"):
        raise CannotStack("the optimizer scales its loss (mixed precision)")
    if len(leaves) != 1 or leaves[0] is not optimizer:
        raise CannotStack("the model has several optimizers")
    name = type(optimizer).__name__
    if name.lower() in MIXING:
        raise CannotStack(f"{name} mixes the elements of a weight")
    for clip in ("clipnorm", "global_clipnorm"):
        if getattr(optimizer, clip, None):
            raise CannotStack(f"`{clip}` mixes the elements of a weight")
    if getattr(optimizer, "_exclude_from_weight_decay", None):
        raise CannotStack("some weights are excluded from weight decay by object")
    if any(variable.constraint is not None for variable in model.trainable_variables):
        raise CannotStack("a weight has a constraint")
    if model.run_eagerly:
        raise CannotStack("the model is compiled with run_eagerly=True")


def first_line(error: Exception) -> str:
    r"""Return an error's kind and the first line that says something, in 160 characters.

    Example:
        >>> first_line(ValueError("Exception encountered when calling A.call().\nToo long."))
        'ValueError: Too long.'
    """
    text = re.sub(r"\x1b\[\d+m|Exception encountered when calling \S+", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:160]


@contextlib.contextmanager
def refusing_shapes(task: TuningTask) -> Iterator[None]:
    """Refuse a model that cannot take a task's rows, where it is first called on them.

    Raises:
        InputError: What runs in the block failed; the message holds Keras's first line.
    """
    try:
        yield
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise InputError(
            f"`build_model` must return a model that takes the rows of task {task.name!r}, but "
            f"they end in {first_line(error)!r}; check the shapes of inputs and targets, the "
            "last layer and the loss."
        ) from error
