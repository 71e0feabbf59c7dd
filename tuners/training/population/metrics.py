"""Loss and compiled metrics of lanes, as Keras's `fit` and `evaluate` give them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def is_plain_mean(model: Any) -> bool:
    """Whether loss and metrics are means over rows, the same for batches of any size."""
    methods = ("compute_loss", "compute_metrics", "get_metrics_result")
    if any(getattr(type(model), each) is not getattr(keras.Model, each) for each in methods):
        return False
    # of several metrics and functions of one's own nothing is known
    metrics = getattr(model._compile_metrics, "metrics", [])
    parts = [part for each in metrics for part in (each, getattr(each, "_fn", each))]
    return isinstance(model.loss, str) and all(
        getattr(part, "__module__", type(part).__module__).startswith("keras.") for part in parts
    )


def average_batches(tracker: Any) -> None:
    """Let the loss of one of several outputs be averaged as in `fit`: by batches, of any size."""
    update = tracker.update_state
    tracker.update_state = lambda values, sample_weight: update(values)  # noqa: ARG005


def lane_metrics(model: Any, values: list[Any], lanes: int) -> dict[str, Any]:
    """Return the compiled metrics of every lane, (K,) each, by name, without the loss.

    Args:
        model: The model whose metrics they are.
        values: What the variables of the metrics hold in the lanes, (K, ...) each.
        lanes: K.
    """

    def lane(own: list[Any]) -> dict[str, Any]:
        mapping = zip(model.metrics_variables, own, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            results = model.get_metrics_result()
        return {
            name: tf.cast(value, tf.float32)
            for name, value in results.items()
            if name != "loss" and not isinstance(value, dict) and np.ndim(value) == 0
        }

    rows = [lane([value[index] for value in values]) for index in range(lanes)]
    return {name: tf.stack([row[name] for row in rows]) for name in rows[0]}
