"""TuningTask: a model builder with its training, validation and test data."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from search_spaces._input import (
    InputError,
    check_rate,
    check_whole,
    is_from,
    is_number,
    is_whole,
    needed_arguments,
)
from search_spaces._words import count

Data = Any  # (x, y), (x, y, sample_weight) of arrays, or a tf.data.Dataset


def is_dataset(data: object) -> bool:
    """Whether `data` is a `tf.data.Dataset` (known by its protocol, without TensorFlow)."""
    return hasattr(data, "element_spec") and hasattr(data, "cardinality")


def map_arrays(function: Callable[[np.ndarray], Any], arrays: Any) -> Any:
    """Apply `function` to every array of a nest of dicts, lists and tuples, keeping its shape."""
    if isinstance(arrays, Mapping):
        return {key: map_arrays(function, value) for key, value in arrays.items()}
    if isinstance(arrays, (list, tuple)):
        return type(arrays)(map_arrays(function, value) for value in arrays)
    return function(arrays)


def list_arrays(arrays: Any) -> list[np.ndarray]:
    """Return the arrays of a nest of dicts, lists and tuples, in order."""
    found: list[np.ndarray] = []
    map_arrays(found.append, arrays)
    return found


def count_rows(data: Data) -> int:
    """Return the number of rows of an `(x, y)` or `(x, y, sample_weight)` of arrays."""
    return len(list_arrays(data)[0])


@dataclass(frozen=True, eq=False)
class TuningTask:
    """What is tuned: a model builder with its data.

    Args:
        name: A short name, used in run folders and reports.
        build_model: Takes nothing, returns a compiled `keras.Model`. The library sets the rate on
            its optimizer. A `LearningRateSchedule` compiled into it is kept in shape.
        train: `(x, y)` or `(x, y, sample_weight)` of arrays with one row an example; `x` and `y`
            may be dicts or lists of arrays. A `tf.data.Dataset` (batched) is streamed through
            `model.fit`, its order unseeded.
        validation: The same, for choosing the epoch and the rate.
        test: The same, used once, for the final comparison; None where there is none.
        batch_size: Rows to a training step, 1 or more.
        class_weight: Class number to weight of its examples in training, as in `model.fit`.
        baseline_learning_rate: The rate to beat, above 0; None means what the model was compiled
            with: its rate, or its schedule untouched.
        resplit: `resplit(seed) -> (train, validation)` or `(train, validation, test)`: another
            split of the same rows, its preprocessing fitted inside. Return the third part where
            that preprocessing changes the test inputs (a scaler fitted on the new training rows);
            without it `test` stays as it is. `"shuffle"` pools the rows of `train` and
            `validation`, as they are, and draws both parts anew. With it every stage changes the
            split with the seed (range test, trials, pairs); with None seeds vary weights and
            order only.
        materialise: Read datasets of finite cardinality into arrays once, so that they train as
            lanes; warns that their `map` functions are frozen.
        facts: What the report should say of the data: plain strings and numbers.

    Raises:
        ValueError: An argument breaks its rule; the message names it.

    Example:
        >>> import numpy as np
        >>> task = TuningTask("toy", lambda: None, (np.zeros((8, 2)), np.zeros(8)),
        ...                   (np.zeros((4, 2)), np.zeros(4)), batch_size=4)
        >>> task.batch_size
        4
    """

    name: str
    build_model: Callable[[], Any]
    train: Data
    validation: Data
    test: Data | None = None
    _: KW_ONLY
    batch_size: int = 32
    class_weight: Mapping[int, float] | None = None
    baseline_learning_rate: float | None = None
    resplit: Callable[[int], tuple[Data, ...]] | Literal["shuffle"] | None = None
    materialise: bool = False
    facts: Mapping[str, str | int | float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(
                f"`name` must be a non-empty string, but got {self.name!r}; pass e.g. 'wine'."
            )
        if not callable(self.build_model):
            raise InputError(
                f"`build_model` must be a function, but got {type(self.build_model).__name__}; "
                "pass the function itself, not what it returns."
            )
        if is_from(self.build_model, "keras"):
            raise InputError(
                "`build_model` must be a function that builds a model anew for each seed, but got "
                f"a {type(self.build_model).__name__}; pass the function that built it."
            )
        if needed := ", ".join(each.name for each in needed_arguments(self.build_model)):
            raise InputError(
                f"`build_model` must need no arguments, but needs {needed}; pass e.g. "
                f"lambda: build_model({needed})."
            )
        if not (callable(self.resplit) or self.resplit in (None, "shuffle")):
            raise InputError(
                f"`resplit` must be a function, 'shuffle' or None, but got {self.resplit!r:.80}; "
                "pass the function itself, not what it returns."
            )
        keep = partial(object.__setattr__, self)
        keep("batch_size", check_whole(self.batch_size, "batch_size", cure="pass e.g. 32"))
        if self.baseline_learning_rate is not None:
            cure = "pass e.g. 1e-3, or None for the rate that the model was compiled with"
            rate = check_rate(self.baseline_learning_rate, "baseline_learning_rate", cure=cure)
            keep("baseline_learning_rate", rate)
        _check_class_weight(self.class_weight)
        _check_facts(self.facts)
        for mapping in ("class_weight", "facts"):
            keep(mapping, dict(getattr(self, mapping) or {}) or None)
        for part in ("train", "validation", "test"):
            data = getattr(self, part)
            if part != "test" or data is not None:
                keep(part, check_data(data, part, materialise=self.materialise))
        if self.resplit == "shuffle":
            _check_alike(self.train, self.validation)

    def __repr__(self) -> str:
        parts = [repr(self.name)]
        for part in ("train", "validation", "test"):
            data = getattr(self, part)
            if data is not None:
                size = "a dataset" if is_dataset(data) else count(count_rows(data), "row")
                parts.append(f"{part} {size}")
        return f"TuningTask({', '.join(parts)}, batch_size={self.batch_size})"

    @property
    def streams(self) -> bool:
        """Whether the training or validation data are a dataset, so that lanes cannot be used."""
        return is_dataset(self.train) or is_dataset(self.validation)

    def split(self, seed: int | None) -> tuple[Data, Data, Data | None]:
        """Return `(train, validation, test)` of `resplit(seed)`, or the task's own for None.

        Where `resplit` gives two parts, the third is the task's own `test`; so a model trained on
        the first part is always evaluated on test rows preprocessed as its training rows were.

        Args:
            seed: What moves the split; ignored where the task has no `resplit`.

        Raises:
            ValueError: `resplit` returned something other than two or three parts of data.
        """
        if seed is None or self.resplit is None:
            return self.train, self.validation, self.test
        if self.resplit == "shuffle":
            pooled = _join([self.train, self.validation])
            return *draw_split(pooled, count_rows(self.validation), seed), self.test
        parts = self.resplit(seed)
        if not isinstance(parts, (tuple, list)) or len(parts) not in (2, 3):
            size = f" of {len(parts)}" if isinstance(parts, (tuple, list)) else ""
            raise InputError(
                "`resplit(seed)` must return (train, validation) or (train, validation, test), "
                f"but got {type(parts).__name__}{size}; return the parts as one tuple."
            )
        train, validation, *rest = (
            check_data(part, f"resplit(seed)[{index}]", materialise=self.materialise)
            for index, part in enumerate(parts)
        )
        return train, validation, rest[0] if rest else self.test


def draw_split(rows: Data, held_out: int, seed: int) -> tuple[Data, Data]:
    """Return `(train, validation)`, drawn at random from rows.

    Args:
        rows: A tuple of arrays or nests of them.
        held_out: How many rows validate.
        seed: Which ones.
    """
    order = np.random.default_rng(seed).permutation(count_rows(rows))
    train = map_arrays(lambda array: array[order[held_out:]], rows)
    return train, map_arrays(lambda array: array[order[:held_out]], rows)


def with_data(task: TuningTask, **changes: Any) -> TuningTask:
    """Return the task with some of its arguments replaced."""
    return replace(task, **changes)


def check_data(data: Data, name: str, *, materialise: bool = False) -> Data:
    """Return `data` as a dataset, or as a tuple of NumPy arrays with equal numbers of rows.

    Args:
        data: What the user passed.
        name: The argument that an error names.
        materialise: Read a dataset of finite cardinality into arrays.

    Raises:
        ValueError: It is neither; or rows differ, or there are none.
    """
    if is_dataset(data):
        return _read_dataset(data, name) if materialise else data
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise InputError(
            f"`{name}` must be (x, y), (x, y, sample_weight) or a tf.data.Dataset, "
            f"but got {type(data).__name__}; pass e.g. (x_train, y_train)."
        )
    data = tuple(data)[: 2 if data[-1] is None else 3]
    arrays = tuple(map_arrays(np.asarray, part) for part in data)
    shapes = [array.shape for array in list_arrays(arrays)]
    if not all(shapes) or len({shape[0] for shape in shapes}) != 1 or shapes[0][0] < 1:
        got = ", ".join(map(str, shapes[:4])) + (", ..." if len(shapes) > 4 else "")
        raise InputError(
            f"`{name}` must hold arrays with the same number of rows, 1 or more, but got arrays "
            f"of the shapes {got or 'of nothing'}; pass NumPy arrays, one row an example."
        )
    return arrays


def _read_dataset(dataset: Any, name: str) -> Data:
    cardinality = int(dataset.cardinality())
    if cardinality < 0:  # -1 infinite, -2 unknown
        kind = "infinite" if cardinality == -1 else "unknown"
        raise InputError(
            f"`{name}` must be a dataset of finite cardinality for materialise=True, but its "
            f"cardinality is {kind}; use `.take(n)` or `assert_cardinality`, or leave it streaming."
        )
    warnings.warn(
        f"`{name}` is read into arrays once: random `map` functions of the dataset are frozen.",
        stacklevel=4,
    )
    batches = list(dataset.as_numpy_iterator())
    if not batches or not all(isinstance(batch, tuple) for batch in batches):
        raise InputError(
            f"`{name}` must be a dataset of (x, y) or (x, y, sample_weight) batches, but got "
            f"{dataset.element_spec if batches else 'no batch at all'}; zip x and y."
        )
    if any(array.ndim == 0 for array in list_arrays(batches[0])):
        raise InputError(
            f"`{name}` must be a batched dataset, but got single examples "
            f"{dataset.element_spec}; use `.batch(n)`."
        )
    return check_data(_join(batches), name)


def _join(batches: list[Any]) -> Any:
    """Return one nest of arrays whose rows are those of the batches, in order; dicts by key."""
    first = batches[0]
    if isinstance(first, Mapping):
        return {key: _join([batch[key] for batch in batches]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(_join(list(column)) for column in zip(*batches, strict=True))
    return np.concatenate(batches)


def _check_alike(train: Data, validation: Data) -> None:
    """Check that rows of both parts can stand in one array."""
    shapes = [
        "a dataset" if is_dataset(data) else _row_shapes(data) for data in (train, validation)
    ]
    if "a dataset" in shapes or shapes[0] != shapes[1]:
        raise InputError(
            "`resplit` 'shuffle' needs `train` and `validation` to hold arrays of the same "
            f"shapes, but got rows of {shapes[0]} and {shapes[1]}; pass a function."
        )


def _row_shapes(arrays: Any) -> Any:
    """Return the nest with the shape of a row for each array, and lists for tuples."""
    if isinstance(arrays, Mapping):
        return {key: _row_shapes(value) for key, value in arrays.items()}
    if isinstance(arrays, (list, tuple)):
        return [_row_shapes(value) for value in arrays]
    return arrays.shape[1:]


def _check_class_weight(class_weight: object) -> None:
    if class_weight is None:
        return
    if not isinstance(class_weight, Mapping) or not all(
        is_whole(label) and is_number(weight) and 0 <= weight < math.inf
        for label, weight in class_weight.items()
    ):
        raise InputError(
            "`class_weight` must map whole class numbers to weights of 0 or more, "
            f"but got {class_weight!r}; pass e.g. {{0: 1.0, 1: 2.0}}."
        )


def _check_facts(facts: object) -> None:
    if facts is None:
        return
    if not isinstance(facts, Mapping) or not all(
        isinstance(key, str) and isinstance(value, (str, int, float))
        for key, value in facts.items()
    ):
        raise InputError(
            f"`facts` must map strings to plain strings and numbers, but got {facts!r}; "
            "convert arrays and NumPy integers first."
        )


def data_hash(data: Data) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of all arrays, "" for a dataset."""
    if is_dataset(data):
        return ""
    digest = hashlib.sha256()
    for array in list_arrays(data):
        digest.update(str((array.dtype.str, array.shape)).encode())
        digest.update(
            np.ascontiguousarray(array).tobytes()
            if array.dtype != object
            else repr(array.tolist()).encode()
        )
    return digest.hexdigest()[:12]
