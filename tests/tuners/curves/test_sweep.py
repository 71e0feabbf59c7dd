"""Trainings at constant rates: which ones, what their losses say, and every status's cause."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuners.curves import sweep
from tuners.curves.loss_curve import LossCurve
from tuners.curves.sweep import (
    ABOVE,
    BELOW,
    FEWEST_RATES,
    LARGEST_SHARE,
    SUGGESTED,
    short_training,
    sweep_rates,
)

RATES = np.geomspace(1e-5, 1.0, 11)
LOGS = np.log10(RATES)[:, None]


def noisy(losses: np.ndarray, sd: float = 0.02, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return losses + 0.2 * generator.normal(size=3) + sd * generator.normal(size=(len(losses), 3))


VALLEY = noisy(2 + 0.3 * (LOGS + 3) ** 2)  # lowest at 1e-3


def bounds_of(losses: Any, rates: Any = RATES, **options: Any) -> Any:
    return LossCurve(rates, losses, kind="sweep", **options).bounds()


def nan_at(rows: Any) -> np.ndarray:
    losses = VALLEY.copy()
    losses[rows] = np.nan
    return losses


LOW, HIGH, GUESS = 1e-4, 0.1, 1e-3 / 10**SUGGESTED
UNDECIDED = {
    "all nan": (nan_at(slice(None)), "non_finite", "check the data", math.sqrt(LOW * HIGH)),
    "finite at low rates alone": (
        nan_at(slice(3, None)),
        "diverged_at_start",
        "test lower rates",
        LOW,
    ),
    "nan at low rates": (
        nan_at(slice(0, 9)),
        "non_finite",
        "check the data",
        math.sqrt(LOW * HIGH),
    ),
    "flat": (np.full((11, 3), 0.5), "no_descent", "cannot be told apart", LOW),
    "flat but for rounding": (
        0.5 + 1e-8 * VALLEY[:, :1],
        "no_descent",
        "cannot be told apart",
        GUESS,
    ),
    "flat but for the splits": (noisy(np.ones((11, 1)), 0.0), "no_descent", "more seeds", None),
    "rising": (noisy(9 + LOGS), "diverged_at_start", "test lower rates", LOW),
    "falling": (noisy(9 - LOGS), "no_divergence", "test higher rates", HIGH),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_an_undecided_sweep_keeps_the_declared_range_and_says_why(name: str) -> None:
    losses, status, cure, guess = UNDECIDED[name]
    bounds = bounds_of(losses, declared=(LOW, HIGH))
    assert bounds.status == status
    assert (bounds.low, bounds.high) == (LOW, HIGH)
    assert cure in bounds.reason
    assert "declared range is kept" in bounds.reason
    assert bounds.low <= bounds.suggestion <= bounds.high
    assert guess is None or bounds.suggestion == pytest.approx(guess)


def test_a_loss_that_still_falls_at_the_top_suggests_half_a_decade_below_it() -> None:
    bounds = bounds_of(noisy(9 - LOGS))
    assert bounds.status == "no_divergence"
    assert bounds.suggestion == pytest.approx(1.0 / 10**SUGGESTED)


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_rates_say_how_many_are_needed(count: int) -> None:
    bounds = bounds_of(VALLEY[:count], RATES[:count])
    assert bounds.status == "too_few_points"
    assert "5 are needed" in bounds.reason
    repeated = bounds_of(VALLEY[:8], np.repeat(RATES[:4], 2))
    assert repeated.status == "too_few_points"


@pytest.mark.parametrize("seeds", [1, 3])
def test_bounds_lie_at_fixed_distances_from_the_lowest_loss(seeds: int) -> None:
    bounds = bounds_of(VALLEY[:, :seeds])
    assert bounds.status == "ok"
    assert bounds.low == pytest.approx(1e-3 / 10**BELOW)
    assert bounds.high == pytest.approx(1e-3 * 10**ABOVE)
    assert bounds.suggestion == pytest.approx(1e-3 / 10**SUGGESTED)
    assert bounds.seeds == seeds
    assert ("mean of 3 seeds" in bounds.reason) == (seeds == 3)
    assert "lowest at rate 0.001; rates from 5.6e-05 to 0.0032 held" in bounds.reason
    cut = bounds_of(VALLEY, declared=(8e-4, 1.2e-3))
    assert (cut.low, cut.high) == (8e-4, 1.2e-3)


def test_seeds_that_disagree_on_every_rate_decide_nothing() -> None:
    ranks = np.stack([np.arange(11.0), np.arange(11.0)[::-1]], axis=1)
    assert bounds_of(ranks + 1).status == "no_descent"


def test_rates_may_come_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(11)
    assert bounds_of(VALLEY[order], RATES[order]) == bounds_of(VALLEY)


def test_rates_that_diverged_are_left_out() -> None:
    whole = bounds_of(VALLEY)
    for value in (np.nan, np.inf, 1e300):
        losses = VALLEY.copy()
        losses[8:, 1] = value  # in one seed of three
        assert bounds_of(losses) == whole


def test_a_lowest_loss_just_below_a_divergence_is_an_answer() -> None:
    losses = noisy(9 - LOGS)
    assert bounds_of(losses).status == "no_divergence"
    losses[8:] = np.nan
    bounds = bounds_of(losses)
    assert bounds.status == "ok"
    assert bounds.suggestion == pytest.approx(RATES[7] / 10**SUGGESTED)


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


@given(st.floats(-7, 0), st.floats(0.01, 12), st.one_of(st.none(), st.integers(1, 30)))
def test_rates_are_half_decades_and_never_leave_the_range(
    start: float, decades: float, most: int | None
) -> None:
    low, high = 10**start, 10 ** (start + decades)
    rates = sweep_rates((low, high), most)
    assert (rates[0], rates[-1]) == (low, high)
    assert (np.diff(rates) > 0).all()
    assert len(rates) >= FEWEST_RATES
    assert most is None or len(rates) <= max(most, FEWEST_RATES)
    if most is None and decades >= 2:
        assert np.diff(np.log10(rates)).max() <= 0.63  # 2.5 decades or less: four gaps


@given(st.integers(1, 400), st.integers(1, 500))
def test_a_short_training_is_whole_epochs_or_a_tenth_of_the_steps(
    epochs: int, batches: int
) -> None:
    length, trained = short_training(epochs, batches)
    assert length >= 1
    assert 1 <= trained <= batches
    steps = epochs * batches
    assert length * trained <= max(LARGEST_SHARE * steps + 0.5, 1)
    assert trained == batches or length == 1
    if epochs >= 10:
        assert (length, trained) == (max(1, round(epochs / 20)), batches)


def test_the_docstring_examples_run() -> None:
    assert doctest.testmod(sweep).failed == 0
