"""The files of results: what they say of the run, and what never gets into them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import stored


def test_a_run_is_written_with_command_day_machine_and_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["/far/away/load.py", "--fill", "--out", "/far/away/x.json"])
    stored.write("load", {"seconds": 0.123456789, "none": float("nan")}, tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text()
    found = json.loads(text)
    assert found["command"] == "python -m benchmarks.load --fill"
    assert found["results"] == {"seconds": 0.12346, "none": None}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert found["machine"].endswith("cores")
    assert "tensorflow" in found["versions"]
    assert "/far" not in text


def test_a_part_of_a_benchmark_never_replaces_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    stored.write("load", {}, None, whole=False)
    assert list(tmp_path.iterdir()) == []
    assert "pass --out" in capsys.readouterr().out
    stored.write("load", {"trials": 1}, None)
    assert stored.read("load")["results"] == {"trials": 1}


def test_paths_are_left_out_of_the_command() -> None:
    words = ["--keep", "/tmp/a", "--runs=/tmp/b", "--points", "3"]
    assert stored.command_line("resume", words) == "python -m benchmarks.resume --points 3"


def test_an_unknown_name_lists_those_that_are_stored() -> None:
    with pytest.raises(ValueError, match=r"must be one of .*, wine, but got 'nothing'"):
        stored.read("nothing")


def test_every_stored_file_says_where_its_numbers_are_from() -> None:
    names = [path.stem for path in stored.FOLDER.glob("*.json")]
    assert {"quality", "seconds", "agreement", "speed_wine", "load", "resume", "wine"} <= set(names)
    for name in names:
        found = stored.read(name)
        assert {"command", "date", "machine", "versions", "results"} <= set(found)
        module = re.match(r"python -m benchmarks\.(\w+)", found["command"])
        if module is None:
            assert found["transcribed"]
        else:
            assert (stored.FOLDER.parent / f"{module[1]}.py").exists()
