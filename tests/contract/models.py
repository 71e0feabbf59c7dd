"""The models of the table: a builder for each, and the rows that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, losses, metrics, optimizers
from keras.optimizers import schedules

Build = Callable[[], Any]
ROWS, BATCH = 40, 8

_rng = np.random.default_rng(0)
DENSE = _rng.normal(size=(ROWS, 4)).astype("float32")
BINARY = (DENSE[:, 0] + DENSE[:, 1] > 0).astype("float32")
CLASSES = np.digitize(DENSE[:, 0], [-0.5, 0.5])
ONE_HOT = np.eye(3, dtype="float32")[CLASSES]
TOKENS = _rng.integers(0, 12, (ROWS, 5))
IMAGES = _rng.normal(size=(ROWS, 6, 6, 2)).astype("float32")
SERIES = _rng.normal(size=(ROWS, 6, 3)).astype("float32")
X = {"dense": DENSE, "tokens": TOKENS, "images": IMAGES, "series": SERIES}


def inputs(kind: str) -> Any:
    """Return the input layer of rows of a kind."""
    return layers.Input(X[kind].shape[1:], dtype=X[kind].dtype.name)


def compiled(model: Any, optimizer: Any = "adam", loss: Any = "mse", **options: Any) -> Any:
    """Compile a model and return it."""
    model.compile(optimizer, loss, **options)
    return model


def chain(*parts: Any, kind: str = "dense", units: int = 1, activation: Any = None) -> Any:
    """Return a model of layers in a row, ended by a dense one."""
    return keras.Sequential([inputs(kind), *parts, layers.Dense(units, activation)])


def with_optimizer(make: Callable[[], Any]) -> Build:
    return lambda: compiled(chain(layers.Dense(3, "tanh")), make())


def with_loss(loss: Any, units: int = 1, activation: Any = None, **options: Any) -> Build:
    def build() -> Any:
        model = chain(layers.Dense(3, "tanh"), units=units, activation=activation)
        return compiled(model, loss=loss() if isinstance(loss, type) else loss, **options)

    return build


def with_layers(make: Callable[[], list[Any]], kind: str = "dense", **options: Any) -> Build:
    return lambda: compiled(chain(*make(), kind=kind), **options)


class Ramped(schedules.LearningRateSchedule):
    """A warm-up that starts at 0."""

    def __call__(self, step: Any) -> Any:
        return 0.01 * tf.minimum(tf.cast(step, tf.float32) / 6, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {}


class Share(metrics.Metric):
    """A metric of one's own: the share of predictions above 0."""

    def __init__(self, name: str = "share") -> None:
        super().__init__(name=name)
        self.count = self.add_weight(initializer="zeros")
        self.above = self.add_weight(initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.count.assign_add(tf.cast(tf.shape(y_pred)[0], tf.float32))
        self.above.assign_add(tf.reduce_sum(tf.cast(y_pred > 0, tf.float32)))

    def result(self) -> Any:
        return self.above / self.count


def spread(y_true: Any, y_pred: Any) -> Any:
    """A metric that is no mean over rows: it depends on how they are batched."""
    return keras.ops.max(y_pred) - keras.ops.min(y_pred)


class Subclass(keras.Model):
    """A model of one's own, built from its data."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = layers.Dense(4, "relu"), layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))


class OwnLoss(Subclass):
    """Its loss is no mean over rows."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, *rest: Any, **more: Any
    ) -> Any:
        return keras.ops.mean((y - y_pred[:, 0]) ** 2) + 0.1 * keras.ops.max(y_pred)


class OwnMetrics(Subclass):
    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().compute_metrics(x, y, y_pred * 2, sample_weight)


class OwnStep(Subclass):
    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


class OwnTest(Subclass):
    def test_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        return {"loss": 2 * self.compute_loss(x, y, self(x, training=False))}


class Noisy(Subclass):
    """It draws random numbers that no seed reaches."""

    def call(self, x: Any, training: bool = False) -> Any:
        return super().call(x + 0.3 * tf.random.normal(tf.shape(x)) if training else x)


class SeededNoise(Subclass):
    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x: Any, training: bool = False) -> Any:
        noise = keras.random.normal(keras.ops.shape(x), seed=self.seeds) if training else 0.0
        return super().call(x + 0.3 * noise)


class Normed(optimizers.SGD):
    """An optimizer of one's own whose step depends on all gradients together."""

    def apply_gradients(self, grads_and_vars: Any, **options: Any) -> Any:
        pairs = list(grads_and_vars)
        norm = tf.linalg.global_norm([gradient for gradient, _ in pairs])
        return super().apply_gradients([(g / norm, v) for g, v in pairs], **options)


class AddsLoss(layers.Layer):
    def call(self, x: Any) -> Any:
        self.add_loss(0.1 * keras.ops.mean(x**2))
        return x


def residual() -> Any:
    start = inputs("dense")
    hidden = layers.Dense(4, "relu")(start)
    return compiled(keras.Model(start, layers.Dense(1)(hidden + start)))


def shared_layer() -> Any:
    start, layer = inputs("dense"), layers.Dense(4, "tanh")
    return compiled(keras.Model(start, layers.Dense(1)(layer(layer(start)))))


def nested() -> Any:
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(3, "relu"), layers.Dropout(0.0)])
    return compiled(chain(inner))


def frozen() -> Any:
    first = layers.Dense(4, "relu")
    first.trainable = False
    return compiled(chain(first))


def attention() -> Any:
    start = inputs("tokens")
    embedded = layers.Embedding(12, 4)(start)
    attended = layers.MultiHeadAttention(2, 2)(embedded, embedded)
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(attended + embedded))
    return compiled(keras.Model(start, layers.Dense(1)(pooled)))


def adapted() -> Any:
    layer = layers.Normalization()
    layer.adapt(DENSE)
    return compiled(chain(layer))


def two_inputs(named: bool) -> Build:
    def build() -> Any:
        starts = {
            "floats": layers.Input((4,), name="floats"),
            "words": layers.Input((5,), dtype="int64", name="words"),
        }
        words = layers.Flatten()(layers.Embedding(12, 2)(starts["words"]))
        joined = layers.Concatenate()([layers.Dense(3)(starts["floats"]), words])
        ends = layers.Dense(1)(joined)
        return compiled(keras.Model(starts if named else list(starts.values()), ends))

    return build


def two_outputs(form: str) -> Build:
    def build() -> Any:
        start = inputs("dense")
        hidden = layers.Dense(4, "tanh")(start)
        names = ("a", "b") if form != "unnamed" else (None, None)
        ends = [
            layers.Dense(1, "sigmoid", name=names[0])(hidden),
            layers.Dense(3, "softmax", name=names[1])(hidden),
        ]
        kinds = ["binary_crossentropy", "categorical_crossentropy"]
        if form == "dict":
            model = keras.Model(start, dict(zip("ab", ends, strict=True)))
            told = {"a": ["accuracy"], "b": ["accuracy"]}
            return compiled(model, loss=dict(zip("ab", kinds, strict=True)), metrics=told)
        told = [["accuracy"], ["accuracy"]]
        return compiled(keras.Model(start, ends), loss=kinds, loss_weights=[1, 2], metrics=told)

    return build


def mixed_precision() -> Any:
    model = keras.Sequential(
        [
            inputs("dense"),
            layers.Dense(4, dtype="mixed_float16"),
            layers.Dense(1, dtype="float32"),
        ]
    )
    return compiled(model, optimizers.LossScaleOptimizer(optimizers.Adam()))


def of_texts() -> Any:
    vectorized = layers.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=3)
    start = layers.Input((1,), dtype="string")
    embedded = layers.Flatten()(layers.Embedding(5, 2)(vectorized(start)))
    return compiled(keras.Model(start, layers.Dense(1)(embedded)))


def jitted(make: Callable[[], list[Any]], kind: str = "dense") -> Build:
    """Return a model with random layers, whose numbers `fit` draws so with jit_compile=True."""
    return lambda: compiled(chain(*make(), kind=kind), jit_compile=True)


label_smoothing = losses.BinaryCrossentropy(label_smoothing=0.1)
