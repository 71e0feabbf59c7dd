"""Storages open, or fail without showing a password."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from tuners.study.storage import hide_password, open_storage


def test_kinds_of_storage(tmp_path: Path) -> None:
    assert isinstance(open_storage(None), optuna.storages.InMemoryStorage)
    sqlite = open_storage(f"sqlite:///{tmp_path}/study.db")
    assert isinstance(sqlite, optuna.storages.RDBStorage)
    journal = open_storage(f"journal:///{tmp_path}/study.log")
    assert isinstance(journal, optuna.storages.JournalStorage)
    assert open_storage(journal) is journal
    optuna.create_study(storage=journal, study_name="kept")
    assert (tmp_path / "study.log").stat().st_size > 0


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:////no/such/folder/study.db",
        "postgresql+psycopg://me:hush%40hush@127.0.0.1:1/wine",
        "postgresql+psycopg://127.0.0.1:1/wine?user=me&password=hush%40hush",
        "mysql+nosuchdriver://me:hush%40hush@localhost/wine",
        "nonsense://me:hush%40hush@localhost/wine",
        "nonsense://me:p/w:hush%40hush@localhost/wine",
        "journal:////no/such/folder/study.log",
    ],
)
def test_what_cannot_be_opened(address: str) -> None:
    with pytest.raises(ValueError, match="`storage` could not be opened: ") as caught:
        open_storage(address)
    assert "hush" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("address", ["study.db", 7, "me:hush@localhost"])
def test_no_address(address: object) -> None:
    with pytest.raises(ValueError, match="`storage` must be an address such as"):
        open_storage(address)  # type: ignore[arg-type]


def test_a_corrupt_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ValueError, match=r"must be a file of Optuna's.*not a database"):
        open_storage(f"sqlite:///{path}")
    assert path.read_bytes() == b"not a database" * 100


@pytest.mark.parametrize(
    ("address", "hidden"),
    [
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("postgresql://me:a:b@c@host/wine", "postgresql://me:***@host/wine"),
        (
            "postgresql://host/wine?password=a&user=me",
            "postgresql://host/wine?password=***&user=me",
        ),
        ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
    ],
)
def test_hide_password(address: str, hidden: str) -> None:
    assert hide_password(address) == hidden
