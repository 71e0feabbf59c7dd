"""Every status with a curve that causes it, and the hard shapes."""

from __future__ import annotations

import numpy as np
import pytest

from tuners.curves.loss_curve import LossCurve
from tuners.curves.ramp import ABOVE, BELOW, ONE_SEED, SUGGESTED

RATES = np.geomspace(1e-6, 10, 200)
DESCENT = 1.4 / (1 + (1e-2 / RATES) ** 2)
CLEAN = 2.3 - DESCENT + (RATES / 0.5) ** 2


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def late_nan(first: int) -> np.ndarray:
    losses = CLEAN.copy()
    losses[first:] = np.nan
    return losses


UNDECIDED = {
    "flat": (np.ones(200), "no_descent", "more steps"),
    "flat with noise": (2.3 + 0.01 * generator().standard_normal((200, 8)), "no_descent", "steps"),
    "at its floor": (1e-3 + 0.1 * (RATES / 0.5) ** 2, "no_descent", "did not fall"),
    "still falling": (2.3 - DESCENT * RATES**0.1, "no_divergence", "test higher rates"),
    "falling at the last step": (-np.log(RATES), "no_divergence", "test higher rates"),
    "rising": (2.3 + (RATES / 1e-5) ** 2, "diverged_at_start", "test lower rates"),
    "gone at once": (late_nan(3), "diverged_at_start", "test lower rates"),
    "all nan": (np.full(200, np.nan), "non_finite", "check the data"),
    "nan at first": (np.where(np.arange(200) < 80, np.nan, CLEAN), "non_finite", "check the data"),
    "nan between": (
        np.where(np.abs(np.arange(200) - 60) < 30, np.nan, CLEAN),
        "non_finite",
        "check the data",
    ),
    "noise alone": (generator().standard_normal(200), "too_noisy", "more seeds"),
    "descent in noise": (CLEAN + 3 * generator().standard_normal(200), "too_noisy", "more seeds"),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_an_undecided_curve_keeps_the_declared_range_and_says_why(name) -> None:
    losses, status, cure = UNDECIDED[name]
    bounds = LossCurve(RATES, losses, declared=(1e-5, 1.0)).bounds()
    assert bounds.status == status
    assert (bounds.low, bounds.high) == (1e-5, 1.0)
    assert cure in bounds.reason
    assert "declared range is kept" in bounds.reason


@pytest.mark.parametrize("points", [1, 2, 7])
@pytest.mark.parametrize("kind", ["ramp", "per_epoch"])
def test_too_few_points(points, kind) -> None:
    curve = LossCurve(RATES[:points], CLEAN[:points], kind=kind)
    assert curve.bounds().status == "too_few_points"
    assert (curve.bounds().low, curve.bounds().high) == (RATES[0], RATES[points - 1])


def test_nan_after_divergence_does_not_move_the_answer() -> None:
    whole = LossCurve(RATES, CLEAN).bounds()
    cut = LossCurve(RATES, late_nan(170)).bounds()
    assert cut.decided
    assert cut.suggestion == pytest.approx(whole.suggestion, rel=0.05)


def test_one_seed_that_explodes_early_lowers_the_answer_and_does_not_hide_the_others() -> None:
    losses = CLEAN[:, None] + 0.05 * generator().standard_normal((200, 8))
    calm = LossCurve(RATES, losses).bounds()
    losses[130:, 0] = 1e30
    losses[140:, 0] = np.nan
    wild = LossCurve(RATES, losses).bounds()
    assert wild.decided
    assert calm.low < wild.suggestion < calm.suggestion
    assert wild.high < calm.high


def test_the_bounds_lie_at_fixed_distances_under_the_lowest_place() -> None:
    dip = 2.3 - 1.4 * np.exp(-0.5 * (np.log10(RATES / 1e-2) / 0.5) ** 2)
    bounds = LossCurve(RATES, np.stack([dip, dip + 0.1], 1)).bounds()
    assert bounds.low == pytest.approx(1e-2 / 10**BELOW, rel=0.1)
    assert bounds.high == pytest.approx(1e-2 * 10**ABOVE, rel=0.1)
    assert bounds.suggestion == pytest.approx(1e-2 / 10**SUGGESTED, rel=0.1)
    assert "lowest at rate 0.01" in bounds.reason
    assert "held a best rate in 95 % of the benchmark's ramps" in bounds.reason
    one = LossCurve(RATES, dip).bounds()  # no second seed says how runs differ
    assert one.low == pytest.approx(1e-2 / 10 ** (BELOW + ONE_SEED), rel=0.1)
    assert one.high == pytest.approx(bounds.high)


@pytest.mark.parametrize("level", [-100.0, -1e-3, 0.0])
def test_losses_below_zero_are_like_others(level) -> None:
    assert LossCurve(RATES, CLEAN + level).bounds().decided


def test_a_double_descent_keeps_the_deeper_one() -> None:
    bump = 0.8 * np.exp(-0.5 * ((np.log10(RATES) + 2.6) / 0.2) ** 2)
    bounds = LossCurve(RATES, CLEAN + bump).bounds()
    assert bounds.decided
    assert bounds.low < 2e-2 < bounds.high


def test_a_zone_above_or_below_the_declared_range_is_said() -> None:
    above = LossCurve(RATES, CLEAN).bounds(declared=(1e-6, 1e-4))
    assert above.status == "no_descent"
    assert "raise its upper end" in above.reason
    assert above.suggestion == 1e-4
    below = LossCurve(RATES, CLEAN).bounds(declared=(1.0, 10.0))
    assert below.status == "diverged_at_start"
    assert "lower its lower end" in below.reason


def test_bounds_are_cut_at_the_declared_range() -> None:
    bounds = LossCurve(RATES, CLEAN).bounds(declared=(8e-3, 2e-2))
    assert bounds.decided
    assert (bounds.low, bounds.high) == (8e-3, 2e-2)
    with pytest.raises(ValueError, match="`declared` must hold"):
        LossCurve(RATES, CLEAN).bounds(declared=(0.0, 1.0))


def test_one_rate_held_for_several_steps_is_one_point() -> None:
    rates = np.repeat(np.geomspace(1e-6, 10, 100), 4)
    losses = np.interp(np.log(rates), np.log(RATES), CLEAN)
    assert LossCurve(rates, losses).bounds().decided


def test_thousands_of_steps_are_read_like_hundreds() -> None:
    rates = np.geomspace(1e-6, 10, 5000)
    losses = np.interp(np.log(rates), np.log(RATES), CLEAN)
    noise = 0.3 * generator().standard_normal(5000)
    bounds = LossCurve(rates, losses + noise).bounds()
    assert bounds.decided
    assert bounds.low < 1e-2 < bounds.high
    assert LossCurve(rates, losses).smoothed().shape == (5000,)


def test_seeds_that_disagree_are_too_noisy() -> None:
    places = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    losses = np.stack(
        [2.3 - 1.4 * np.exp(-0.5 * (np.log10(RATES / place) / 0.3) ** 2) for place in places], 1
    )
    bounds = LossCurve(RATES, losses).bounds()
    assert bounds.status == "too_noisy"


def test_an_articles_curve_of_a_hundred_epochs() -> None:
    rates = 1e-4 * 10 ** (np.arange(100) / 20)
    losses = np.interp(np.log(rates), np.log(RATES), CLEAN)
    assert LossCurve(rates, losses, kind="per_epoch").bounds().decided
