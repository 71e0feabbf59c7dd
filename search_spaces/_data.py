"""The data of a task: checked, read from a dataset, counted, joined, drawn anew."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from search_spaces._arrays import as_arrays, list_arrays, map_arrays, refuse_batches
from search_spaces._input import InputError

Data = Any  # (x, y), (x, y, sample_weight) of arrays, or a tf.data.Dataset
INFINITE = -1  # what `cardinality` gives for a dataset that repeats for ever
MOST_BYTES = 2**30  # of a dataset that is read unasked: while it is joined it is there twice
MOST_BATCHES = 10_000  # of one whose length is unknown, which may have no end: some 5 s of reading


def is_dataset(data: object) -> bool:
    """Whether `data` is a `tf.data.Dataset` (known by its protocol, without TensorFlow)."""
    return hasattr(data, "element_spec") and hasattr(data, "cardinality")


def count_rows(data: Data) -> int:
    """Return the number of rows of an `(x, y)` or `(x, y, sample_weight)` of arrays."""
    return len(list_arrays(data)[0])


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


def check_data(data: Data, name: str, *, materialise: bool | None = None) -> Data:
    """Return `data` as a tuple of NumPy arrays with equal numbers of rows, or as a dataset.

    Args:
        data: What the user passed.
        name: The argument that an error names.
        materialise: Whether a dataset is read into arrays; None where it fits.

    Raises:
        ValueError: It is neither; or rows differ, or there are none; or the dataset has no end.
    """
    if is_dataset(data):
        _check_dataset(data, name)
        return data if materialise is False else _read(data, name, bool(materialise))
    refuse_batches(data, name)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise InputError(
            f"`{name}` must be (x, y), (x, y, sample_weight) or a tf.data.Dataset, "
            f"but got {type(data).__name__}; pass e.g. (x_train, y_train)."
        )
    data = tuple(data)[: 2 if data[-1] is None else 3]
    arrays = tuple(as_arrays(part, f"{name}[{place}]") for place, part in enumerate(data))
    shapes = [array.shape for array in list_arrays(arrays)]
    if not all(shapes) or len({shape[0] for shape in shapes}) != 1 or shapes[0][0] < 1:
        got = ", ".join(map(str, shapes[:4])) + (", ..." if len(shapes) > 4 else "")
        raise InputError(
            f"`{name}` must hold arrays with the same number of rows, 1 or more, but got arrays "
            f"of the shapes {got or 'of nothing'}; pass NumPy arrays, one row an example."
        )
    return arrays


def batch_rows(dataset: Any, otherwise: int) -> int:
    """Return the rows of a dataset's first batch; `otherwise` where it gives them only once."""
    first = next(iter(dataset), None)
    return otherwise if first is None else count_rows(first)


def warn_of_reading(parts: list[str], of: str, *, stacklevel: int) -> None:
    """Warn that datasets were read into arrays unasked."""
    warnings.warn(
        f"Read into arrays once: {', '.join(parts)}{of}. Random `map` functions are frozen so; "
        "pass materialise=False to stream instead, which is slower, or True to leave out this "
        "warning.",
        stacklevel=stacklevel + 1,
    )


def _read(dataset: Any, name: str, asked: bool) -> Data:
    """Return the rows of a dataset; or itself where that is too much and was not asked for."""
    batches_in_all = int(dataset.cardinality())
    batches: list[Any] = []
    read = 0
    for batch in dataset.as_numpy_iterator():
        batches.append(batch)
        read += sum(array.nbytes for array in list_arrays(batch))
        expected = read / len(batches) * max(batches_in_all, len(batches))
        texts = any(array.dtype.kind == "O" for array in list_arrays(batch[0]))
        if texts and not asked:  # which Keras takes from a dataset only
            return dataset
        too_much = expected > MOST_BYTES or (batches_in_all < 0 and len(batches) > MOST_BATCHES)
        if too_much and batches_in_all < 0:
            raise InputError(
                f"`{name}` must be a dataset of known length where it is large, but it is unknown "
                f"after {len(batches):,} batches; use `.apply(tf.data.experimental."
                "assert_cardinality(n))`."
            )
        if too_much and not asked:
            return dataset
    if not batches:
        raise InputError(f"`{name}` must have rows, but the dataset has no batch; check its files.")
    return check_data(join(batches), name)


def _check_dataset(dataset: Any, name: str) -> None:
    if int(dataset.cardinality()) == INFINITE:
        raise InputError(
            f"`{name}` must be a dataset that ends, but its cardinality is infinite; use "
            "`.take(n)` with n the batches of an epoch."
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise InputError(
            f"`{name}` must be a dataset of (x, y) or (x, y, sample_weight) batches, but got "
            f"{spec!r:.80}; zip x and y."
        )
    specs: list[Any] = list_arrays(spec)
    if any(part.shape.rank == 0 for part in specs):
        raise InputError(
            f"`{name}` must be a batched dataset, but got single examples {spec!r:.80}; use "
            "`.batch(n)`."
        )


def join(batches: list[Any]) -> Any:
    """Return one nest of arrays whose rows are those of the batches, in order; dicts by key."""
    first = batches[0]
    if isinstance(first, Mapping):
        return {key: join([batch[key] for batch in batches]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(join(list(column)) for column in zip(*batches, strict=True))
    return np.concatenate(batches)


def check_alike(train: Data, validation: Data) -> None:
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


def check_like(split: Data, own: Data, name: str, own_name: str) -> None:
    """Check that a part of another split is data of the same kind as the task's own part.

    Args:
        split: The part, checked by itself.
        own: The task's own.
        name: What an error calls the part.
        own_name: What an error calls the task's own.

    Raises:
        InputError: Its rows have other shapes, or values that are not finite where the own are.
    """
    if is_dataset(split) or is_dataset(own):
        return
    shapes = [_row_shapes(data) for data in (split, own)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"`{name}` must have rows like `{own_name}`, but they have the shapes {shapes[0]!s:.80}"
            f" where those have {shapes[1]!s:.80}; prepare both in one function."
        )
    lost = [_not_finite(data) for data in (split, own)]
    if lost[0] and not lost[1]:
        raise InputError(
            f"`{name}` must be finite like `{own_name}`, but {lost[0]} of its values are not; "
            "check what `resplit` does to its rows."
        )


def _not_finite(data: Data) -> int:
    floats = [array for array in list_arrays(data) if array.dtype.kind == "f"]
    return sum(int(array.size - np.isfinite(array).sum()) for array in floats)


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
