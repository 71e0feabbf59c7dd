"""Which line and which code an error ends the command with."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy.exc

from search_spaces import LearningRateBounds
from tuners.cli import errors
from tuners.cli.errors import UserError, guarded, judge, keep_traceback, users_input


def test_a_check_of_ours_is_the_users_error() -> None:
    with pytest.raises(ValueError, match="`bounds`") as caught:
        LearningRateBounds(1.0, 0.1, 0.5, "ok", "")
    assert judge(caught.value)[0] == errors.USER


def test_an_error_of_somebody_elses_code_is_a_fault() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("x")
    assert judge(caught.value) == (
        errors.FAULT,
        "unexpected ValueError: invalid literal for int() with base 10: 'x'",
    )


def test_a_driver_error_is_a_lost_storage_and_shows_no_password() -> None:
    error = sqlalchemy.exc.OperationalError(
        "SELECT", {}, Exception("server at postgresql://me:secret@host/x went away")
    )
    code, message = judge(error)
    assert code == errors.FAULT
    assert "the storage failed midway" in message
    assert "secret" not in message


def test_a_storage_error_of_optuna_is_a_lost_storage() -> None:
    from optuna.exceptions import StorageInternalError

    assert "the storage failed midway" in judge(StorageInternalError("no connection"))[1]


def test_a_full_disk_is_named() -> None:
    code, message = judge(OSError(28, "No space left on device", "runs/report.html"))
    assert code == errors.FAULT
    assert message == (
        "a file could not be written or read: 'runs/report.html' No space left on device."
    )


def test_checks_inside_a_block_of_users_input_become_user_errors() -> None:
    with pytest.raises(UserError, match=r"^`--data`: no such thing$"), users_input("`--data`"):
        raise ValueError("no\nsuch   thing")
    with pytest.raises(UserError, match=r"^as it is$"), users_input("`--data`"):
        raise UserError("as it is")
    with pytest.raises(ZeroDivisionError), users_input():
        raise ZeroDivisionError


def test_an_error_is_printed_in_one_line_with_its_notes(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        error = RuntimeError("all\nover")
        error.add_note("go on.")
        raise error

    assert guarded(fail) == errors.FAULT
    assert capsys.readouterr().err == "error: unexpected RuntimeError: all over go on.\n"


def test_ctrl_c_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    assert guarded(stop) == 130
    assert capsys.readouterr().err == "stopped\n"
    assert guarded(lambda: None) == 0


def test_a_traceback_is_kept_without_passwords(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("postgresql://me:secret@host/x")
    path = keep_traceback(caught.value, tmp_path)
    assert keep_traceback(caught.value, tmp_path / "missing") is None
    assert path is not None
    text = path.read_text()
    assert "Traceback" in text
    assert "postgresql://me:***@host/x" in text
    assert "secret@" not in text
