"""Whether a file is one of Optuna's storages, known before Optuna opens it and writes to it.

Optuna makes its tables in any SQLite database that it is given, and appends to any file that it is
told is a journal. Somebody else's file, named by mistake, is to stay as it is.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from search_spaces._input import InputError

SQLITE, JOURNAL = "sqlite:///", "journal:///"
_FIRST = b'{"op_code":'  # with which every line of a journal begins
_FIRST_TABLES = {"studies", "version_info", "alembic_version"}  # a kill may have left a few


def check_storage_file(address: str) -> bool:
    """Check that the file at an address is free or one of Optuna's storages; return which.

    Args:
        address: Of any storage; those that are no files pass.

    Returns:
        Whether a storage is known to be there; False for a file that is missing or empty, and for
        an address that is no file's.

    Raises:
        ValueError: The file is something else, or cannot be read.

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
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return "studies" in tables or tables <= _FIRST_TABLES


def _is_journal(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(_FIRST) + 8).replace(b" ", b"")[: len(_FIRST)]
    return bool(start) and _FIRST.startswith(start)  # its first line may be cut off
