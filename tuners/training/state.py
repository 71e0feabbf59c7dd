"""Keep the whole state of a compiled Keras model, and put it back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tuners.training.models import assign, leaf_optimizers, random_state_kept


class ModelState:
    """A copy of all that a fit changes in a model: what `restore` puts back.

    That is: weights, BatchNorm statistics, seed generators, metrics, optimizer slots and
    iterations (also below loss scaling), the rate or schedule, and `stop_training`.

    Args:
        model: A compiled model whose weights are built; its optimizer is built here.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> state = ModelState(model)
        >>> before = model.get_weights()[0].copy()
        >>> model.layers[0].kernel.assign_add([[1.0]])  # doctest: +ELLIPSIS
        <...>
        >>> state.restore()
        >>> bool((model.get_weights()[0] == before).all())
        True
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        optimizer = model.optimizer
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        found = [*model.variables, *model.metrics_variables, *optimizer.variables]
        for leaf in leaf_optimizers(optimizer):
            found.extend(leaf.variables)
        self._variables = list({id(variable): variable for variable in found}.values())
        self._values = [np.array(variable.numpy()) for variable in self._variables]
        self._schedules = [(leaf, leaf._learning_rate) for leaf in leaf_optimizers(optimizer)]
        self._stop_training = getattr(model, "stop_training", False)

    def restore(self) -> None:
        """Put everything back; a program compiled with another schedule is made anew."""
        swapped = False
        for leaf, rate in self._schedules:
            if leaf._learning_rate is not rate:
                leaf.learning_rate = rate
                swapped = True
        assign(self._variables, self._values)
        if swapped:
            self.model.make_train_function(force=True)
        self.model.stop_training = self._stop_training


@contextlib.contextmanager
def state_kept(model: Any) -> Iterator[None]:
    """Leave a model and all global random state as they were, whatever happens inside.

    Args:
        model: A compiled model whose weights are built.
    """
    with random_state_kept():
        state = ModelState(model)
        try:
            yield
        finally:
            state.restore()
