"""Where a run is kept: its folder, the lock on it, the storage in it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from search_spaces._input import InputError
from tuners.engines.opening import differences
from tuners.study.storage import PART_OF

DATABASE = "study.db"
PAGE = "report.html"
# what a report.json tells of the settings, by the names of its facts
FACTS = ("task", "data_hash", "epochs", "engine", "sampler", "seed", "objective", "batch_size")


def check_folder(folder: Path, study_name: str, settings: Mapping[str, Any]) -> None:
    """Check, before anything is made, that a folder is free or holds this very run.

    Args:
        folder: The run's folder, which may be missing.
        study_name: Name of the study.
        settings: The settings of this run, as far as they are known.

    Raises:
        InputError: It is a file, cannot be written, or holds a report of another run.
    """
    above = folder
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise InputError(
            f"`--out` must be a folder that can be written, but {str(folder)!r} cannot: "
            f"{str(above)!r} {'has no right to write' if above.is_dir() else 'is a file'}; "
            "pass another."
        )
    stored, where = folder / "report.json", f"the report.json in {str(folder)!r}"
    if not stored.exists():
        if (folder / PAGE).exists():
            raise InputError(
                f"{str(folder)!r} holds a {PAGE} of something else; pass another --out."
            )
        return
    try:
        report = json.loads(stored.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{where} cannot be read; pass another --out.") from None
    facts = report.get("facts") if isinstance(report, Mapping) else None
    if not isinstance(facts, Mapping):
        raise InputError(f"{where} is no report of this command; pass another --out.")
    told = [name for name in FACTS if name in facts and name in settings]
    differing = differences(
        {"study": str(report.get("study_name"))} | {name: str(facts[name]) for name in told},
        {"study": study_name} | {name: str(settings[name]) for name in told},
    )
    if differing:
        raise InputError(
            f"{where} reports a run made with other settings: {'; '.join(differing)}; "
            "use the same settings, or another --out."
        )


def make_folder(folder: Path) -> None:
    """Make a folder, and see that files can be written to it.

    Raises:
        InputError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"`--out` must be a folder that can be written, but {str(folder)!r} cannot "
            f"({reason}); pass another, or see to its rights."
        ) from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine out of a folder; the system undoes it after a kill.

    Raises:
        InputError: Another process is in it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with contextlib.ExitStack() as stack:
        handle = os.open(folder, os.O_RDONLY)
        stack.callback(os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is working on the run in {str(folder)!r}; wait for it, or "
                "pass another --out."
            ) from None
        except OSError:
            pass  # a file system without locks
        yield


def storage_address(folder: Path) -> str:
    """Return the address of the storage in a folder, whose name must fit into an address."""
    path = (folder / DATABASE).as_posix()
    if "?" in path or "#" in path:
        raise InputError(
            f"`--out` must not have ? or # in its path, but got {str(folder)!r}; pass another."
        )
    return f"sqlite:///{path}"


def study_names(storage: BaseStorage) -> list[str]:
    """Return the names of a storage's studies, without those that hold a comparison's pairs."""
    studies = storage.get_all_studies()
    return [each.study_name for each in studies if PART_OF not in each.user_attrs]
