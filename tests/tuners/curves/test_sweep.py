"""Sweeps: what is read from them, and where a ramp places them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuners.curves.loss_curve import LossCurve
from tuners.curves.sweep import open_ends, parabolas, place_sweep

RATES = 10 ** np.arange(-4, -1.7, 0.25)  # 1e-4 to 1e-2
X = np.log10(RATES)
RAMP_RATES = np.geomspace(1e-7, 100, 100)
RAMP = 1.5 - 1.0 / (1 + (1e-3 / RAMP_RATES) ** 2) + (RAMP_RATES / 0.02) ** 2


def placed(curve: LossCurve) -> Any:
    return place_sweep(curve.learning_rates, curve.table)


def open_at(curve: LossCurve) -> tuple[bool, bool]:
    return open_ends(curve.learning_rates, curve.table, curve.as_sweep())


def ramp(seeds: int = 8, noise: float = 0.05) -> LossCurve:
    random = np.random.default_rng(0)
    return LossCurve(RAMP_RATES, RAMP[:, None] + noise * random.standard_normal((100, seeds)))


def valley(best: float = -3.0, seeds: int = 4, noise: float = 0.002, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    own = 0.05 * random.standard_normal(seeds)  # seeds differ in level, alike at all rates
    return 0.5 + 0.2 * (X[:, None] - best) ** 2 + own + noise * random.standard_normal((10, seeds))


def sweep(losses, **options) -> LossCurve:
    return LossCurve(RATES, losses, kind="sweep", declared=(1e-5, 1.0), **options)


def test_bounds_lie_round_the_lowest_losses_and_somewhat_below() -> None:
    for seed in range(20):
        bounds = sweep(valley(seed=seed), coarse=ramp(), horizon=10).bounds()
        assert bounds.status == "ok"
        assert bounds.low < 1e-3 < bounds.high
        assert -3.5 < math.log10(bounds.suggestion) < -2.9
        assert bounds.decades < 1.2


def test_longer_trainings_to_come_move_the_answer_down() -> None:
    short = sweep(valley(), horizon=1).bounds()
    long = sweep(valley(), horizon=100).bounds()
    assert math.log10(short.suggestion / long.suggestion) == pytest.approx(0.4, abs=0.01)
    assert sweep(valley(), horizon=0.1).bounds().suggestion == short.suggestion


def test_one_seed_answers_with_wider_bounds() -> None:
    one, four = sweep(valley()[:, 0]).bounds(), sweep(valley()).bounds()
    assert one.decided
    assert one.decades > four.decades


def test_seeds_that_scatter_widen_the_bounds() -> None:
    calm, wild = sweep(valley(noise=0.002)).bounds(), sweep(valley(noise=0.03)).bounds()
    assert wild.decades > calm.decades
    assert wild.low_interval is not None
    assert wild.low == wild.low_interval[0] <= wild.low_interval[1]


def test_a_flat_bottom_is_inside_the_bounds() -> None:
    losses = 0.5 + 0.3 * np.maximum(np.abs(X + 3) - 0.6, 0)[:, None] + np.zeros((10, 3))
    bounds = sweep(losses).bounds()
    assert bounds.decided
    assert bounds.low < 10**-3.4
    assert bounds.high > 10**-2.8


def test_rates_that_diverged_count_as_bad() -> None:
    losses = valley(best=-2.5)
    losses[-2:] = np.nan
    losses[-3, 0] = np.inf
    bounds = sweep(losses, coarse=ramp()).bounds()
    assert bounds.decided
    assert bounds.suggestion < RATES[-3]


STATUSES = {
    "lowest at the lowest rate": (0.5 + 0.2 * (X + 4.5) ** 2, "diverged_at_start", "lower rates"),
    "lowest at the highest rate": (0.5 - 0.1 * X, "no_divergence", "higher rates"),
    "the same everywhere": (np.full(10, 0.7), "no_descent", "more steps"),
    "noise alone": (np.random.default_rng(0).standard_normal((10, 2)), "too_noisy", "more seeds"),
    "no finite loss": (np.full((10, 2), np.nan), "non_finite", "check the data"),
    "finite at the lowest rates only": (
        np.where(np.arange(10) < 2, 0.5, np.nan),
        "diverged_at_start",
        "lower rates",
    ),
    "finite at the highest rates only": (
        np.where(np.arange(10) > 7, 0.5, np.nan),
        "non_finite",
        "check the data",
    ),
}


@pytest.mark.parametrize("name", STATUSES)
def test_an_undecided_sweep_keeps_the_declared_range_and_says_why(name) -> None:
    losses, status, cure = STATUSES[name]
    bounds = sweep(losses).bounds()
    assert bounds.status == status
    assert (bounds.low, bounds.high) == (1e-5, 1.0)
    assert cure in bounds.reason


def test_four_rates_are_too_few() -> None:
    curve = LossCurve(RATES[:4], valley()[:4], kind="sweep")
    assert curve.bounds().status == "too_few_points"


def test_where_the_ramp_turns_a_sweep_may_end_at_its_lowest() -> None:
    losses = 0.5 - 0.1 * X
    assert sweep(losses, coarse=ramp()).bounds().decided


@settings(deadline=None, max_examples=40)
@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.integers(0, 99), st.booleans())
@pytest.mark.slow
def test_a_shift_or_a_scaling_of_the_loss_changes_nothing(shift, scale, seed, placed) -> None:
    def bounds(change):
        coarse = LossCurve(RAMP_RATES, change(ramp().losses)) if placed else None
        return sweep(change(valley(seed=seed)), coarse=coarse).bounds()

    plain, moved = bounds(lambda y: y), bounds(lambda y: scale * (y + shift))
    for name in ("low", "suggestion", "high"):
        assert getattr(moved, name) == pytest.approx(getattr(plain, name), rel=1e-3)


def test_a_ramp_places_the_sweep_round_its_descent() -> None:
    placement = placed(ramp())
    assert placement is not None
    assert placement.low == pytest.approx(-3.75, abs=0.2)
    assert -2.5 < placement.high < -1.2


def test_a_ramp_that_never_falls_places_nothing() -> None:
    random = np.random.default_rng(0)
    flat = LossCurve(RAMP_RATES, 2.3 + 0.1 * random.standard_normal((100, 8)))
    assert placed(flat) is None
    assert placed(LossCurve(RAMP_RATES, np.ones(100))) is None
    assert placed(LossCurve(RAMP_RATES, np.full(100, np.nan))) is None


def test_local_parabolas_leave_a_parabola_as_it_is() -> None:
    fine = np.linspace(X[0], X[-1], 30)
    values = 1 - 2 * X + 0.5 * X**2
    np.testing.assert_allclose(parabolas(X, fine) @ values, 1 - 2 * fine + 0.5 * fine**2, rtol=1e-5)


def test_ends_beyond_which_rates_may_be_better_are_told() -> None:
    assert open_at(sweep(valley())) == (False, False)
    assert open_at(sweep(0.5 + 0.2 * (X + 4.5) ** 2)) == (True, False)
    assert open_at(sweep(0.5 - 0.1 * X)) == (False, True)
    flat = 0.5 + 0.3 * np.maximum(-3 - X, 0)  # equal up to the highest
    assert open_at(sweep(flat)) == (False, True)
    assert open_at(sweep(np.full(10, np.nan))) == (False, False)
