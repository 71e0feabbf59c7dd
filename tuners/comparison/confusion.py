"""Counts of true against predicted classes, from labels and a model's outputs. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np

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
    rows = truth.shape[0] if truth.ndim else 0
    if outputs.ndim == 1:
        outputs = outputs[:, None]
    if not rows or outputs.ndim != 2 or outputs.shape[0] != rows or truth.dtype.kind not in "biuf":
        return None
    if not (np.isfinite(truth).all() and np.isfinite(outputs).all()):
        return None
    classes = max(2, outputs.shape[1])
    if truth.ndim == 2 and truth.shape[1] == classes and outputs.shape[1] > 1:
        if not (((truth == 0) | (truth == 1)).all() and (truth.sum(axis=1) == 1).all()):
            return None
        labels = truth.argmax(axis=1)
    elif truth.size == rows:
        labels = truth.reshape(rows).astype(np.int64)
        if (labels != truth.reshape(rows)).any() or labels.min() < 0 or labels.max() >= classes:
            return None
    else:
        return None
    if classes > MOST_CLASSES:
        return None
    if outputs.shape[1] == 1:
        scores = outputs[:, 0]
        cut = 0.5 if scores.min() >= 0 and scores.max() <= 1 else 0.0
        predicted = (scores > cut).astype(np.int64)
    else:
        predicted = outputs.argmax(axis=1)
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)
