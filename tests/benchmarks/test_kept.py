"""What slow rivals named: read back as it was, and played again where truth or code is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import kept
from benchmarks.budgets import BUDGETS
from benchmarks.policies.methods import methods
from benchmarks.quality import replay_task
from benchmarks.replay import Named
from benchmarks.truth import stored_tasks

SLOW = [method for method in methods() if method.slow]


def test_entries_are_stored_and_read_alike(tmp_path: Path) -> None:
    named = [{0: Named(1e-3), 4: Named(3e-3, 0.0, 4.0, 0.0)}]
    entries = {"random: a task": kept.entry(named, "abc")}
    kept.store(entries, tmp_path / "kept.json")
    loaded = kept.load(tmp_path / "kept.json")
    assert kept.look_up(loaded, "random", "a task", "abc") == named
    assert kept.look_up(loaded, "random", "a task", "another digest") is None
    assert kept.look_up(loaded, "random", "another task", "abc") is None
    assert kept.load(tmp_path / "none.json") == {}


def test_slow_rivals_are_kept_for_every_task_that_is_developed_on() -> None:
    known = kept.load()
    for method in SLOW:
        assert method.play is not None
        for task in stored_tasks():
            key = kept.digest(method.play, task.name)
            named = kept.look_up(known, method.name, task.name, key)
            assert named is not None, "run python -m benchmarks.quality"
            assert [set(repeat) for repeat in named] == [set(BUDGETS)] * method.repeats


def test_what_is_kept_is_used_and_not_played() -> None:
    name, known = stored_tasks()[0].name, kept.load()
    rows, new = replay_task(name, [method.name for method in SLOW], False, known)
    assert new == {}
    assert {row.method for row in rows} == {method.name for method in SLOW}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_is_kept_is_what_is_played() -> None:
    pytest.importorskip("torch", reason="Optuna's GP needs torch; pip install '.[benchmarks]'")
    name = stored_tasks()[0].name
    _, new = replay_task(name, ["Optuna GP"], False)
    (entry,) = new.values()
    assert entry == kept.load()[f"Optuna GP: {name}"]
