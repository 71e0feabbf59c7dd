"""What a job loses when it is killed: nothing, if its study ends equal to an uninterrupted one's.

    python -m benchmarks.resume --points 30
    python -m benchmarks.resume --points 10 --storage journal

Each point runs `run_search.py` on a small real task, kills it with SIGKILL at a random moment, runs
the same command again until it ends, and compares the study with that of a run that nobody
disturbed: places, states, rates, scores and curves of all trials, bounds, and the gains of all
pairs. (What a killed process held may have another number; another trial then stands for it.) A
third of the moments lie in the first half of the time, where the range test is; the others up to
two seconds after a random one of the trials and pairs was told, wherever a slow machine is by
then. Counted are also the trials and pairs that were told before the kill and trained again.
The counts go to `benchmarks/results/resume.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.stored import add_out, write
from tuners.study.schema import STALE, superseded
from tuners.study.storage import close_storage, open_storage

ROOT = Path(__file__).resolve().parent.parent
BUILD = """
import numpy as np
from search_spaces import TuningTask


def build():
    import keras

    layers = [keras.Input((3,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(layers)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model

"""
TASK = f"""{BUILD}
def task():
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3)).astype("float32")
    y = (x.sum(axis=1) + random.normal(size=400) > 0).astype("float32")
    parts = [(x[rows], y[rows]) for rows in (slice(240), slice(240, 320), slice(320, 400))]
    return TuningTask("tiny", build, *parts, batch_size=10)
"""
SIZES = ("--epochs", "6", "--range-seeds", "2", "--trials", "24", "--pairs", "20")
WHO = ("worker", "seconds")  # attributes that differ from run to run


def command(folder: Path, *options: str) -> list[str]:
    """Return the command of a job on the small task, whose file it writes beside the folder.

    Args:
        folder: The run's folder.
        *options: Further options, after the job's sizes.
    """
    path = folder.parent / "tiny.py"
    if not path.exists():
        path.write_text(TASK, encoding="utf-8")
    script, task = str(ROOT / "run_search.py"), f"{path}:task"
    own = ["--task", task, "--out", str(folder), "--quiet"]
    return [sys.executable, script, *own, *SIZES, *options]


def start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start a job in a process group of its own."""
    return subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a job and what it started, without a chance to tidy up."""
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ValueError):  # its pipes are read already
        process.communicate()


def finish(arguments: Sequence[str]) -> float:
    """Run a job to its end; return the seconds it took.

    Raises:
        RuntimeError: It ended otherwise than well; the message holds what it printed.
    """
    started = time.perf_counter()
    process = start(arguments)
    _, errors = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"exit code {process.returncode}: {errors[-2000:]}")
    return time.perf_counter() - started


def load_studies(address: str) -> tuple[optuna.Study | None, optuna.Study | None]:
    """Return the study of the small task and that of its pairs; None where there is none yet.

    Both are copies in memory, so that no connection stays open.
    """
    storage, memory = open_storage(address), optuna.storages.InMemoryStorage()
    found: list[optuna.Study | None] = []
    for name in ("tiny", "tiny pairs"):
        there = name in optuna.get_all_study_names(storage)
        if there:
            optuna.copy_study(
                from_study_name=name, from_storage=storage, to_storage=memory, to_study_name=name
            )
        found.append(optuna.load_study(study_name=name, storage=memory) if there else None)
    close_storage(storage)
    return found[0], found[1]


def shown(study: optuna.Study | None) -> list[tuple[Any, ...]]:
    """Return everything about a study's trials but times, numbers and who ran them, by place."""
    return [
        (
            trial.user_attrs["place"],
            trial.state.name,
            trial.value,
            trial.params,
            {name: _timeless(value) for name, value in trial.user_attrs.items() if name not in WHO},
        )
        for trial in standing(study)
    ]


def standing(study: optuna.Study | None) -> list[optuna.trial.FrozenTrial]:
    """Return a study's trials by place, without those that another one stands for."""
    trials = [] if study is None else study.trials
    replaced = superseded(trials)
    kept = [
        trial
        for trial in trials
        if trial.number not in replaced and trial.user_attrs.get("role") != STALE
    ]
    return sorted(kept, key=lambda trial: trial.user_attrs.get("place", -1))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if name != "seconds"}
    return value


def results(address: str) -> dict[str, Any]:
    """Return all of a finished job that a kill must not change."""
    study, pairs = load_studies(address)
    assert study is not None
    comparison = study.user_attrs["comparison"]
    return {
        "bounds": study.user_attrs["bounds"],
        "trials": shown(study),
        "pairs": shown(pairs),
        "gains": comparison["differences"],
        "verdict": comparison["verdict"],
    }


def differences(expected: Any, found: Any, place: str = "") -> list[str]:
    """Return where two results differ, one line each; none where they are equal.

    Example:
        >>> differences({"a": [1, 2], "b": 3}, {"a": [1, 4], "b": 3})
        ["['a'][1]: 2, but found 4"]
    """
    if expected == found:
        return []
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        parts: Any = expected.keys()
    elif isinstance(expected, list | tuple) and len(expected) == len(found):
        parts = range(len(expected))
    else:
        return [f"{place}: {expected!r}, but found {found!r}"]
    return [
        line
        for part in parts
        for line in differences(expected[part], found[part], f"{place}[{part!r}]")
    ]


def told(address: str) -> dict[tuple[str, int], Any]:
    """Return when each finished trial of both studies was told, by study and place."""
    return {
        (study.study_name, trial.user_attrs["place"]): trial.datetime_complete
        for study in load_studies(address)
        if study is not None
        for trial in standing(study)
        if trial.state.is_finished()
    }


@dataclass(frozen=True)
class Point:
    """What became of one kill: how much was told by then, and what differed or failed."""

    told: int
    again: int
    error: str = ""

    @property
    def equal(self) -> bool:
        """Whether the study ended as an undisturbed one."""
        return not self.error


@dataclass(frozen=True)
class Moment:
    """When to kill: so many seconds after so many trials and pairs were told."""

    told: int
    seconds: float


def draw_moments(count: int, seed: int, duration: float, units: int) -> list[Moment]:
    """Return random moments of a job.

    Args:
        count: How many.
        seed: Of the draws.
        duration: Seconds of an uninterrupted job.
        units: Trials and pairs that it tells.
    """
    random = np.random.default_rng(seed)
    early = [Moment(0, random.uniform(0.5, duration / 2)) for _ in range(count // 3)]
    later = [
        Moment(int(random.integers(1, units)), random.uniform(0, 2))
        for _ in range(count - len(early))
    ]
    return early + later


def try_point(folder: Path, storage: str, moment: Moment, expected: dict[str, Any]) -> Point:
    """Kill a job at a moment, finish it, and compare it with an uninterrupted one.

    Args:
        folder: The run's folder, empty.
        storage: "sqlite" or "journal".
        moment: When it is killed.
        expected: `results` of the uninterrupted run.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    address = address_in(folder, storage)
    arguments = command(folder, *options_of(folder, storage))
    path = Path(address.partition("///")[2])
    process = start(arguments)
    while moment.told and process.poll() is None:
        if path.exists() and path.stat().st_size and len(_told(address)) >= moment.told:
            break
        time.sleep(0.1)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=moment.seconds)
    if process.poll() is None:
        kill(process)
    before = _told(address) if path.exists() else {}
    try:
        finish(arguments)
    except RuntimeError as error:
        return Point(len(before), again=0, error=str(error))
    after = told(address)
    again = sum(after.get(key) != when for key, when in before.items())
    return Point(len(before), again, "; ".join(differences(expected, results(address))[:5]))


def _told(address: str) -> dict[tuple[str, int], Any]:
    try:
        return told(address)
    except Exception:  # its tables are being made
        return {}


def address_in(folder: Path, storage: str) -> str:
    """Return the address of a run's storage: its own SQLite file, or a journal beside it."""
    if storage == "journal":
        return f"journal:///{folder}.journal"
    return f"sqlite:///{folder}/study.db"


def options_of(folder: Path, storage: str) -> list[str]:
    """Return the options that choose a storage; SQLite is the job's own default."""
    return [] if storage == "sqlite" else ["--storage", address_in(folder, storage)]


def main() -> None:
    """Read the options, kill, count, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.resume",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--points", type=int, default=30, help="random moments to kill at")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--storage", choices=("sqlite", "journal"), default="sqlite")
    parser.add_argument("--jobs", type=int, default=1, help="points tried at once")
    add_out(parser)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole" / "run"
        whole.parent.mkdir()
        arguments = command(whole, *options_of(whole, options.storage))
        duration = finish(arguments)
        expected = results(address_in(whole, options.storage))
        print(f"uninterrupted: {duration:.0f} s, {len(expected['trials'])} trials", flush=True)
        units = len(expected["trials"]) + len(expected["pairs"])
        moments = draw_moments(options.points, options.seed, duration, units)

        def one(number: int) -> Point:
            folder = Path(place) / str(number) / "run"
            point = try_point(folder, options.storage, moments[number], expected)
            print(
                f"{number + 1:3}  killed with {point.told:2} told  "
                f"{'equal' if point.equal else 'DIFFERENT'}  {point.again} told again  "
                f"{point.error}",
                flush=True,
            )
            return point

        with ThreadPoolExecutor(options.jobs) as pool:
            points = list(pool.map(one, range(options.points)))
    found = {
        "points": len(points),
        "equal": sum(point.equal for point in points),
        "told": sum(point.told for point in points),
        "again": sum(point.again for point in points),
        "trials": len(expected["trials"]),
        "pairs": len(expected["pairs"]),
        "seconds": duration,
    }
    print(
        f"{found['equal']} of {found['points']} kills resumed to an equal study; "
        f"{found['again']} of {found['told']} told trials and pairs were trained again"
    )
    write("resume", found, options.out, whole=options.storage == "sqlite")
    sys.exit(0 if found["equal"] == found["points"] else 1)


if __name__ == "__main__":
    main()
