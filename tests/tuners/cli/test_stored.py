"""A run in the browser: which addresses the command prints, and that they are answered."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

import run_search
from tuners.study.storage import open_part

pytest.importorskip("optuna_dashboard", reason="the extra `dashboard` is missing")
pytestmark = pytest.mark.slow


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[list[str]]:
    """Run the command, give what it prints until it listens, and end it by Ctrl-C."""
    command = [sys.executable, run_search.__file__, "dashboard", *arguments, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines: list[str] = []
        try:
            while not lines or lines[-1] != "Stop with Ctrl-C.":
                line = process.stderr.readline()
                assert line, lines
                lines.append(line.rstrip("\n"))
            yield lines
        finally:
            process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert (process.returncode, rest) == (0, "")


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read().decode()


@pytest.fixture
def storage(tmp_path: Path) -> str:
    address = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="wine", storage=address)
    study.optimize(lambda trial: trial.suggest_float("learning_rate", 1e-4, 1, log=True), 2)
    open_part(study, "pairs")
    return address


def test_a_run_is_shown_at_its_own_address(storage: str, tmp_path: Path) -> None:
    with served(str(tmp_path)) as (study, verdict, _):
        found = re.fullmatch(r"study wine: (http://127\.0\.0\.1:\d+)(/dashboard/studies/1)", study)
        assert found is not None
        assert verdict == f"its verdict: {found[1]}{found[2]}/note"
        assert "<!DOCTYPE html>" in get(found[1] + found[2])
        answer = json.loads(get(f"{found[1]}/api/studies/1"))
    assert answer["name"] == "wine"
    assert "## Verdict on the learning rate" in answer["note"]["body"]


def test_the_studies_of_a_storage_are_listed_and_left_as_they_are(storage: str) -> None:
    optuna.create_study(study_name="beer", storage=storage)
    with served("--storage", storage) as lines:
        home = lines[2].removeprefix("all studies: ")
        assert "<!DOCTYPE html>" in get(home)
    assert [re.sub(r":\d+/", "/", line) for line in lines[:2]] == [
        "study wine: http://127.0.0.1/dashboard/studies/1",
        "study beer: http://127.0.0.1/dashboard/studies/3",
    ]
    study = optuna.load_study(study_name="wine", storage=storage)
    assert study.metric_names is None


def test_a_port_that_is_taken_is_refused_in_one_line(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run_search.main(["dashboard", "--storage", storage, "--port", port]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: `--port` {port} on 127.0.0.1 cannot be used (")
    assert line.endswith("pass another, or 0 for any free one.")
