from __future__ import annotations

import doctest
import json
import math

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import LearningRateBounds, learning_rate
from search_spaces._input import check_range
from search_spaces.learning_rate import STATUSES

RATES = st.floats(1e-12, 1e6, allow_subnormal=False)


@st.composite
def bounds(draw: st.DrawFn) -> LearningRateBounds:
    outer_low, low, suggestion, high, outer_high = sorted(
        draw(st.lists(RATES, min_size=5, max_size=5))
    )
    pairs = st.none() | st.tuples(RATES, RATES).map(lambda pair: tuple(sorted(pair)))
    return LearningRateBounds(
        low,
        high,
        suggestion,
        draw(st.sampled_from(STATUSES)),
        draw(st.text(max_size=20)),
        declared=draw(st.none() | st.just((outer_low, outer_high))),
        low_interval=draw(pairs),
        high_interval=draw(pairs),
        seeds=draw(st.none() | st.integers(1, 1000)),
    )


@given(bounds())
def test_the_dictionary_survives_json_and_unknown_keys(found):
    plain = json.loads(json.dumps(found.to_dict()))
    assert LearningRateBounds.from_dict({**plain, "of a later version": 1}) == found


@given(bounds(), st.integers(0, 2**32 - 1))
def test_optuna_draws_inside_the_bounds(found, seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    assert found.low <= found.suggest(trial) <= found.high
    assert trial.distributions["learning_rate"] == optuna.distributions.FloatDistribution(
        found.low, found.high, log=True
    )


def test_numpy_numbers_become_plain_ones():
    found = LearningRateBounds(
        np.float32(0.25), np.float64(1), np.float32(0.5), "ok", "", seeds=np.int64(8)
    )
    plain = found.to_dict()
    assert [type(plain[name]) for name in ("low", "high", "suggestion", "seeds")] == [
        float,
        float,
        float,
        int,
    ]


def test_decades_of_a_known_interval_and_of_a_point():
    assert LearningRateBounds(1e-4, 1e-1, 1e-2, "ok", "").decades == pytest.approx(3)
    assert LearningRateBounds(0.1, 0.1, 0.1, "ok", "").decades == 0


def test_only_status_ok_is_decided():
    decided = [s for s in STATUSES if LearningRateBounds(1, 1, 1, s, "").decided]
    assert decided == ["ok"]


def test_bounds_cannot_be_changed():
    with pytest.raises(AttributeError, match="cannot assign"):
        LearningRateBounds(1, 1, 1, "ok", "").low = 2


@pytest.mark.slow
@pytest.mark.parametrize(("low", "high"), [(1e-4, 1e-2), (1e-3, 1e-3)])
def test_kerastuner_samples_the_log_of_the_rate_inside_the_bounds(low, high):
    found = LearningRateBounds(low, high, 1e-3, "ok", "")
    hyperparameters = found.hyperparameters("rate")
    assert hyperparameters.get("rate") == 1e-3
    (space,) = hyperparameters.space
    assert (space.min_value, space.max_value, space.sampling) == (low, high, "log")
    rates = [space.random_sample(seed) for seed in range(50)]
    assert low <= min(rates) <= max(rates) <= high


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (-1e-3, 1.0), (1e-2, 1e-3), (1e-3, math.inf), (math.nan, 1.0), (1e-3, math.nan)],
)
def test_a_range_that_breaks_the_rule_is_refused_with_its_values(low, high):
    with pytest.raises(
        ValueError, match=r"`declared` must hold 0 < low <= high < inf .*low=.*e\.g"
    ):
        check_range(low, high, "declared")


@pytest.mark.parametrize("low", [None, "tiny", [1]])
def test_a_range_of_something_else_is_refused(low):
    with pytest.raises(ValueError, match="`range` must be two numbers, but got low="):
        check_range(low, 1.0, "range")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 0}, "`bounds` must hold 0 < low"),
        (
            {"suggestion": 1.0},
            r"`suggestion` must lie in \[low, high\] = \[0.001, 0.1\].*e.g. 0.01",
        ),
        ({"suggestion": -1.0}, "`suggestion` must hold 0 < low"),
        ({"suggestion": "x"}, "`suggestion` must be two numbers"),
        ({"status": "fine"}, "`status` must be one of ok, no_descent, .* but got 'fine'"),
        ({"declared": (0.01, 1.0)}, r"must lie inside `declared` = \[0.01, 1\].*\[0.001, 0.1\]"),
        ({"declared": (1e-5,)}, r"`declared` must be a pair \(low, high\), but got \(1e-05,\)"),
        ({"low_interval": 1e-3}, r"`low_interval` must be a pair \(low, high\), but got 0.001"),
        ({"high_interval": (1, 0.5)}, "`high_interval` must hold 0 < low <= high"),
        ({"seeds": 0}, "`seeds` must be a whole number of 1 or more, but got 0"),
        ({"seeds": 1.5}, "`seeds` must be a whole number of 1 or more, but got 1.5"),
    ],
)
def test_bounds_that_break_a_rule_are_refused(changes, message):
    right = {"low": 1e-3, "high": 1e-1, "suggestion": 1e-2, "status": "ok", "reason": ""}
    with pytest.raises(ValueError, match=message):
        LearningRateBounds(**{**right, **changes})


def test_a_dictionary_without_its_keys_is_refused():
    with pytest.raises(ValueError, match=r"`plain` must hold .* but lacks status, reason"):
        LearningRateBounds.from_dict({"low": 1, "high": 1, "suggestion": 1})


def test_the_docstring_examples_run():
    assert doctest.testmod(learning_rate).failed == 0
