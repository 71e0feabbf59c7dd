from __future__ import annotations

import numpy as np
import pytest

from tuners.curves.loss_curve import LossCurve
from tuners.curves.published_rules import RULES

RATES = np.geomspace(1e-7, 10, 100)
# the curve of the comparison in the literature: descent about 1e-2, blow-up from 0.3
LOSSES = 2.3 - 1.4 / (1 + (1e-2 / RATES) ** 1.2) + np.maximum(RATES / 0.3 - 1, 0) ** 2


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_gives_a_rate_of_a_plain_curve(rule) -> None:
    assert 1e-7 <= LossCurve(RATES, LOSSES).suggest(rule) <= 10


def test_the_minimum_and_its_tenth() -> None:
    curve = LossCurve(RATES, LOSSES)
    assert curve.suggest("minimum") == pytest.approx(10 * curve.suggest("minimum/10"))
    assert 0.05 < curve.suggest("minimum") < 2


def test_valley_is_half_way_down_a_pure_descent() -> None:
    # 95 points after the cut of 10 at the start and 5 at the end, strictly falling
    rates, losses = np.geomspace(1e-6, 1, 100), np.linspace(2, 1, 100)
    left = rates[10:95]
    assert LossCurve(rates, losses).suggest("valley") == pytest.approx(left[84 // 3 + 84 // 6 - 1])


def test_steepest_takes_the_left_point_of_the_steepest_fall() -> None:
    losses = np.full(100, 2.0)
    losses[50:] = 1.0
    # the average falls fastest at the first low loss
    assert LossCurve(RATES, losses).suggest("steepest") == pytest.approx(RATES[49])


def test_the_article_wants_calm_neighbours() -> None:
    losses = np.full(100, 2.0)
    losses[30] = 0.1  # lowest, but alone
    losses[60:66] = 1.0
    found = LossCurve(RATES, losses, kind="per_epoch").suggest("article")
    assert RATES[60] <= found <= RATES[65]


def test_slide_falls_back_to_the_first_step_of_a_short_curve() -> None:
    rates, losses = np.geomspace(1e-4, 1, 12), np.linspace(3, 1, 12)
    assert LossCurve(rates, losses).suggest("slide") >= 1e-4


def test_rules_average_over_seeds() -> None:
    noise = np.random.default_rng(0).standard_normal(100)
    both = np.stack([LOSSES + noise, LOSSES - noise], axis=1)
    plain = LossCurve(RATES, LOSSES).suggest("valley")
    assert LossCurve(RATES, both).suggest("valley") == pytest.approx(plain, rel=0.5)


def test_lightning_differentiates_in_the_rate_and_so_picks_low_ones_under_noise() -> None:
    noise = 0.15 * np.random.default_rng(0).standard_normal(100)
    assert LossCurve(RATES, LOSSES + noise).suggest("lightning") < 1e-4


def test_no_rule_means_our_own() -> None:
    curve = LossCurve(RATES, LOSSES)
    assert curve.suggest() == curve.bounds().suggestion


def test_an_unknown_rule_is_refused_with_the_names() -> None:
    with pytest.raises(ValueError, match=r"must be one of valley, slide, .*minimum/10"):
        LossCurve(RATES, LOSSES).suggest("best")


@pytest.mark.parametrize("rule", RULES)
def test_curves_without_enough_finite_steps_are_refused(rule) -> None:
    with pytest.raises(ValueError, match=r"needs .* finite steps"):
        LossCurve(RATES[:4], np.full(4, np.nan)).suggest(rule)
