"""Opening Optuna's storages, with errors that never show a password."""

from __future__ import annotations

import re
import time
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage

from search_spaces._input import InputError
from tuners.study.storage_files import JOURNAL, check_storage_file

ATTEMPTS = 5  # to make the tables of a new database
SQLITE_TIMEOUT = 30  # seconds to wait for another connection's lock


def open_storage(storage: str | BaseStorage | None) -> BaseStorage:
    """Return Optuna's storage for an address.

    Args:
        storage: None keeps the study in memory. Else a database address as Optuna takes it, for
            example `sqlite:///study.db` or `postgresql+psycopg://user:password@host/name`;
            `journal:///study.journal` for Optuna's journal file; or a storage of Optuna's.

    Raises:
        ValueError: It cannot be opened, or a file is there that is none of Optuna's; the message
            hides the password.

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
            f"but got {hide_password(str(storage))!r}."
        )
    check_storage_file(storage)
    try:
        if storage.startswith(JOURNAL):
            from tuners.study.whole_lines import WholeLines

            return optuna.storages.JournalStorage(WholeLines(storage[len(JOURNAL) :]))
        return _open_database(storage)
    except Exception as error:  # drivers raise what they like, with the address in it
        # raised outside of this block, so that no traceback shows the driver's own message
        problem = f"{type(error).__name__}: {_first_line(error, storage)}"
    raise InputError(
        f"`storage` could not be opened: {hide_password(storage)} ({problem}); "
        "check that the folder or server exists, that the address names its driver, and the rights."
    )


def _open_database(address: str) -> BaseStorage:
    if address.startswith("sqlite"):
        settings: dict[str, Any] = {"connect_args": {"timeout": SQLITE_TIMEOUT}}
    else:
        settings = {"pool_pre_ping": True}  # a lost connection is made again
    for attempt in range(ATTEMPTS):
        try:
            return optuna.storages.RDBStorage(address, engine_kwargs=settings)
        except Exception as error:
            # two processes that make the tables at the same moment: one finds them half made
            again = "already exists" in str(error) or "duplicate key" in str(error)
            if not again or attempt == ATTEMPTS - 1:
                raise
            time.sleep(1)
    raise AssertionError  # the last attempt returned or raised


def one_process_only(storage: BaseStorage) -> str:
    """Return why only one process may work on a storage at a time, "" where several may.

    Example:
        >>> one_process_only(open_storage("sqlite://"))[:31]
        '`storage` SQLite is for one pro'
    """
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


def hide_password(address: str) -> str:
    """Return an address with its password as `***`, in user part and query.

    Example:
        >>> hide_password("postgresql+psycopg://me:secret@host/wine")
        'postgresql+psycopg://me:***@host/wine'
    """
    hidden = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", address)
    return re.sub(r"(?i)((?:password|passwd|pwd)=)[^&;\s]*", r"\1***", hidden)


def _first_line(error: Exception, address: str) -> str:
    line = (str(error).strip().splitlines() or [""])[0]
    for secret in _secrets(address):
        line = line.replace(secret, "***")
    return hide_password(line)[:300]


def _secrets(address: str) -> list[str]:
    from urllib.parse import unquote

    found = re.findall(r"://[^:/@]*:(.*)@", address)
    found += re.findall(r"(?i)(?:password|passwd|pwd)=([^&;\s]*)", address)
    return [secret for each in found for secret in (each, unquote(each)) if secret]
