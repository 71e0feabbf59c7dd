"""Small real tasks on which range tests and searches are measured, and how they are made.

The data are those that scikit-learn ships, and the wine-quality file of this repository. Each
split draws all rows anew: 60 % train, 20 % validate, 20 % test, standardised on the training rows.
The list of the tasks stands in `benchmarks.task_list`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from search_spaces import TuningTask

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class BenchmarkTask:
    """What one task of the benchmark is made of.

    Args:
        name: Data, model and optimizer, for the tables.
        data: Name of a function in `DATA`.
        layers: Makes the hidden layers, fresh at each call.
        optimizer: Makes the optimizer, fresh at each call.
        batch_size: Rows to a step.
        epochs: The budget: epochs of one training.
        held_out: Whether it was out of sight while the method was developed.
        loss: The loss; None for the mean squared error, or the cross-entropy of classes.
    """

    name: str
    data: str
    layers: Callable[[Any], list[Any]]
    optimizer: Callable[[Any], Any]
    batch_size: int
    epochs: int
    held_out: bool = False
    loss: str | None = None

    def task(self) -> TuningTask:
        """Return the task, whose `resplit` draws training, validation and test rows anew."""
        resplit = partial(split_rows, self.data)
        outputs = _classes(self.data)
        train, validation, test = resplit(0)

        def build_model() -> Any:
            import keras

            loss = "mse" if outputs == 0 else "sparse_categorical_crossentropy"
            last = [keras.layers.Dense(outputs or 1, activation="softmax" if outputs else None)]
            inputs = [keras.Input(train[0].shape[1:])]
            model = keras.Sequential([*inputs, *self.layers(keras.layers), *last])
            model.compile(optimizer=self.optimizer(keras.optimizers), loss=self.loss or loss)
            return model

        return TuningTask(
            self.name,
            build_model,
            train,
            validation,
            test,
            batch_size=self.batch_size,
            resplit=resplit,
        )


def split_rows(data: str, seed: int) -> tuple[Arrays, Arrays, Arrays]:
    """Return training, validation and test rows of a seed; a float target is a regression.

    Args:
        data: A name of `DATA`.
        seed: Which rows go where.
    """
    x, y = _rows(data)
    shape, most = SHAPES.get(data), MOST_ROWS.get(data)
    order = np.random.default_rng([11, seed]).permutation(len(x))[:most]
    x, y = x[order].astype("float32"), y[order]
    ends = int(0.6 * len(order)), int(0.8 * len(order))
    train = slice(0, ends[0])
    mean, spread = x[train].mean(axis=0), x[train].std(axis=0)
    x = (x - mean) / np.where(spread < 1e-3, 1, spread)  # a pixel that is always blank
    if y.dtype.kind == "f":
        y = ((y - y[train].mean()) / y[train].std()).astype("float32")
    x = x if shape is None else x.reshape(-1, *shape)
    parts = (train, slice(*ends), slice(ends[1], None))
    one, two, three = ((x[part], y[part]) for part in parts)
    return one, two, three


SHAPES = {"digit images": (8, 8, 1), "digit rows": (8, 8)}
MOST_ROWS = {"digit images": 1200, "quality classes": 4400, "quality values": 4400}


@cache
def _rows(data: str) -> Arrays:
    from sklearn import datasets

    if data.startswith("quality"):
        x, quality = _quality_table()
        return x, (quality >= 6).astype(int) if data == "quality classes" else quality.astype(float)
    x, y = getattr(datasets, f"load_{DATA[data]}")(return_X_y=True)
    return x, y


def _classes(data: str) -> int:
    y = _rows(data)[1]
    return 0 if y.dtype.kind == "f" else int(y.max()) + 1


DATA = {
    "digits": "digits",
    "digit images": "digits",
    "digit rows": "digits",
    "cancer": "breast_cancer",
    "diabetes": "diabetes",
    "cultivars": "wine",
    "iris": "iris",
}


def _quality_table() -> Arrays:
    from search_spaces.wine_csv import find_wine_csv, read_wine_csv

    table = read_wine_csv(find_wine_csv()).dropna()
    x = table.drop(columns="quality")
    x["type"] = (x["type"] == "red").astype(float)
    return x.to_numpy(float), table["quality"].to_numpy()


def dense(*units: int, activation: str = "relu") -> Callable[[Any], list[Any]]:
    """Return what makes dense layers of so many units."""
    return lambda layers: [layers.Dense(n, activation=activation) for n in units]


def batch_norm(*units: int) -> Callable[[Any], list[Any]]:
    """Return what makes dense layers, each with a normalisation after it."""

    def make(layers: Any) -> list[Any]:
        # no bias before a normalisation: its gradient is rounding alone, whose sign Lion follows
        return [
            layer
            for n in units
            for layer in (
                layers.Dense(n, use_bias=False),
                layers.BatchNormalization(),
                layers.Activation("relu"),
            )
        ]

    return make


def dropout(*units: int, rate: float) -> Callable[[Any], list[Any]]:
    """Return what makes dense layers, each with dropout after it."""

    def make(layers: Any) -> list[Any]:
        blocks = [(layers.Dense(n, activation="relu"), layers.Dropout(rate)) for n in units]
        return [layer for block in blocks for layer in block]

    return make


def cnn(layers: Any) -> list[Any]:
    """Return a convolution over an image."""
    return [
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
    ]


def cnn_1d(layers: Any) -> list[Any]:
    """Return a convolution over the rows of an image."""
    return [layers.Conv1D(12, 3, activation="relu"), layers.Flatten()]


def attention(layers: Any) -> list[Any]:
    """Return a block of self-attention and a dense layer."""
    import keras

    class SelfAttention(keras.layers.Layer):
        """One block of self-attention over the rows of an image, with a skip connection."""

        def __init__(self) -> None:
            super().__init__()
            self.embed = layers.Dense(16)
            self.attend = layers.MultiHeadAttention(2, 8)

        def build(self, shape: Any) -> None:
            self.embed.build(shape)
            embedded = (*shape[:-1], 16)
            self.attend.build(embedded, embedded)

        def call(self, x: Any) -> Any:
            x = self.embed(x)
            return x + self.attend(x, x)

    return [SelfAttention(), layers.Flatten(), layers.Dense(32, activation="relu")]
