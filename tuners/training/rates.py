"""The rate that a model was compiled with: a plain one, or the shape of a schedule."""

from __future__ import annotations

from typing import Any

import numpy as np

from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.training.models import built_model, leaf_optimizers
from tuners.training.rows import batches_of


def has_schedule(optimizer: Any) -> bool:
    """Whether an optimizer was compiled with a schedule."""
    import keras

    schedule = getattr(optimizer, "_learning_rate", None)
    return isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)


def config_without_rate(optimizer: Any, rate: float) -> dict[str, Any] | None:
    """Return an optimizer's config without rate and name; None where it holds another rate.

    Args:
        optimizer: The optimizer.
        rate: What it should hold, above 0.
    """
    config = dict(optimizer.get_config())
    held, _ = config.pop("learning_rate", None), config.pop("name", None)
    same = isinstance(held, float) and np.isclose(held, rate, rtol=1e-5, atol=0)
    return config if same else None


def schedule_values(optimizer: Any, steps: int) -> np.ndarray | None:
    """Return the rates (steps,) of a schedule compiled into an optimizer, None for a plain rate."""
    import tensorflow as tf

    if not has_schedule(optimizer):
        return None
    schedule = optimizer._learning_rate

    @tf.function
    def every_step() -> Any:
        return tf.map_fn(
            lambda step: tf.cast(schedule(step), tf.float32),
            tf.range(steps, dtype=tf.int64),
            fn_output_signature=tf.float32,
        )

    values = every_step().numpy().astype(float)
    if not (np.isfinite(values).all() and values.max() > 0):
        raise InputError(
            "The schedule compiled into the model must give finite rates with a maximum above 0, "
            f"but over {steps} steps it gives {values.min():g} to {values.max():g}."
        )
    return values


def schedule_shape(model: Any, steps: int) -> np.ndarray:
    """Return `schedule(t) / max(schedule)` of shape (steps,), ones where the rate is constant."""
    values = schedule_values(leaf_optimizers(model.optimizer)[0], steps)
    return np.ones(steps) if values is None else values / values.max()


def short_float(value: Any) -> float:
    """Return a float32 in its shortest form: 0.001, not the 0.0010000000475 that Keras keeps.

    Example:
        >>> short_float(np.float32(0.001))
        0.001
    """
    return float(str(np.float32(value)))


def compiled_learning_rate(task: TuningTask, epochs: int = 1) -> float:
    """Return the rate that the task's model was compiled with; of a schedule, its maximum.

    Args:
        task: The task.
        epochs: Length of the run over which a schedule's maximum is taken, 1 or more.
    """
    model = built_model(task, 0)
    optimizer = leaf_optimizers(model.optimizer)[0]
    values = schedule_values(optimizer, epochs * max(batches_of(task), 1))
    return short_float(optimizer.learning_rate if values is None else values.max())
