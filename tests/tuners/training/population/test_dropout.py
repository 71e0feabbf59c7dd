"""Masks drawn for all lanes at once are those that TensorFlow draws under XLA."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from tuners.training.population.dropout import draw_at_once, uniform


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    seed=st.lists(st.integers(0, 2**40), min_size=2, max_size=2),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
def test_numbers_are_those_of_tensorflow_under_xla(seed: list[int], shape: list[int]) -> None:
    values = tf.constant(seed, tf.int64)

    @tf.function(jit_compile=True)
    def both(seeds: Any) -> Any:
        small = tf.cast(tf.math.floormod(seeds, tf.int32.max - 1), tf.int32)
        return tf.random.stateless_uniform(shape, small), uniform(seeds, tuple(shape))

    usual, ours = both(values)
    np.testing.assert_array_equal(ours, usual)


@pytest.mark.parametrize("vectorized", [False, True])
def test_the_layer_gives_what_it_gives_in_a_compiled_model(vectorized: bool) -> None:
    def dropped(own: bool) -> np.ndarray:
        layer = layers.Dropout(0.3, seed=5)
        model = keras.Sequential([layers.Input((50,)), layer])
        if own:
            draw_at_once(model)

        @tf.function(jit_compile=True)
        def call(x: Any) -> Any:
            if own and vectorized:
                return tf.vectorized_map(lambda row: model(row, training=True), x[None])[0]
            return model(x, training=True)

        x = tf.range(200, dtype=tf.float32)
        return np.stack([call(tf.reshape(x, (4, 50))).numpy() for _ in range(2)])

    ours = dropped(True)
    np.testing.assert_array_equal(ours, dropped(False))
    assert 0.2 < (ours[0] == 0).mean() < 0.4
    assert (ours[0] != ours[1]).any()


def test_what_is_no_plain_dropout_stays_as_it_is() -> None:
    model = keras.Sequential(
        [
            layers.Input((6, 2)),
            layers.SpatialDropout1D(0.5),
            layers.Dropout(0.5, noise_shape=(1, 6, 1)),
        ]
    )
    before = [layer.call for layer in model.layers]
    draw_at_once(model)
    assert [layer.call for layer in model.layers] == before
    plain = keras.Sequential([layers.Input((6,)), layers.Dropout(0.5)])
    draw_at_once(plain)
    x = tf.ones((2, 6))
    np.testing.assert_array_equal(plain(x, training=False), x)
