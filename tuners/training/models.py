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
from typing import Any

import numpy as np

from search_spaces._data import is_dataset
from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.training.rows import first_rows, rows_of

CACHED_BYTES = 64 * 2**20  # initial weights kept, so that trials of one seed build once


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
                model(rows_of(first_rows(task.train, 1)).x)
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


def leaf_optimizers(optimizer: Any) -> list[Any]:
    """Return the optimizers that hold a rate, below loss scaling and multi-optimizers."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return list(getattr(inner, "optimizers", [inner]))
