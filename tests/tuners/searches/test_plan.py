"""The plan of a search: in a fixed design suggestions and baselines come first, by any engine."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search_spaces import LearningRateBounds, TuningTask
from search_spaces.task import with_data
from tests.tuners.tasks import dense_model, make_task
from tuners import search
from tuners.engines.names import default_sampler
from tuners.searches.plan import Branch, same_rate
from tuners.study.recording import recorded_facts

BOUNDS = LearningRateBounds(1e-2, 0.3, 0.05, "ok", "by hand", declared=(1e-3, 1.0))
SIZES: dict[str, Any] = {"epochs": 1, "splits": 1}
ENGINES: list[dict[str, Any]] = [
    {"engine": "optuna"},
    *({"engine": "keras-tuner", "tuner": name} for name in ("bayesian", "grid")),
]

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return make_task(dense_model("sgd"))  # one object, compiled with the rate 0.01


def given_trials(study: optuna.Study) -> dict[str, float]:
    """The rates of suggestion and baseline, by role; each role is there once."""
    rows = [(trial.user_attrs["role"], *trial.params.values()) for trial in study.trials]
    roles = [row for row in rows if row[0] != "search"]
    assert len(dict(roles)) == len(roles)
    return dict(roles)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: [*engine.values()][-1])
def test_the_baseline_is_one_of_the_trials(task: TuningTask, engine: dict[str, Any]) -> None:
    # outside of the bounds, inside of what was declared
    study = search(task, BOUNDS, baseline=0.8, trials=4, **SIZES, **engine)
    found = given_trials(study)
    assert found["baseline"] == 0.8
    if engine.get("tuner") != "grid":
        assert found["suggestion"] == 0.05
    assert len(study.trials) == 4
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    assert recorded_facts(study)["trials"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES[:2], ids=lambda engine: engine["engine"])
def test_without_a_rate_it_is_what_the_model_was_compiled_with(
    task: TuningTask, engine: dict[str, Any]
) -> None:
    assert given_trials(search(task, BOUNDS, trials=2, **SIZES, **engine)) == {
        "suggestion": 0.05,
        "baseline": pytest.approx(0.01),
    }
    own = with_data(task, baseline_learning_rate=0.02)
    assert given_trials(search(own, BOUNDS, trials=2, **SIZES, **engine))["baseline"] == 0.02


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES[:2], ids=lambda engine: engine["engine"])
@pytest.mark.parametrize("baseline", [9e-4, 1.1, 0.0502])
def test_no_baseline_outside_of_the_declared_range_or_at_the_suggestion(
    task: TuningTask, engine: dict[str, Any], baseline: float
) -> None:
    study = search(task, BOUNDS, baseline=baseline, trials=3, **SIZES, **engine)
    assert given_trials(study) == {"suggestion": 0.05}
    assert len(study.trials) == 3


@pytest.mark.slow
def test_a_single_trial_is_the_suggestion(task: TuningTask) -> None:
    for engine in ENGINES[:2]:
        study = search(task, BOUNDS, trials=1, **SIZES, **engine)
        assert given_trials(study) == {"suggestion": 0.05}


@pytest.mark.slow
def test_the_given_rates_of_several_optimizers_come_in_order() -> None:
    tasks = {name: make_task(dense_model(name)) for name in ("sgd", "adam", "rmsprop")}
    # the first and the last are compiled with 0.01 and 0.001
    bounds = {
        "sgd": BOUNDS,
        "adam": LearningRateBounds(2e-3, 0.1, 0.02, "ok", "by hand"),
        "rmsprop": LearningRateBounds(1e-4, 0.1, 0.03, "ok", "by hand"),
    }
    study = search(tasks, bounds, trials=6, batch=6, **SIZES)
    rows = [(trial.user_attrs["role"], *trial.params.values()) for trial in study.trials]
    assert rows[:5] == [
        ("suggestion", "sgd", 0.05),
        ("suggestion", "adam", 0.02),
        ("suggestion", "rmsprop", 0.03),
        ("baseline", "sgd", pytest.approx(0.01)),
        ("baseline", "rmsprop", pytest.approx(0.001)),  # adam's 0.001 is outside of its range
    ]
    assert rows[5][0] == "search"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES[:2], ids=lambda engine: engine["engine"])
def test_another_baseline_is_no_other_setting(task: TuningTask, engine: dict[str, Any]) -> None:
    study = search(task, BOUNDS, baseline=0.1, trials=3, **SIZES, **engine)
    before = [(trial.user_attrs["role"], trial.params) for trial in study.trials]
    again: dict[str, Any] = {"storage": study._storage, **SIZES, **engine}
    study = search(task, BOUNDS, baseline=0.2, trials=3, **again)
    assert [(trial.user_attrs["role"], trial.params) for trial in study.trials] == before
    study = search(task, BOUNDS, baseline=0.2, trials=5, **again)
    assert [(trial.user_attrs["role"], trial.params) for trial in study.trials[:3]] == before
    assert len(study.trials) == 5


def test_one_task_is_searched_evenly_and_several_by_tpe() -> None:
    assert (default_sampler(1), default_sampler(2)) == ("qmc", "tpe")


def test_one_rate_is_within_a_hundredth() -> None:
    assert same_rate(1.009, 1.0)
    assert not same_rate(1.02, 1.0)


RATES = st.floats(1e-6, 1e3)


@given(baseline=RATES, suggestion=st.floats(1e-4, 1e-1))
@example(baseline=1e-4, suggestion=1e-2)
@example(baseline=1e-1, suggestion=1e-1)
def test_the_baseline_is_given_where_it_can_be_stored_and_is_another_rate(
    baseline: float, suggestion: float
) -> None:
    bounds = LearningRateBounds(1e-4, 1e-1, suggestion, "ok", "by hand")
    rates = Branch(None, None, bounds, None, "rate", baseline).given_rates()  # type: ignore[arg-type]
    assert rates["suggestion"] == suggestion
    stored = 1e-4 <= baseline <= 1e-1
    assert ("baseline" in rates) == (stored and not same_rate(suggestion, baseline))
