"""Updates of stacked weights: when they happen, and what they leave alone."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.tuners.tasks import ROWS, make_task
from tuners.training.population.program import LaneProgram
from tuners.training.population.updates import after_gradients


def test_rates_that_wait_for_gradients_are_the_same_rates() -> None:
    rates = tf.constant([1e-3, 0.0, 0.25])
    infinite = tf.constant([[np.inf, 1.0], [np.nan, 1.0], [-1.0, 2.0]])
    sparse = (tf.constant([np.nan]), tf.constant([0]))
    found = after_gradients(rates, [infinite, sparse, tf.cast(infinite, tf.float16)])
    np.testing.assert_array_equal(found, rates)


@pytest.mark.slow
def test_no_step_copies_the_weights() -> None:
    def build() -> Any:
        hidden = [layers.Dense(32, activation="relu") for _ in range(3)]
        model = keras.Sequential([layers.Input((8,)), *hidden, layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    program = LaneProgram(make_task(build), 4, vectorized=True, shared_rows=True)
    order = tf.zeros((program.segment_rows, 4, 5), tf.int32)
    rates = tf.zeros((program.segment_rows, 4))
    data = {"x": tf.zeros((ROWS, 8)), "y": tf.zeros((ROWS, 1))}
    compile_ = program._segment.experimental_get_compiler_ir(data, order, rates, tf.constant(1))
    # copies of what a loop carries; 4 lanes of a kernel have 4096 numbers
    copied = re.findall(r"= (\S+) copy\(%get-tuple-element", compile_(stage="optimized_hlo"))
    assert copied  # the count of steps at least
    assert not [shape for shape in copied if "4,1024" in shape]
