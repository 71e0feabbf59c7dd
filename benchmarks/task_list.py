"""The tasks of the benchmarks: at most three of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.models import (
    Layers,
    augmented_cnn,
    batch_norm,
    cnn,
    cnn_1d,
    dense,
    dropout,
    embedded_categories,
    embedded_letters,
    layer_norm,
    recurrent,
    resnet,
    signal_cnn,
    transformer,
)
from benchmarks.tasks import BenchmarkTask
from benchmarks.worlds import WORLDS
from benchmarks.worlds.generated import LETTERS

FEW_RATES = tuple(
    10.0**power for power in (-5, -4, -3.5, -3.25, -3, -2.75, -2.5, -2.25, -2, -1.5, -1, 0)
)
MOMENTUM: Mapping[str, Any] = {"momentum": 0.9}
NESTEROV: Mapping[str, Any] = {"momentum": 0.9, "nesterov": True}


def task(
    world: str,
    words: str,
    layers: Layers,
    optimizer: str,
    batch_size: int,
    epochs: int,
    settings: Mapping[str, Any] | None = None,
    **others: Any,
) -> BenchmarkTask:
    """Return a task that is named by its world and what its model is called."""
    name = f"{world} {words}"
    return BenchmarkTask(
        name, world, layers, optimizer, batch_size, epochs, settings or {}, **others
    )


def on_splits(splits: int, *tasks: BenchmarkTask) -> tuple[BenchmarkTask, ...]:
    """Return the tasks with so many splits, but for those that have more."""
    return tuple(replace(each, splits=max(each.splits, splits)) for each in tasks)


def categories(world: str, width: int, *units: int) -> Layers:
    """Return what makes embeddings of a world's categories, and dense layers."""
    return embedded_categories(WORLDS[world].levels, width, dense(*units))


SMALL_TABLES = (
    task("digits", "mlp adam", dense(64), "Adam", 32, 25),
    task("digits", "batch norm momentum", batch_norm(64, 32), "SGD", 64, 25, MOMENTUM),
    task("digit images", "cnn nadam", cnn, "Nadam", 64, 20),
    task("cancer", "dropout rmsprop", dropout(32, rate=0.4), "RMSprop", 32, 25, splits=16),
    task("cancer", "logistic sgd", dense(), "SGD", 16, 30, splits=16),
    task("cancer", "tanh nadam", dense(48, activation="tanh"), "Nadam", 64, 40, splits=16),
    task(
        "diabetes", "mlp nesterov", dense(32, activation="tanh"), "SGD", 16, 30, NESTEROV, splits=16
    ),
    task("diabetes", "deep adam", dense(48, 24), "Adam", 16, 40, splits=16),
    task("diabetes", "huber nadam", dense(24), "Nadam", 32, 30, loss="huber", splits=16),
    task("cultivars", "mlp rmsprop", dense(24), "RMSprop", 16, 40, splits=16),
    task("cultivars", "batch norm adam", batch_norm(16), "Adam", 16, 30, splits=16),
    task("iris", "mlp adam", dense(16), "Adam", 16, 60, splits=16),
    task("iris", "logistic momentum", dense(), "SGD", 16, 50, MOMENTUM, splits=16),
    task("quality classes", "mlp adam", dense(48, 24), "Adam", 32, 20),
    task("quality values", "tanh sgd", dense(48, activation="tanh"), "SGD", 64, 20),
    task("quality values", "lion", dense(48), "Lion", 128, 20),
    task("fair", "mlp adagrad", dense(32), "Adagrad", 32, 15),
    task("fair", "raw mae adam", dense(32, 16), "Adam", 64, 20, loss="mae", raw_target=True),
    task("anes96", "softmax sgd", dense(), "SGD", 32, 40, splits=16),
    task(
        "anes96",
        "layer norm adamw",
        layer_norm(32),
        "AdamW",
        32,
        20,
        {"weight_decay": 0.05},
        splits=16,
    ),
    task("attrition", "mlp lion", dense(32), "Lion", 32, 20, {"weight_decay": 0.1}),
    task("attrition", "logistic adam", dense(), "Adam", 32, 20, loss="binary_crossentropy"),
    task("concrete", "mlp adam", dense(64, 32), "Adam", 16, 40),
    task("concrete", "raw sgd", dense(32, activation="tanh"), "SGD", 16, 40, raw_target=True),
    task("concrete", "cosine rmsprop", dense(64), "RMSprop", 32, 40, schedule="cosine"),
    task("cells", "batch norm rmsprop", batch_norm(32), "RMSprop", 32, 20),
    task("cells", "logistic sgd", dense(), "SGD", 16, 20, loss="binary_crossentropy"),
    task("leaves", "mlp adam", dense(64), "Adam", 32, 30),
    task("leaves", "softmax momentum", dense(), "SGD", 64, 40, MOMENTUM),
    task("hospital stays", "linear adam", dense(), "Adam", 32, 30, splits=16),
    task("hospital stays", "mlp sgd", dense(24, activation="tanh"), "SGD", 32, 30, splits=16),
    task("housing", "mlp momentum", dense(32), "SGD", 16, 40, MOMENTUM, splits=16),
    task("housing", "raw adam", dense(64, 32), "Adam", 16, 60, raw_target=True, splits=16),
    task("personality", "logistic adagrad", dense(), "Adagrad", 32, 20),
    task("personality", "gelu adamw", dense(48, 48, activation="gelu"), "AdamW", 64, 15),
    task("houses", "mlp nadam", dense(48), "Nadam", 32, 30),
    task("houses", "linear sgd", dense(), "SGD", 32, 30),
    task("olive oils", "mlp adamax", dense(24), "Adamax", 16, 40, splits=16),
    task("olive oils", "softmax rmsprop", dense(), "RMSprop", 16, 40, splits=16),
    task("earthquakes", "mlp sgd", dense(24), "SGD", 16, 40, splits=16),
    task(
        "earthquakes",
        "huber lion",
        dense(32, activation="tanh"),
        "Lion",
        32,
        40,
        loss="huber",
        splits=16,
    ),
)

TABLES = (
    task("health insurance", "mlp sgd", dense(32), "SGD", 32, 15),
    task("health insurance", "exponential adam", dense(48), "Adam", 64, 20, schedule="exponential"),
    task("computers", "mlp adam", dense(64, 64), "Adam", 64, 25),
    task("computers", "raw linear adam", dense(), "Adam", 32, 20, raw_target=True),
    task("spam", "mlp momentum", dense(32, 16), "SGD", 32, 15, MOMENTUM),
    task("spam", "small start adam", dense(32, 32, scale=0.1), "Adam", 64, 20),
    task("credit", "dropout adamw", dropout(48, rate=0.3), "AdamW", 64, 15, {"weight_decay": 0.02}),
    task("credit", "logistic rmsprop", dense(), "RMSprop", 128, 20, loss="binary_crossentropy"),
    task("jobs", "mlp adam", dense(48), "Adam", 32, 15),
    task("jobs", "large start sgd", dense(48, activation="tanh", scale=4.0), "SGD", 32, 20),
    task("remote work", "mlp adam", dense(32), "Adam", 32, 10),
    task("churn", "mlp nadam", dense(48, 24), "Nadam", 64, 12),
    task("churn", "averaged sgd", dense(32), "SGD", 32, 15, MOMENTUM, averaged=True),
    task("physician visits", "mlp adam", dense(32), "Adam", 32, 15),
    task("physician visits", "linear sgd", dense(), "SGD", 64, 20),
    task("doctor visits", "mlp rmsprop", dense(24), "RMSprop", 32, 15),
    task("doctor visits", "huber adamax", dense(32), "Adamax", 64, 15, loss="huber"),
    task("loans", "mlp adam", dense(64), "Adam", 32, 15),
    task("loans", "linear adagrad", dense(), "Adagrad", 32, 20),
    task("taxi", "mlp adam", dense(32), "Adam", 32, 8),
    task("taxi", "short adam", dense(32), "Adam", 128, 5),
    task("taxi", "logistic momentum", dense(), "SGD", 64, 12, MOMENTUM),
    task("deliveries", "mlp adamw", dense(64, 32), "AdamW", 64, 25),
    task("deliveries", "raw sgd", dense(32, activation="tanh"), "SGD", 32, 20, raw_target=True),
    task("trains", "mlp adam", dense(64), "Adam", 32, 20),
    task("trains", "warm-up lion", layer_norm(48), "Lion", 64, 20, schedule="warm-up and cosine"),
    task("hotels", "batch norm adam", batch_norm(48), "Adam", 32, 15),
    task("hotels", "raw mae rmsprop", dense(48), "RMSprop", 64, 20, loss="mae", raw_target=True),
    task("school mathematics", "mlp sgd", dense(24), "SGD", 32, 12),
    task("school mathematics", "linear adam", dense(), "Adam", 128, 15),
    task("storms", "mlp adam", dense(48), "Adam", 32, 20),
    task("storms", "deep momentum", dense(32, 32, 32, activation="tanh"), "SGD", 64, 25, MOMENTUM),
    task("votes in Chile", "mlp adagrad", dense(32), "Adagrad", 32, 20),
    task("votes in Chile", "softmax nadam", dense(), "Nadam", 32, 15),
)

# 10,000 test rows to a split
LARGE_TABLES = on_splits(
    16,
    task("diamonds", "mlp adam", dense(64, 32), "Adam", 64, 15),
    task("diamonds", "raw sgd", dense(32), "SGD", 64, 15, raw_target=True),
    task("diamonds", "cosine momentum", dense(48), "SGD", 64, 15, NESTEROV, schedule="cosine"),
    task("flights", "embedded adam", categories("flights", 4, 32), "Adam", 64, 10),
    task("flights", "embedded adagrad", categories("flights", 8, 32), "Adagrad", 128, 12),
    task("fertility", "logistic sgd", dense(), "SGD", 64, 10, loss="binary_crossentropy"),
    task("fertility", "mlp rmsprop", dense(24), "RMSprop", 128, 12),
    task("fertility", "mlp adam", dense(24, 24), "Adam", 256, 12),
    task("wages", "mlp adamax", dense(32), "Adamax", 64, 12),
    task("wages", "linear mae momentum", dense(), "SGD", 64, 12, MOMENTUM, loss="mae"),
    task("wages", "raw huber adam", dense(32), "Adam", 64, 12, loss="huber", raw_target=True),
    task("car crashes", "mlp adam", dense(32), "Adam", 64, 12),
    task("doctor visits, Germany", "mlp adamw", dense(32), "AdamW", 128, 12),
    task("doctor visits, Germany", "linear momentum", dense(), "SGD", 64, 12, MOMENTUM),
    task("film ratings", "embedded adam", categories("film ratings", 6, 16), "Adam", 512, 10),
    task("chemistry scores", "mlp sgd", dense(24, activation="tanh"), "SGD", 64, 12),
    task(
        "chemistry scores",
        "warm-up adamw",
        dense(32),
        "AdamW",
        64,
        12,
        schedule="warm-up and cosine",
    ),
    task("chemistry scores", "huber nadam", dense(32), "Nadam", 128, 12, loss="huber"),
    task("rodents", "mlp adam", dense(48), "Adam", 64, 20),
    task("rodents", "averaged adam", dense(48), "Adam", 64, 15, averaged=True),
)

FUNCTIONS = on_splits(
    16,
    task("friedman 1", "mlp adam", dense(48), "Adam", 32, 20),
    task("friedman 1", "long adamax", dense(32), "Adamax", 32, 80),
    task("friedman 1", "exponential sgd", dense(32), "SGD", 32, 20, schedule="exponential"),
    task("friedman 2", "raw rmsprop", dense(32), "RMSprop", 32, 20, raw_target=True),
    task("friedman 2", "tanh momentum", dense(32, activation="tanh"), "SGD", 32, 20, MOMENTUM),
    task("moons", "mlp sgd", dense(24), "SGD", 16, 40),
    task("moons", "mlp adam", dense(24, 24), "Adam", 16, 30, loss="binary_crossentropy"),
    task("quantiles", "mlp nadam", dense(32), "Nadam", 64, 20, splits=72),
    task("quantiles", "batch norm sgd", batch_norm(32), "SGD", 32, 15),
    task("roll", "mlp adam", dense(32, 32), "Adam", 16, 50),
    task("teacher", "mlp adam", dense(48), "Adam", 32, 15),
    task("teacher", "cosine lion", dense(48), "Lion", 64, 20, schedule="cosine"),
    task("blobs", "mlp adamw", dense(48, activation="gelu"), "AdamW", 64, 15),
    task("blobs", "softmax sgd", dense(), "SGD", 32, 15),
    task("blobs", "softmax adagrad", dense(), "Adagrad", 64, 15),
    task("parity", "mlp adam", dense(32), "Adam", 32, 20, splits=40),
    task(
        "parity", "tanh momentum", dense(32, activation="tanh"), "SGD", 32, 30, MOMENTUM, splits=40
    ),
    task("heavy tails", "mae adam", dense(32), "Adam", 32, 12, loss="mae"),
    task("heavy tails", "linear sgd", dense(), "SGD", 32, 12),
    task("arrivals", "mlp adam", dense(32), "Adam", 32, 15, splits=48),
    task("arrivals", "averaged rmsprop", dense(32), "RMSprop", 64, 15, averaged=True, splits=48),
    task("waves", "deep adam", dense(32, 32, 32), "Adam", 32, 30),
    task("waves", "tanh large start sgd", dense(64, activation="tanh", scale=8.0), "SGD", 16, 20),
    task("pendulum", "mlp adam", dense(48, 48, activation="tanh"), "Adam", 32, 25),
    task("pendulum", "warm-up nadam", dense(48), "Nadam", 64, 25, schedule="warm-up and cosine"),
    task("lorenz", "mlp adam", dense(64), "Adam", 32, 25),
    task("lorenz", "mlp momentum", dense(32, activation="tanh"), "SGD", 32, 25, NESTEROV),
    task("photo patches", "mlp adam", dense(48), "Adam", 64, 20),
    task("photo patches", "linear rmsprop", dense(), "RMSprop", 64, 15),
)

SEQUENCES_AND_IMAGES = (
    task("oscillations", "gru adam", recurrent("GRU", 8), "Adam", 64, 12, splits=6),
    task("oscillations", "cnn adam", cnn_1d, "Adam", 32, 20),
    task("additions", "lstm rmsprop", recurrent("LSTM", 8), "RMSprop", 64, 12, splits=6),
    task("digit signals", "mlp adam", dense(64), "Adam", 64, 20),
    task("digit signals", "cnn momentum", signal_cnn, "SGD", 64, 20, MOMENTUM),
    task("shapes", "augmented cnn adam", augmented_cnn(6), "Adam", 64, 12, splits=6),
    task("shapes", "mlp sgd", lambda layers: [layers.Flatten(), *dense(48)(layers)], "SGD", 32, 20),
    task("strokes", "cnn adam", cnn, "Adam", 64, 12),
    task("characters", "mlp adam", embedded_letters(len(LETTERS), 48), "Adam", 128, 12, splits=16),
    task(
        "characters",
        "transformer adamw",
        transformer(16, 1, letters=len(LETTERS)),
        "AdamW",
        128,
        10,
    ),
)

LARGE_MODELS = (
    task(
        "help text",
        "large transformer adam",
        transformer(64, 2, letters=len(LETTERS)),
        "Adam",
        64,
        8,
        splits=3,
        rates=FEW_RATES,
    ),
    task(
        "large shapes",
        "resnet momentum",
        resnet(12, 2),
        "SGD",
        64,
        6,
        NESTEROV,
        splits=3,
        rates=FEW_RATES,
        schedule="cosine",
    ),
    task(
        "film ratings",
        "wide adagrad",
        categories("film ratings", 32, 512, 256),
        "Adagrad",
        64,
        10,
        splits=3,
        rates=FEW_RATES,
    ),
)

TASKS: tuple[BenchmarkTask, ...] = (
    *SMALL_TABLES,
    *TABLES,
    *LARGE_TABLES,
    *FUNCTIONS,
    *SEQUENCES_AND_IMAGES,
    *LARGE_MODELS,
)
