"""Which process works on a study, and whether it still lives.

A process of this machine is asked after directly. Processes of other machines meet on a database
server only, where Optuna's own heartbeat tells: the trials that a process holds are signed again
and again, and Optuna fails and queues again what has had no sign for `GRACE` seconds.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.storages import RDBStorage
from optuna.trial import TrialState

from search_spaces._input import InputError
from tuners.study.optuna_private import backend, storage_of, trial_id

if TYPE_CHECKING:
    import optuna

BEAT = 15  # seconds between two signs
GRACE = 60  # seconds without a sign after which a process counts as dead: three may be lost
WORKER = "worker"  # of a trial: who holds it; of a study that is for one process: who works on it
LEFT = ["", 0.0]

_at_work: set[str] = set()  # workers of this process


@contextlib.contextmanager
def at_work(study: optuna.Study, alone: str = "") -> Iterator[str]:
    """Work on a study, under a name that tells others whether this process still lives.

    Args:
        study: The study to work on.
        alone: Why no second process may be on it; "" where one may.

    Yields:
        The worker's name: machine, process and a word of its own, with slashes between.

    Raises:
        InputError: `alone` is given and another process is at work.
    """
    worker = f"{_machine()}/{os.getpid()}-{_started(os.getpid())}/{uuid.uuid4().hex[:8]}"
    holder, signed = _holder(study) if alone else ("", 0.0)
    if _is_other(holder, signed):
        machine, process, _ = holder.split("/")
        raise InputError(
            f"{alone}, but process {process.split('-')[0]} on {machine.split('+')[0]} is at work "
            f"on the study {study.study_name!r}; wait for it, or use another study."
        )
    holds = bool(alone) and holder not in _at_work  # an outer block of this process has signed
    gone = threading.Event()
    thread = threading.Thread(target=_beat, args=(study, worker, holds, gone), daemon=True)
    if holds:
        study.set_user_attr(WORKER, [worker, time.time()])
    _at_work.add(worker)
    if _is_server(study):
        thread.start()
    try:
        yield worker
    finally:
        _at_work.discard(worker)
        gone.set()
        if thread.is_alive():
            thread.join(timeout=BEAT)
        with contextlib.suppress(Exception):  # the storage may be what ended the work
            if holds:
                study.set_user_attr(WORKER, LEFT)


def is_alive(worker: object) -> bool | None:
    """Whether a worker is at work; None where it is of another machine, which cannot be asked.

    Args:
        worker: A name that `at_work` gave; anything else is nobody alive.
    """
    try:
        machine, process, _ = str(worker).split("/")
        identity, started = process.split("-")
        number = int(identity)
    except ValueError:
        return False
    if machine != _machine():
        return None
    if number == os.getpid():
        return worker in _at_work
    return _started(number) == started


def sign(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Sign for a trial that this process holds, where the storage has heartbeats."""
    storage = backend(storage_of(study))
    if isinstance(storage, RDBStorage) and storage.get_heartbeat_interval() is not None:
        storage.record_heartbeat(trial_id(trial))


def _beat(study: optuna.Study, worker: str, holds: bool, gone: threading.Event) -> None:
    while not gone.wait(BEAT):
        with contextlib.suppress(Exception):  # a lost storage is reported where work is told
            if holds:
                study.set_user_attr(WORKER, [worker, time.time()])
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if trial.user_attrs.get(WORKER) == worker:
                    sign(study, trial)


def _holder(study: optuna.Study) -> tuple[str, float]:
    try:
        name, signed = study.user_attrs.get(WORKER, LEFT)
        return str(name), float(signed)
    except (TypeError, ValueError):
        return "", 0.0


def _is_other(holder: str, signed: float) -> bool:
    alive = is_alive(holder)
    if alive is None:
        return time.time() - signed < GRACE
    return alive and holder not in _at_work


def _is_server(study: optuna.Study) -> bool:
    storage = backend(storage_of(study))
    return isinstance(storage, RDBStorage) and storage.engine.dialect.name != "sqlite"


def _machine() -> str:
    # the host's name alone is not enough: containers may share it, and a restart keeps it
    parts = [socket.gethostname().replace("/", "-")]
    for read in (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text()[:8],
        lambda: str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]"),
    ):
        with contextlib.suppress(OSError):
            parts.append(read())
    return "+".join(parts)


def _started(process: int) -> str:
    # a number is given again to a later process, so when it started belongs to its name
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    if os.name != "posix":
        return "unknown"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:
        pass
    return "0"
