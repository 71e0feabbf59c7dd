"""Training in several processes of this machine, for the one process that asks and tells.

The processes are started once and build the tasks for themselves, since a model builder cannot be
sent. Each trains its share of the lanes with its share of the cores; none of them knows of studies.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from search_spaces.task import TuningTask
from tuners.training.records import TrainingRecord, join_records
from tuners.training.runner import train

Tasks = Mapping[str, TuningTask]

_tasks: Tasks = {}  # of this process, where it is one of a pool


class TrainingPool:
    """Processes that train lanes; made by `training_pool`.

    Args:
        executor: Runs functions in the processes.
        processes: How many there are.
    """

    def __init__(self, executor: ProcessPoolExecutor, processes: int) -> None:
        self._executor, self.processes = executor, processes

    def shares(self, items: np.ndarray) -> list[np.ndarray]:
        """Return items, one or more, in equal parts: one a process, none of them empty."""
        return np.array_split(items, min(self.processes, len(items)))

    def map(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> Iterator[Any]:
        """Give what a function returns for each tuple of arguments, in their order.

        Args:
            function: One of a module; it is called with the tasks by name and the arguments.
            arguments: A tuple for each call.
        """
        futures = [self._executor.submit(_call, function, each) for each in arguments]
        for future in futures:
            yield future.result()

    def train(
        self,
        task: TuningTask,
        learning_rates: np.ndarray,
        seeds: np.ndarray,
        *,
        epochs: int,
        width: int = 1,
        on_epoch: Callable[[int, int], None] | None = None,
        stop_lanes: None = None,
        **settings: Any,
    ) -> TrainingRecord:
        """Train lanes as `tuners.train` does, each process its share of them.

        Args:
            task: One of the pool's tasks.
            learning_rates: Rates (lanes,).
            seeds: Seeds (lanes,).
            epochs: Passes over the training rows.
            width: Lanes of the whole, from which the program of every process follows: lanes have
                the same numbers, to the last bit, however many processes there are.
            on_epoch: Called with (lane-epochs done, lane-epochs in all) as shares end.
            stop_lanes: None; lanes cannot be stopped from here.
            **settings: Further arguments of `tuners.train`.
        """
        started = time.perf_counter()
        shares = self.shares(np.arange(len(seeds)))
        settings |= {"epochs": epochs, "width": max(width, len(seeds))}
        calls = [(task.name, learning_rates[part], seeds[part], settings) for part in shares]
        records: list[TrainingRecord] = []
        done = 0
        for record, part in zip(self.map(_train, calls), shares, strict=True):
            records.append(record)
            done += len(part) * epochs
            if on_epoch is not None:
                on_epoch(done, len(seeds) * epochs)
        return join_records(records, seconds=time.perf_counter() - started)


@contextlib.contextmanager
def training_pool(processes: int, load: Callable[[], Tasks]) -> Iterator[TrainingPool | None]:
    """Start processes that train, and end them with the block.

    Args:
        processes: How many; with 1 there are none, and None is given.
        load: Builds the tasks, by name, in each process; a function of a module, or a
            `functools.partial` of one.
    """
    if processes == 1:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    number = context.Value("i", 0)
    executor = ProcessPoolExecutor(
        processes, context, _begin, (number, available_cores(), processes, load)
    )
    try:
        for _ in range(processes):  # all of them start now, beside what comes first
            executor.submit(os.getpid)
        yield TrainingPool(executor, processes)
    finally:  # what still trains then, as after Ctrl-C, is not waited for
        own = list(executor._processes.values())  # `terminate_workers` is Python 3.14's
        executor.shutdown(wait=False, cancel_futures=True)
        for process in own:
            process.terminate()


def available_cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def share_of(cores: Sequence[int], number: int, processes: int) -> list[int]:
    """Return the cores of one of several processes; at least one, shared where there are too few.

    Args:
        cores: The cores that all may use.
        number: Of the process, from 0.
        processes: How many there are.

    Example:
        >>> share_of([0, 1, 2, 3], 1, 2), share_of([0, 1], 2, 3)
        ([1, 3], [0])
    """
    return list(cores[number::processes]) or [cores[number % len(cores)]]


def _begin(number: Any, cores: Sequence[int], processes: int, load: Callable[[], Tasks]) -> None:
    global _tasks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asks and tells
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with number.get_lock():
        own = share_of(cores, number.value, processes)
        number.value += 1
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, own)
    # what TensorFlow asks for where cores cannot be had
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(len(own))
    _tasks = load()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(_tasks, *arguments)


def _train(
    tasks: Tasks, name: str, rates: np.ndarray, seeds: np.ndarray, settings: dict[str, Any]
) -> TrainingRecord:
    return train(tasks[name], rates, seeds, **settings)
