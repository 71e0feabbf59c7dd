"""What is passed for an array: taken as numbers, or refused in the user's words."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf

from search_spaces import _arrays
from search_spaces._arrays import as_arrays, list_arrays

TABLE = pd.DataFrame({"acid": [0.5, 0.7], "sulphates": [1, 2], "red": [True, False]})


@pytest.mark.parametrize(
    "value",
    [
        TABLE,
        TABLE["acid"],
        TABLE.astype({"sulphates": "Int64"}),
        tf.constant([1.0, 2.0]),
        tf.constant([1.0, 2.0], tf.bfloat16),
        np.ma.masked_array([1.0, 2.0], mask=[False, False]),
        np.array([True, False]),
        {"a": [np.zeros(2), np.ones(2, "int8")]},
    ],
)
def test_numbers_of_any_kind_are_taken(value: Any) -> None:
    for array in list_arrays(as_arrays(value, "x")):
        assert array.dtype.kind in "fiub"
        assert len(array) == 2


def generator() -> Any:
    yield np.zeros(2), np.zeros(2)


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return np.zeros(2), np.zeros(2)


def augmented() -> Any:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator().flow(np.zeros((4, 8, 8, 1)), np.zeros(4))


def ragged() -> Any:
    rows = np.empty(2, object)
    rows[:] = [[1, 2], [3]]
    return rows


DATES = pd.DataFrame({"acid": [0.5, 0.7], "bottled": pd.to_datetime(["2020-01-01", "2021-01-01"])})
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "object array of numbers": (lambda: np.array([1.5, 2], object), "an object array of numbers; "),
    "object array with None": (lambda: np.array([1.5, None], object), "None of NoneType in it; "),
    "rows of their own lengths": (ragged, "of rows of their own lengths; pad them"),
    "ragged tensor": (lambda: tf.ragged.constant([[1], [2, 3]]), "pass x.to_tensor()"),
    "sparse tensor": (lambda: tf.sparse.eye(3), "pass tf.sparse.to_dense(x)"),
    "sparse matrix": (lambda: scipy.sparse.csr_matrix(np.eye(3)), "csr_matrix; pass x.toarray()"),
    "sparse array": (lambda: scipy.sparse.csr_array(np.eye(3)), "csr_array; pass x.toarray()"),
    "complex": (lambda: np.ones(2, complex), "imaginary part would be lost; pass numpy.stack([x.r"),
    "dates": (lambda: np.array(["2020-01-01"], "M8[D]"), "dates or times (datetime64[D]); pass"),
    "strings": (lambda: np.array(["good", "bad"]), "strings such as 'good'; pass pandas.factorize"),
    "strings of a series": (lambda: pd.Series(["good", "bad"]), "pass pandas.factorize(x)[0]"),
    "structured": (lambda: np.zeros(2, [("a", "f4"), ("b", "i4")]), "array of the fields a, b; "),
    "a date column": (lambda: DATES, "the column 'bottled' of datetime64"),
    "a text column": (lambda: TABLE.assign(kind=["a", "b"]), "the column 'kind' of "),
    "a category": (lambda: TABLE.astype({"red": "category"}), "the column 'red' of category; turn"),
    "masked values": (lambda: np.ma.masked_array([1, 2], [0, 1]), "1 masked values; pass x.filled"),
    "bytes without a meaning": (lambda: np.zeros(2, "V3"), "a structured array"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_trained_on_is_refused(kind: str) -> None:
    make, words = REFUSED[kind]
    with pytest.raises(ValueError, match=f"`x` must hold numbers.*{re.escape(words)}") as caught:
        as_arrays(make(), "x")
    assert len(str(caught.value)) <= 360


@pytest.mark.parametrize("make", [generator, Batches, augmented, lambda: iter([]), lambda: {1, 2}])
def test_batches_are_refused_with_how_to_read_them(make: Callable[[], Any]) -> None:
    with pytest.raises(
        ValueError, match=r"`x` must be .* but got a \w+, which gives batches; read"
    ):
        as_arrays(make(), "x")


def test_the_part_of_a_nest_is_named() -> None:
    with pytest.raises(ValueError, match=r"`train\[0\]\['words'\]\[1\]` must hold numbers"):
        as_arrays({"words": [np.zeros(2), np.array(["a", "b"])]}, "train[0]")


def test_the_docstring_examples_run() -> None:
    assert doctest.testmod(_arrays).failed == 0
