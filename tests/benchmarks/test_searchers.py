from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

from benchmarks.searchers import ARMS, KerasTunerSearcher, OptunaSearcher, make_searcher
from search_spaces.learning_rate import LearningRateBounds

BOUNDS = LearningRateBounds(1e-3, 1e-1, 2e-2, "ok", "by hand", (1e-5, 1.0))
QUICK = [(name, arm) for name in ("tpe", "random", "qmc") for arm in ARMS[name]]


def rates(name: str, arm: str, seed: int = 0, trials: int = 12) -> list[float]:
    searcher, asked = make_searcher(name, arm, seed, BOUNDS), []
    for _ in range(trials):
        asked.append(searcher.ask())
        searcher.tell(math.log10(asked[-1] / 1e-2) ** 2, False)
    return asked


@pytest.mark.parametrize(("name", "arm"), QUICK)
def test_an_arm_searches_its_own_range(name: str, arm: str) -> None:
    asked = rates(name, arm)
    low, high = (1e-3, 1e-1) if arm == "narrowed" else (1e-5, 1.0)
    assert all(low <= rate <= high for rate in asked)
    assert len(set(asked)) == len(asked)
    assert (asked[0] == BOUNDS.suggestion) is (arm == "narrowed")
    assert rates(name, arm) == asked
    assert rates(name, arm, seed=1) != asked


def test_a_user_of_the_library_tells_a_high_loss_and_fails_on_nan_only() -> None:
    searcher = OptunaSearcher("random", "default", 0, BOUNDS)
    for loss in (50.0, math.nan):
        searcher.ask()
        searcher.tell(loss, True)
    assert [trial.state.name for trial in searcher.study.trials] == ["COMPLETE", "FAIL"]


def test_a_diverged_trial_fails_as_in_search_and_lowers_the_ceiling() -> None:
    searcher = OptunaSearcher("random", "narrowed", 0, BOUNDS)
    assert searcher.ask() == BOUNDS.suggestion
    searcher.tell(50.0, True)
    (trial,) = searcher.study.trials
    assert trial.state.name == "FAIL"
    assert trial.user_attrs["diverged"]
    assert all(searcher.ask() < BOUNDS.suggestion for _ in range(5))


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS["keras-tuner"])
def test_keras_tuners_oracle_is_driven_without_a_model(arm: str) -> None:
    asked = rates("keras-tuner", arm, trials=6)
    low, high = (1e-3, 1e-1) if arm == "narrowed" else (1e-5, 1.0)
    assert all(low * (1 - 1e-9) <= rate <= high * (1 + 1e-9) for rate in asked)
    assert (asked[0] == pytest.approx(BOUNDS.suggestion)) is (arm == "narrowed")
    assert rates("keras-tuner", arm, trials=6) == asked


@pytest.mark.slow
def test_keras_tuner_is_told_the_worst_loss_for_a_diverged_trial_inside_the_bounds() -> None:
    told = {}
    for arm in ARMS["keras-tuner"]:
        searcher = KerasTunerSearcher(arm, 0, BOUNDS)
        for loss in (math.nan, 1.0, 3.0, math.nan):
            searcher.ask()
            searcher.tell(loss, not np.isfinite(loss))
        trials = searcher.oracle.trials.values()
        told[arm] = [(trial.status, trial.score) for trial in trials]
    assert [status for status, _ in told["default"]] == ["FAILED", *["COMPLETED"] * 2, "FAILED"]
    assert told["narrowed"][0][0] == "FAILED"
    assert [score for _, score in told["narrowed"][1:]] == [1.0, 3.0, 3.0]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("arm", ARMS["gp"])
def test_gp_searches_its_own_range(arm: str) -> None:
    low, high = (1e-3, 1e-1) if arm == "narrowed" else (1e-5, 1.0)
    assert all(low <= rate <= high for rate in rates("gp", arm, trials=6))
