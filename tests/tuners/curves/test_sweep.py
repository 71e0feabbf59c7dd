"""Trainings at constant rates: what their losses say, and every status with its cause."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuners.curves.loss_curve import LossCurve
from tuners.curves.response import WIDTH, fit_response

RATES = np.geomspace(1e-5, 1.0, 16)
LOGS = np.log10(RATES)[:, None]


def noisy(losses: np.ndarray, sd: float = 0.02, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return losses + 0.2 * generator.normal(size=3) + sd * generator.normal(size=(len(losses), 3))


VALLEY = noisy(2 + 0.3 * (LOGS + 3) ** 2)


def bounds_of(losses: Any, rates: Any = RATES, **options: Any) -> Any:
    return LossCurve(rates, losses, kind="sweep", **options).bounds()


def nan_at(rows: Any) -> np.ndarray:
    losses = VALLEY.copy()
    losses[rows] = np.nan
    return losses


UNDECIDED = {
    "all nan": (nan_at(slice(None)), "non_finite", "check the data"),
    "finite at low rates alone": (nan_at(slice(3, None)), "diverged_at_start", "test lower rates"),
    "nan at low rates": (nan_at(slice(0, 13)), "non_finite", "check the data"),
    "flat": (np.full((16, 3), 0.5), "no_descent", "cannot be told apart"),
    "flat but for the splits": (noisy(np.ones((16, 1)), 0.0), "no_descent", "more seeds"),
    "rising": (noisy(9 + LOGS), "diverged_at_start", "test lower rates"),
    "falling": (noisy(9 - LOGS), "no_divergence", "test higher rates"),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_an_undecided_sweep_keeps_the_declared_range_and_says_why(name: str) -> None:
    losses, status, cure = UNDECIDED[name]
    bounds = bounds_of(losses, declared=(1e-4, 0.1))
    assert bounds.status == status
    assert (bounds.low, bounds.high) == (1e-4, 0.1)
    assert cure in bounds.reason
    assert "declared range is kept" in bounds.reason
    assert bounds.low <= bounds.suggestion <= bounds.high


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_rates_say_how_many_are_needed(count: int) -> None:
    bounds = bounds_of(VALLEY[:count], RATES[:count])
    assert bounds.status == "too_few_points"
    assert "5 are needed" in bounds.reason
    repeated = bounds_of(VALLEY[:8], np.repeat(RATES[:4], 2))
    assert repeated.status == "too_few_points"


def test_bounds_are_the_plateau_and_a_width_on_both_sides() -> None:
    bounds, fit = bounds_of(VALLEY), fit_response(RATES, VALLEY)
    assert bounds.status == "ok"
    assert bounds.low == pytest.approx(fit.plateau[0] / 10**WIDTH)
    assert bounds.high == pytest.approx(fit.plateau[1] * 10**WIDTH)
    assert bounds.suggestion == pytest.approx(fit.best)
    assert abs(math.log10(bounds.suggestion / 1e-3)) < 0.3
    assert bounds.seeds == 3
    assert "3 seeds are" in bounds.reason
    cut = bounds_of(VALLEY, declared=(8e-4, 1.2e-3))
    assert (cut.low, cut.high) == (8e-4, 1.2e-3)


def test_rates_may_come_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(16)
    assert bounds_of(VALLEY[order], RATES[order]) == bounds_of(VALLEY)


def test_rates_that_diverged_are_left_out() -> None:
    whole = bounds_of(VALLEY)
    for value in (np.nan, np.inf, 1e300):
        losses = VALLEY.copy()
        losses[12:, 1] = value  # in one seed of three
        bounds = bounds_of(losses)
        assert bounds.status == "ok"
        assert bounds.suggestion == pytest.approx(whole.suggestion, rel=0.05)


def test_a_lowest_loss_just_below_a_divergence_is_an_answer() -> None:
    losses = noisy(9 - LOGS)
    assert bounds_of(losses).status == "no_divergence"
    losses[12:] = np.nan
    bounds = bounds_of(losses)
    assert bounds.status == "ok"
    assert bounds.suggestion == pytest.approx(RATES[11])


def test_one_seed_is_judged_by_the_scatter_of_its_neighbours() -> None:
    calm, wild = (bounds_of(VALLEY[:, 0] + 0.1 * sd * noisy(0 * LOGS)[:, 0]) for sd in (0, 20))
    assert calm.status == "ok"
    assert calm.low < 1e-3 < calm.high
    assert wild.status != "ok" or wild.decades > calm.decades


@given(st.floats(-8, -1), st.floats(0.5, 3), st.integers(5, 40))
def test_a_lowest_loss_at_an_end_is_seen_at_any_rates(start: float, width: float, n: int) -> None:
    rates = np.geomspace(10**start, 10 ** (start + width), n)
    rise = np.linspace(1, 2, n)[:, None] + np.array([0.0, 0.1, 0.3])
    assert bounds_of(rise, rates).status == "diverged_at_start"
    assert bounds_of(rise[::-1], rates).status == "no_divergence"


def test_noise_alone_is_seldom_taken_for_a_best_rate() -> None:
    random = np.random.default_rng(0)
    rates = np.geomspace(1e-4, 1e-1, 12)
    found = [
        LossCurve(rates, 1 + 0.1 * random.standard_normal((12, 4)), kind="sweep").bounds().status
        for _ in range(200)
    ]
    assert found.count("ok") <= 20  # 5 % by the test of ranks, and what chance adds
