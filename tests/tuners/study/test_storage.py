"""Storages open or fail without showing a password; nobody else's file is touched."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from search_spaces._input import InputError
from tests.postgres import running_server
from tuners.cli.errors import FAULT, judge
from tuners.study import storage
from tuners.study.storage import (
    StorageAway,
    check_storage_file,
    close_storage,
    open_part,
    open_storage,
)


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
        "postgresql+psycopg://me:hush%40hush@no.such.host.invalid/wine",
        "postgresql+psycopg://no.such.host.invalid/wine?user=me&password=hush%40hush",
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


@pytest.mark.parametrize("secret", ["me:hush%40hush@", "me@"])
def test_a_server_that_is_away(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PATIENCE", 0)
    address = f"postgresql+psycopg://{secret}127.0.0.1:1/wine?password=hush%40hush"
    with pytest.raises(
        StorageAway, match=r"gave no answer for 0 s: .*Connection refused"
    ) as caught:
        open_storage(address)
    assert "hush" not in str(caught.value)
    assert caught.value.__context__ is None
    code, message = judge(caught.value)
    assert code == FAULT
    assert message.startswith("`--storage` gave no answer")
    assert message.endswith("start the server, or correct host and port.")


@pytest.mark.postgres
def test_a_server_is_waited_for_and_a_wrong_name_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server() as server:
        server.control("stop")
        starting = threading.Timer(1.0, server.control, ["start"])
        starting.start()
        try:
            close_storage(open_storage(server.address))
        finally:
            starting.join()
        monkeypatch.setattr(storage, "PATIENCE", 10**6)
        with pytest.raises(InputError, match=r"could not be opened: .*\"nowhere\" does not exist"):
            open_storage(server.address.replace("/postgres?", "/nowhere?"))


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


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_a_storage_of_optunas_is_known(scheme: str, tmp_path: Path) -> None:
    address = f"{scheme}:///{tmp_path}/study"
    assert not check_storage_file(address)
    (tmp_path / "study").touch()
    assert not check_storage_file(address)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(storage=open_storage(address))
    assert check_storage_file(address)


CUT_OFF = """
import os, signal, sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the commit
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE filler (content)")
connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 4000,)] * 200)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_database_that_a_kill_left_in_the_middle_of_a_write_is_one(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    address = f"sqlite:///{path}"
    close_storage(optuna.create_study(study_name="s", storage=open_storage(address))._storage)
    subprocess.run([sys.executable, "-c", CUT_OFF, str(path)], check=False)
    assert path.with_name("study.db-journal").stat().st_size > 0
    assert check_storage_file(address)
    storage = open_storage(address)
    assert optuna.get_all_study_names(storage) == ["s"]
    close_storage(storage)


def test_a_journal_cut_in_its_first_line_is_one(tmp_path: Path) -> None:
    for start in (b'{"op', b'{"op_code": 0, "wor', b'{"op_code":0'):
        (tmp_path / "j").write_bytes(start)
        assert check_storage_file(f"journal:///{tmp_path}/j")


def test_addresses_that_are_no_files_pass(tmp_path: Path) -> None:
    for address in ("sqlite://", "postgresql://me@host/x", f"sqlite:///{tmp_path}", "sqlite:///\0"):
        assert not check_storage_file(address)


@pytest.mark.parametrize("content", [b"Chapter one\n\nIn the", b"{}\n", b"[1]", b"\0" * 99])
@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_a_file_of_somebody_else_is_refused(scheme: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "thesis"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`storage` must be a file of Optuna's .* left as it is"):
        check_storage_file(f"{scheme}:///{path}")
    assert path.read_bytes() == content


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "accounts.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE accounts (id)")
        connection.commit()
    with pytest.raises(ValueError, match=r"accounts\.db' is something else; it is left as it is"):
        check_storage_file(f"sqlite:///{path}")


@pytest.mark.parametrize("rest", [b'{"op_code":4,"wor', b"{", b"\xff\xfe"])
def test_half_a_line_is_cut_off(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "study.journal"
    study = optuna.create_study(study_name="s", storage=open_storage(f"journal:///{path}"))
    study.set_user_attr("before", 1)
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    again = optuna.load_study(study_name="s", storage=open_storage(f"journal:///{path}"))
    assert path.read_bytes() == whole
    path.write_bytes(whole + rest)  # while it is open, as another process leaves it
    again.set_user_attr("after", 2)
    read = optuna.load_study(study_name="s", storage=open_storage(f"journal:///{path}"))
    assert read.user_attrs == {"before": 1, "after": 2}
    assert path.read_bytes().startswith(whole)


def test_a_whole_journal_and_an_empty_one_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    open_storage(f"journal:///{path}")
    assert path.read_bytes() == b""
    optuna.create_study(study_name="s", storage=open_storage(f"journal:///{path}"))
    whole = path.read_bytes()
    open_storage(f"journal:///{path}")
    assert path.read_bytes() == whole
    assert not list(tmp_path.glob("*.lock"))


def test_a_study_of_shared_work_is_no_news_for_the_users_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    study = optuna.create_study()
    optuna.logging.enable_propagation()
    caplog.clear()
    try:
        for _ in range(2):  # made, then opened again
            open_part(study, "pairs")
    finally:
        optuna.logging.disable_propagation()
    assert caplog.text == ""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, which a test may make read-only."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("locked", [False, True], ids=["free", "locked by the dead"])
def test_a_disk_that_turns_read_only_ends_the_wait(
    disk: Path, locked: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storage, "LEFT_LOCK", 0.1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=open_storage(f"journal:///{disk}/j"))
    if locked:
        (disk / "j.lock").touch()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for _ in range(2):
        with pytest.raises(OSError, match="Read-only file system") as caught:
            study.set_user_attr("more", 1)
        code, message = judge(caught.value)
        assert code == FAULT
        assert message.startswith("the storage failed midway ([Errno 30] Read-only file system: ")
    assert capfd.readouterr().err == ""


def test_a_lock_that_the_dead_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LEFT_LOCK", 0.1)
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    # as Optuna's default leaves it: from its own folder the link points nowhere
    Path("runs/j.lock").symlink_to("runs/j")
    study = optuna.create_study(study_name="s", storage=open_storage("journal:///runs/j"))
    study.set_user_attr("more", 1)
    assert not list(tmp_path.glob("runs/*.lock*"))
