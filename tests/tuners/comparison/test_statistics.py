from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tuners.comparison.statistics import (
    bootstrap_interval,
    count_wins,
    decide_verdicts,
    judge_pairs,
    paired_t_interval,
    proportion_noise,
    sign_flip_p,
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


@pytest.mark.parametrize("pairs", [1, 5, 6, 10, 20])
def test_sign_flip_of_all_positive_is_two_in_two_to_the_n(pairs: int) -> None:
    # only all plus and all minus are as far from zero
    assert sign_flip_p(np.arange(1, pairs + 1) / 7) == 2 / 2**pairs


@given(st.lists(st.integers(-30, 30), min_size=2, max_size=9))
def test_sign_flip_is_the_test_of_scipy(differences: list[int]) -> None:
    listed = stats.permutation_test(
        (np.array(differences),), np.mean, permutation_type="samples", n_resamples=2**9
    )
    # tenths are rounded, and patterns of equal sums must stay equal
    assert sign_flip_p(np.array(differences) / 10) == pytest.approx(min(1.0, listed.pvalue))


def test_sign_flip_counts_patterns() -> None:
    # sums of +-1 +-1 +-1: +-3 once each, +-1 three times each; seen 1, so all 8 patterns count
    assert sign_flip_p([1.0, 1.0, -1.0]) == 1.0
    # sums of +-1 +-2 +-4 are all odd numbers to 7; seen 5: -7 -5 5 7 of 8
    assert sign_flip_p([-1.0, 2.0, 4.0]) == 0.5
    assert sign_flip_p([0.0, 0.0]) == 1.0


def test_sign_flip_refuses_more_than_twenty() -> None:
    with pytest.raises(ValueError, match="up to 20 pairs, but got 21"):
        sign_flip_p(np.ones(21))


def test_bootstrap_is_seeded_and_close_to_scipy() -> None:
    differences = np.random.default_rng(5).exponential(1.0, 30)
    ours = bootstrap_interval(differences, seed=1)
    assert ours == bootstrap_interval(differences, seed=1)
    assert ours != bootstrap_interval(differences, seed=2)
    reference = stats.bootstrap(
        (differences,), np.mean, method="BCa", n_resamples=10_000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours == (pytest.approx(reference.low, abs=0.02), pytest.approx(reference.high, abs=0.03))


def test_bootstrap_of_equal_differences_is_their_value() -> None:
    assert bootstrap_interval([0.25] * 8) == (0.25, 0.25)
    assert bootstrap_interval([0.1] * 30) == (pytest.approx(0.1), pytest.approx(0.1))


def test_verdict_better_and_worse_mirror() -> None:
    differences = np.concatenate([np.full(25, 0.2), np.full(5, -0.1)])
    better, worse = judge_pairs(differences), judge_pairs(-differences)
    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert better.wins == 25
    assert worse.wins == 5
    assert better.mean_difference == pytest.approx(0.15)
    assert worse.interval == pytest.approx((-better.interval[1], -better.interval[0]))
    assert "25 of 30 pairs won" in better.reason
    assert better.sign_flip_p is None


def test_verdict_of_all_ties() -> None:
    result = judge_pairs([0.0] * 30)
    assert result.verdict == "no_difference_shown"
    assert result.wins == 15
    assert result.interval == (0.0, 0.0)
    assert result.bootstrap_interval == (0.0, 0.0)
    assert result.reason == "All 30 pairs are equal."


def test_verdict_of_equal_gains() -> None:
    result = judge_pairs([0.5] * 10)
    assert result.verdict == "better"
    assert result.interval == (0.5, 0.5)


def test_under_six_pairs_cannot_decide() -> None:
    assert judge_pairs([1.0] * 5).verdict == "too_few_pairs"
    assert judge_pairs([1.0] * 6).verdict == "better"
    single = judge_pairs([1.0])
    assert (single.verdict, single.interval, single.bootstrap_interval) == (
        "too_few_pairs",
        None,
        None,
    )
    assert single.sign_flip_p == 1.0


def test_wins_without_the_mean_show_no_difference() -> None:
    # 28 small gains, two losses that outweigh them
    result = judge_pairs([0.01] * 28 + [-1.0, -1.0])
    assert result.verdict == "no_difference_shown"
    assert result.wins_interval[0] > 0.5
    assert result.interval[0] < 0
    assert "but the interval of the mean difference includes zero" in result.reason


def test_the_mean_without_wins_shows_no_difference() -> None:
    result = judge_pairs([0.9] * 16 + [-0.01] * 14)
    assert result.verdict == "no_difference_shown"
    assert result.interval[0] > 0
    assert "although the mean difference excludes zero" in result.reason


def test_neither_shows_a_difference() -> None:
    assert "includes one half" in judge_pairs([0.1, -0.1] * 15).reason


def test_a_small_sure_share_is_not_better() -> None:
    # 570 of 1000: above one half for sure, below three quarters for sure
    result = judge_pairs([1.0] * 570 + [-1.0] * 430)
    assert result.wins_interval[0] > 0.5
    assert result.interval[0] > 0
    assert result.verdict == "no_difference_shown"
    assert "too small a share" in result.reason


def test_wins_against_the_mean_show_no_difference() -> None:
    result = judge_pairs([0.01] * 70 + [-10.0] * 30)
    assert result.wins_interval[0] > 0.5
    assert result.interval[1] < 0
    assert result.verdict == "no_difference_shown"
    assert "points the other way" in result.reason


@pytest.mark.parametrize("differences", [[], [[1.0, 2.0]], [1.0, math.nan], [math.inf]])
def test_differences_must_be_a_finite_vector(differences: list) -> None:
    with pytest.raises(ValueError, match="`differences` must be a vector"):
        judge_pairs(differences)


@pytest.mark.parametrize(("pairs", "most"), [(6, 0.05), (10, 0.05), (30, 0.05), (100, 0.05)])
def test_equal_arms_are_rarely_called_better(pairs: int, most: float) -> None:
    generator = np.random.default_rng(pairs)
    for draw in (generator.normal, generator.laplace, lambda size: generator.standard_t(3, size)):
        verdicts = decide_verdicts(draw(size=(10_000, pairs)))
        assert np.mean(verdicts == "better") <= most
        assert np.mean(verdicts == "worse") <= most


def test_equal_arms_with_many_ties_are_rarely_called_better() -> None:
    differences = np.random.default_rng(0).integers(-1, 2, (10_000, 30)).astype(float)
    assert np.mean(decide_verdicts(differences) == "better") <= 0.05


def test_an_effect_of_one_sd_is_found_at_thirty_pairs() -> None:
    differences = np.random.default_rng(1).normal(1.0, 1.0, (10_000, 30))
    assert np.mean(decide_verdicts(differences) == "better") >= 0.9
    assert np.mean(decide_verdicts(-differences) == "worse") >= 0.9


def test_noise_of_a_proportion() -> None:
    assert proportion_noise(0.9, 1000) == pytest.approx(math.sqrt(0.09 / 1000))
    assert proportion_noise(0.5, 1) == 0.5
    assert proportion_noise(1.0, 10) == 0.0
