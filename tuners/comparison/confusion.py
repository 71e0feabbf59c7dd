"""Counts of true against predicted classes, from labels and a model's outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

MOST_CLASSES = 50


def count_confusion(truth: Any, outputs: np.ndarray) -> np.ndarray | None:
    """Return how many rows of each true class were predicted as each class, or None.

    Args:
        truth: (rows,) or (rows, 1) whole class numbers from 0, or (rows, classes) one-hot.
        outputs: (rows, 1) or (rows,) probabilities of class 1, cut at 0.5, or logits where any
            lies outside [0, 1], cut at 0; (rows, classes) scores, of which the largest counts.

    Returns:
        (classes, classes) whole numbers, true classes down, predicted across. None where labels
        and outputs are not those of one classification of 2 to 50 classes, or not finite.

    Example:
        >>> count_confusion([0, 0, 1, 1], np.array([[0.1], [0.7], [0.8], [0.9]])).tolist()
        [[1, 1], [0, 2]]
    """
    if isinstance(truth, dict) or not isinstance(outputs, np.ndarray):
        return None
    truth = np.asarray(truth)
    rows = len(truth) if truth.ndim else 0
    if not rows or truth.dtype.kind not in "biuf" or outputs.ndim > 2 or len(outputs) != rows:
        return None
    outputs = outputs.reshape(rows, -1)
    classes = max(2, outputs.shape[1])
    if classes > MOST_CLASSES or not np.isfinite(outputs).all():
        return None
    if truth.shape == outputs.shape and outputs.shape[1] > 1:  # one-hot
        labels = truth.argmax(axis=1)
        if not np.array_equal(np.eye(classes)[labels], truth):
            return None
    else:
        labels = truth.ravel()
        if labels.size != rows or not np.isin(labels, np.arange(classes)).all():
            return None
    if outputs.shape[1] == 1:
        probabilities = outputs.min() >= 0 and outputs.max() <= 1
        predicted = (outputs[:, 0] > (0.5 if probabilities else 0.0)).astype(int)
    else:
        predicted = outputs.argmax(axis=1)
    return confusion_matrix(labels.astype(int), predicted, labels=np.arange(classes))
