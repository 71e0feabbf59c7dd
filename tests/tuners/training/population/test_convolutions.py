"""A convolution as a product of patches gives what the layer gives, and its gradients."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tuners.training.population.convolutions import patch_bytes, use_products

SHAPES = {1: (9, 2), 2: (9, 8, 2), 3: (5, 6, 4, 2)}
KINDS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": 2, "padding": "same"},
        {"kernel_size": 3, "padding": "same", "strides": 2},
        {"kernel_size": 1, "strides": 3, "use_bias": False},
        {"kernel_size": 2, "dilation_rate": 2, "padding": "same", "activation": "tanh"},
        {"kernel_size": 3, "padding": "causal", "dilation_rate": 2},
    ],
    ids=str,
)
def test_outputs_and_gradients_are_the_layers(rank: int, options: dict[str, Any]) -> None:
    if options.get("padding") == "causal" and rank > 1:
        options = {**options, "padding": "same"}
    initial = {
        "kernel_initializer": keras.initializers.GlorotUniform(seed=rank),
        "bias_initializer": keras.initializers.RandomNormal(seed=rank),
    }
    layer = KINDS[rank](3, **initial, **options)
    model = keras.Sequential([layers.Input(SHAPES[rank]), layer])
    rng = np.random.default_rng(rank)
    x = tf.constant(rng.normal(size=(4, *SHAPES[rank])), tf.float32)

    def found() -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
            loss = tf.reduce_sum(tf.sin(y))
        watched = [x, *(variable.value for variable in layer.trainable_variables)]
        return [y.numpy(), *(each.numpy() for each in tape.gradient(loss, watched))]

    usual, calls = found(), []
    use_products(model, calls.append)
    for one, other in zip(usual, found(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    places = int(np.prod(usual[0].shape[1:-1]))
    assert calls == [places * options["kernel_size"] ** rank * 2 * 4]


def test_other_convolutions_stay_as_they_are() -> None:
    class Own(layers.Conv2D):
        pass

    start = keras.Input((6, 6, 4))
    ends = [
        layers.Conv2D(4, 3, groups=2)(start),
        layers.DepthwiseConv2D(3)(start),
        Own(4, 3)(start),
    ]
    model = keras.Model(start, ends)
    x = tf.ones((1, 6, 6, 4))
    before = [each.numpy() for each in model(x)]
    assert patch_bytes(model, x) == 0
    for one, other in zip(before, model(x), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_length_that_is_not_known_takes_the_usual_way() -> None:
    model = keras.Sequential([layers.Input((None, 2)), layers.Conv1D(3, 2)])
    usual = model(tf.ones((1, 7, 2))).numpy()
    use_products(model)

    @tf.function(input_signature=[tf.TensorSpec((1, None, 2))])
    def call(x: Any) -> Any:
        return model(x)

    np.testing.assert_allclose(call(tf.ones((1, 7, 2))), usual, atol=1e-6)
