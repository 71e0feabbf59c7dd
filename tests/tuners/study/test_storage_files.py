"""Files of Optuna's, of nobody's and of somebody else's."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tuners.study.storage import open_storage
from tuners.study.storage_files import check_storage_file


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_a_storage_of_optunas_is_known(scheme: str, tmp_path: Path) -> None:
    import optuna

    address = f"{scheme}:///{tmp_path}/study"
    assert not check_storage_file(address)
    (tmp_path / "study").touch()
    assert not check_storage_file(address)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(storage=open_storage(address))
    assert check_storage_file(address)


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
