"""Where a run is kept: its folder, the lock on it, the storage, and the study in it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tuners.cli.errors import Refused, UserError, storage_errors
from tuners.cli.settings import JOB, check_report, check_study

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

DATABASE = "study.db"
JOURNAL = "study.journal"  # of several workers
PAGE = "report.html"
UNUSABLE = "see to its rights, its space and whether it is a database of Optuna's"


def check_folder(folder: Path, study_name: str, settings: Mapping[str, Any]) -> None:
    """Check, before anything is made, that a folder is free or holds this very run.

    Args:
        folder: The run's folder, which may be missing.
        study_name: Name of the study.
        settings: The settings of this run.

    Raises:
        UserError: It is a file, cannot be written, or holds a report of another run.
    """
    above = folder
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"`--out` must be a folder that can be written, but {str(folder)!r} cannot: "
            f"{str(above)!r} {'has no right to write' if above.is_dir() else 'is a file'}; "
            "pass another."
        )
    page, stored = folder / PAGE, folder / "report.json"
    if stored.exists():
        where = f"the report.json in {str(folder)!r}"
        try:
            report = json.loads(stored.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise Refused(f"{where} cannot be read; pass another --out.") from None
        check_report(report, study_name, settings, where)
    elif page.exists():
        raise Refused(f"{str(folder)!r} holds a {PAGE} of something else; pass another --out.")


def make_folder(folder: Path) -> None:
    """Make a folder, and see that files can be written to it.

    Raises:
        UserError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"`--out` must be a folder that can be written, but {str(folder)!r} cannot "
            f"({reason}); pass another, or see to its rights."
        ) from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine out of a folder; the system undoes it after a kill.

    Raises:
        UserError: Another process is in it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process is working on the run in {str(folder)!r}; wait for it, or "
                "pass another --out."
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def storage_address(folder: Path, workers: int = 1) -> str:
    """Return the address of the storage in a folder: the one that is there, or a new one.

    Args:
        folder: The run's folder, which may be missing.
        workers: Processes that are to share the study; several get a journal file.

    Raises:
        UserError: The folder's name has a character that an address cannot hold, or its storage
            is for one process and there are several.
    """
    if (folder / JOURNAL).exists() or (workers > 1 and not (folder / DATABASE).exists()):
        return f"journal:///{folder / JOURNAL}"
    if workers > 1:
        raise Refused(
            f"`--workers` must be 1 for the run in {str(folder)!r}, whose {DATABASE} is for one "
            f"process, but got {workers}; pass another --out."
        )
    path = (folder / DATABASE).as_posix()
    if "?" in path or "#" in path:
        raise UserError(
            f"`--out` must not have ? or # in its path, but got {str(folder)!r}; pass another."
        )
    return f"sqlite:///{path}"


def study_names(storage: BaseStorage) -> list[str]:
    """Return the names of a storage's studies, without those that hold a comparison's pairs."""
    from tuners.study.storage import PART_OF

    studies = storage.get_all_studies()
    return [each.study_name for each in studies if PART_OF not in each.user_attrs]


def open_study(
    storage: BaseStorage,
    where: str,
    name: str,
    direction: Literal["minimize", "maximize"],
    settings: Mapping[str, Any],
    *,
    alone: bool,
) -> optuna.Study:
    """Return the study of this run: the stored one, or a new one with its settings.

    Args:
        storage: Where it is kept.
        where: The storage as an error calls it.
        name: Of the study.
        direction: "minimize" or "maximize".
        settings: The settings of this run.
        alone: Whether no other study may be in the storage.

    Raises:
        UserError: The storage cannot be used, or its study was made otherwise.
    """
    import optuna

    with storage_errors(where, "used", UNUSABLE):
        names = study_names(storage)
        others = [each for each in names if each != name]
        if alone and others:
            raise Refused(
                f"{where} holds the study {others[0]!r}, not {name!r}; "
                "pass its --study-name, or another --out."
            )
        study = optuna.create_study(
            storage=storage, study_name=name, direction=direction, load_if_exists=True
        )
        check_study(study, settings, where)
        if JOB not in study.user_attrs:
            study.set_user_attr(JOB, dict(settings))
    return study
