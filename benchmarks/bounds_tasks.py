"""Small real tasks on which the range test's bounds are measured.

The data are those that scikit-learn ships, and the wine-quality file of this repository; inputs
and regression targets are standardised on the training rows. Tasks marked `held_out` were not
used while the method was developed. Tables of the first six of them had been seen before its last
changes; the last four, in `BLIND`, were first run when it was finished.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from search_spaces import TuningTask
from search_spaces.task import count_rows

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
        """Return the task, with `train` and `validation` of a fixed split."""
        train, validation, outputs = DATA[self.data]()

        def build_model() -> Any:
            import keras

            loss = "mse" if outputs == 0 else "sparse_categorical_crossentropy"
            last = [keras.layers.Dense(outputs or 1, activation="softmax" if outputs else None)]
            inputs = [keras.Input(train[0].shape[1:])]
            model = keras.Sequential([*inputs, *self.layers(keras.layers), *last])
            model.compile(optimizer=self.optimizer(keras.optimizers), loss=self.loss or loss)
            return model

        return TuningTask(self.name, build_model, train, validation, batch_size=self.batch_size)

    @property
    def batches(self) -> int:
        """Gradient steps in an epoch of `task()`."""
        return -(-count_rows(self.task().train) // self.batch_size)


def _prepared(x: np.ndarray, y: np.ndarray, rows: int | None = None) -> tuple[Arrays, Arrays, int]:
    # shuffled, split 3 to 1, standardised on the training rows; a float target is a regression
    order = np.random.default_rng(7).permutation(len(x))[:rows]
    x, y = x[order].astype("float32"), y[order]
    cut = 3 * len(x) // 4
    x = (x - x[:cut].mean(axis=0)) / (x[:cut].std(axis=0) + 1e-7)
    classes = 0
    if y.dtype.kind == "f":
        y = ((y - y[:cut].mean()) / y[:cut].std()).astype("float32")
    else:
        classes = int(y.max()) + 1
    return (x[:cut], y[:cut]), (x[cut:], y[cut:]), classes


@cache
def _digits() -> tuple[Arrays, Arrays, int]:
    from sklearn.datasets import load_digits

    return _prepared(*load_digits(return_X_y=True))


@cache
def _digit_images() -> tuple[Arrays, Arrays, int]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    (x, y), (x_validation, y_validation), classes = _prepared(x, y, rows=900)
    shape = (-1, 8, 8, 1)
    return (x.reshape(shape), y), (x_validation.reshape(shape), y_validation), classes


@cache
def _digit_rows() -> tuple[Arrays, Arrays, int]:
    (x, y), (x_validation, y_validation), classes = _digits()
    return (x.reshape(-1, 8, 8), y), (x_validation.reshape(-1, 8, 8), y_validation), classes


@cache
def _cancer() -> tuple[Arrays, Arrays, int]:
    from sklearn.datasets import load_breast_cancer

    return _prepared(*load_breast_cancer(return_X_y=True))


@cache
def _diabetes() -> tuple[Arrays, Arrays, int]:
    from sklearn.datasets import load_diabetes

    return _prepared(*load_diabetes(return_X_y=True))


@cache
def _cultivars() -> tuple[Arrays, Arrays, int]:
    from sklearn.datasets import load_wine

    return _prepared(*load_wine(return_X_y=True))


@cache
def _iris() -> tuple[Arrays, Arrays, int]:
    from sklearn.datasets import load_iris

    return _prepared(*load_iris(return_X_y=True))


def _quality_table() -> Arrays:
    from search_spaces.wine_csv import find_wine_csv, read_wine_csv

    table = read_wine_csv(find_wine_csv()).dropna()
    x = table.drop(columns="quality")
    x["type"] = (x["type"] == "red").astype(float)
    return x.to_numpy(float), table["quality"].to_numpy()


@cache
def _quality_classes() -> tuple[Arrays, Arrays, int]:
    x, quality = _quality_table()
    return _prepared(x, (quality >= 6).astype(int), rows=4400)


@cache
def _quality_values() -> tuple[Arrays, Arrays, int]:
    x, quality = _quality_table()
    return _prepared(x, quality.astype(float), rows=4400)


DATA: dict[str, Callable[[], tuple[Arrays, Arrays, int]]] = {
    "digits": _digits,
    "digit images": _digit_images,
    "digit rows": _digit_rows,
    "cancer": _cancer,
    "diabetes": _diabetes,
    "cultivars": _cultivars,
    "iris": _iris,
    "quality classes": _quality_classes,
    "quality values": _quality_values,
}


def _dense(*units: int, activation: str = "relu") -> Callable[[Any], list[Any]]:
    return lambda layers: [layers.Dense(n, activation=activation) for n in units]


def _batch_norm(*units: int) -> Callable[[Any], list[Any]]:
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


def _dropout(*units: int, rate: float) -> Callable[[Any], list[Any]]:
    def make(layers: Any) -> list[Any]:
        blocks = [(layers.Dense(n, activation="relu"), layers.Dropout(rate)) for n in units]
        return [layer for block in blocks for layer in block]

    return make


def _cnn(layers: Any) -> list[Any]:
    return [
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
    ]


def _cnn_1d(layers: Any) -> list[Any]:
    return [layers.Conv1D(12, 3, activation="relu"), layers.Flatten()]


def _attention(layers: Any) -> list[Any]:
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


TASKS: tuple[BenchmarkTask, ...] = (
    BenchmarkTask("digits mlp adam", "digits", _dense(64), lambda o: o.Adam(), 32, 25),
    BenchmarkTask(
        "digits tanh sgd", "digits", _dense(64, activation="tanh"), lambda o: o.SGD(), 16, 25
    ),
    BenchmarkTask(
        "digits deep gelu adamw",
        "digits",
        _dense(48, 48, 48, 48, activation="gelu"),
        lambda o: o.AdamW(),
        64,
        25,
    ),
    BenchmarkTask(
        "digits batchnorm momentum",
        "digits",
        _batch_norm(64, 32),
        lambda o: o.SGD(momentum=0.9),
        64,
        25,
    ),
    BenchmarkTask(
        "cancer dropout rmsprop", "cancer", _dropout(32, rate=0.4), lambda o: o.RMSprop(), 32, 25
    ),
    BenchmarkTask("digits cnn nadam", "digit images", _cnn, lambda o: o.Nadam(), 64, 20),
    BenchmarkTask("digits mlp lion 256", "digits", _dense(64), lambda o: o.Lion(), 256, 40),
    BenchmarkTask("cancer logistic sgd", "cancer", _dense(), lambda o: o.SGD(), 16, 30),
    BenchmarkTask(
        "diabetes mlp momentum",
        "diabetes",
        _dense(32, activation="tanh"),
        lambda o: o.SGD(momentum=0.9, nesterov=True),
        16,
        30,
    ),
    BenchmarkTask("cultivars mlp rmsprop", "cultivars", _dense(24), lambda o: o.RMSprop(), 16, 40),
    BenchmarkTask(
        "quality mlp adam", "quality classes", _dense(48, 24), lambda o: o.Adam(), 32, 20
    ),
    BenchmarkTask(
        "quality regression sgd",
        "quality values",
        _dense(48, activation="tanh"),
        lambda o: o.SGD(),
        64,
        20,
    ),
    BenchmarkTask(
        "quality logistic adamw", "quality classes", _dense(), lambda o: o.AdamW(), 128, 20
    ),
    BenchmarkTask(
        "digits attention adam", "digit rows", _attention, lambda o: o.Adam(), 32, 15, held_out=True
    ),
    BenchmarkTask(
        "cancer deep tanh nadam",
        "cancer",
        _dense(24, 24, 24, activation="tanh"),
        lambda o: o.Nadam(),
        32,
        30,
        held_out=True,
    ),
    BenchmarkTask(
        "diabetes linear adam", "diabetes", _dense(), lambda o: o.Adam(), 32, 40, held_out=True
    ),
    BenchmarkTask("iris mlp sgd", "iris", _dense(16), lambda o: o.SGD(), 16, 40, held_out=True),
    BenchmarkTask(
        "quality batchnorm lion",
        "quality classes",
        _batch_norm(32, 32),
        lambda o: o.Lion(),
        64,
        20,
        held_out=True,
    ),
    BenchmarkTask(
        "quality gelu nadam 256",
        "quality values",
        _dense(32, 32, activation="gelu"),
        lambda o: o.Nadam(),
        256,
        25,
        held_out=True,
    ),
    BenchmarkTask(
        "cancer mlp nesterov",
        "cancer",
        _dense(32),
        lambda o: o.SGD(momentum=0.9, nesterov=True),
        32,
        25,
        held_out=True,
    ),
    BenchmarkTask(
        "quality huber adam",
        "quality values",
        _dense(32, 16),
        lambda o: o.Adam(),
        64,
        20,
        held_out=True,
        loss="huber",
    ),
    BenchmarkTask(
        "digits conv1d adamax", "digit rows", _cnn_1d, lambda o: o.Adamax(), 32, 15, held_out=True
    ),
    BenchmarkTask(
        "cultivars gelu adamw",
        "cultivars",
        _dense(16, activation="gelu"),
        lambda o: o.AdamW(),
        16,
        30,
        held_out=True,
    ),
)

BLIND = (
    "cancer mlp nesterov",
    "quality huber adam",
    "digits conv1d adamax",
    "cultivars gelu adamw",
)
