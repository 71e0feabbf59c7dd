"""How large a study may grow: trials by the thousand, and trials of a thousand epochs.

    python -m benchmarks.load                    # 10,000 trials, then 24 trials of 1,000 epochs
    python -m benchmarks.load --trials 1000      # a smaller study
    python -m benchmarks.load --only epochs      # the long trials alone
    python -m benchmarks.load --fill             # minutes in place of an hour: see below

Both parts call the real `search` on a real task that is as small as one can be (64 rows, one layer,
1 epoch), in a SQLite file, so that what is timed is the study and not the training. Asking is
drawing a whole batch of trials, telling is storing a trained one with its attributes. The storage
is copied before TPE is timed on it, so that the study itself stays that of the random sampler.
With `--fill` the trials of a stage but the last 64 are copies of trained ones, put into the file.
What is found by both parts goes to `benchmarks/results/load.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stored import add_out, write

BATCH = 16  # trials made, trained and told together
STAGES = (100, 1_000, 10_000)
TPE_ASKS = 16
FRESH = 64  # trials of a stage that are trained where the others are copies
COPIED = {
    "trial_params": "param_name, param_value, distribution_json",
    "trial_values": "objective, value, value_type",
    "trial_user_attributes": "key, value_json",
    "trial_system_attributes": "key, value_json",
}
MOST = 2_000_000  # bytes of the page, and of report.json
BOUNDS = (1e-4, 1e-1)


def toy_task(epochs_matter: bool = False) -> Any:
    """Return a logistic regression on 64 rows, with a test set where epochs matter."""
    from search_spaces import TuningTask

    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 4)).astype("float32")
    y = (x[:, 0] + 0.5 * rng.normal(size=128) > 0).astype("float32")
    parts = [(x[rows], y[rows]) for rows in (slice(64), slice(64, 96), slice(96, 128))]

    def build() -> Any:
        import keras

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
        return model

    name = "long" if epochs_matter else "toy"
    return TuningTask(name, build, *parts, batch_size=64)


class Clock:
    """Seconds of the calls of a function, by the number of trials stored at that moment."""

    def __init__(self) -> None:
        self.seconds: list[tuple[int, float]] = []

    def since(self, stored: int) -> list[float]:
        """Return the seconds of calls with at least so many trials stored."""
        return [seconds for at, seconds in self.seconds if at >= stored]

    def wrap(self, call: Callable[..., Any], stored: Callable[[], int]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            answer = call(*arguments, **options)
            self.seconds.append((stored(), time.perf_counter() - started))
            return answer

        return timed


@contextlib.contextmanager
def timed_engine(told: list[int]) -> Iterator[tuple[Clock, Clock, Clock]]:
    """Time the engine's own asking, training and telling inside the block."""
    from tuners.engines import optuna_engine
    from tuners.study import work_queue

    asks, trainings, tells = Clock(), Clock(), Clock()
    kept = (optuna_engine.take_batch, optuna_engine.train, work_queue.tell)

    def stored() -> int:
        return told[0]

    optuna_engine.take_batch = asks.wrap(kept[0], stored)
    optuna_engine.train = trainings.wrap(kept[1], stored)
    work_queue.tell = tells.wrap(kept[2], stored)
    try:
        yield asks, trainings, tells
    finally:
        optuna_engine.take_batch, optuna_engine.train, work_queue.tell = kept


def time_tpe(address: str, name: str, asks: int = TPE_ASKS) -> float:
    """Return the median seconds of one draw of TPE on a stored study, drawn as the engine does."""
    import optuna

    from tuners.engines.samplers import make_sampler
    from tuners.integrations.optuna_sampler import NarrowedSampler
    from tuners.study.storage import open_storage

    study = optuna.load_study(storage=open_storage(address), study_name=name)
    seconds = []
    for number in range(asks):
        study.sampler = NarrowedSampler({"learning_rate": BOUNDS}, make_sampler("tpe", 0, number))
        started = time.perf_counter()
        study.ask().suggest_float("learning_rate", *BOUNDS, log=True)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def time_report(study: Any, folder: Path) -> dict[str, float]:
    """Write the report of a study; return seconds and sizes in bytes."""
    from tuners import write_report

    started = time.perf_counter()
    page = write_report(study, folder)
    table = folder / "trials.csv"
    return {
        "seconds": time.perf_counter() - started,
        "page": page.stat().st_size,
        "json": page.with_suffix(".json").stat().st_size,
        "csv": table.stat().st_size if table.exists() else 0,
    }


def peak_memory() -> float:
    """Return the largest memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def fill(path: Path, upto: int) -> None:
    """Copy the trials of a study's SQLite file inside it, until there are so many."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        one = "SELECT study_id FROM studies WHERE study_name = 'toy'"
        known, largest = connection.execute(
            f"SELECT COUNT(*), MAX(trial_id) FROM trials WHERE study_id = ({one})"
        ).fetchone()
        for copy in range(1, -(-upto // known)):
            number, shift = copy * known, copy * largest
            connection.execute(
                "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, "
                f"datetime_complete) SELECT trial_id + {shift}, number + {number}, study_id, state,"
                f" datetime_start, datetime_complete FROM trials WHERE study_id = ({one}) AND "
                f"number < {min(known, upto - number)}"
            )
            for table, columns in COPIED.items():
                connection.execute(
                    f"INSERT INTO {table} (trial_id, {columns}) SELECT trial_id + {shift}, "
                    f"{columns} FROM {table} WHERE trial_id <= {largest} AND trial_id + {shift} "
                    "IN (SELECT trial_id FROM trials)"
                )
        connection.commit()


def many_trials(trials: int, folder: Path, filled: bool = False) -> list[dict[str, float]]:
    """Grow one study by stages, and return what each trial costs there."""
    from tuners import search

    path = folder / "many.db"
    address = f"sqlite:///{path}"
    task, told, rows = toy_task(), [0], []
    for stage in sorted({*(each for each in STAGES if each < trials), trials}):
        if filled and path.exists():
            fill(path, stage - FRESH)
        with timed_engine(told) as (asks, _, tells):

            def count(_: Any, trial: Any) -> None:
                told[0] = trial.number + 1

            study = search(
                task,
                BOUNDS,
                sampler="random",
                trials=stage,
                epochs=1,
                batch=BATCH,
                storage=address,
                study_name="toy",
                on_trial=count,
                verbose=0,
            )
        near = max(0.9 * stage, stage - FRESH)  # what a trial costs at the end of the stage
        batches = [seconds / BATCH for at, seconds in asks.seconds if at >= near - BATCH][:-1]
        copied = folder / f"tpe-{stage}.db"
        shutil.copy(path, copied)
        tpe = time_tpe(f"sqlite:///{copied}", "toy")
        copied.unlink()
        row = {
            "trials": stage,
            "ask": median(batches),
            "tell": median(tells.since(int(near))),
            "tpe": tpe,
            "storage": path.stat().st_size,
            **time_report(study, folder),
            "memory": peak_memory(),
        }
        rows.append(row)
        show(row)
    return rows


def median(seconds: list[float]) -> float:
    """Return the median of some seconds, NaN of none."""
    return float(np.median(seconds)) if seconds else float("nan")


def show(row: dict[str, float]) -> None:
    """Print a row, sizes in MB, those over the aim with a star."""
    words = []
    for name, value in row.items():
        if name in ("storage", "page", "json", "csv"):
            over = "*" if name in ("page", "json") and value > MOST else ""
            words.append(f"{name} {value / 1e6:.2f} MB{over}")
        elif name in ("trials", "pairs", "epochs"):
            words.append(f"{name} {value:,}")
        else:
            words.append(f"{name} {value:.0f} MB" if name == "memory" else f"{name} {value:.3f} s")
    print(", ".join(words), flush=True)


def many_epochs(epochs: int, folder: Path) -> dict[str, float]:
    """Train 24 trials and 30 pairs of many epochs, and return what they leave."""
    from tuners import compare, search
    from tuners.study.storage import open_storage

    path = folder / "long.db"
    task = toy_task(epochs_matter=True)
    storage = open_storage(f"sqlite:///{path}")
    started = time.perf_counter()
    study = search(
        task, BOUNDS, trials=24, epochs=epochs, storage=storage, study_name="long", verbose=0
    )
    searched = time.perf_counter()
    rate = study.best_params["learning_rate"]
    compare(task, rate, pairs=30, epochs=epochs, study=study, early_looks=False, verbose=0)
    row = {
        "trials": 24,
        "epochs": epochs,
        "pairs": 30,
        "search": searched - started,
        "comparison": time.perf_counter() - searched,
        "storage": path.stat().st_size,
        **time_report(study, folder / "long"),
        "memory": peak_memory(),
    }
    show(row)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=STAGES[-1])
    parser.add_argument("--epochs", type=int, default=1_000)
    parser.add_argument("--only", choices=("trials", "epochs"))
    parser.add_argument("--fill", action="store_true", help="copy all but the last 64 trials")
    parser.add_argument("--keep", type=Path, help="folder for storages and reports")
    add_out(parser)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    results: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        if options.only != "epochs":
            results["trials"] = many_trials(options.trials, folder, options.fill)
        if options.only != "trials":
            results["epochs"] = many_epochs(options.epochs, folder)
    write("load", results, options.out, whole=options.only is None)


if __name__ == "__main__":
    main()
