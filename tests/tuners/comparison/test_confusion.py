from __future__ import annotations

import numpy as np
import pytest

from tuners.comparison.confusion import count_confusion


def test_binary_probabilities_are_cut_at_one_half() -> None:
    outputs = np.array([[0.1], [0.5], [0.51], [0.9]])
    assert count_confusion([0, 1, 0, 1], outputs).tolist() == [[1, 1], [1, 1]]
    assert count_confusion([[0], [1], [0], [1]], outputs[:, 0]).tolist() == [[1, 1], [1, 1]]


def test_binary_logits_are_cut_at_zero() -> None:
    outputs = np.array([[-3.0], [0.2], [-0.2], [3.0]])
    assert count_confusion([0, 1, 0, 1], outputs).tolist() == [[2, 0], [0, 2]]


def test_several_classes_take_the_largest() -> None:
    outputs = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])
    expected = [[1, 0, 0], [0, 1, 1], [0, 1, 0]]
    assert count_confusion([0, 1, 1, 2], outputs).tolist() == expected
    one_hot = np.eye(3)[[0, 1, 1, 2]]
    assert count_confusion(one_hot, outputs).tolist() == expected


@pytest.mark.parametrize(
    ("truth", "outputs"),
    [
        ([0.5, 1.0], np.array([[0.2], [0.9]])),  # a regression
        ([0, 2], np.array([[0.2], [0.9]])),  # a class that the output does not have
        ([-1, 1], np.array([[0.2], [0.9]])),
        ([0, 1], np.array([[0.2], [np.nan]])),
        ([0.0, np.nan], np.array([[0.2], [0.9]])),
        ([0, 1, 1], np.array([[0.2], [0.9]])),
        ({"a": [0, 1]}, np.array([[0.2], [0.9]])),
        (["a", "b"], np.array([[0.2], [0.9]])),
        ([0, 1], {"a": np.array([[0.2], [0.9]])}),
        ([[0.5, 0.5], [0, 1]], np.array([[0.2, 0.8], [0.9, 0.1]])),  # soft labels
        ([0, 1], np.zeros((2, 4, 4))),
        ([0, 1], np.zeros((2, 51))),
        ([], np.zeros((0, 1))),
        (3, np.zeros((1, 1))),
        (np.zeros((2, 5)), np.zeros((2, 1))),
    ],
)
def test_what_is_no_classification_has_no_confusion(truth: object, outputs: object) -> None:
    assert count_confusion(truth, outputs) is None
