"""What a lane is made of: a model built from its seed, the order of its batches, its rates.

Both ways of training (stacked in one program, or one at a time) take these from here, so that a
lane is the same whichever way it runs.
"""

from __future__ import annotations

import collections
import contextlib
import math
import random
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from search_spaces._arrays import list_arrays, map_arrays
from search_spaces._data import Data, count_rows, is_dataset
from search_spaces._input import InputError
from search_spaces.task import TuningTask

CACHED_BYTES = 64 * 2**20  # initial weights kept, so that trials of one seed build once


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


@contextlib.contextmanager
def random_state_kept(seed: int | None = None) -> Iterator[None]:
    """Leave Python's, NumPy's, Keras's and TensorFlow's global random state as it was.

    Args:
        seed: Set all of them to this seed inside the block, 0 or more; None leaves them.
    """
    import keras
    import tensorflow as tf
    from keras.src.backend.common import global_state  # no public way to read these two
    from tensorflow.python.eager import context

    names = ("global_random_seed", "global_seed_generator")
    kept = {name: global_state.get_global_attribute(name) for name in names}
    generator = kept["global_seed_generator"]
    generator_state = None if generator is None else generator.state.numpy()
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    eager = context.context()
    eager_seed, eager_rng = eager._seed, getattr(eager, "_rng", None)
    eager_state = None if eager_rng is None else eager_rng.getstate()
    try:
        if seed is not None:
            keras.utils.set_random_seed(int(seed))
        yield
    finally:
        if seed is not None:
            tf.random.set_seed(eager_seed if eager_seed is not None else 0)
            eager._seed, eager._rng = eager_seed, eager_rng
        if eager_rng is not None:
            eager_rng.setstate(eager_state)
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        for name, value in kept.items():
            global_state.set_global_attribute(name, value)
        if generator is not None:
            generator.state.assign(generator_state)


def built_model(task: TuningTask, seed: int) -> Any:
    """Build the task's model from a seed, with weights made, and check that it is compiled.

    Args:
        task: The task.
        seed: Seed of the initial weights and of dropout, 0 or more.

    Raises:
        ValueError: `build_model` returns no model, or one that is not compiled.
    """
    import keras

    with random_state_kept(seed), _same_names(task):
        model = task.build_model()
        if not isinstance(model, keras.Model):
            raise InputError(
                f"`build_model` must return a compiled keras.Model, but got "
                f"{type(model).__name__}; did it forget to `return model`?"
            )
        if not model.compiled or model.optimizer is None:
            raise InputError(
                "`build_model` must return a compiled model, but it was not compiled; call "
                'e.g. model.compile(optimizer="adam", loss="mse") before returning it.'
            )
        if not model.built:
            if is_dataset(task.train):
                first = next(iter(task.train))
                model(first[0])
            else:
                model(first_rows(rows_of(task.train).x, 1))
    _check_trainable(model)
    return model


def refuse_distributed(model: Any, name: str) -> None:
    """Refuse a model of a `tf.distribute` strategy.

    Raises:
        InputError: It is one; the message names the argument.
    """
    if getattr(model, "_distribute_strategy", None) is not None:
        raise InputError(
            f"`{name}` must build its model outside of a tf.distribute strategy, since it is "
            "tuned on one device, but it was built in the scope of one; leave out the scope. The "
            "rates hold for the same number of rows to a step over all replicas."
        )


def _check_trainable(model: Any) -> None:
    """Check what no training here can do without, before any starts."""
    refuse_distributed(model, "build_model")
    if not model.trainable_variables:
        raise InputError(
            "`build_model` must return a model with weights to train, but this one has none; "
            "add a layer with weights, or set `trainable = True`."
        )
    held = [layer.name for layer in model._flatten_layers() if getattr(layer, "stateful", False)]
    if held:
        raise InputError(
            f"`build_model` must return a model whose batches may come in any order, but layer "
            f"{held[0]!r} carries its state from one to the next; build it with stateful=False."
        )
    rates = [leaf._learning_rate for leaf in leaf_optimizers(model.optimizer)]
    plain = [float(rate) for rate in rates if hasattr(rate, "assign")]
    if len(plain) == len(rates) and not 0 < max(plain, default=0) < math.inf:
        raise InputError(
            "`build_model` must compile the model with a learning rate that is positive and "
            f"finite, but got {max(plain, default=0):g}; pass e.g. Adam(1e-3)."
        )


_counts: weakref.WeakKeyDictionary[TuningTask, dict[str, int]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def _same_names(task: TuningTask) -> Iterator[None]:
    """Let layers without a name get the same ones in each build: their metrics are named so."""
    from keras.src.backend.common import global_state  # no public way to read these

    name = "object_name_uids"
    kept = global_state.get_global_attribute(name)
    if task not in _counts:  # the first build is as it would be without us
        _counts[task] = dict(kept or {})
        yield
        return
    global_state.set_global_attribute(name, collections.defaultdict(int, _counts[task]))
    try:
        yield
    finally:
        global_state.set_global_attribute(name, kept)


def first_rows(arrays: Any, rows: int) -> Any:
    """Return the first rows of every array of a nest."""
    return map_arrays(lambda array: array[:rows], arrays)


_initial: weakref.WeakKeyDictionary[TuningTask, OrderedDict[int, list[np.ndarray]]]
_initial = weakref.WeakKeyDictionary()
_warned: weakref.WeakSet[TuningTask] = weakref.WeakSet()


def initial_variables(task: TuningTask, seed: int) -> list[np.ndarray]:
    """Return the values of `model.variables` as built from a seed, in their order.

    Seed generators of dropout are among them. Recent seeds are kept, since a search trains the
    same seeds at many rates.
    """
    kept = _initial.pop(task, OrderedDict())
    _initial[task] = kept  # the task used last is last
    if seed not in kept:
        model = built_model(task, seed)
        values = [variable.numpy() for variable in model_variables(model)]
        _warn_if_equal(task, kept, values)
        kept[seed] = values
        _forget_oldest()
    kept.move_to_end(seed)
    return kept[seed]


def _forget_oldest() -> None:
    """Forget initial weights, those used last excepted, until all tasks' are few enough."""
    held = [(kept, seed) for kept in _initial.values() for seed in kept]
    sizes = [sum(value.nbytes for value in kept[seed]) for kept, seed in held]
    over = sum(sizes) - CACHED_BYTES
    for (kept, seed), size in zip(held[:-1], sizes, strict=False):
        if over <= 0:
            return
        del kept[seed]
        over -= size


def model_variables(model: Any) -> list[Any]:
    """Return trainable, then non-trainable variables (seed generators included)."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def assign(variables: Iterable[Any], values: Iterable[Any]) -> None:
    """Give variables their values, one each."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _warn_if_equal(
    task: TuningTask, kept: OrderedDict[int, list[np.ndarray]], values: list[np.ndarray]
) -> None:
    if not kept or task in _warned:
        return
    other = next(iter(kept.values()))
    random_parts = [
        np.array_equal(a, b)
        for a, b in zip(values, other, strict=True)
        if a.dtype.kind == "f" and a.size > 1 and np.ptp(a) > 0
    ]
    if random_parts and all(random_parts):
        _warned.add(task)
        warnings.warn(
            f"Two seeds build the same initial weights of task {task.name!r}: its initializers "
            "seem to have fixed seeds, so runs differ in the order of their batches only. "
            "Leave the initializers' seeds unset in `build_model`.",
            stacklevel=4,
        )


def epoch_order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """Return the order (rows,) in which a seed visits the training rows in an epoch (from 0)."""
    return np.random.default_rng([seed, epoch]).permutation(rows).astype(np.int32)


def step_order(seed: int, steps: int, rows: int, batch: int) -> np.ndarray:
    """Return the rows of each batch, (steps, batch), passing round the data in fresh orders."""
    per_pass = rows // batch
    passes = -(-steps // per_pass)
    orders = [epoch_order(seed, number, rows)[: per_pass * batch] for number in range(passes)]
    return np.concatenate(orders).reshape(-1, batch)[:steps]


def leaf_optimizers(optimizer: Any) -> list[Any]:
    """Return the optimizers that hold a rate, below loss scaling and multi-optimizers."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return list(getattr(inner, "optimizers", [inner]))


def has_schedule(optimizer: Any) -> bool:
    """Whether an optimizer was compiled with a schedule."""
    import keras

    schedule = getattr(optimizer, "_learning_rate", None)
    return isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)


def schedule_values(optimizer: Any, steps: int) -> np.ndarray | None:
    """Return the rates (steps,) of a schedule compiled into an optimizer, None for a plain rate."""
    import tensorflow as tf

    if not has_schedule(optimizer):
        return None
    schedule = optimizer._learning_rate

    @tf.function
    def every_step() -> Any:
        return tf.map_fn(
            lambda step: tf.cast(schedule(step), tf.float32),
            tf.range(steps, dtype=tf.int64),
            fn_output_signature=tf.float32,
        )

    values = every_step().numpy().astype(float)
    if not (np.isfinite(values).all() and values.max() > 0):
        raise InputError(
            "The schedule compiled into the model must give finite rates with a maximum above 0, "
            f"but over {steps} steps it gives {values.min():g} to {values.max():g}."
        )
    return values


def schedule_shape(model: Any, steps: int) -> np.ndarray:
    """Return `schedule(t) / max(schedule)` of shape (steps,), ones where the rate is constant."""
    values = schedule_values(leaf_optimizers(model.optimizer)[0], steps)
    return np.ones(steps) if values is None else values / values.max()


def short_float(value: Any) -> float:
    """Return a float32 in its shortest form: 0.001, not the 0.0010000000475 that Keras keeps.

    Example:
        >>> short_float(np.float32(0.001))
        0.001
    """
    return float(str(np.float32(value)))


def compiled_learning_rate(task: TuningTask, epochs: int = 1) -> float:
    """Return the rate that the task's model was compiled with; of a schedule, its maximum.

    Args:
        task: The task.
        epochs: Length of the run over which a schedule's maximum is taken, 1 or more.
    """
    model = built_model(task, 0)
    optimizer = leaf_optimizers(model.optimizer)[0]
    values = schedule_values(optimizer, epochs * max(batches_of(task), 1))
    return short_float(optimizer.learning_rate if values is None else values.max())


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
