"""`--workers N`: one process asks and tells, others train, and the results are the same."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

import run_search
from benchmarks.resume import TASK
from tests.test_golden import GOLDEN, SIZES
from tuners.cli.options import JobOptions
from tuners.cli.tasks import named_tasks


@pytest.mark.slow
def test_two_workers_end_as_one_does_on_the_same_sqlite_file(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(TASK, encoding="utf-8")
    where = ["--task", f"{tmp_path}/tiny.py:task", "--out", str(tmp_path / "run")]
    assert run_search.main([*where, "--workers", "2", *SIZES]) == 0
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/run/study.db")
    expected = json.loads((GOLDEN / "optuna.json").read_text())
    for trial, known in zip(study.trials, expected["trials"], strict=True):
        assert trial.state.name == known["state"]
        assert trial.params == pytest.approx(known["params"], rel=1e-3)
        assert trial.value == pytest.approx(known["value"], rel=1e-4)
    comparison = study.user_attrs["comparison"]
    assert comparison["verdict"] == expected["verdict"]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["command"].endswith(" ".join(["", *where, "--workers", "2", *SIZES]))
    assert comparison["differences"] == pytest.approx(expected["gains"], rel=1e-3, abs=1e-5)
    # other workers are no other settings
    assert run_search.main([*where, "--workers", "1", *SIZES]) == 0


def test_each_process_knows_the_baseline_of_several_optimizers_too() -> None:
    assert list(named_tasks(JobOptions(optimizer="sgd"))) == ["wine"]
    tasks = named_tasks(JobOptions(optimizer="sgd,lion"))
    assert sorted(tasks) == ["wine-adam", "wine-lion", "wine-sgd"]
