"""Half a line at the end of a journal is cut off before another is put behind it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from tuners.study.storage import open_storage


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
