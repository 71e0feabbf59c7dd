"""Killed, cut off and shared: a job always ends as if nothing had happened."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

import run_search
from benchmarks.resume import (
    TASK,
    command,
    differences,
    finish,
    kill,
    load_studies,
    results,
    standing,
    start,
    told,
)
from tests.postgres import running_server
from tuners.comparison.looks import looks

pytestmark = pytest.mark.slow

# kills the process at one call of a function, where nothing of it is done yet
DRIVER = """
import importlib, os, signal, sys

place, name, count, script, *arguments = sys.argv[1:]
sys.path.insert(0, os.path.dirname(script))
module = importlib.import_module(place)
function, left = getattr(module, name), [int(count)]

def counted(*values, **named):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*values, **named)

setattr(module, name, counted)
import run_search

sys.exit(run_search.main(arguments))
"""

AT_WORK = """
import sys, time, optuna
from tuners.study.storage import open_storage
from tuners.study.heartbeat import at_work

study = optuna.load_study(study_name="tiny", storage=open_storage(sys.argv[1]))
with at_work(study, "one only"):
    print("at work", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    # epochs of 50 batches, for which a range test is short
    task = TASK.replace("400", "600").replace("240", "500").replace("320", "550")
    (folder / "tiny.py").write_text(task)
    return folder


@pytest.fixture(scope="module")
def expected(place: Path) -> dict[str, Any]:
    """The results of a job that nothing disturbed."""
    assert run_search.main(command(place / "whole")[2:]) == 0
    return results(f"sqlite:///{place}/whole/study.db")


def test_three_kills_resume_to_an_equal_study(place: Path, expected: dict[str, Any]) -> None:
    arguments, address = command(place / "cut"), f"sqlite:///{place}/cut/study.db"
    for module, name, count, done in (
        ("tuners.study.recording", "record", 2, 0),  # the curve is recorded, the bounds are not
        ("tuners.study.work_queue", "tell", 12, 11),  # three trials of the third batch are told
        (
            "tuners.comparison.shared_pairs",
            "_tell",
            6,
            24 + 5,
        ),  # five pairs are told
    ):
        driver = [sys.executable, "-c", DRIVER, module, name, str(count), *arguments[1:]]
        process = start(driver)
        _, errors = process.communicate()
        assert process.returncode == -9, errors
        before = told(address)
        assert len(before) == done
    finish(arguments)
    assert differences(expected, results(address)) == []
    after = told(address)
    assert all(after[key] == when for key, when in before.items())  # none was done again


def test_a_second_process_on_sqlite_is_refused(
    place: Path, expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    del expected  # its study is there
    storage = f"sqlite:///{place}/whole/study.db"
    process = start([sys.executable, "-c", AT_WORK, storage])
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        assert run_search.main(command(place / "second", "--storage", storage)[2:]) == 2
        error = capsys.readouterr().err
        assert "error: `--storage` SQLite is for one process" in error
        assert f"but process {process.pid} on " in error
    finally:
        kill(process)
    assert run_search.main(command(place / "second", "--storage", storage)[2:]) == 0


@pytest.mark.postgres
def test_two_workers_on_postgresql_one_killed(place: Path) -> None:
    with running_server() as server:
        shared = ("--storage", server.address)
        first = start(command(place / "first", *shared))
        second = start(command(place / "second-machine", *shared))
        try:
            deadline = time.monotonic() + 240
            while len(_workers(server.address)) < 2:  # until both hold trials
                assert time.monotonic() < deadline
                for process in (first, second):
                    assert process.poll() is None, process.communicate()
                time.sleep(0.05)
        finally:
            kill(first)
        output, errors = second.communicate()
        assert second.returncode == 0, errors
        assert "hush" not in output + errors
        study, pairs = load_studies(server.address)
        assert study is not None
        assert pairs is not None
        assert [trial.user_attrs["place"] for trial in standing(study)] == list(range(24))
        assert all(trial.state.is_finished() for trial in [*study.trials, *pairs.trials])
        assert study.user_attrs["choice"]["trials"] == 24
        comparison = study.user_attrs["comparison"]
        assert comparison["pairs"] in looks(20)
        assert comparison["seeds"] == [1000 + pair for pair in range(comparison["pairs"])]
        seeds = sorted(trial.user_attrs["pair"]["seed"] for trial in standing(pairs))
        assert seeds == [1000 + pair for pair in range(len(seeds))]
        assert len(seeds) >= comparison["pairs"]
        assert "hush" not in str(study.user_attrs)
        report = (place / "second-machine" / "report.html").read_text()
        assert "hush" not in report


def _workers(address: str) -> set[str]:
    study, _ = load_studies(address)
    trials = [] if study is None else study.trials
    return {trial.user_attrs["worker"] for trial in trials if "worker" in trial.user_attrs}


@pytest.mark.postgres
def test_a_lost_connection_and_a_lost_server(place: Path, expected: dict[str, Any]) -> None:
    with running_server() as server:
        arguments = command(place / "lost", "--storage", server.address)
        codes, errors = [], ""
        for count, action in (
            (8, lambda: server.control("restart", "-m", "immediate")),
            (24 + 8, server.drop_connections),
            (24 + 20, lambda: None),
        ):
            process = start(arguments)
            while process.poll() is None and len(told(server.address)) < count:
                time.sleep(0.1)
            action()
            errors += process.communicate()[1]
            codes.append(process.returncode)
            if codes[-1] == 0:
                break
        assert codes[-1] == 0, errors
        assert set(codes) <= {0, 1}, errors
        assert ("the storage failed midway" in errors) == (1 in codes)
        assert "Traceback" not in errors
        assert "hush" not in errors
        assert differences(expected, results(server.address)) == []


def test_a_full_disk_and_a_journal(place: Path, expected: dict[str, Any]) -> None:
    limited = """
import resource, runpy, signal, sys

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    journal = place / "full.journal"
    arguments = command(place / "full", "--storage", f"journal:///{journal}")
    process = start([sys.executable, "-c", limited, *arguments[1:]])
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    assert "Run the same command to resume." in errors
    assert journal.stat().st_size <= 30_000
    assert not journal.read_bytes().endswith(b"\n")  # a line was cut off
    finish(arguments)
    assert differences(expected, results(f"journal:///{journal}")) == []
