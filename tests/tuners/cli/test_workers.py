"""Workers of one machine: their cores, their ends, and a job done by two."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import run_search
from benchmarks.resume import command, load_studies
from tuners.cli.console import Screen
from tuners.cli.workers import available_cores, own_share, report_losses, share_of


@given(cores=st.lists(st.integers(0, 99), min_size=1, unique=True), workers=st.integers(1, 12))
def test_cores_are_shared_out(cores: list[int], workers: int) -> None:
    shares = [share_of(cores, number, workers) for number in range(workers)]
    assert all(shares)
    assert {core for share in shares for core in share} == set(cores)
    if workers <= len(cores):
        assert sorted(core for share in shares for core in share) == sorted(cores)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_the_share_is_given_back() -> None:
    cores = available_cores()
    with own_share(1):
        assert available_cores() == cores
    with own_share(len(cores)):
        assert available_cores() == cores[:1]
    assert available_cores() == cores


def test_what_a_lost_worker_wrote_last_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost, killed = tmp_path / "worker-2.txt", tmp_path / "worker-3.txt"
    lost.write_text("much\nerror: the storage failed midway\n")
    killed.write_text("")
    report_losses([lost, killed, tmp_path / "worker-4.txt"], Screen())
    lines = capsys.readouterr().err
    assert "worker 2 ended early: error: the storage failed midway" in lines
    assert "worker 3 ended early: killed" in lines
    assert "worker 4" not in lines


@pytest.mark.slow
def test_two_workers_do_one_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command(tmp_path / "run", "--bounds", "1e-3", "0.1")[2:]
    assert run_search.main([*arguments, "--workers", "2"]) == 0
    folder = tmp_path / "run"
    assert {path.name for path in folder.iterdir()} == {
        "report.html",
        "report.json",
        "study.journal",
    }
    study, pairs = load_studies(f"journal:///{folder}/study.journal")
    assert study is not None
    assert pairs is not None
    for each, count in ((study, 24), (pairs, 20)):
        kept = [trial for trial in each.trials if trial.user_attrs.get("role") != "stale"]
        assert len(kept) == count
        assert len({trial.user_attrs["worker"] for trial in kept}) <= 2
    report = json.loads((folder / "report.json").read_text())
    assert report["comparison"]["pairs"] == 20
    assert "--workers 2" in report["command"]
    capsys.readouterr()
    # the same command without several workers finds the journal, and has nothing to do
    assert run_search.main(arguments) == 0
    assert len(json.loads((folder / "report.json").read_text())["trials"]) >= 24


def test_several_workers_need_a_storage_for_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*options: str) -> str:
        with contextlib.chdir(tmp_path):
            assert run_search.main([*options, "--workers", "2"]) == 2
        return capsys.readouterr().err

    assert "`--workers` must be 1 with `--engine keras-tuner`" in refused("--engine", "keras-tuner")
    assert "`--workers` must be 1 with SQLite" in refused("--storage", "sqlite:///x.db")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "study.db").write_bytes(b"")
    assert "whose study.db is for one process, but got 2" in refused("--out", "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
