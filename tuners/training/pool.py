"""Training in several processes of this machine, for the one process that asks and tells.

The processes are started once. They build the tasks for themselves, or are sent each one by value,
since the builder of a model is often a function that no module has. Each trains its share of the
lanes with its share of the cores; none of them knows of studies.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np

from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.training.records import TrainingRecord, join_records
from tuners.training.runner import train

Tasks = Mapping[str, TuningTask]

SENT_KEPT = 16  # tasks of one process that stay in memory with their data


class _Tasks(dict[str, TuningTask]):
    """The tasks of a process by name; one that was sent is read when it is first asked for."""

    def __missing__(self, name: str) -> TuningTask:
        task = cloudpickle.loads(Path(name).read_bytes())
        while len(self) >= SENT_KEPT:
            del self[next(iter(self))]
        self[name] = task
        return task


_tasks = _Tasks()  # of this process, where it is one of a pool


class TrainingPool:
    """Processes that train lanes; made by `training_pool`.

    Args:
        executor: Runs functions in the processes.
        processes: How many there are.
        folder: Where tasks are sent through; None where the processes have them by name.
    """

    def __init__(
        self, executor: ProcessPoolExecutor, processes: int, folder: Path | None = None
    ) -> None:
        self._executor, self.processes, self._folder = executor, processes, folder
        self._sent: weakref.WeakKeyDictionary[TuningTask, str] = weakref.WeakKeyDictionary()
        self._numbers = itertools.count()  # a name is not used again when its task has gone
        # all of them start now, beside what comes first
        self._started = [executor.submit(os.getpid) for _ in range(processes)]

    def name_of(self, task: TuningTask) -> str:
        """Return the name by which the processes find a task, which is sent where it has to be.

        Raises:
            InputError: It cannot be sent.
        """
        if self._folder is None:
            return task.name
        if task not in self._sent:
            try:
                content = cloudpickle.dumps(task)
            except Exception as error:  # objects of users raise what they like
                raise InputError(
                    "`workers` above 1 needs a task that can be sent to other processes, but task "
                    f"{task.name!r} cannot ({type(error).__name__}: {error}); let `build_model` "
                    "make what it uses, and pass data as arrays."
                ) from error
            path = self._folder / str(next(self._numbers))
            path.write_bytes(content)
            self._sent[task] = str(path)
        return self._sent[task]

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
        try:
            futures = [self._executor.submit(_call, function, each) for each in arguments]
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise self._ended(error) from error

    def _ended(self, error: BrokenProcessPool) -> Exception:
        if any(_ran(future) for future in self._started):
            return RuntimeError(
                f"A training process ended by itself ({error}); where memory ran out, use fewer."
            )
        return InputError(
            "`workers` above 1 starts processes that import the main script, but none of them got "
            'through it; put what it does below `if __name__ == "__main__":`.'
        )

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
            task: The task.
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
        name = self.name_of(task)
        calls = [(name, learning_rates[part], seeds[part], settings) for part in shares]
        records: list[TrainingRecord] = []
        done = 0
        for record, part in zip(self.map(_train, calls), shares, strict=True):
            records.append(record)
            done += len(part) * epochs
            if on_epoch is not None:
                on_epoch(done, len(seeds) * epochs)
        return join_records(records, seconds=time.perf_counter() - started)


@contextlib.contextmanager
def training_pool(
    processes: int, load: Callable[[], Tasks] | None = None
) -> Iterator[TrainingPool | None]:
    """Start processes that train, and end them with the block.

    Args:
        processes: How many; with 1 there are none, and None is given.
        load: Builds the tasks, by name, in each process; a function of a module, or a
            `functools.partial` of one. None sends each task when it is first trained.
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
        with tempfile.TemporaryDirectory(prefix="lr-range-tuner-") as folder:
            yield TrainingPool(executor, processes, None if load else Path(folder))
    finally:  # what still trains then, as after Ctrl-C, is not waited for
        own = list((executor._processes or {}).values())  # `terminate_workers` is Python 3.14's
        executor.shutdown(wait=False, cancel_futures=True)
        for process in own:
            process.terminate()


def _ran(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


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


def _begin(
    number: Any, cores: Sequence[int], processes: int, load: Callable[[], Tasks] | None
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asks and tells
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with number.get_lock():
        own = share_of(cores, number.value, processes)
        number.value += 1
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, own)
    # what TensorFlow asks for where cores cannot be had
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(len(own))
    if load is not None:
        _tasks.update(load())


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
