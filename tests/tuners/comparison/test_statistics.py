from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tuners.comparison.statistics import (
    count_wins,
    mean_and_sd,
    paired_t_interval,
    proportion_noise,
    wilson_interval,
)


def test_t_interval_of_one_two_three() -> None:
    # mean 2, sd 1, so 2 -+ t(0.975, 2) / sqrt(3), and t(0.975, 2) = 0.95 sqrt(2 / (1 - 0.95^2))
    half = 0.95 * math.sqrt(2 / (1 - 0.95**2)) / math.sqrt(3)
    low, high = paired_t_interval([1.0, 2.0, 3.0])
    assert (low, high) == (pytest.approx(2 - half), pytest.approx(2 + half))


def test_t_interval_of_two_pairs() -> None:
    # one degree of freedom is Cauchy: the quantile is tan(pi (0.975 - 0.5)); sd/sqrt(2) is 0.5
    low, high = paired_t_interval([0.0, 1.0])
    assert high - 0.5 == pytest.approx(0.5 * math.tan(math.pi * 0.475))
    assert low + high == pytest.approx(1.0)


def test_t_interval_agrees_with_scipy() -> None:
    differences = np.random.default_rng(3).normal(0.2, 1.0, (4, 17))
    low, high = paired_t_interval(differences)
    reference = stats.ttest_1samp(differences, 0, axis=1).confidence_interval()
    np.testing.assert_allclose(low, reference.low)
    np.testing.assert_allclose(high, reference.high)


@pytest.mark.parametrize("pairs", [6, 10, 30])
def test_wilson_of_all_wins_is_n_over_n_plus_z_squared(pairs: int) -> None:
    # at p = 1 the formula collapses to the interval [n / (n + z^2), 1]
    z = stats.norm.ppf(0.975)
    low, high = wilson_interval(pairs, pairs)
    assert (low, high) == (pytest.approx(pairs / (pairs + z * z)), pytest.approx(1.0))


def test_wilson_agrees_with_scipy_and_is_symmetric() -> None:
    for wins in (0, 7, 15, 22, 30):
        reference = stats.binomtest(wins, 30).proportion_ci(method="wilson")
        low, high = wilson_interval(wins, 30)
        mirrored_low, mirrored_high = wilson_interval(30 - wins, 30)
        assert (low, high) == (pytest.approx(reference.low), pytest.approx(reference.high))
        assert (mirrored_low, mirrored_high) == (pytest.approx(1 - high), pytest.approx(1 - low))


@pytest.mark.parametrize(("wins", "pairs"), [(9, 10), (12, 15), (15, 20), (20, 29), (21, 30)])
def test_fewest_wins_that_exclude_one_half(wins: int, pairs: int) -> None:
    assert wilson_interval(wins, pairs)[0] > 0.5
    assert wilson_interval(wins - 1, pairs)[0] < 0.5


def test_ties_count_half() -> None:
    assert count_wins(np.array([1.0, 0.0, 0.0, -1.0, 2.0])) == 3.0


def test_noise_of_a_proportion() -> None:
    assert proportion_noise(0.9, 1000) == pytest.approx(math.sqrt(0.09 / 1000))
    assert proportion_noise(0.5, 1) == 0.5
    assert proportion_noise(1.0, 10) == 0.0


def test_means_leave_out_what_is_missing() -> None:
    assert mean_and_sd([1.0, None, 3.0, math.nan]) == (2.0, math.sqrt(2))
    assert mean_and_sd([1.0]) == (1.0, None)
    assert mean_and_sd([]) == (None, None)
