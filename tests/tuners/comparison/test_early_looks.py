"""Looks while pairs are trained: when they stop, and that they change no difference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.tuners.tasks import dense_model, make_task
from tuners import compare
from tuners.comparison.result import recorded_comparison
from tuners.study.recording import recorded_facts
from tuners.study.storage import close_storage, open_part, open_storage

pytestmark = pytest.mark.slow

TASK = make_task(dense_model("sgd"))  # one object, so that its lanes are compiled once
CLEAR: dict[str, Any] = {"learning_rate": 0.5, "baseline": 1e-3, "epochs": 2}
UNCLEAR: dict[str, Any] = {"learning_rate": 3.0, "baseline": 2.0, "epochs": 2}

# kills itself when so many pairs are to be told
KILLED = """
import os, signal, sys, optuna
from tests.tuners.comparison.test_early_looks import TASK, UNCLEAR
from tuners import compare
from tuners.comparison import shared_pairs
from tuners.study.storage import open_storage

tell, left = shared_pairs._tell, [int(sys.argv[2])]

def tell_or_die(*arguments):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    tell(*arguments)

shared_pairs._tell = tell_or_die
study = optuna.create_study(storage=open_storage(sys.argv[1]), study_name="s")
compare(TASK, **UNCLEAR, pairs=18, study=study)
"""


@pytest.fixture(scope="module")
def whole() -> Any:
    """Every pair of the clear difference, looked at once."""
    return compare(TASK, **CLEAR, pairs=10, early_looks=False)


@pytest.mark.parametrize("pairs", [10, 60])
def test_a_clear_difference_stops_at_the_first_look(pairs: int, whole: Any) -> None:
    told: list[tuple[int, int]] = []
    result = compare(TASK, **CLEAR, pairs=pairs, on_epoch=lambda *counts: told.append(counts))
    assert (result.verdict, result.pairs, result.pairs_planned) == ("better", 6, pairs)
    assert result.seeds == tuple(range(1000, 1006))
    assert result.differences == whole.differences[:6]  # one program, whatever trains beside
    assert told[-1] == (2 * 6 * 2, 2 * pairs * 2)
    worse = compare(TASK, CLEAR["baseline"], baseline=0.5, epochs=2, pairs=pairs)
    assert (worse.verdict, worse.pairs) == ("worse", 6)


def test_no_clear_difference_and_no_early_looks_train_all_pairs(whole: Any) -> None:
    assert (whole.verdict, whole.pairs, whole.pairs_planned) == ("better", 10, 10)
    unclear = compare(TASK, 4.0, baseline=3.0, epochs=2)
    assert (unclear.verdict, unclear.pairs) == ("no_difference_shown", 30)
    at_once = compare(TASK, 4.0, baseline=3.0, epochs=2, early_looks=False)
    assert unclear.differences == at_once.differences


def test_a_study_keeps_what_the_looks_trained(whole: Any) -> None:
    study = optuna.create_study(storage=open_storage(None), study_name="s")
    first = compare(TASK, **CLEAR, pairs=18, study=study)
    assert (first.pairs, first.pairs_planned, first.times_judged) == (6, 18, 1)
    assert first.differences == whole.differences[:6]
    facts = recorded_facts(study)
    assert (facts["pairs"], facts["epochs_comparison"]) == (18, 2 * 6 * 2)
    told: list[tuple[int, int]] = []
    again: dict[str, Any] = {
        **CLEAR,
        "study": study,
        "on_epoch": lambda *counts: told.append(counts),
    }
    for pairs in (18, 30):  # what is clear stays clear, however many were to follow
        same = compare(TASK, **again, pairs=pairs)
        assert told == []  # nothing was trained
        assert (same.differences, same.times_judged) == (first.differences, 1)
        assert same.pairs_planned == pairs
    grown = compare(TASK, **again, pairs=10, early_looks=False)
    assert (grown.pairs, grown.times_judged) == (10, 2)
    assert grown.differences == whole.differences
    assert len(open_part(study, "pairs").trials) == 10
    looked = compare(TASK, **again, pairs=10)  # at no more than a look needs
    assert looked.differences == first.differences


def test_what_seemed_futile_goes_on_where_more_pairs_are_asked_for() -> None:
    study = optuna.create_study(storage=open_storage(None), study_name="s")
    few = compare(TASK, **UNCLEAR, pairs=8, study=study)
    assert (few.verdict, few.pairs) == ("no_difference_shown", 6)  # 8 pairs would hardly do
    assert "With 8 pairs too, a difference would probably not show." in few.reason
    more = compare(TASK, **UNCLEAR, pairs=30, study=study)
    assert (more.verdict, more.pairs) == ("worse", 16)
    assert more.differences[:6] == few.differences
    alone = compare(TASK, **UNCLEAR, pairs=30)
    assert (alone.verdict, alone.differences) == (more.verdict, more.differences)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_comparison_that_was_killed_between_its_looks_goes_on(kind: str, tmp_path: Path) -> None:
    address = f"{kind}:///{tmp_path}/study"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, address, "12"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    storage = open_storage(address)
    study = optuna.load_study(study_name="s", storage=storage)
    pairs_study = open_part(study, "pairs")
    before = [trial for trial in pairs_study.trials if trial.state.name == "COMPLETE"]
    assert len(before) == 11  # the first look is past
    assert compare(TASK, **UNCLEAR, pairs=4, study=study).pairs == 4  # leaves the rest
    result = compare(TASK, **UNCLEAR, pairs=18, study=study)
    expected = compare(TASK, **UNCLEAR, pairs=18)
    assert result.pairs == expected.pairs
    assert result.seeds == expected.seeds
    assert result.differences == pytest.approx(expected.differences, abs=1e-6)
    after = {trial.number: trial for trial in pairs_study.trials}
    assert all(after[trial.number].datetime_complete == trial.datetime_complete for trial in before)
    close_storage(storage)


def test_judgements_are_counted_unless_they_are_the_same_again() -> None:
    study = optuna.create_study()

    def judged(rate: float, pairs: int, **options: Any) -> int:
        result = compare(TASK, rate, baseline=0.1, pairs=pairs, epochs=1, study=study, **options)
        stored = recorded_comparison(study)
        assert stored is not None
        assert stored.times_judged == result.times_judged
        return result.times_judged

    assert judged(0.5, 2) == 1
    assert judged(0.5, 2) == 1
    assert judged(0.5, 3) == 2  # more pairs
    assert judged(0.5, 3) == 2
    assert judged(0.4, 3) == 3  # another rate
    assert judged(0.1, 3) == 3  # the baseline itself: nothing is looked at
    assert compare(TASK, 0.5, baseline=0.1, pairs=2, epochs=1).times_judged == 1
