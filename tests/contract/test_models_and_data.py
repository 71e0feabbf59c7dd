"""Whatever a user brings: equal to `model.fit`, one lane at a time with the reason, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers, losses, metrics, optimizers
from keras.optimizers import schedules

from search_spaces import TuningTask
from tests.contract.models import (
    BATCH,
    BINARY,
    CLASSES,
    DENSE,
    IMAGES,
    ONE_HOT,
    SERIES,
    TOKENS,
    AddsLoss,
    Noisy,
    Normed,
    OwnLoss,
    OwnMetrics,
    OwnStep,
    OwnTest,
    Ramped,
    SeededNoise,
    Share,
    Subclass,
    adapted,
    attention,
    chain,
    compiled,
    frozen,
    inputs,
    jitted,
    label_smoothing,
    mixed_precision,
    nested,
    of_texts,
    residual,
    shared_layer,
    spread,
    two_inputs,
    two_outputs,
    with_layers,
    with_loss,
    with_optimizer,
)
from tests.search_spaces.test_arrays import REFUSED as REFUSED_ARRAYS
from tuners import range_test, train

pytestmark = pytest.mark.slow

Case = tuple[Callable[[], Any], Any, Any]  # what builds the model, x, y


def dense(build: Callable[[], Any], y: Any = BINARY) -> Case:
    return build, DENSE, y


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "SGD": lambda: optimizers.SGD(),
    "SGD momentum Nesterov": lambda: optimizers.SGD(momentum=0.9, nesterov=True),
    "SGD weight decay": lambda: optimizers.SGD(weight_decay=0.1),
    "SGD EMA": lambda: optimizers.SGD(use_ema=True, ema_overwrite_frequency=3),
    "Adam amsgrad clipvalue": lambda: optimizers.Adam(amsgrad=True, clipvalue=0.01),
    "Adam accumulation": lambda: optimizers.Adam(gradient_accumulation_steps=2),
    "AdamW": lambda: optimizers.AdamW(weight_decay=0.1),
    "RMSprop": lambda: optimizers.RMSprop(momentum=0.5, centered=True),
    "Nadam": lambda: optimizers.Nadam(),
    "Adamax": lambda: optimizers.Adamax(),
    "Adagrad": lambda: optimizers.Adagrad(),
    "Adadelta": lambda: optimizers.Adadelta(),
    "Ftrl": lambda: optimizers.Ftrl(),
    "Lion": lambda: optimizers.Lion(),
    "cosine schedule": lambda: optimizers.Adam(schedules.CosineDecay(0.01, 20)),
    "exponential schedule": lambda: optimizers.SGD(schedules.ExponentialDecay(0.01, 3, 0.5)),
    "piecewise schedule": lambda: optimizers.SGD(schedules.PiecewiseConstantDecay([4], [0.1, 1.0])),
    "warm-up from 0": lambda: optimizers.Adam(Ramped()),
}
SOFTMAX = {"units": 3, "activation": "softmax"}
LOSSES: dict[str, Case] = {
    "mae": dense(with_loss("mae")),
    "huber": dense(with_loss("huber")),
    "log cosh": dense(with_loss("log_cosh")),
    "binary": dense(with_loss("binary_crossentropy", activation="sigmoid")),
    "label smoothing": dense(with_loss(label_smoothing, activation="sigmoid")),
    "logits": dense(with_loss(losses.BinaryCrossentropy(from_logits=True))),
    "hinge": dense(with_loss("hinge"), 2 * BINARY - 1),
    "poisson": dense(with_loss("poisson", activation="softplus")),
    "categorical": dense(with_loss("categorical_crossentropy", **SOFTMAX), ONE_HOT),
    "sparse": dense(with_loss("sparse_categorical_crossentropy", **SOFTMAX), CLASSES),
    "a function": dense(with_loss(lambda y, p: keras.ops.mean((y[:, None] - p) ** 4))),
    "no mean over rows": dense(with_loss(lambda y, p: keras.ops.max((y[:, None] - p) ** 2))),
}


def measured(*told: Any, y: Any = BINARY, weighted: bool = False, **options: Any) -> Case:
    options = {"activation": "sigmoid", **options}
    loss = "binary_crossentropy" if "units" not in options else "categorical_crossentropy"
    names = {"weighted_metrics" if weighted else "metrics": list(told)}

    def build() -> Any:
        fresh = {key: [each() if callable(each) else each for each in names[key]] for key in names}
        return with_loss(loss, **options, **fresh)()

    return dense(build, y)


METRICS: dict[str, Case] = {
    "accuracy": measured("accuracy"),
    "AUC": measured(lambda: metrics.AUC(name="auc")),
    "precision and recall": measured(metrics.Precision, metrics.Recall),
    "F1 of each class": measured(metrics.F1Score, "accuracy", y=ONE_HOT, **SOFTMAX),
    "top 2": measured(lambda: metrics.TopKCategoricalAccuracy(2), y=ONE_HOT, **SOFTMAX),
    "weighted": measured("accuracy", weighted=True),
    "one of one's own": measured(Share),
    "a function that is no mean": measured(lambda: spread),
    "R2": measured(lambda: metrics.R2Score(name="r2"), y=BINARY[:, None]),
}
LAYERS: dict[str, Case] = {
    "batch normalization": dense(with_layers(lambda: [layers.BatchNormalization()])),
    "layer normalization": dense(with_layers(lambda: [layers.LayerNormalization()])),
    "group normalization": dense(with_layers(lambda: [layers.GroupNormalization(2)])),
    "unit normalization": dense(with_layers(lambda: [layers.UnitNormalization()])),
    "PReLU": dense(with_layers(lambda: [layers.Dense(3), layers.PReLU()])),
    "weight regularizer": dense(with_layers(lambda: [layers.Dense(3, kernel_regularizer="l2")])),
    "activity regularizer": dense(
        with_layers(lambda: [layers.Dense(3, activity_regularizer="l1")])
    ),
    "add_loss": dense(with_layers(lambda: [layers.Dense(3), AddsLoss()])),
    "embedding": (
        with_layers(lambda: [layers.Embedding(12, 3), layers.Flatten()], "tokens"),
        TOKENS,
        BINARY,
    ),
    "attention": (attention, TOKENS, BINARY),
    "GRU": (with_layers(lambda: [layers.GRU(2)], "series"), SERIES, BINARY),
    "LSTM": (with_layers(lambda: [layers.LSTM(2)], "series"), SERIES, BINARY),
    "two ways": (
        with_layers(lambda: [layers.Bidirectional(layers.SimpleRNN(2))], "series"),
        SERIES,
        BINARY,
    ),
    "convolution in time": (
        with_layers(lambda: [layers.Conv1D(2, 3), layers.GlobalMaxPooling1D()], "series"),
        SERIES,
        BINARY,
    ),
    "convolution": (
        with_layers(
            lambda: [layers.Conv2D(2, 3), layers.MaxPooling2D(), layers.Flatten()], "images"
        ),
        IMAGES,
        BINARY,
    ),
    "separable convolution": (
        with_layers(lambda: [layers.SeparableConv2D(2, 3), layers.Flatten()], "images"),
        IMAGES,
        BINARY,
    ),
    "upward convolution": (
        with_layers(lambda: [layers.Conv2DTranspose(2, 3), layers.Flatten()], "images"),
        IMAGES,
        BINARY,
    ),
    "normalization adapted": dense(adapted),
    "residual": dense(residual),
    "a layer twice": dense(shared_layer),
    "a model in a model": dense(nested),
    "a frozen layer": dense(frozen),
    "subclass": dense(lambda: compiled(Subclass())),
    "subclass, own loss": dense(lambda: compiled(OwnLoss())),
    "subclass, own metrics": dense(lambda: compiled(OwnMetrics(), metrics=["mae"])),
    "subclass, seeded noise": dense(lambda: compiled(SeededNoise(), jit_compile=True)),
    "dropout": dense(jitted(lambda: [layers.Dense(4), layers.Dropout(0.5)])),
    "noise": dense(jitted(lambda: [layers.GaussianNoise(0.5)])),
    "alpha dropout": dense(jitted(lambda: [layers.Dense(4), layers.AlphaDropout(0.2)])),
    "spatial dropout": (
        jitted(lambda: [layers.SpatialDropout1D(0.3), layers.GRU(2)], "series"),
        SERIES,
        BINARY,
    ),
    "dropout switched off": dense(with_layers(lambda: [layers.Dense(4), layers.Dropout(1e-9)])),
    "inputs in a dict": (two_inputs(True), {"floats": DENSE, "words": TOKENS}, BINARY),
    "inputs in a list": (two_inputs(False), [DENSE, TOKENS], BINARY),
    "outputs in a dict": dense(two_outputs("dict"), {"a": BINARY, "b": ONE_HOT}),
    "outputs in a list": dense(two_outputs("list"), [BINARY, ONE_HOT]),
    "outputs without names": dense(two_outputs("unnamed"), [BINARY, ONE_HOT]),
}
PLAIN = with_layers(lambda: [layers.Dense(3, "tanh")])
DATA: dict[str, Case] = {
    "float64": (PLAIN, DENSE.astype("float64"), BINARY),
    "float16": (PLAIN, DENSE.astype("float16"), BINARY),
    "whole numbers": (PLAIN, (DENSE * 9).astype("int32"), BINARY.astype("int64")),
    "bytes": (PLAIN, np.abs(DENSE * 2).astype("uint8"), BINARY.astype("uint8")),
    "truth values": (PLAIN, DENSE > 0, BINARY > 0),
    "a table": (PLAIN, pd.DataFrame(DENSE, columns=list("abcd")), pd.Series(BINARY)),
    "a mixed table": (
        PLAIN,
        pd.DataFrame({"a": DENSE[:, 0], "b": TOKENS[:, 0], "c": BINARY > 0, "d": DENSE[:, 3]}),
        BINARY,
    ),
    "tensors": (PLAIN, tf.constant(DENSE), tf.constant(BINARY)),
    "targets in a column": (PLAIN, DENSE, BINARY[:, None]),
    "read-only": (PLAIN, np.broadcast_to(DENSE[:1], DENSE.shape), BINARY),
    "reversed": (PLAIN, DENSE[::-1], BINARY[::-1]),
    "Fortran order": (PLAIN, np.asfortranarray(DENSE), BINARY),
}
EQUAL = {
    **{name: dense(with_optimizer(make)) for name, make in OPTIMIZERS.items()},
    **LOSSES,
    **METRICS,
    **LAYERS,
    **DATA,
}


def cut(part: Any, rows: slice) -> Any:
    if isinstance(part, dict):
        return {key: cut(each, rows) for key, each in part.items()}
    if isinstance(part, list):
        return [cut(each, rows) for each in part]
    return part[rows]


def task_of(case: Case, **options: Any) -> TuningTask:
    build, x, y = case
    parts = [(cut(x, rows), cut(y, rows)) for rows in (slice(24), slice(24, 40))]
    return TuningTask("table", build, *parts, **{"batch_size": BATCH, **options})


def assert_equal_to_fit(task: TuningTask) -> None:
    lanes = {"learning_rates": [1e-3, 1e-2], "seeds": [3, 4], "epochs": 2}
    stacked, alone = train(task, **lanes), train(task, **lanes, how="sequential")
    assert stacked.how == "population", stacked.why
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5, "equal_nan": True}
    np.testing.assert_allclose(stacked.initial_val_loss, alone.initial_val_loss, **close)
    np.testing.assert_allclose(stacked.loss, alone.loss, **close)
    np.testing.assert_allclose(stacked.val_loss, alone.val_loss, **close)
    assert set(stacked.metrics) == set(alone.metrics)
    for name, value in alone.metrics.items():
        # one of 16 or 24 rows may fall on the other side of a threshold
        atol = 1e-4 if name.endswith("_loss") else 0.07
        np.testing.assert_allclose(stacked.metrics[name], value, rtol=1e-4, atol=atol)


# of each kind what went wrong once, or is most used: the suite's share of the table
SAMPLE = {
    "Adam amsgrad clipvalue",
    "warm-up from 0",
    "no mean over rows",
    "F1 of each class",
    "a function that is no mean",
    "attention",
    "convolution",
    "subclass, own loss",
    "dropout",
    "outputs in a list",
    "a mixed table",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in SAMPLE else pytest.mark.table) for n in EQUAL],
)
def test_equal_to_fit(name: str) -> None:
    assert_equal_to_fit(task_of(EQUAL[name]))


WEIGHTS = np.linspace(0.1, 2, 24).astype("float32")


@pytest.mark.parametrize(
    "options",
    [
        {"class_weight": {0: 1.0, 1: 3.0}},
        pytest.param({"batch_size": 1}, marks=pytest.mark.table),
        {"batch_size": 7},  # with a short last batch
        pytest.param({"batch_size": 100}, marks=pytest.mark.table),
        {"resplit": "shuffle"},
    ],
    ids=str,
)
def test_tasks_equal_to_fit(options: dict[str, Any]) -> None:
    assert_equal_to_fit(task_of(METRICS["accuracy"], **options))


def test_sample_weights_equal_to_fit() -> None:
    train_part, held = (DENSE[:24], BINARY[:24], WEIGHTS), (DENSE[24:], BINARY[24:], WEIGHTS[:16])
    assert_equal_to_fit(TuningTask("t", METRICS["weighted"][0], train_part, held, batch_size=BATCH))


def test_a_dataset_is_equal_to_fit() -> None:
    parts = [tf.data.Dataset.from_tensor_slices(part).batch(BATCH) for part in ((DENSE, BINARY),)]
    with pytest.warns(UserWarning, match="Read into arrays once: `train`, `validation`"):
        task = TuningTask("read", PLAIN, parts[0], parts[0])
    assert_equal_to_fit(task)


ALONE: dict[str, tuple[Case, str]] = {
    "own train_step": (dense(lambda: compiled(OwnStep())), "its own `train_step`|own `train_step`"),
    "own test_step": (dense(lambda: compiled(OwnTest())), "the model has its own `test_step`"),
    "random without a seed": (dense(lambda: compiled(Noisy())), "does not agree with Keras: loss"),
    "mixed precision": (dense(mixed_precision), "scales its loss"),
    "clipnorm": (dense(with_optimizer(lambda: optimizers.Adam(clipnorm=1.0))), "`clipnorm` mixes"),
    "global clipnorm": (
        dense(with_optimizer(lambda: optimizers.Adam(global_clipnorm=1.0))),
        "`global_clipnorm` mixes",
    ),
    "Lamb": (dense(with_optimizer(optimizers.Lamb)), "Lamb mixes the elements"),
    "Adafactor": (dense(with_optimizer(optimizers.Adafactor)), "Adafactor mixes the elements"),
    "Muon": (dense(with_optimizer(optimizers.Muon)), "Muon mixes the elements"),
    "an optimizer that norms": (dense(with_optimizer(Normed)), "does not agree with Keras: loss"),
    "constraint": (
        dense(with_layers(lambda: [layers.Dense(3, kernel_constraint="non_neg")])),
        "a weight has a constraint",
    ),
    "eager": (dense(with_loss("mse", run_eagerly=True)), "run_eagerly=True"),
}


@pytest.mark.parametrize("name", ALONE)
def test_one_lane_at_a_time_with_the_reason(name: str) -> None:
    case, reason = ALONE[name]
    record = train(task_of(case), [1e-3], [0], epochs=1)
    assert record.how == "sequential"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(record.why)
    assert np.isfinite(record.val_loss).all()


def test_a_dataset_of_texts_streams() -> None:
    rows = tf.data.Dataset.from_tensor_slices(([["good"], ["bad"]] * 20, BINARY)).batch(BATCH)
    record = train(TuningTask("texts", of_texts, rows, rows), [1e-3], [0], epochs=1)
    assert (record.how, np.isfinite(record.val_loss).all()) == ("sequential", True)


class Argued(keras.Model):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def call(self, x: Any) -> Any:
        return self.inner(x)


def stateful() -> Any:
    start = layers.Input(batch_shape=(8, 6, 3))
    return compiled(keras.Sequential([start, layers.LSTM(2, stateful=True), layers.Dense(1)]))


def distributed() -> Any:
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        return PLAIN()


def without_weights() -> Any:
    return compiled(keras.Sequential([inputs("dense"), layers.Flatten()]))


def endless() -> Any:
    return tf.data.Dataset.from_tensor_slices((DENSE, BINARY)).batch(8).repeat()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a stateful layer": (
        lambda: (stateful, SERIES, BINARY),
        r"'lstm\w*' carries its state .*=False",
    ),
    "no weights": (lambda: (without_weights, DENSE, DENSE), "with weights to train, but this one"),
    "a rate of 0": (
        lambda: (with_optimizer(lambda: optimizers.SGD(0.0)), DENSE, BINARY),
        "a learning rate that is positive and finite, but got 0",
    ),
    "a tf.distribute strategy": (
        lambda: (distributed, DENSE, BINARY),
        "outside of a tf.distribute strategy, .*; leave out the scope",
    ),
    "a model of a strategy": (
        lambda: (distributed(), DENSE, BINARY),
        "`source` must build its model outside of a tf.distribute strategy",
    ),
    "not compiled": (lambda: (lambda: chain(), DENSE, BINARY), "it was not compiled"),
    "no model": (lambda: (lambda: None, DENSE, BINARY), "did it forget to `return model`"),
    "a model that cannot be copied": (
        lambda: (compiled(Argued(layers.Dense(1))), DENSE, BINARY),
        "Keras cannot make a second Argued",
    ),
    "inputs of another width": (lambda: (PLAIN, DENSE[:, :3], BINARY), "check the shapes of"),
    "inputs of another rank": (lambda: (PLAIN, SERIES, BINARY), "check the shapes of|takes the"),
    "targets of another width": (
        lambda: (with_loss("categorical_crossentropy", **SOFTMAX), DENSE, BINARY[:, None]),
        "check the shapes of inputs and targets",
    ),
    "another number of rows": (lambda: (PLAIN, DENSE, BINARY[:9]), "the same number of rows"),
    "targets left out": (lambda: (PLAIN, DENSE), "`y` must hold the training targets"),
    "targets beside a dataset": (lambda: (PLAIN, endless(), BINARY), "`y` must be left out"),
    "a dataset without end": (lambda: (PLAIN, endless()), "`x` must be a dataset that ends"),
    "missing values": (
        lambda: (PLAIN, np.full((40, 4), np.nan), BINARY),
        "must give a finite loss before any update",
    ),
    "a list of numbers": (lambda: (PLAIN, [1.0, 2.0], [0, 1]), "one row an example, but hold"),
    "text targets": (lambda: (PLAIN, DENSE, np.array(["a", "b"] * 20)), "pandas.factorize"),
    "a generator": (lambda: (PLAIN, (each for each in [1])), "`x` must be arrays or a tf.data"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_cure(name: str) -> None:
    make, words = REFUSED[name]
    source, *data = make()
    with pytest.raises(ValueError, match=words) as caught:
        range_test(source, *data, epochs=3, batch_size=None, verbose=0)
    assert len(str(caught.value)) <= 3 * 120


@pytest.mark.parametrize("kind", REFUSED_ARRAYS)
def test_data_refused_with_the_cure(kind: str) -> None:
    with pytest.raises(ValueError, match="`x` must hold numbers, one row an example, but got"):
        range_test(PLAIN, REFUSED_ARRAYS[kind][0](), BINARY, epochs=3, verbose=0)


def test_the_table_is_long_enough() -> None:
    assert set(EQUAL) > SAMPLE
    assert len(EQUAL) + len(ALONE) + len(REFUSED) + len(REFUSED_ARRAYS) + 7 >= 120
