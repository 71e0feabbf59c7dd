"""Levels of the looks, their verdicts, the stop for futility, and how often they are wrong."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tuners.comparison.looks import (
    ERROR,
    FEWEST_PAIRS,
    decide,
    interval,
    is_futile,
    level,
    looks,
    spent,
)


@given(st.integers(1, 200))
def test_a_look_comes_every_two_to_ten_pairs_and_the_last_pair_is_one(pairs: int) -> None:
    counts = looks(pairs)
    assert counts == tuple(sorted(set(counts)))
    if pairs < FEWEST_PAIRS:
        assert counts == ()
    else:
        assert (counts[0], counts[-1]) == (FEWEST_PAIRS, pairs)
        assert max([after - before for before, after in pairwise(counts)], default=0) <= 10


def test_pairs_that_grow_keep_the_looks_there_were() -> None:
    assert looks(30) == (6, 8, 10, 12, 16, 20, 24, 30)
    assert looks(60)[:8] == looks(30)
    assert looks(12) == looks(30)[:4]


def test_what_is_spent_rises_for_ever_and_stays_below_the_error() -> None:
    sums = [spent(pairs) for pairs in range(6, 1000)]
    assert all(before < after for before, after in pairwise(sums))
    assert sums[-1] < ERROR
    assert spent(30) == pytest.approx(0.9 * ERROR)  # a tenth is kept


@pytest.mark.parametrize("pairs", [6, 8, 12, 15, 30, 40])
def test_all_looks_together_cross_with_the_chance_that_is_spent(pairs: int) -> None:
    # a second way: the looks' sums are jointly normal, with correlation sqrt(n / m) for n < m
    counts = np.array(looks(pairs))
    low, high = np.minimum.outer(counts, counts), np.maximum.outer(counts, counts)
    joint = stats.multivariate_normal(cov=np.sqrt(low / high), seed=0)
    z = stats.norm.isf([level(int(count)) for count in counts])
    assert 1 - joint.cdf(z, lower_limit=-z) == pytest.approx(2 * spent(pairs), abs=2e-5)


def test_fewer_pairs_than_a_look_have_the_level_of_the_first() -> None:
    assert level(2) == level(6) == pytest.approx(spent(6))


def test_the_interval_is_that_of_a_t_test_at_the_level_of_its_look() -> None:
    differences = np.random.default_rng(3).normal(0.2, 1.0, (4, 12))
    low, high = interval(differences)
    expected = stats.ttest_1samp(differences, 0, axis=1).confidence_interval(1 - 2 * level(12))
    np.testing.assert_allclose(low, expected.low)
    np.testing.assert_allclose(high, expected.high)


def test_better_and_worse_mirror() -> None:
    gains = np.array([0.5, 0.3, 0.4, 0.6, 0.5, 0.4])
    assert decide(np.stack([gains, -gains, gains - 0.45])).tolist() == [
        "better",
        "worse",
        "no_difference_shown",
    ]


def test_a_look_wants_the_p_value_of_its_level() -> None:
    # a t of exactly the critical value, less and more by a thousandth
    noise = np.array([-1.0, 1.0] * 5)
    critical = stats.t.isf(level(10), 9) * noise.std(ddof=1) / np.sqrt(10)
    assert str(decide(noise + 0.999 * critical)) == "no_difference_shown"
    assert str(decide(noise + 1.001 * critical)) == "better"


def test_equal_is_what_lies_within_the_margin_wherever_zero_is() -> None:
    gains = 0.5 + 0.01 * np.array([-1.0, 1.0] * 5)
    low, high = interval(gains)
    assert 0 < low < high
    assert str(decide(gains, 0.6)) == "equal"
    assert str(decide(gains, high * 1.001)) == "equal"
    assert str(decide(gains, high * 0.999)) == "better"
    assert str(decide(-gains, high * 1.001)) == "equal"
    assert str(decide(-gains, high * 0.999)) == "worse"


def test_ties_of_all_pairs_are_equal() -> None:
    assert str(decide(np.zeros(6))) == "equal"
    assert str(decide(np.zeros(5))) == "too_few_pairs"
    assert str(decide(np.full(6, 0.5))) == "better"  # no spread at all


def test_futile_is_where_a_tenth_of_what_may_come_lies_beyond_the_last_interval() -> None:
    # of 12 pairs at most 30 follow; by hand: the mean of all 30 has the deviation s sqrt(18) / 30
    noise = np.array([-1.0, 1.0] * 6)
    sd = noise.std(ddof=1)
    half = stats.t.isf(level(30), 29) * sd / np.sqrt(30)
    ahead = sd * np.sqrt(18) / 30
    mean = half - stats.norm.isf(0.1) * ahead  # a chance of 10 % above, and next to none below
    assert not is_futile(noise + 1.001 * mean, 30)
    assert is_futile(noise + 0.99 * mean, 30)
    assert is_futile(-noise - 0.99 * mean, 30)
    # where "equal" is the likelier end, it goes on
    assert not is_futile(noise, 30, margin=half + 0.7 * ahead)
    assert is_futile(noise, 30, margin=half + 0.6 * ahead)  # 0.6745 deviations hold one half


def test_differences_without_spread_warn_of_nothing() -> None:
    assert not is_futile(np.full(6, 0.5), 30)


@pytest.mark.parametrize("pairs", [6, 8, 12, 30, 60])
def test_equal_arms_are_rarely_called_better_by_all_looks_together(pairs: int) -> None:
    generator = np.random.default_rng(pairs)
    for draw in (generator.normal, generator.laplace, lambda size: generator.standard_t(3, size)):
        differences = draw(size=(10_000, pairs))
        verdicts = np.array([decide(differences[:, :count]) for count in looks(pairs)])
        first = (verdicts != "no_difference_shown").argmax(axis=0)
        found = verdicts[first, np.arange(10_000)]
        # 2.5 %, and three standard errors of a simulated share
        assert np.mean(found == "better") < 0.025 + 3 * 0.0016
        assert np.mean(found == "worse") < 0.025 + 3 * 0.0016
