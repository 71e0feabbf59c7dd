"""Rates of optimizers: a compiled schedule kept in shape, or set aside for a rate held in hand.

Only a schedule may replace a schedule on a Keras optimizer, so what takes a rate in hand is one.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tuners.training.models import leaf_optimizers
from tuners.training.rates import schedule_values


class VariableRate(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that reads a variable: it may replace any rate, and change in a run.

    Args:
        variable: A `keras.Variable` that holds the rate.
    """

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def __call__(self, step: Any) -> Any:
        return tf.convert_to_tensor(self.variable.value)

    def get_config(self) -> dict[str, Any]:
        return {"learning_rate": float(self.variable.numpy())}


class ShapedRate(keras.optimizers.schedules.LearningRateSchedule):
    """A compiled schedule scaled so that its maximum over the run is the tested rate."""

    def __init__(self, schedule: Any, factor: float) -> None:
        self.schedule, self.factor = schedule, factor

    def __call__(self, step: Any) -> Any:
        return self.factor * tf.cast(self.schedule(step), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.schedule, "factor": self.factor}


def set_rate(model: Any, rate: float, steps: int) -> None:
    """Set a fresh model's rate: a schedule keeps its shape, several optimizers their ratios.

    Args:
        model: A compiled model that has not been trained.
        rate: The rate, above 0; of a schedule the maximum over the run.
        steps: Steps of the run.
    """
    leaves = leaf_optimizers(model.optimizer)
    values = [schedule_values(leaf, steps) for leaf in leaves]
    highest = [
        float(leaf.learning_rate) if value is None else value.max()
        for leaf, value in zip(leaves, values, strict=True)
    ]
    for leaf, value, own in zip(leaves, values, highest, strict=True):
        target = rate * own / max(highest)
        if value is None:
            leaf.learning_rate = target
        else:
            leaf.learning_rate = ShapedRate(leaf._learning_rate, target / own)
