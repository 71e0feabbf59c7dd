"""Splits drawn from a task's own rows: `resplit` "shuffle"."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import TuningTask
from search_spaces._arrays import list_arrays
from search_spaces._data import count_rows, draw_split


def build() -> None:
    raise AssertionError("no test here builds a model")


def numbered(rows: int, start: int = 0, *, weighted: bool = False) -> tuple[Any, ...]:
    """Return (x, y) or (x, y, weight) whose rows all say their number."""
    number = np.arange(start, start + rows)
    parts = (np.stack([number, -number], 1), 10 * number, number / 2)
    return parts if weighted else parts[:2]


def make(train: Any, validation: Any, **options: Any) -> TuningTask:
    return TuningTask("toy", build, train, validation, resplit="shuffle", **options)


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 2**31), st.booleans())
def test_rows_are_kept_whole_and_in_one_part_each(
    rows: int, held: int, seed: int, weighted: bool
) -> None:
    task = make(numbered(rows, weighted=weighted), numbered(held, rows, weighted=weighted))
    train, validation, test = task.split(seed)
    assert (count_rows(train), count_rows(validation), test) == (rows, held, None)
    for part in (train, validation):
        x, y, *weight = part
        np.testing.assert_array_equal(x, np.stack([y // 10, -(y // 10)], 1))
        assert [np.array_equal(each, x[:, 0] / 2) for each in weight] == [True] * weighted
    both = np.concatenate([train[0][:, 0], validation[0][:, 0]])
    np.testing.assert_array_equal(np.sort(both), np.arange(rows + held))


def test_a_seed_gives_its_split_and_another_seed_another() -> None:
    task = make(numbered(30), numbered(10, 30), test=numbered(5, 40))
    first, again, other = (task.split(seed) for seed in (3, 3, 4))
    assert sorted(first[1][1]) == sorted(again[1][1])
    np.testing.assert_array_equal(first[0][0], again[0][0])
    assert sorted(first[1][1]) != sorted(other[1][1])
    assert first[2] is task.test  # kept for the final comparison
    held = {number for seed in range(30) for number in task.split(seed)[1][1]}
    assert len(held) == 40  # every row validates some time


def test_without_a_seed_the_parts_are_the_tasks_own() -> None:
    task = make(numbered(6), numbered(3, 6))
    assert task.split(None) == (task.train, task.validation, None)


def test_dicts_and_lists_of_arrays_keep_their_shape_and_meet_by_name() -> None:
    def nest(rows: int, start: int) -> tuple[Any, Any]:
        number = np.arange(start, start + rows)
        return {"low": number, "high": [number + 100, number + 200]}, number

    x, y = nest(4, 6)
    turned = {"high": tuple(x["high"]), "low": x["low"]}
    for validation in ((x, y), [turned, y]):
        train, held, _ = make(nest(6, 0), validation).split(1)
        for part in (train, held):
            assert list(part[0]) == ["low", "high"]
            np.testing.assert_array_equal(part[0]["low"], part[1])
            np.testing.assert_array_equal(part[0]["high"][0], part[1] + 100)
            np.testing.assert_array_equal(part[0]["high"][1], part[1] + 200)


X, Y = np.zeros((6, 2)), np.zeros(6)


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ((X, Y), (X[:, :1], Y)),
        ((X, Y), (X, Y[:, None])),
        ((X, Y, Y), (X, Y)),
        (({"a": X}, Y), ({"b": X}, Y)),
        (({"a": X}, Y), (X, Y)),
        (([X, X], Y), ([X], Y)),
    ],
)
def test_parts_that_are_not_alike_are_refused(train: Any, validation: Any) -> None:
    message = "`resplit` 'shuffle' needs `train` and `validation` to hold arrays of the same shapes"
    with pytest.raises(ValueError, match=message + ".*; pass a function"):
        make(train, validation)
    TuningTask("toy", build, train, validation)  # without it they may differ


@pytest.mark.slow
def test_a_dataset_that_streams_is_refused() -> None:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(numbered(6)).batch(2)
    for parts in ((dataset, numbered(3)), (numbered(6), dataset), (dataset, dataset)):
        with pytest.raises(ValueError, match=r"'shuffle' needs .* but got rows of .*a dataset"):
            make(*parts, materialise=False)
    task = make(dataset, numbered(3, 6), materialise=True)
    assert sorted(np.concatenate([part[1] for part in task.split(5)[:2]]) // 10) == list(range(9))


@given(st.integers(2, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))))
def test_draw_split_holds_out_so_many_rows(sizes: tuple[int, int]) -> None:
    rows, held = sizes
    train, validation = draw_split(numbered(rows), held, seed=7)
    assert (count_rows(train), count_rows(validation)) == (rows - held, held)
    assert sorted(np.concatenate([train[1], validation[1]])) == sorted(numbered(rows)[1])
    assert len(list_arrays(train)) == 2
