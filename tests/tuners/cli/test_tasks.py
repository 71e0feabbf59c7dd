"""Tasks by name; what is refused is in the table of tests/test_run_search.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tuners.cli.options import JobOptions
from tuners.cli.tasks import baseline_task, load_task, load_tasks, safe_name

TASK = """
import numpy as np
from search_spaces import TuningTask

def task():
    return TuningTask("own", lambda: None, (np.zeros((4, 2)), np.zeros(4)),
                      (np.zeros((4, 2)), np.zeros(4)))
"""


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_module_in_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "tasks.py").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    assert load_task("own_package.tasks:task").name == "own"


def test_a_file_anywhere_is_found_and_may_import_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_us.py").write_text(TASK)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "my-task.py").write_text("from beside_us import task\n")
    monkeypatch.chdir(tmp_path)
    assert load_task("deep/my-task.py:task").name == "own"
    assert load_task(f"{tmp_path}/deep/my-task.py:task").name == "own"


def test_options_change_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.py").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    changed = load_tasks(JobOptions(task="t.py:task", batch_size=2, baseline=0.5))[None]
    assert (changed.batch_size, changed.baseline_learning_rate) == (2, 0.5)
    same = load_tasks(JobOptions(task="t.py:task"))[None]
    assert (same.batch_size, same.baseline_learning_rate) == (32, None)


@pytest.mark.slow
def test_several_optimizers_are_compared_with_adam() -> None:
    options = JobOptions(optimizer="sgd,adam", baseline=0.002, drop_repeats=True)
    tasks = load_tasks(options)
    assert [task.name for task in tasks.values()] == ["wine-sgd", "wine-adam"]
    assert all(task.facts["repeats"] == "dropped" for task in tasks.values() if task.facts)
    rival = baseline_task(options, tasks, "sgd")
    assert (rival.name, rival.baseline_learning_rate) == ("wine-adam", 0.002)
    options = JobOptions(optimizer="sgd,lion", batch_size=64)
    rival = baseline_task(options, load_tasks(options), "lion")
    assert (rival.name, rival.batch_size, rival.baseline_learning_rate) == ("wine-adam", 64, None)


def test_one_optimizer_is_compared_with_itself() -> None:
    options = JobOptions(optimizer="sgd", baseline=0.02)
    tasks = load_tasks(options)
    assert baseline_task(options, tasks, None) is tasks[None]
    assert tasks[None].baseline_learning_rate == 0.02


@pytest.mark.parametrize(
    ("text", "name"),
    [("wine", "wine"), ("../../etc", "etc"), ("<b>", "b"), ("\U0001f377", "task"), ("", "task")],
)
def test_a_name_is_made_safe_for_a_folder(text: str, name: str) -> None:
    assert safe_name(text) == name
    assert len(safe_name("x" * 500)) == 80
