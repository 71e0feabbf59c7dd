"""Early looks: when they stop, that they change no difference, and how often they are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from scipy import stats

from tests.tuners.tasks import dense_model, make_task
from tuners import compare
from tuners.comparison.pairs import PAIRS_AT_ONCE
from tuners.comparison.result import recorded_comparison
from tuners.comparison.statistics import INTERIM_CONFIDENCE, decide_verdicts, is_clear
from tuners.study.recording import recorded_facts
from tuners.study.storage import close_storage, open_part, open_storage

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
compare(TASK, **UNCLEAR, pairs=18, study=study, early_looks=True)
"""


def test_an_early_look_wants_more_wins_than_the_last() -> None:
    # Wilson's lower end of n wins of n is n / (n + z^2), above one half from n > z^2 on
    fewest = int(stats.norm.ppf(0.5 + INTERIM_CONFIDENCE / 2) ** 2) + 1
    gains = np.random.default_rng(0).normal(5.0, 1.0, 30)
    assert fewest == 11
    assert is_clear(gains[:fewest])
    assert is_clear(-gains[:fewest])
    assert not is_clear(gains[: fewest - 1])
    assert decide_verdicts(gains[: fewest - 1]) == "better"
    assert not is_clear(gains[:5])
    assert not is_clear(np.zeros(30))


def look(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Verdict and pairs of simulated comparisons with early looks, (comparisons,)."""
    pairs = differences.shape[1]
    verdicts = decide_verdicts(differences)
    taken = np.full(len(differences), pairs)
    for size in reversed(range(PAIRS_AT_ONCE, pairs, PAIRS_AT_ONCE)):
        early = decide_verdicts(differences[:, :size], INTERIM_CONFIDENCE)
        clear = early != "no_difference_shown"
        verdicts, taken = np.where(clear, early, verdicts), np.where(clear, size, taken)
    return verdicts, taken


@pytest.mark.parametrize("pairs", [10, 20, 30, 60])
def test_equal_arms_are_rarely_called_better_by_all_looks_together(pairs: int) -> None:
    verdicts, _ = look(np.random.default_rng(pairs).normal(size=(40_000, pairs)))
    assert np.mean(verdicts == "better") < 0.015
    assert np.mean(verdicts == "worse") < 0.015


def test_looks_lose_no_power_and_save_pairs() -> None:
    noise = np.random.default_rng(1).normal(size=(20_000, 30))
    for gain in (0.5, 1.2):
        alone = np.mean(decide_verdicts(noise + gain) == "better")
        assert np.mean(look(noise + gain)[0] == "better") == pytest.approx(alone, abs=0.005)
    # as the docstring of `is_clear` says
    assert look(noise + 1.2)[1].mean() == pytest.approx(22, abs=0.5)


@pytest.fixture(scope="module")
def whole() -> Any:
    """Every pair of the clear difference, without looks."""
    return compare(TASK, **CLEAR, pairs=20)


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [20, 60])
def test_a_clear_difference_stops_after_16_pairs(pairs: int, whole: Any) -> None:
    stopped = 2 * PAIRS_AT_ONCE  # the first look that 99.9 % lets decide
    told: list[tuple[int, int]] = []
    result = compare(
        TASK, **CLEAR, pairs=pairs, early_looks=True, on_epoch=lambda *counts: told.append(counts)
    )
    assert (result.verdict, result.pairs, result.pairs_planned) == ("better", stopped, pairs)
    assert result.seeds == tuple(range(1000, 1000 + stopped))
    assert result.differences == pytest.approx(whole.differences[:stopped], rel=1e-4)
    assert told[-1] == (2 * stopped * 2, 2 * pairs * 2)
    worse = compare(TASK, CLEAR["baseline"], baseline=0.5, epochs=2, pairs=pairs, early_looks=True)
    assert (worse.verdict, worse.pairs) == ("worse", stopped)


@pytest.mark.slow
def test_no_clear_difference_and_no_early_looks_train_all_pairs(whole: Any) -> None:
    assert (whole.verdict, whole.pairs, whole.pairs_planned) == ("better", 20, 20)
    unclear = compare(TASK, **UNCLEAR, pairs=18, early_looks=True)
    assert (unclear.verdict, unclear.pairs) == ("no_difference_shown", 18)
    assert unclear.pairs_planned == 18
    assert unclear.differences == pytest.approx(
        compare(TASK, **UNCLEAR, pairs=18).differences, abs=1e-6
    )


@pytest.mark.slow
def test_a_study_keeps_what_the_looks_trained(whole: Any) -> None:
    study = optuna.create_study(storage=open_storage(None), study_name="s")
    first = compare(TASK, **CLEAR, pairs=18, study=study, early_looks=True)
    assert (first.pairs, first.pairs_planned, first.times_judged) == (16, 18, 1)
    assert first.differences == pytest.approx(whole.differences[:16], rel=1e-4)
    facts = recorded_facts(study)
    assert (facts["pairs"], facts["epochs_comparison"]) == (18, 2 * 16 * 2)
    told: list[tuple[int, int]] = []
    again: dict[str, Any] = {
        **CLEAR,
        "study": study,
        "on_epoch": lambda *counts: told.append(counts),
    }
    for pairs in (18, 30):  # what is clear stays clear, however many were to follow
        same = compare(TASK, **again, pairs=pairs, early_looks=True)
        assert told == []  # nothing was trained
        assert (same.differences, same.times_judged) == (first.differences, 1)
        assert same.pairs_planned == pairs
    grown = compare(TASK, **again, pairs=20)
    assert (grown.pairs, grown.times_judged) == (20, 2)
    assert grown.differences[:16] == first.differences
    assert grown.differences == pytest.approx(whole.differences, rel=1e-4)
    assert len(open_part(study, "pairs").trials) == 20
    looked = compare(TASK, **again, pairs=20, early_looks=True)  # at no more than a look needs
    assert looked.differences == first.differences


@pytest.mark.slow
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
    assert compare(TASK, **UNCLEAR, pairs=8, study=study).pairs == 8  # leaves the rest
    result = compare(TASK, **UNCLEAR, pairs=18, study=study, early_looks=True)
    expected = compare(TASK, **UNCLEAR, pairs=18, early_looks=True)
    assert result.pairs == expected.pairs
    assert result.seeds == expected.seeds
    assert result.differences == pytest.approx(expected.differences, abs=1e-6)
    after = {trial.number: trial for trial in pairs_study.trials}
    assert all(after[trial.number].datetime_complete == trial.datetime_complete for trial in before)
    close_storage(storage)


@pytest.mark.slow
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
