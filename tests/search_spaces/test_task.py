from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from search_spaces import TuningTask, _data, task
from search_spaces._arrays import list_arrays, map_arrays
from search_spaces._data import check_data, count_rows, data_hash, is_dataset
from search_spaces.task import with_data


def pair(rows: int, start: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(start, start + 2 * rows).reshape(rows, 2), np.zeros(rows)


def build() -> None:
    raise AssertionError("no test here builds a model")


def make(**changes) -> TuningTask:
    arguments = {"name": "toy", "build_model": build, "train": pair(8), "validation": pair(4)}
    return TuningTask(**{**arguments, **changes})


def test_what_is_passed_is_held_as_plain_values():
    made = make(
        batch_size=np.int64(4),
        class_weight={0: 1, 1: 2.5},
        baseline_learning_rate=np.float32(0.5),
        facts={"rows_read": 12, "data_file": "toy.csv"},
    )
    assert (made.name, made.batch_size, made.baseline_learning_rate) == ("toy", 4, 0.5)
    assert type(made.batch_size) is int
    assert type(made.baseline_learning_rate) is float
    assert made.class_weight == {0: 1, 1: 2.5}
    assert made.facts == {"rows_read": 12, "data_file": "toy.csv"}
    assert made.test is None
    assert not made.streams
    with pytest.raises(AttributeError, match="cannot assign"):
        made.batch_size = 8


def test_lists_weights_and_dicts_of_arrays_are_kept_in_shape():
    x = {"measures": np.ones((6, 3)), "kind": [np.ones(6), np.ones((6, 1))]}
    made = make(train=[x, np.zeros(6), np.ones(6)], validation=(x, np.zeros(6), None))
    assert isinstance(made.train, tuple)
    assert len(made.train) == 3
    assert len(made.validation) == 2
    assert list(made.train[0]) == ["measures", "kind"]
    assert count_rows(made.train) == 6
    assert [array.shape for array in list_arrays(made.train)] == [(6, 3), (6,), (6, 1), (6,), (6,)]


@given(
    st.recursive(
        arrays.arrays("float32", (3, 2)),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            | st.tuples(inner)
        ),
        max_leaves=6,
    )
)
def test_mapping_the_identity_keeps_any_nest(nest):
    mapped = map_arrays(lambda array: array, nest)
    assert type(mapped) is type(nest)
    assert str(mapped) == str(nest)
    assert all(a is b for a, b in zip(list_arrays(mapped), list_arrays(nest), strict=True))


def test_a_split_of_none_or_without_resplit_is_the_task_itself():
    made = make(test=pair(2))
    assert made.split(None) == (made.train, made.validation, made.test)
    assert made.split(7) == (made.train, made.validation, made.test)


def test_a_resplit_of_two_keeps_the_test_set_and_one_of_three_replaces_it():
    two = make(test=pair(2), resplit=lambda seed: (pair(5, seed), pair(3)))
    train, validation, test = two.split(70)
    assert (train[0][0, 0], count_rows(train), count_rows(validation)) == (70, 5, 3)
    assert test is two.test
    three = make(test=pair(2), resplit=lambda seed: (pair(5), pair(3), pair(2, seed)))
    assert three.split(70)[2][0][0, 0] == 70
    assert three.split(None)[2] is three.test


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (None, r"`resplit\(seed\)` must return \(train, validation\) or .* but got NoneType"),
        ((pair(2),), "but got tuple of 1; return the parts as one tuple"),
        ((pair(2),) * 4, "but got tuple of 4"),
        ((pair(2), 5), r"`resplit\(1\)\[1\]` must be \(x, y\)"),
    ],
)
def test_a_resplit_that_returns_something_else_is_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        make(resplit=lambda seed: parts).split(1)


def test_with_data_replaces_some_arguments_and_keeps_the_others():
    made = make(batch_size=4, facts={"rows": 8})
    changed = with_data(made, validation=pair(2))
    assert count_rows(changed.validation) == 2
    assert (changed.batch_size, changed.facts, changed.train[0].shape) == (4, {"rows": 8}, (8, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": " "}, "`name` must be a non-empty string, but got ' '"),
        ({"name": 3}, "`name` must be a non-empty string, but got 3"),
        ({"build_model": 3}, "`build_model` must be a function, but got int; pass the function"),
        ({"build_model": None}, "`build_model` must be a function, but got NoneType"),
        (
            {"build_model": lambda hp: None},
            r"must need no arguments, but needs hp; pass e",
        ),
        ({"resplit": 3}, "`resplit` must be a function, 'shuffle' or None, but got 3; pass the"),
        (
            {"resplit": "shufle"},
            "`resplit` must be a function, 'shuffle' or None, but got 'shufle'",
        ),
        ({"batch_size": 0}, "`batch_size` must be a whole number of 1 or more, but got 0"),
        ({"batch_size": 3.5}, "`batch_size` must be .* but got 3.5"),
        ({"batch_size": "32"}, "`batch_size` must be .* but got '32'"),
        ({"batch_size": True}, "`batch_size` must be .* but got True"),
        ({"batch_size": math.nan}, "`batch_size` must be .* but got nan"),
        ({"baseline_learning_rate": 0}, "`baseline_learning_rate` must be positive and finite"),
        ({"baseline_learning_rate": math.inf}, "`baseline_learning_rate` must .* but got inf"),
        ({"baseline_learning_rate": math.nan}, "`baseline_learning_rate` must .* but got nan"),
        ({"baseline_learning_rate": "1e-3"}, "`baseline_learning_rate` must .* but got '1e-3'"),
        ({"class_weight": [1, 2]}, "`class_weight` must map whole class numbers to weights"),
        ({"class_weight": {"good": 1}}, "`class_weight` must map whole class numbers"),
        ({"class_weight": {0: -1}}, "`class_weight` must map whole class numbers"),
        ({"facts": {"rows": np.ones(2)}}, "`facts` must map strings to plain strings and numbers"),
        ({"facts": 3}, "`facts` must map strings"),
    ],
)
def test_an_argument_that_breaks_its_rule_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize("argument", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, r"must be \(x, y\), \(x, y, sample_weight\) or a tf.data.Dataset, but got int"),
        ((np.zeros(3),), r"must be \(x, y\), .* but got tuple"),
        ((np.zeros((3, 2)), np.zeros(2)), r"same number of rows.* \(3, 2\), \(2,\); pass NumPy"),
        ((np.zeros((0, 2)), np.zeros(0)), r"same number of rows, 1 or more, .* \(0, 2\), \(0,\)"),
        (([1.0, 2.0, 3.0], [0, 1, 1]), r"of the shapes \(\), \(\), \(\), \(\), \.\.\.; pass NumPy"),
        (([], {}), "of the shapes of nothing"),
    ],
)
def test_data_of_the_wrong_form_are_refused_by_their_name(argument, data, message):
    with pytest.raises(
        ValueError, match=f"`{argument}` {message}|`{argument}` must hold.*{message}"
    ):
        make(**{argument: data})


def test_the_hash_follows_values_shapes_and_types_and_not_addresses():
    x, y = pair(3)
    assert data_hash((x, y)) == data_hash((x.copy(), y.copy()))
    assert len(data_hash((x, y))) == 12
    changed = x.copy()
    changed[0, 0] += 1
    others = [(changed, y), (x.T.reshape(3, 2), y), (x.astype("float32"), y), (x.reshape(2, 3), y)]
    assert len({data_hash(other) for other in [(x, y), *others]}) == 5
    assert data_hash((x[::-1], y)) == data_hash((x[::-1].copy(), y))
    texts = [(np.array(["a" * 50, "b"], dtype=object), np.zeros(2)) for _ in range(2)]
    assert data_hash(texts[0]) == data_hash(texts[1])


@pytest.mark.slow
def test_a_dataset_that_fits_is_read_once(monkeypatch):
    import tensorflow as tf

    x = {"a": np.arange(20.0).reshape(10, 2), "b": np.arange(10)}
    dataset = tf.data.Dataset.from_tensor_slices((x, np.arange(10.0))).batch(4)
    with pytest.warns(UserWarning, match="Read into arrays once: `train` of task .*=False to str"):
        read = make(train=dataset, batch_size=32)
    assert not read.streams
    assert (count_rows(read.train), read.batch_size) == (10, 4)  # it brings its batches
    np.testing.assert_array_equal(read.train[0]["a"], x["a"])
    np.testing.assert_array_equal(read.train[0]["b"], x["b"])
    np.testing.assert_array_equal(read.train[1], np.arange(10.0))
    unknown = dataset.filter(lambda x, y: True)
    assert count_rows(make(train=unknown, materialise=True).train) == 10
    streaming = make(train=dataset, materialise=False)
    assert is_dataset(streaming.train)
    assert streaming.streams
    assert data_hash(streaming.train) == ""
    assert make(validation=dataset, materialise=False).streams
    monkeypatch.setattr(_data, "MOST_BYTES", 200)  # of 320
    assert make(train=dataset).streams
    assert not make(train=dataset, materialise=True).streams
    with pytest.raises(ValueError, match=r"of known length where it is large.* use `\.apply"):
        make(train=unknown)
    with pytest.raises(ValueError, match="of known length where it is large"):  # it may have no end
        make(train=unknown, materialise=True)


@pytest.mark.slow
@pytest.mark.parametrize("materialise", [None, True, False])
def test_a_dataset_that_cannot_be_read_is_refused(materialise):
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((np.zeros((6, 2)), np.zeros(6)))
    for dataset, message in (
        (rows.batch(2).repeat(), "`train` must be a dataset that ends, .* infinite; use `.take"),
        (rows, r"`train` must be a batched dataset, but got single examples .*; use `.batch\(n\)`"),
        (rows.map(lambda x, y: x).batch(2), r"dataset of \(x, y\) or .*TensorSpec.*; zip x and y"),
    ):
        with pytest.raises(ValueError, match=message):
            make(train=dataset, materialise=materialise)
    with pytest.raises(ValueError, match="`train` must have rows, but the dataset has no batch"):
        make(train=rows.take(0).batch(2), materialise=True)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((pair(5), (np.full((3, 2), np.nan), np.zeros(3))), "finite like `validation`.* 6 of"),
        (((np.zeros((5, 3)), np.zeros(5)), pair(3)), "rows like `train`, but .*3.* prepare both"),
        (
            (pair(5), pair(3), ([np.zeros((3, 2))], np.zeros(3))),
            r"2\]` must have rows like `test`",
        ),
    ],
)
def test_every_split_is_checked_as_the_first_one_is(parts, message):
    def resplit(seed):
        return parts if seed == 2 else (pair(5), pair(3))

    made = make(test=pair(2), resplit=resplit)
    made.split(1)
    with pytest.raises(ValueError, match=r"`resplit\(2\)\[.*" + message):
        made.split(2)


@pytest.mark.slow
def test_tensors_are_read_as_arrays():
    import tensorflow as tf

    x, _ = check_data((tf.ones((3, 2)), tf.zeros(3)), "train")
    assert isinstance(x, np.ndarray)
    assert x.shape == (3, 2)


def test_the_docstring_examples_run():
    assert doctest.testmod(task).failed == 0


def test_a_task_shows_itself_without_its_arrays():
    assert repr(make(batch_size=4, test=None)) == (
        "TuningTask('toy', train 8 rows, validation 4 rows, batch_size=4)"
    )


@pytest.mark.slow
def test_a_dataset_shows_itself_and_a_model_is_no_function_that_builds_one():
    import keras
    import tensorflow as tf

    streamed = tf.data.Dataset.from_tensor_slices(pair(8)).batch(4)
    assert "train a dataset, validation 4 rows" in repr(make(train=streamed, materialise=False))
    with pytest.raises(ValueError, match="anew for each seed, but got a Sequential; pass the"):
        make(build_model=keras.Sequential())
