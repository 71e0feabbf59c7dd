"""Convolutions as matrix products, which run stacked: each patch of the input is a row.

A convolution with a kernel for each lane has no vectorized form in TensorFlow, and a loop over
lanes is 4 times slower than this on small images. Its gradients are products too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers


def use_products(model: Any, on_patches: Callable[[int], None] | None = None) -> None:
    """Let the plain convolutions of a model multiply patches by their kernel, in its place.

    Layers of subclasses, of several groups or with channels first stay as they are.

    Args:
        model: The model, whose numbers stay the same but for the order of sums.
        on_patches: Called with the bytes of the patches of each convolution that is done, if given.
    """
    for layer in model._flatten_layers():
        if _is_plain(layer):
            layer.call = _product_call(layer, layer.call, on_patches)


def patch_bytes(model: Any, x: Any) -> int:
    """Return the bytes of the patches of all convolutions for one row; the model stays changed.

    Args:
        model: The model.
        x: Inputs of one row.
    """
    found: list[int] = []
    if any(map(_is_plain, model._flatten_layers())):
        use_products(model, found.append)
        model(x)
    return sum(found)


def _is_plain(layer: Any) -> bool:
    kinds = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
    return type(layer) in kinds and layer.groups == 1 and layer.data_format == "channels_last"


def _product_call(
    layer: Any, usual: Callable[[Any], Any], on_patches: Callable[[int], None] | None
) -> Callable[[Any], Any]:
    def call(inputs: Any) -> Any:
        if None in inputs.shape[1:]:
            return usual(inputs)
        patches = _patches(layer, inputs)
        if on_patches is not None:
            on_patches(int(np.prod(patches.shape[1:])) * patches.dtype.size)
        kernel = tf.convert_to_tensor(layer.kernel)
        size = patches.shape[-1]
        product = tf.matmul(tf.reshape(patches, (-1, size)), tf.reshape(kernel, (size, -1)))
        outputs = tf.reshape(product, (-1, *patches.shape[1:-1], layer.filters))
        if layer.use_bias:
            outputs += tf.convert_to_tensor(layer.bias)
        return outputs if layer.activation is None else layer.activation(outputs)

    return call


def _patches(layer: Any, inputs: Any) -> Any:
    """Return what the kernel covers at each place, (rows, *places, elements of the kernel)."""
    padding, cuts = [(0, 0)], []
    for axis, length in enumerate(inputs.shape[1:-1]):
        size, step = layer.kernel_size[axis], layer.dilation_rate[axis]
        stride, span = layer.strides[axis], (size - 1) * step + 1
        added = _padding(layer.padding, length, span, stride)
        last = length + sum(added) - span
        padding.append(added)
        cuts.append([slice(at * step, at * step + last + 1, stride) for at in range(size)])
    padded = tf.pad(inputs, [*padding, (0, 0)])
    parts = [padded[(slice(None), *each)] for each in itertools.product(*cuts)]
    return tf.concat(parts, axis=-1)


def _padding(kind: str, length: int, span: int, stride: int) -> tuple[int, int]:
    """Return how many zeros stand before and after an axis."""
    if kind == "causal":
        return span - 1, 0
    if kind == "same":
        added = max((-(-length // stride) - 1) * stride + span - length, 0)
        return added // 2, added - added // 2
    return 0, 0
