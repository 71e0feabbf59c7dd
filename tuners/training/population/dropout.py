"""Dropout whose random numbers are drawn for all lanes at once.

TensorFlow draws with a seed for each lane in a loop over lanes only, which takes most of a step.
These are the same numbers, those of XLA's Philox generator, written as operations on whole arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers

# J. K. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011): Philox 4x32, 10 rounds
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)


def draw_at_once(model: Any) -> None:
    """Let the plain dropout layers of a model, and those in its layers, draw by `uniform`."""
    for layer in model._flatten_layers():
        if type(layer) is layers.Dropout and layer.noise_shape is None:
            layer.call = _own_call(layer, layer.call)


def _own_call(layer: Any, usual: Callable[..., Any]) -> Callable[..., Any]:
    def call(inputs: Any, training: bool = False) -> Any:
        known = None not in inputs.shape and inputs.dtype == tf.float32
        if not (training and 0 < layer.rate < 1 and known):
            return usual(inputs, training=training)
        seed = tf.convert_to_tensor(layer.seed_generator.next())
        kept = uniform(seed, tuple(inputs.shape)) >= layer.rate
        return tf.where(kept, inputs * (1 / (1 - layer.rate)), 0.0)

    return call


def uniform(seed: Any, shape: tuple[int, ...]) -> Any:
    """Return what `tf.random.stateless_uniform` draws under XLA: float32 in [0, 1).

    Args:
        seed: Two whole numbers, as Keras's seed generators hold them.
        shape: The shape.
    """
    seed = tf.cast(tf.math.floormod(tf.cast(seed, tf.int64), tf.int32.max - 1), tf.int32)
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    count = int(np.prod(shape))
    first = counter[0] + tf.cast(tf.range(-(-count // 4)), tf.uint64)
    second = counter[1] + tf.cast(first < counter[0], tf.uint64)
    words = (_low(first), _high(first), _low(second), _high(second))
    keys = (_low(key[0]), _high(key[0]))
    # in a loop, so that XLA does not draw them again for each use: one lane took 10 times as long
    _, words, _ = tf.while_loop(
        lambda number, *_: number < ROUNDS,
        lambda number, words, keys: (number + 1, *_round(words, keys)),
        (0, words, keys),
    )
    bits = tf.reshape(tf.stack(words, axis=-1), (-1,))[:count]
    # 23 random bits behind the exponent of 1: a number in [1, 2)
    fraction = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
    one = tf.constant(0x3F800000, tf.uint32)
    return tf.reshape(tf.bitcast(tf.bitwise.bitwise_or(fraction, one), tf.float32) - 1.0, shape)


def _round(words: Any, keys: Any) -> tuple[Any, Any]:
    products = [
        tf.cast(words[2 * side], tf.uint64) * tf.constant(MULTIPLIERS[side], tf.uint64)
        for side in (0, 1)
    ]
    mixed = [
        tf.bitwise.bitwise_xor(
            tf.bitwise.bitwise_xor(_high(products[1 - side]), words[2 * side + 1]), keys[side]
        )
        for side in (0, 1)
    ]
    further = tuple(keys[side] + tf.constant(KEY_STEPS[side], tf.uint32) for side in (0, 1))
    return (mixed[0], _low(products[1]), mixed[1], _low(products[0])), further


def _low(words: Any) -> Any:
    return tf.cast(tf.bitwise.bitwise_and(words, tf.constant(0xFFFFFFFF, tf.uint64)), tf.uint32)


def _high(words: Any) -> Any:
    return tf.cast(tf.bitwise.right_shift(words, tf.constant(32, tf.uint64)), tf.uint32)
