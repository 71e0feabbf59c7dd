"""The rows that a lane trains on, and the order of its batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from search_spaces._arrays import list_arrays, map_arrays
from search_spaces._data import Data, count_rows, is_dataset
from search_spaces._input import InputError
from search_spaces.task import TuningTask


@dataclass(frozen=True)
class Rows:
    """The training rows of a lane as `model.fit` sees them: float32, weights by row.

    Args:
        x: Inputs, arrays of shape (rows, ...) or a nest of them.
        y: Targets, arrays of shape (rows, ...) or a nest of them.
        sample_weight: Weights of shape (rows,), a nest of them, or None.
    """

    x: Any
    y: Any
    sample_weight: Any = None

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(list_arrays(self.x)[0])

    @property
    def bytes(self) -> int:
        """Size of all arrays in bytes."""
        parts = [self.x, self.y] + ([] if self.sample_weight is None else [self.sample_weight])
        return sum(array.nbytes for part in parts for array in list_arrays(part))

    def parts(self) -> dict[str, Any]:
        """Return the parts that are there, by name."""
        found = {"x": self.x, "y": self.y, "sample_weight": self.sample_weight}
        return {name: part for name, part in found.items() if part is not None}

    def take(self, chosen: np.ndarray) -> dict[str, Any]:
        """Return some rows of the parts, by name."""
        return {
            name: map_arrays(lambda array: array[chosen], part)
            for name, part in self.parts().items()
        }


def rows_of(data: Data, class_weight: Any = None) -> Rows:
    """Return the rows of checked `(x, y)` or `(x, y, sample_weight)` data.

    Args:
        data: Arrays as `TuningTask` keeps them.
        class_weight: Class number to weight, turned into sample weights as `model.fit` does.

    Raises:
        ValueError: Both class and sample weights are given; or there are several targets.
    """
    import keras

    floatx = keras.config.floatx()

    def cast(array: np.ndarray) -> np.ndarray:
        return array.astype(floatx) if array.dtype.kind == "f" else array

    x, y, *rest = (_tuples(map_arrays(cast, part)) for part in data)
    weight = rest[0] if rest else None
    if class_weight:
        if weight is not None:
            raise InputError(
                "`class_weight` and a `sample_weight` in the training data cannot be used "
                "together; multiply them into one `sample_weight`."
            )
        if not isinstance(y, np.ndarray):
            raise InputError("`class_weight` needs a single target array, but got several outputs.")
        labels = y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y))
        table = {int(label): float(value) for label, value in class_weight.items()}
        weight = np.array([table.get(int(label), 1.0) for label in labels], dtype=floatx)
    return Rows(x, y, weight)


def _tuples(arrays: Any) -> Any:
    """Return a nest with tuples for lists, as Keras's data adapters make it."""
    if isinstance(arrays, dict):
        return {key: _tuples(value) for key, value in arrays.items()}
    if isinstance(arrays, (list, tuple)):
        return tuple(_tuples(value) for value in arrays)
    return arrays


def first_rows(arrays: Any, rows: int) -> Any:
    """Return the first rows of every array of a nest."""
    return map_arrays(lambda array: array[:rows], arrays)


def epoch_order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """Return the order (rows,) in which a seed visits the training rows in an epoch (from 0)."""
    return np.random.default_rng([seed, epoch]).permutation(rows).astype(np.int32)


def step_order(seed: int, steps: int, rows: int, batch: int) -> np.ndarray:
    """Return the rows of each batch, (steps, batch), passing round the data in fresh orders."""
    per_pass = rows // batch
    passes = -(-steps // per_pass)
    orders = [epoch_order(seed, number, rows)[: per_pass * batch] for number in range(passes)]
    return np.concatenate(orders).reshape(-1, batch)[:steps]


def steps_per_epoch(task: TuningTask) -> int:
    """Return the number of batches of an epoch, the short last one included.

    Raises:
        ValueError: The training data are a dataset of unknown or infinite length.
    """
    batches = batches_of(task)
    if not batches:
        raise InputError(
            "`train` must have a known finite length here, but its cardinality is "
            f"{int(task.train.cardinality())}; use `.take(n)` or "
            "`tf.data.experimental.assert_cardinality`."
        )
    return batches


def batches_of(task: TuningTask) -> int:
    """Return the number of batches of an epoch, the short last one included; 0 where unknown."""
    if is_dataset(task.train):
        return max(int(task.train.cardinality()), 0)
    return -(-count_rows(task.train) // task.batch_size)
