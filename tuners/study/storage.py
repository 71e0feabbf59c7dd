"""Opening Optuna's storages: nobody else's file is touched, and no error shows a password."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from search_spaces._input import InputError
from tuners.study.heartbeat import BEAT, GRACE
from tuners.study.optuna_private import backend, storage_of
from tuners.study.passwords import hide_passwords
from tuners.study.tuner_study import optuna_silenced

SQLITE, JOURNAL = "sqlite:///", "journal:///"
PATIENCE = 10  # seconds to wait for a server that is away; a restart takes a few
SQLITE_TIMEOUT = 30  # seconds to wait for another connection's lock
LEFT_LOCK = 30  # seconds after which a lock file counts as left by the dead, as in Optuna
PART_OF = "pairs_of"  # attribute of a study of shared work: the name of the study it belongs to
_AWAY = re.compile(  # what drivers say of a server that is not there, or not yet
    "Connection refused|No such file or directory|No route to host|Network is unreachable|"
    "timeout expired|is starting up|is shutting down|closed the connection unexpectedly"
)
# two processes that make the tables at the same moment: one finds them half made
_HALF_MADE = re.compile("already exists|duplicate key")
_FIRST = b'{"op_code":'  # with which every line of a journal begins
_FIRST_TABLES = {"studies", "version_info", "alembic_version"}  # a kill may have left a few


class StorageAway(ConnectionError):
    """A database server that gives no answer."""


def open_storage(storage: str | BaseStorage | None) -> BaseStorage:
    """Return Optuna's storage for an address.

    Args:
        storage: None keeps the study in memory. Else a database address as Optuna takes it, for
            example `sqlite:///study.db` or `postgresql+psycopg://user:password@host/name`;
            `journal:///study.journal` for Optuna's journal file; or a storage of Optuna's.

    Raises:
        InputError: It cannot be opened, or a file is there that is none of Optuna's; the message
            hides the password.
        StorageAway: Its server gave no answer for `PATIENCE` seconds.

    Example:
        >>> type(open_storage(None)).__name__
        'InMemoryStorage'
    """
    if storage is None:
        return optuna.storages.InMemoryStorage()
    if isinstance(storage, BaseStorage):
        return storage
    if not isinstance(storage, str) or "://" not in storage:
        raise InputError(
            "`storage` must be an address such as sqlite:///study.db, "
            f"but got {hide_passwords(str(storage))!r}."
        )
    check_storage_file(storage)
    try:
        if storage.startswith(JOURNAL):
            return optuna.storages.JournalStorage(WholeLines(storage[len(JOURNAL) :]))
        return _open_database(storage)
    except Exception as error:  # drivers raise what they like, with the address in it
        # raised outside of this block, so that no traceback shows the driver's own message
        problem = f"{type(error).__name__}: {_first_line(error, storage)}"
        away = _is_away(error)
    if away:
        raise StorageAway(
            f"`storage` gave no answer for {PATIENCE} s: {hide_passwords(storage)} ({problem}); "
            "start the server, or correct host and port."
        )
    raise InputError(
        f"`storage` could not be opened: {hide_passwords(storage)} ({problem}); "
        "check that the folder or server exists, that the address names its driver, and the rights."
    )


def _open_database(address: str) -> BaseStorage:
    if address.startswith("sqlite"):
        settings: dict[str, Any] = {"engine_kwargs": {"connect_args": {"timeout": SQLITE_TIMEOUT}}}
    else:
        settings = {
            "engine_kwargs": {"pool_pre_ping": True},  # a lost connection is made again
            "heartbeat_interval": BEAT,
            "grace_period": GRACE,
        }
    end = time.monotonic() + PATIENCE
    while True:  # until the end is reached
        try:
            with warnings.catch_warnings():  # heartbeats are marked experimental since Optuna 2.9
                warnings.simplefilter("ignore", ExperimentalWarning)
                again = RetryHeartbeatStaleTrialCallback()
                return RDBStorage(address, **settings, heartbeat_stale_trial_callback=again)
        except Exception as error:
            passing = _is_away(error) or _HALF_MADE.search(str(error))
            if not passing or time.monotonic() >= end:
                raise
            time.sleep(0.5)


def _is_away(error: Exception) -> bool:
    return type(error).__name__ == "OperationalError" and bool(_AWAY.search(str(error)))


def one_process_only(storage: BaseStorage) -> str:
    """Return why only one process may work on a storage at a time, "" where several may.

    Example:
        >>> one_process_only(open_storage("sqlite://"))[:31]
        '`storage` SQLite is for one pro'
    """
    storage = backend(storage)
    if isinstance(storage, optuna.storages.InMemoryStorage):
        return "`storage` in memory is for one process"
    dialect = storage.engine.dialect.name if isinstance(storage, RDBStorage) else ""
    if dialect != "sqlite":
        return ""
    return (
        "`storage` SQLite is for one process (for several on one machine take "
        "journal:///study.journal, for several machines PostgreSQL)"
    )


def close_storage(storage: BaseStorage) -> None:
    """Close the connections that a storage keeps open; it opens new ones when it is used again."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def open_part(study: optuna.Study, what: str) -> optuna.Study:
    """Return the study beside a study that holds a part of its work, made where there is none.

    Args:
        study: The study that it belongs to; the storage is the same.
        what: Of the work, for example "pairs"; its name is that of the study with this behind.

    Raises:
        InputError: A study of that name is there, and is something else.
    """
    name = f"{study.study_name} {what}"
    with optuna_silenced():
        part = optuna.create_study(
            storage=storage_of(study), study_name=name, direction="maximize", load_if_exists=True
        )
    trials = part.get_trials(deepcopy=False)
    attributes = part.user_attrs  # once, and after the trials: others may be making it just now
    if not attributes and not trials:
        part.set_user_attr(PART_OF, study.study_name)
    elif attributes.get(PART_OF) != study.study_name:
        raise InputError(
            f"`study_name` {study.study_name!r} needs the name {name!r} for its {what}, but the "
            "storage has another study of that name; choose another name."
        )
    return part


def check_storage_file(address: str) -> bool:
    """Check that the file at an address is free or one of Optuna's storages; return which.

    Optuna makes its tables in any SQLite database, and appends to any file that it is told is a
    journal. Somebody else's file, named by mistake, is to stay as it is.

    Args:
        address: Of any storage; those that are no files pass.

    Returns:
        Whether a storage is known to be there; False for a file that is missing or empty, and for
        an address that is no file's.

    Raises:
        InputError: The file is something else, or cannot be read.

    Example:
        >>> check_storage_file("sqlite:///not-there.db")
        False
    """
    for scheme, check in ((SQLITE, _is_database), (JOURNAL, _is_journal)):
        path = Path(address.removeprefix(scheme))
        if not address.startswith(scheme) or "\0" in address or not path.is_file():
            continue
        problem = ""
        try:
            if path.stat().st_size == 0:
                return False
            if check(path):
                return True
        except (OSError, sqlite3.Error) as error:
            problem = f" ({error})"
        raise InputError(
            f"`storage` must be a file of Optuna's or a new one, but {address!r} is something "
            f"else{problem}; it is left as it is, pass another."
        )
    return False


def _is_database(path: Path) -> bool:
    cut_off = path.with_name(f"{path.name}-journal")
    if cut_off.exists():
        # a write that a kill cut off is undone by whoever reads next, so that is done on a copy
        with tempfile.TemporaryDirectory() as folder:
            for file in (cut_off, path):
                shutil.copy(file, folder)
            return _has_tables((Path(folder) / path.name).as_uri())
    return _has_tables(f"{path.resolve().as_uri()}?mode=ro")


def _has_tables(uri: str) -> bool:
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return "studies" in tables or tables <= _FIRST_TABLES


def _is_journal(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(_FIRST) + 8).replace(b" ", b"")[: len(_FIRST)]
    return bool(start) and _FIRST.startswith(start)  # its first line may be cut off


class BoundedLock(JournalFileOpenLock):
    """A journal's lock file that is waited for with an end.

    Optuna's own locks try for ever to remove what a dead process left, also where that cannot be
    done: on a disk that turned read-only, or in a folder without the right to write.

    Args:
        path: Of the journal.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._seen: tuple[int, int] | None = None
        self._since = 0.0

    def acquire(self) -> bool:
        """Make the lock file, once whoever holds it has removed it or is dead.

        Raises:
            OSError: It cannot be made, or the one that was left cannot be removed.
        """
        pause = 0.001
        while True:  # others write for a moment only; what stays is removed, or that fails
            try:
                os.close(os.open(self._lock_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return True
            except FileExistsError:  # any other error is the disk's, which no waiting cures
                self._remove_if_left()
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _remove_if_left(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            found = Path(self._lock_file).lstat()
            if self._seen != (found.st_ino, found.st_mtime_ns):
                self._seen, self._since = (found.st_ino, found.st_mtime_ns), time.monotonic()
            elif time.monotonic() - self._since > LEFT_LOCK:
                Path(self._lock_file).unlink()


class WholeLines(JournalFileBackend):
    """A journal file whose last line is whole before another is put behind it.

    Optuna passes over half a line at the end, as a full disk or a power cut leaves it, while it
    reads. But the next line written would be joined to it, and the file could not be read again.
    What is cut off was never told as done.

    Args:
        path: Of the file, which may be missing.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, BoundedLock(path))
        self._path = Path(path)
        self._cut_half_line()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines, each whole."""
        self._cut_half_line()
        super().append_logs(logs)

    def _cut_half_line(self) -> None:
        if self._ends_whole():
            return
        self._lock.acquire()
        try:
            if not self._ends_whole():  # it was no line that another process was just writing
                content = self._path.read_bytes()
                os.truncate(self._path, content.rfind(b"\n") + 1)
        finally:
            self._lock.release()

    def _ends_whole(self) -> bool:
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                return True
            file.seek(size - 1)
            return file.read(1) == b"\n"


def _first_line(error: Exception, address: str) -> str:
    line = (str(error).strip().splitlines() or [""])[0]
    for secret in _secrets(address):
        line = line.replace(secret, "***")
    return hide_passwords(line)[:300]


def _secrets(address: str) -> list[str]:
    found = re.findall(r"://[^:/@]*:(.*)@", address)
    found += re.findall(r"(?i)(?:password|passwd|pwd)=([^&;\s]*)", address)
    return [secret for each in found for secret in (each, unquote(each)) if secret]
