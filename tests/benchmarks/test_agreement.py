"""Real jobs beside their replays: how the difference is reckoned, and that it is run for real."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.agreement import NAMES, gather
from benchmarks.stored import read
from benchmarks.truth import load_truth, stored_tasks


def task(real: float, replayed: float, rates: tuple[float, float]) -> dict[str, Any]:
    return {
        "task": "one",
        "data_set": f"rows of {real}",
        "floor": [0.01, 0.03],
        "costs": [10.0, 12.0],
        "held": [True, False],
        "decades": [1.5, 2.0],
        "undecided": [False, False],
        "plateau_held": [True, True],
        "equal": [real <= 0.02] * 2,
        "real": [real, real],
        "replayed": [replayed] * 3,
        "real_rates": [rates[0]] * 2,
        "replayed_rates": [rates[1]] * 3,
    }


def test_the_difference_is_a_mean_over_tasks_with_its_error() -> None:
    found = gather([task(0.02, 0.01, (1e-3, 1e-2)), task(0.03, 0.04, (1e-2, 1e-3))])
    assert (found["difference"], found["error"]) == (pytest.approx(0.0), pytest.approx(0.01))
    assert (found["decades"], found["decades_error"]) == (pytest.approx(0.0), pytest.approx(1.0))
    assert (found["mean"], found["floor"]) == (pytest.approx(0.025), pytest.approx(0.02))
    assert (found["held"], found["equal"], found["cost_most"]) == (0.5, 0.5, 12.0)


def test_a_task_without_a_finite_rate_is_named_and_not_judged() -> None:
    hopeless = task(np.nan, np.nan, (1e-3, 1e-2)) | {"task": "hopeless", "floor": [np.nan]}
    found = gather([*(task(0.02, 0.01, (1e-3, 1e-2)) for _ in range(2)), hopeless])
    assert found["unjudged"] == ["hopeless"]
    assert found["mean"] == pytest.approx(0.02)


def test_the_tasks_that_were_set_aside_were_run_twice_each() -> None:
    found = read("agreement_set_aside")["results"]
    assert len(found["tasks"]) + len(found["unjudged"]) == len(stored_tasks(aside=True))
    assert all(len(each["real_rates"]) == 2 for each in found["tasks"])


def test_six_tasks_that_are_developed_on_were_run_and_agree_within_noise() -> None:
    found = read("agreement")["results"]
    assert [each["task"] for each in found["tasks"]] == list(NAMES)
    assert all(len(each["real_rates"]) >= 2 for each in found["tasks"])
    assert all(np.isfinite(load_truth(name).reached).any() for name in NAMES)
    assert abs(found["difference"]) < 3 * found["error"]
