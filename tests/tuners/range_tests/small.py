"""Models and rows for tests of range tests: a line that is learned, and what learns nothing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from search_spaces import TuningTask

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((160, 4)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5, 0.0])).astype("float32")


def linear(optimizer: Any = "sgd") -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def frozen() -> keras.Model:
    """Return a model that learns nothing, so that no test of it can decide."""
    inputs = keras.Input((4,))
    kept = keras.layers.Dense(1, kernel_initializer="zeros")(inputs * 0.0)
    model = keras.Model(inputs, kept - keras.ops.stop_gradient(kept))
    model.compile("sgd", "mse")
    return model


def task_of(batches: int, build: Any = linear, **options: Any) -> TuningTask:
    """Return a task with so many batches an epoch."""
    rows, given = 8 * batches, {"batch_size": 8, **options}
    return TuningTask("small", build, (X[:rows], Y[:rows]), (X[-16:], Y[-16:]), **given)
