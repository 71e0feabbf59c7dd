"""Which line and which code an error ends the command with."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy.exc

import run_search
from search_spaces import LearningRateBounds
from search_spaces._input import InputError
from tuners.cli import errors, pipeline
from tuners.cli.errors import conclude, judge, keep_traceback, storage_errors, users_input
from tuners.study import metadata


def test_a_check_of_ours_is_the_users_error() -> None:
    with pytest.raises(ValueError, match="`bounds`") as caught:
        LearningRateBounds(1.0, 0.1, 0.5, "ok", "")
    assert judge(caught.value)[0] == errors.USER


def test_an_error_of_somebody_elses_code_is_a_fault() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("x")
    assert judge(caught.value) == (
        errors.FAULT,
        "unexpected ValueError: invalid literal for int() with base 10: 'x'.",
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


def test_checks_inside_a_block_of_users_input_say_what_they_read() -> None:
    with pytest.raises(InputError, match=r"^`--data`: no such thing$"), users_input("`--data`"):
        raise InputError("no\nsuch   thing")
    with pytest.raises(InputError, match=r"^`--out`: full$"), users_input("`--out`", OSError):
        raise OSError("full")
    with pytest.raises(ValueError, match=r"^of ours$") as caught, users_input("`--data`", OSError):
        raise ValueError("of ours")
    assert not isinstance(caught.value, InputError)


def test_whatever_a_storage_raises_is_the_users_to_cure() -> None:
    words = r"`--storage` here cannot be read \(KeyError: 'x'\); see"
    with pytest.raises(InputError, match=words), storage_errors("here", "read", "see to it"):
        raise KeyError("x")
    with pytest.raises(InputError, match=r"^as it is$"), storage_errors("here", "read", "see"):
        raise InputError("as it is")


def test_an_error_is_printed_in_one_line_with_its_notes(capsys: pytest.CaptureFixture[str]) -> None:
    error = InputError("all\nover")
    error.add_note("Run it again.")
    assert conclude(error) == errors.USER
    assert capsys.readouterr().err == "error: all over Run it again.\n"


def test_ctrl_c_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "stopped\n"


@pytest.mark.parametrize("folder", [None, "missing"])
def test_a_fault_without_a_folder_leaves_its_traceback_in_a_temporary_file(
    folder: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    error = RuntimeError("postgresql://me:secret@host/x")
    keep_traceback(error, None if folder is None else tmp_path / folder)
    (path,) = tmp_path.iterdir()
    assert error.__notes__ == [f"The traceback is in {path}."]
    assert "RuntimeError: postgresql://me:***@host/x" in path.read_text()


@pytest.mark.parametrize("place", ["load_tasks", "task_hash"])
def test_a_value_error_of_ours_is_a_fault_and_its_traceback_is_kept(
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        np.zeros(3).reshape(2, 2)  # a bug of ours, for which NumPy raises a ValueError

    home, name = (pipeline.tasks, place) if place == "load_tasks" else (metadata, "data_hash")
    monkeypatch.setattr(home, name, broken)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run_search.main(["--quiet"]) == errors.FAULT
    (path,) = tmp_path.iterdir()  # there is no folder of the run yet
    line = "error: unexpected ValueError: cannot reshape array of size 3 into shape (2,2)."
    assert capsys.readouterr().err == f"{line} The traceback is in {path}.\n"
    text = path.read_text()
    assert "Traceback" in text
    assert "in broken" in text


def test_a_traceback_is_kept_without_passwords(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught, errors.fault_explained(tmp_path):
        raise RuntimeError("postgresql://me:secret@host/x")
    path = tmp_path / "error.txt"
    assert caught.value.__notes__ == [
        f"The traceback is in {path}.",
        "Run the same command to resume.",
    ]
    text = path.read_text()
    assert "Traceback" in text
    assert "postgresql://me:***@host/x" in text
    assert "secret@" not in text


def test_a_check_of_an_argument_names_the_option() -> None:
    message = "`study_name` 'x' needs `storage`, and `storage_folder` stays"
    assert judge(InputError(message)) == (
        errors.USER,
        "`--study-name` 'x' needs `--storage`, and `storage_folder` stays",
    )
    assert errors.as_options('`how="population"`; leave `how` out') == (
        "`--how population`; leave `--how` out"
    )
