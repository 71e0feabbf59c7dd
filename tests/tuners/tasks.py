"""Small tasks that several test files train; each builds in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from search_spaces.task import TuningTask

ROWS, HELD_OUT = 75, 30  # 75 rows at batch 16: four full batches and a short one of 11


def rows(kind: str = "dense") -> tuple[Any, np.ndarray]:
    """Return inputs of a kind and 0/1 targets, the same ones each time."""
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(ROWS, 8)).astype("float32")
    targets = (dense[:, 0] + 0.3 * dense[:, 1] > 0).astype("float32")
    tokens = rng.integers(0, 20, (ROWS, 6))
    images = rng.normal(size=(ROWS, 6, 6, 1)).astype("float32")
    inputs = {
        "dense": dense,
        "tokens": tokens,
        "images": images,
        "dict": {"dense": dense, "tokens": tokens},
    }
    return inputs[kind], targets


def held_out(part: Any) -> Any:
    """Return the first rows of a nest of arrays, to validate on."""
    if isinstance(part, dict):
        return {key: value[:HELD_OUT] for key, value in part.items()}
    if isinstance(part, tuple):
        return tuple(value[:HELD_OUT] for value in part)
    return part[:HELD_OUT]


def make_task(build: Any, *, kind: str = "dense", y: Any = None, **options: Any) -> TuningTask:
    """Return a task on the small rows; `y` replaces the 0/1 targets."""
    x, targets = rows(kind)
    y = targets if y is None else y
    options = {"batch_size": 16, **options}
    return TuningTask("small", build, (x, y), (held_out(x), held_out(y)), **options)


def dense_model(optimizer: Any = "sgd", *, width: int = 8, **options: Any) -> Any:
    """Return a builder of a compiled two-layer classifier; `optimizer` may be a function."""

    def build() -> Any:
        import keras

        model = keras.Sequential(
            [
                keras.layers.Input((8,)),
                keras.layers.Dense(width, activation="tanh"),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.compile(
            optimizer=optimizer() if callable(optimizer) else optimizer,
            loss="binary_crossentropy",
            metrics=["accuracy"],
            **options,
        )
        return model

    return build


def small_tasks() -> dict[str, TuningTask]:
    """Return a task by its name, as each process of a pool builds it for itself."""
    return {"small": make_task(dense_model("sgd"))}
