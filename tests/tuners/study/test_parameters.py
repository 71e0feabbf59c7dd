"""Which of a trial's parameters is the learning rate, in anybody's study."""

from __future__ import annotations

import doctest
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tuners.study import parameters
from tuners.study.parameters import float_distributions, pick_rate, rate_of


def entry(low: float = 1e-5, high: float = 1.0, log: bool = True) -> dict[str, Any]:
    return {"low": low, "high": high, "log": log}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["dropout", "learning_rate", "lr"], "learning_rate"),
        (["decay", "sgd/Learning_Rate"], "sgd/Learning_Rate"),
        (["decay", "eta"], "eta"),
        (["decay", "step_size"], "step_size"),
        (["decay", "LR"], "LR"),
        (["decay", "base_lr"], "base_lr"),
        (["decay"], "decay"),  # the only one on a log scale
        ([], None),
    ],
)
def test_the_likeliest_name_is_the_rate(names: list[str], expected: str | None) -> None:
    distributions = {name: entry() for name in names}
    assert pick_rate([], distributions, {}) == expected


def test_a_recorded_name_goes_before_all_others() -> None:
    distributions = {"learning_rate": entry(), "alpha": entry()}
    assert pick_rate(["alpha"], distributions, {}) == "alpha"
    assert pick_rate(["gone", "alpha"], distributions, {"alpha": 0.1}) == "alpha"


def test_what_may_be_zero_or_is_not_on_a_log_scale_is_no_rate() -> None:
    assert pick_rate([], {"learning_rate": entry(low=0.0, log=False)}, {}) is None
    assert pick_rate([], {"dropout": entry(low=0.1, log=False)}, {}) is None


def test_a_parameter_that_the_trial_has_is_preferred() -> None:
    distributions = {"learning_rate_sgd": entry(), "learning_rate_adam": entry()}
    assert pick_rate([], distributions, {"learning_rate_adam": 0.1}) == "learning_rate_adam"


def test_with_several_optimizers_each_trial_has_a_rate_of_its_own() -> None:
    params = {"optimizer": "adam", "learning_rate_adam": 1e-3}
    assert rate_of(params, "learning_rate_sgd") == "learning_rate_adam"
    assert rate_of(params, "learning_rate_adam") == "learning_rate_adam"
    assert rate_of({"optimizer": "adam"}, "learning_rate_sgd") is None
    assert rate_of({"units": 3}, "lr") is None
    assert rate_of(params, None) is None


@given(
    st.dictionaries(st.text(max_size=4), st.booleans()),
    st.dictionaries(st.text(max_size=4), st.floats(1e-9, 1)),
)
def test_any_names_give_one_of_them_or_none(logs: Any, used: Any) -> None:
    distributions = {name: entry(log=log) for name, log in logs.items()}
    found = pick_rate([], distributions, used)
    assert found is None or found in distributions


def test_only_floats_have_a_range_that_may_hold_a_rate() -> None:
    study = optuna.create_study()
    distributions = {
        "lr": FloatDistribution(1e-5, 0.1, log=True),
        "dropout": FloatDistribution(0.0, 0.5),
        "units": IntDistribution(1, 9),
        "optimizer": CategoricalDistribution(("sgd", "adam")),
    }
    params = {"lr": 1e-3, "dropout": 0.1, "units": 3, "optimizer": "sgd"}
    study.add_trial(
        optuna.trial.create_trial(params=params, distributions=distributions, value=1.0)
    )
    assert float_distributions(study.trials) == {
        "lr": {"low": 1e-5, "high": 0.1, "log": True},
        "dropout": {"low": 0.0, "high": 0.5, "log": False},
    }
    assert float_distributions([]) == {}


def test_the_docstring_example_runs() -> None:
    assert doctest.testmod(parameters).failed == 0
