"""Who works on a study: each process signs on it, and counts as alive while its sign is fresh.

The signs are user attributes of the study, one for each worker, so that any of Optuna's storages
carries them and no two workers write the same one. A worker of this machine is asked after
directly; of the others it is known only when they last signed, by their own clocks, which must
agree within some seconds.
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

from search_spaces._input import InputError

if TYPE_CHECKING:
    import optuna

SILENCE = 60.0  # seconds without a sign after which a worker counts as dead
BEAT = 15.0  # seconds between two signs
SETTLE = 2.0  # seconds within which two claims of the same work become visible to each other
PREFIX = "worker "  # of the attribute's name
LEFT = 0.0  # the sign of one that has gone

_at_work: set[str] = set()  # workers of this process


@contextlib.contextmanager
def at_work(study: optuna.Study, alone: str = "") -> Iterator[str]:
    """Sign on a study, again and again from a thread, until the block is left.

    Args:
        study: The study to work on.
        alone: Why no second worker may be on it; "" where one may.

    Yields:
        The worker's name: machine, process and a word of its own, with slashes between.

    Raises:
        ValueError: `alone` is given and a worker of another process is alive.
    """
    worker = f"{_machine()}/{os.getpid()}-{_started(os.getpid())}/{uuid.uuid4().hex[:8]}"
    others = [each for each in signed(study) if is_alive(study, each) and each not in _at_work]
    if alone and others:
        host, process, _ = others[0].split("/")
        raise InputError(
            f"{alone}, but process {process.split('-')[0]} on {host.split('+')[0]} is at work on "
            f"the study {study.study_name!r}; wait for it, or use another study."
        )
    gone = threading.Event()
    thread = threading.Thread(target=_sign_again, args=(study, worker, gone), daemon=True)
    study.set_user_attr(PREFIX + worker, time.time())
    _at_work.add(worker)
    thread.start()
    try:
        yield worker
    finally:
        _at_work.discard(worker)
        gone.set()
        thread.join(timeout=BEAT)
        with contextlib.suppress(Exception):  # the storage may be what ended the work
            study.set_user_attr(PREFIX + worker, LEFT)


def _sign_again(study: optuna.Study, worker: str, gone: threading.Event) -> None:
    while not gone.wait(BEAT):
        with contextlib.suppress(Exception):  # a lost storage is reported where work is told
            study.set_user_attr(PREFIX + worker, time.time())


def signed(study: optuna.Study) -> list[str]:
    """Return the names of all workers that ever signed on a study."""
    return [name.removeprefix(PREFIX) for name in study.user_attrs if name.startswith(PREFIX)]


def is_alive(study: optuna.Study, worker: str | None) -> bool:
    """Whether a worker is at work on a study, as far as can be known from here.

    Args:
        study: The study.
        worker: A name that `at_work` gave; None, or what is no such name, is nobody alive.
    """
    try:
        machine, process, _ = str(worker).split("/")
        identity, started = process.split("-")
        number = int(identity)
    except ValueError:
        return False
    if machine == _machine():
        if number == os.getpid():
            return worker in _at_work
        if _started(number) != started:
            return False
    sign = study.user_attrs.get(f"{PREFIX}{worker}")
    return isinstance(sign, (int, float)) and time.time() - sign < SILENCE


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
        return "unknown"  # signs alone tell there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:
        pass
    return "0"
