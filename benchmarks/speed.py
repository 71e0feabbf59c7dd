"""Seconds for a model-epoch: `model.fit`, KerasTuner and Optuna against lanes in one program.

    python -m benchmarks.speed               # the wine model, all ways
    python -m benchmarks.speed --task cnn    # or dropout, attention, wide
    python -m benchmarks.speed --job         # the whole default job, into speed_job.json

Every way runs in a process of its own, one after the other, so that its peak memory is its own.
Ratios are to `model.fit` in the same run. `total` counts compilation, over 100 epochs; `processor`
is the time of all threads. What is found goes to `benchmarks/results/speed_TASK.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.stored import add_out, write

TASKS = ("wine", "dropout", "cnn", "attention", "wide")
LANES = (1, 8, 32)
EPOCHS = 100
MEASURED_EPOCHS = 3  # of the ways without lanes, whose epochs all take the same time


def make_task(name: str) -> Any:
    """Return the wine task, or one with dropout, a wide one, a small CNN or an attention model."""
    import keras
    from keras import layers

    from search_spaces import TuningTask, wine_task
    from search_spaces.task import with_data

    if name == "wine":
        return wine_task()
    if name in ("wide", "dropout"):
        wine = wine_task()

        def dense(width: int) -> list[Any]:
            own = [layers.Dense(width, activation="relu")]
            return (
                own if name == "wide" else [*own, layers.BatchNormalization(), layers.Dropout(0.2)]
            )

        def build() -> Any:
            # those of the wine model, or ten times its weights
            widths = (405, 810, 810) if name == "wide" else (128, 256, 256)
            hidden = [layer for width in widths for layer in dense(width)]
            model = keras.Sequential(
                [layers.Input((12,)), *hidden, layers.Dense(1, activation="sigmoid")]
            )
            model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
            return model

        return with_data(wine, name=name, build_model=build)
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32").reshape(-1, 8, 8)

    def cnn() -> Any:
        model = keras.Sequential(
            [
                layers.Input((8, 8)),
                layers.Reshape((8, 8, 1)),
                layers.Conv2D(16, 3, activation="relu"),
                layers.Conv2D(16, 3, activation="relu"),
                layers.Flatten(),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def attention() -> Any:
        inputs = layers.Input((8, 8))
        hidden = layers.Dense(32)(inputs)
        attended = layers.MultiHeadAttention(4, 8)(hidden, hidden)
        pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(hidden + attended))
        model = keras.Model(inputs, layers.Dense(10, activation="softmax")(pooled))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    build = {"cnn": cnn, "attention": attention}[name]
    return TuningTask(name, build, (x[:1400], y[:1400]), (x[1400:], y[1400:]))


def peak() -> dict[str, float]:
    """Multiply two 2,048-row matrices: the machine's float32 peak in GFLOP/s."""
    import tensorflow as tf

    matrix = tf.random.normal((2048, 2048))
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        tf.matmul(matrix, matrix).numpy()
        seconds.append(time.perf_counter() - started)
    return {"gflops": 2 * 2048**3 / min(seconds) / 1e9}


def fit(task: Any, **compiled: Any) -> dict[str, float]:
    """Time `model.fit` with validation, its first epoch apart."""
    model = task.build_model()
    if compiled:
        model.compile(optimizer=model.optimizer, loss=model.loss, metrics=["accuracy"], **compiled)
    options = {"validation_data": task.validation, "batch_size": task.batch_size, "verbose": 0}
    started = time.perf_counter()
    model.fit(*task.train, epochs=1, **options)
    first = time.perf_counter() - started
    started, used = time.perf_counter(), time.process_time()
    model.fit(*task.train, epochs=MEASURED_EPOCHS, **options)
    epoch = (time.perf_counter() - started) / MEASURED_EPOCHS
    processor = (time.process_time() - used) / MEASURED_EPOCHS
    total = (first + (EPOCHS - 1) * epoch) / EPOCHS
    return {"epoch": epoch, "processor": processor, "total": total}


def keras_tuner(task: Any) -> dict[str, float]:
    """Time KerasTuner's RandomSearch, two trials, all that it does around an epoch counted."""
    import keras_tuner as kt

    def build(hp: Any) -> Any:
        model = task.build_model()
        model.optimizer.learning_rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
        return model

    with tempfile.TemporaryDirectory() as folder:
        tuner = kt.RandomSearch(
            build, kt.Objective("val_loss", "min"), max_trials=2, directory=folder, seed=1
        )
        started = time.perf_counter()
        tuner.search(
            *task.train,
            epochs=MEASURED_EPOCHS,
            validation_data=task.validation,
            batch_size=task.batch_size,
            verbose=0,
        )
        epoch = (time.perf_counter() - started) / (2 * MEASURED_EPOCHS)
    return {"epoch": epoch, "total": epoch}


def optuna_fit(task: Any) -> dict[str, float]:
    """Time an Optuna objective that calls `model.fit`, two trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        model = task.build_model()
        model.optimizer.learning_rate = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
        history = model.fit(
            *task.train,
            epochs=MEASURED_EPOCHS,
            validation_data=task.validation,
            batch_size=task.batch_size,
            verbose=0,
        )
        return min(history.history["val_loss"])

    started = time.perf_counter()
    optuna.create_study().optimize(objective, n_trials=2)
    epoch = (time.perf_counter() - started) / (2 * MEASURED_EPOCHS)
    return {"epoch": epoch, "total": epoch}


def population(task: Any, lanes: int) -> dict[str, float]:
    """Time lanes in one program: compilation and trial apart, then its epochs."""
    from tuners import train
    from tuners.training.models import built_model

    rates, seeds = np.geomspace(1e-4, 1e-2, lanes), np.zeros(lanes, int)
    started = time.perf_counter()
    first = train(task, rates, seeds, epochs=1)
    compiled = time.perf_counter() - started
    epochs = max(1, 32 // lanes)
    started, used = time.perf_counter(), time.process_time()
    train(task, rates, seeds, epochs=epochs)
    epoch = (time.perf_counter() - started) / (epochs * lanes)
    processor = (time.process_time() - used) / (epochs * lanes)
    weights = sum(int(np.prod(v.shape)) for v in built_model(task, 0).trainable_variables)
    rows = len(task.train[0])
    return {
        "epoch": epoch,
        "processor": processor,
        "total": (compiled + epoch * lanes * (EPOCHS - 1)) / (EPOCHS * lanes),
        "compiled": compiled,
        "chunk": first.chunk_size,
        "gflops": 6 * weights * rows / epoch / 1e9,
    }


def load(name: str) -> dict[str, Any]:
    """Return a task by its name, as the processes of a pool want it."""
    task = make_task(name)
    return {task.name: task}


def pool(name: str) -> dict[str, float]:
    """Time two processes of one core each, with eight lanes each; compilation not counted."""
    from tuners.training.pool import training_pool

    task = make_task(name)
    lanes, epochs = 16, 4
    rates, seeds = np.geomspace(1e-4, 1e-2, lanes), np.zeros(lanes, int)
    with training_pool(2, partial(load, name)) as processes:
        assert processes is not None
        processes.train(task, rates, seeds, epochs=1)
        started = time.perf_counter()
        processes.train(task, rates, seeds, epochs=epochs)
        return {"epoch": (time.perf_counter() - started) / (epochs * lanes)}


def one_seed_loop(task: Any) -> dict[str, float]:
    """Time what finders do: 100 `train_on_batch` calls of one seed, the rate raised each time."""
    model = task.build_model()
    x, y = task.train[:2]
    started = time.perf_counter()
    for step, rate in enumerate(np.geomspace(1e-5, 1.0, 100)):
        model.optimizer.learning_rate = float(rate)
        rows = slice(32 * (step % 100), 32 * (step % 100) + 32)
        model.train_on_batch(x[rows], y[rows])
    return {"seconds": time.perf_counter() - started}


def ramp(task: Any) -> dict[str, float]:
    """Time a ramp of 100 steps with eight seeds, first with compilation and then again."""
    from tuners.training.runner import train_steps

    rates = np.geomspace(1e-5, 1.0, 100)[:, None].repeat(8, axis=1)
    started = time.perf_counter()
    train_steps(task, rates, range(8))
    first = time.perf_counter() - started
    started = time.perf_counter()
    train_steps(task, rates, range(8))
    return {"seconds": first, "again": time.perf_counter() - started}


def default_range_test(task: Any) -> dict[str, float]:
    """Time `range_test` with its defaults, compilation counted."""
    from tuners import range_test

    started = time.perf_counter()
    range_test(task, verbose=0)
    return {"seconds": time.perf_counter() - started}


def job() -> dict[str, Any]:
    """Time the whole default job of the command, and `model.fit` right before and after it."""
    epochs = [measure("wine", "model.fit")["epoch"]]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([sys.executable, "run_search.py", "--out", folder, "--quiet"], check=True)
        seconds = time.perf_counter() - started
        with open(os.path.join(folder, "report.json")) as file:  # noqa: PTH118, PTH123
            cost = json.load(file)["cost"]
    epochs.append(measure("wine", "model.fit")["epoch"])
    times = [seconds / epoch for epoch in epochs]
    print(
        f"whole default job: {seconds:.0f} s, {times[0]:.0f} and {times[1]:.0f} `model.fit` epochs"
    )
    stages = {k: v for k, v in cost.items() if isinstance(v, (int, float))}
    return {"seconds": seconds, "epochs": epochs, "times": times, **stages}


def ways(name: str) -> dict[str, Callable[[], dict[str, float]]]:
    """Return every way of training a task by its name in the table."""
    found: dict[str, Callable[[], dict[str, float]]] = {
        "matrix product": peak,
        "model.fit": lambda: fit(make_task(name)),
        "model.fit, 32 steps a call, jit": lambda: fit(
            make_task(name), steps_per_execution=32, jit_compile=True
        ),
        "KerasTuner RandomSearch": lambda: keras_tuner(make_task(name)),
        "Optuna with model.fit": lambda: optuna_fit(make_task(name)),
    }
    for lanes in LANES:
        found[f"population, {lanes} lanes"] = lambda lanes=lanes: population(make_task(name), lanes)
    found["pool of two, 8 lanes each"] = lambda: pool(name)
    if name == "wine":
        found["population, 1000 lanes"] = lambda: population(make_task(name), 1000)
        found["one seed, 100 train_on_batch"] = lambda: one_seed_loop(make_task(name))
        found["ramp of 100 steps, 8 seeds"] = lambda: ramp(make_task(name))
        found["range_test with its defaults"] = lambda: default_range_test(make_task(name))
    return found


def measure(task: str, way: str) -> dict[str, float]:
    """Run one way in a process of its own and return what it printed."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--task", task, "--only", way],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if result.returncode:
        raise SystemExit(f"{way} failed:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def show(way: str, found: dict[str, float]) -> None:
    """Print a row of the table."""
    columns = ("epoch", "processor", "total")
    cells = [f"{found[key]:9.4f}" if key in found else " " * 9 for key in columns]
    times = f"{found['times']:6.1f}" if "times" in found else " " * 6
    speed = f"{found['gflops']:8.1f}" if "gflops" in found else " " * 8
    share = f" {found['share']:.0%} of peak" if "share" in found else ""
    extra = f" {found['seconds']:.1f} s" if "seconds" in found else ""
    extra += f", again {found['again']:.1f} s" if "again" in found else ""
    print(f"{way:32s} {' '.join(cells)} {times} {speed} {found['memory']:6.0f}{share}{extra}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="wine", choices=TASKS)
    parser.add_argument("--only", help="run one way here and print its numbers as JSON")
    parser.add_argument("--job", action="store_true", help="time the whole default job instead")
    add_out(parser)
    arguments = parser.parse_args()
    if arguments.only:
        numbers = ways(arguments.task)[arguments.only]()
        numbers["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(numbers))
        return
    if arguments.job:
        write("speed_job", job(), arguments.out)
        return
    print(f"{arguments.task}: seconds for a model-epoch; total: compilation over {EPOCHS} epochs")
    heads = (
        f"{'epoch':>9s} {'processor':>9s} {'total':>9s} {'times':>6s} {'GFLOP/s':>8s} {'MB':>6s}"
    )
    print(f"{'way':32s} {heads}")
    results: dict[str, dict[str, float]] = {}
    for way in ways(arguments.task):
        found = results[way] = measure(arguments.task, way)
        if "total" in found:
            found["times"] = results["model.fit"]["total"] / found["total"]
        if "gflops" in found:
            found["share"] = found["gflops"] / results["matrix product"]["gflops"]
        show(way, found)
    write(f"speed_{arguments.task}", results, arguments.out)


if __name__ == "__main__":
    main()
