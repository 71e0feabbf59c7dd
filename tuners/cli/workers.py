"""Several processes on one study, on this machine: each with its share of the cores."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from tuners.cli.console import Screen
    from tuners.cli.pipeline import Job

PATIENCE = 20.0  # seconds for the others to end once there is nothing left to do
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def share_of(cores: Sequence[int], number: int, workers: int) -> list[int]:
    """Return the cores of one of several workers; at least one, shared where there are too few.

    Args:
        cores: The cores that this process may use.
        number: Of the worker, from 0.
        workers: How many there are.

    Example:
        >>> share_of([0, 1, 2, 3], 1, 2), share_of([0, 1], 2, 3)
        ([1, 3], [0])
    """
    return list(cores[number::workers]) or [cores[number % len(cores)]]


@contextlib.contextmanager
def own_share(workers: int) -> Iterator[None]:
    """Keep this process, as the first of several workers, to its share of the cores."""
    cores = _cores()
    if workers == 1:
        yield
        return
    _use(share_of(cores, 0, workers))
    try:
        yield
    finally:
        _use(cores)


@contextlib.contextmanager
def others(job: Job, again: Sequence[str], cores: Sequence[int]) -> Iterator[list[Path]]:
    """Run the further workers of a job beside the block.

    Args:
        job: The job, whose study is there.
        again: The script that was started, and what followed its name.
        cores: The cores that all workers share.

    Yields:
        The files that hold what the workers wrote, one each; those of workers that ended well
        are removed.
    """
    workers, logs = job.options.workers, []
    own = ["--workers", "1", "--storage", job.address, "--study-name", job.study_name]
    own += ["--out", str(job.folder), "--quiet"]
    started: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
    log: IO[bytes]
    try:
        for number in range(1, workers):
            logs.append(job.folder / f"worker-{number + 1}.txt")
            log = logs[-1].open("wb")
            _use(share_of(cores, number, workers))
            process = subprocess.Popen(
                [sys.executable, *again, *own],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
            started.append((process, log))
        _use(share_of(cores, 0, workers))
        yield logs
    except BaseException:
        for process, _ in started:  # Ctrl-C reaches them by itself from a terminal only
            process.send_signal(signal.SIGINT)
        raise
    finally:
        for (process, log), path in zip(started, logs, strict=True):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
            process.wait()
            log.close()
            if process.returncode == 0:
                path.unlink()


def report_losses(logs: Sequence[Path], screen: Screen) -> None:
    """Say which workers ended otherwise than well, with their last line."""
    for path in logs:
        if path.exists():
            lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            screen.warn(f"{path.stem.replace('-', ' ')} ended early: {(lines or ['killed'])[-1]}")


def available_cores() -> list[int]:
    """Return the cores that this process may use."""
    return _cores()


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _use(cores: Sequence[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    else:  # TensorFlow asks for these where cores cannot be had
        for name in THREADS:
            os.environ[name] = str(len(cores))
