"""One task of the benchmarks: a world, a model, an optimizer, and how long it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np

from benchmarks.models import Layers
from benchmarks.worlds import WORLDS, Split, World
from search_spaces import TuningTask

RATES = tuple((10.0 ** np.arange(-6, 1.001, 0.25)).tolist())  # four to the decade
Schedule = Literal["cosine", "warm-up and cosine", "exponential"]


@dataclass(frozen=True)
class BenchmarkTask:
    """What one task of the benchmark is made of.

    Args:
        name: World, model and optimizer, for the tables.
        world: A name of `WORLDS`.
        layers: Makes the hidden layers, fresh at each call.
        optimizer: A class of `keras.optimizers`.
        batch_size: Rows to a step.
        epochs: Epochs of one training.
        settings: Arguments of the optimizer.
        loss: The loss; None for the cross-entropy, the squared error, or Poisson's of counts.
        raw_target: Whether numbers are predicted in their own unit.
        schedule: The shape of the rate over a training; None for a constant rate.
        averaged: Whether each epoch ends with averaged weights (`use_ema`).
        splits: On how many splits the truth is trained.
        rates: The rates of the truth.
    """

    name: str
    world: str
    layers: Layers
    optimizer: str
    batch_size: int
    epochs: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    loss: str | None = None
    raw_target: bool = False
    schedule: Schedule | None = None
    averaged: bool = False
    splits: int = 8
    rates: tuple[float, ...] = RATES

    @property
    def data_set(self) -> str:
        """The data set, which is set aside or developed on as a whole."""
        return self._world.data_set

    @property
    def _world(self) -> World:
        return WORLDS[self.world]

    def task(self) -> TuningTask:
        """Return the task, whose `resplit` draws training, validation and test rows anew."""
        resplit = partial(_split, self.world, self.raw_target)
        train, validation, test = resplit(0)
        steps = -(-len(train[0]) // self.batch_size)
        return TuningTask(
            self.name,
            partial(self._build, steps),
            train,
            validation,
            test,
            batch_size=self.batch_size,
            resplit=resplit,
        )

    def _build(self, steps: int) -> Any:
        import keras

        x = _split(self.world, self.raw_target, 0)[0][0]
        loss, last, metric = self._head()
        inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
        model = keras.Sequential([inputs, *self.layers(keras.layers), last])
        settings = dict(self.settings)
        if self.schedule:
            settings["learning_rate"] = _schedule(self.schedule, steps * self.epochs)
        if self.averaged:
            settings |= {
                "use_ema": True,
                "ema_momentum": 0.98,
                "ema_overwrite_frequency": steps,
            }
        optimizer = getattr(keras.optimizers, self.optimizer)(**settings)
        model.compile(optimizer=optimizer, loss=loss, metrics=[metric])
        return model

    def _head(self) -> tuple[str, Any, str]:
        """Return the loss, the last layer and the metric."""
        from keras.layers import Dense

        world, loss = self._world, self.loss
        if loss == "binary_crossentropy":
            return loss, Dense(1, activation="sigmoid"), "binary_accuracy"
        if world.target == "classes":
            loss = loss or "sparse_categorical_crossentropy"
            return loss, Dense(world.outputs, activation="softmax"), "sparse_categorical_accuracy"
        if world.target == "count" and loss in (None, "poisson"):
            return "poisson", Dense(1, activation="exponential"), "mae"
        return loss or "mse", Dense(world.outputs), "mse" if loss == "mae" else "mae"


@lru_cache(maxsize=64)
def _split(world: str, raw_target: bool, seed: int) -> Split:
    return WORLDS[world].split(seed, raw_target=raw_target)


def _schedule(kind: Schedule, steps: int) -> Any:
    """Return a schedule over so many steps, whose peak is Keras's usual rate."""
    import keras

    schedules, peak = keras.optimizers.schedules, 1e-3
    if kind == "cosine":
        return schedules.CosineDecay(peak, steps)
    if kind == "warm-up and cosine":
        warm_up = steps // 10
        return schedules.CosineDecay(0.0, steps - warm_up, warmup_target=peak, warmup_steps=warm_up)
    return schedules.ExponentialDecay(peak, steps, decay_rate=0.02)
