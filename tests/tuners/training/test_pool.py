"""A pool of processes trains as one process does, and ends with it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_spaces import TuningTask
from tests.tuners.tasks import dense_model, make_task, small_tasks
from tuners import compare, search, train
from tuners.training.pool import SENT_KEPT, TrainingPool, _Tasks, share_of, training_pool

ROOT = Path(__file__).resolve().parents[3]

ORPHANS = """
import os, signal, sys
from tests.tuners.tasks import small_tasks
from tuners.training.pool import training_pool

def main():
    with training_pool(2, small_tasks) as pool:
        print(*pool.map(pid, [(), ()]), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    from tests.tuners.training.test_pool import pid
    main()
"""


UNGUARDED = """
import numpy as np
from search_spaces import TuningTask
from tuners import search

def build():
    import keras
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model

x = np.ones((8, 2), "float32")
task = TuningTask("tiny", build, (x, x[:, 0]), (x, x[:, 0]))
search(task, (0.01, 1.0), trials=2, epochs=1, splits=1, workers=2)
"""


def pid(tasks: dict[str, TuningTask]) -> int:
    time.sleep(1)  # so that the other process takes the next call
    assert list(tasks) == ["small"]
    return os.getpid()


def sleep_for(_: Any, seconds: float) -> None:
    time.sleep(seconds)


def end(_: Any) -> None:
    os._exit(1)


def fail(_: Any) -> None:
    raise ZeroDivisionError("in the other process")


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_shares_hold_all_cores_and_no_one_goes_without(workers: int) -> None:
    shares = [share_of([0, 1, 2, 3, 4], number, workers) for number in range(workers)]
    assert {core for share in shares for core in share} == {0, 1, 2, 3, 4}
    assert min(map(len, shares)) >= 1
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_needs_no_pool() -> None:
    with training_pool(1, small_tasks) as pool:
        assert pool is None


@pytest.fixture(scope="module")
def pool() -> Iterator[TrainingPool]:
    with training_pool(2, small_tasks) as found:
        assert found is not None
        yield found


@pytest.mark.slow
def test_lanes_are_shared_and_train_as_in_one_process(pool: TrainingPool) -> None:
    task, told = make_task(dense_model("sgd")), []
    rates, seeds = np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.array([0, 1, 2, 3, 4])
    settings: dict[str, Any] = {"epochs": 2, "keep_weights": "best"}
    record = pool.train(task, rates, seeds, on_epoch=lambda *n: told.append(n), **settings)
    alone = train(task, rates, seeds, **settings)
    assert told == [(6, 10), (10, 10)]
    np.testing.assert_array_equal(record.val_loss, alone.val_loss)
    np.testing.assert_array_equal(record.best_epoch, alone.best_epoch)
    np.testing.assert_array_equal(record.learning_rates, rates)
    assert record.weights is not None
    assert len(record.weights) == 5
    assert record.metrics.keys() == alone.metrics.keys()


@pytest.mark.slow
def test_search_and_comparison_train_in_a_pool(pool: TrainingPool) -> None:
    task = make_task(dense_model("sgd"))
    settings: dict[str, Any] = {"trials": 6, "epochs": 2, "verbose": 0}
    alone, *others = (
        search(task, (0.01, 1.0), **each, **settings)
        for each in ({}, {"workers": 2}, {"pool": pool})
    )
    told = [(trial.params, trial.value) for trial in alone.trials]
    for other in others:
        assert [(trial.params, trial.value) for trial in other.trials] == told
    pairs: dict[str, Any] = {"baseline": 0.01, "pairs": 9, "epochs": 2, "verbose": 0}
    whole = compare(task, 0.5, **pairs).differences
    assert compare(task, 0.5, **pairs, pool=pool).differences == whole
    assert compare(task, 0.5, **pairs, pool=pool, study=alone).differences == whole


def test_what_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        task = make_task(lambda: file)
        pool = TrainingPool(ThreadPoolExecutor(), 1, tmp_path)
        with pytest.raises(ValueError, match=r"`workers` above 1 needs a task that can be sent"):
            pool.name_of(task)


def test_the_oldest_of_many_sent_tasks_is_forgotten(tmp_path: Path) -> None:
    pool, tasks = TrainingPool(ThreadPoolExecutor(), 1, tmp_path), _Tasks()
    sent = [make_task(dense_model("sgd")) for _ in range(SENT_KEPT + 1)]
    names = [pool.name_of(task) for task in sent]
    assert names == [pool.name_of(task) for task in sent]
    assert len({id(tasks[name]) for name in names}) == len(names)
    assert list(tasks) == names[1:]


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_of_it(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert "InputError: `workers` above 1 starts processes that import the main" in done.stderr


@pytest.mark.slow
def test_a_process_that_ends_by_itself_is_no_mistake_of_the_script() -> None:
    with training_pool(2) as pool:
        assert pool is not None
        for future in pool._started:
            future.result()
        with pytest.raises(RuntimeError, match="A training process ended by itself"):
            list(pool.map(end, [()]))


@pytest.mark.slow
def test_what_fails_in_a_process_fails_here(pool: TrainingPool) -> None:
    with pytest.raises(ZeroDivisionError, match="in the other process"):
        list(pool.map(fail, [()]))


@pytest.mark.slow
def test_the_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -9, done.stderr
    left = [int(each) for each in done.stdout.split()]
    assert len(set(left)) == 2
    assert _have_ended(left)


@pytest.mark.slow
def test_the_end_waits_for_no_call_and_ends_no_other_process() -> None:
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    other.start()
    own: list[int] = []

    def interrupt() -> None:
        with training_pool(2, small_tasks) as pool:
            assert pool is not None
            own.extend(pool.map(pid, [(), ()]))
            next(pool.map(sleep_for, [(0,), (600,), (600,)]))  # two are in it then
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        assert len(set(own)) == 2
        assert _have_ended(own)
        assert other.is_alive()
    finally:
        other.kill()
        other.join()


def _have_ended(processes: list[int]) -> bool:
    deadline = time.monotonic() + 30
    while any(map(_runs, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
