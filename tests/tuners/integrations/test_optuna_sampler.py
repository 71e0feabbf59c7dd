"""NarrowedSampler: Optuna's own contract, and staying inside with every base sampler."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import ClassVar

import optuna
import pytest
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GridSampler,
    NSGAIISampler,
    PartialFixedSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase

from search_spaces import LearningRateBounds
from tests.tuners.integrations.bases import make_gp, quietly
from tuners.integrations.notes import UNUSED
from tuners.integrations.optuna_sampler import NarrowedSampler
from tuners.study.recording import record

BOUNDS = {"learning_rate": (1e-4, 3e-2)}
WIDE = optuna.distributions.FloatDistribution(1e-6, 1.0, log=True)


BASES: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=0),
    "tpe": lambda: TPESampler(seed=0, n_startup_trials=3),
    "tpe univariate": lambda: TPESampler(seed=0, n_startup_trials=3, multivariate=False),
    "tpe group": lambda: quietly(lambda: TPESampler(seed=0, n_startup_trials=3, group=True)),
    "cmaes": lambda: CmaEsSampler(seed=0, n_startup_trials=1, warn_independent_sampling=False),
    "gp": lambda: make_gp(3),
    "qmc": lambda: quietly(
        lambda: QMCSampler(seed=0, scramble=True, warn_independent_sampling=False)
    ),
    "nsga2": lambda: NSGAIISampler(seed=0, population_size=4),
    "partial fixed": lambda: quietly(
        lambda: PartialFixedSampler({"units": 3}, TPESampler(seed=0, n_startup_trials=3))
    ),
}


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("learning_rate", 1e-6, 1.0, log=True)
    decay = trial.suggest_float("decay", 0.0, 0.1)
    units = trial.suggest_int("units", 1, 8)
    return (math.log10(rate) + 2.5) ** 2 + decay + 0.01 * units


@pytest.mark.slow
# the contract's objectives may suggest other names than the bounds', or wholly other ranges
@pytest.mark.filterwarnings("ignore:`x`:UserWarning")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
class TestContract(BasicSamplerTestCase, RelativeSamplerTestCase):
    @pytest.fixture(params=["tpe", "cmaes", "qmc"])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        makes = {
            **BASES,
            "tpe": lambda: TPESampler(seed=0, n_startup_trials=0),
            "tpe group": lambda: quietly(
                lambda: TPESampler(seed=0, n_startup_trials=0, group=True)
            ),
            "cmaes": lambda: CmaEsSampler(seed=0, n_startup_trials=0),
        }
        return lambda: NarrowedSampler({"x": (0.1, 0.9)}, makes[request.param]())


@pytest.mark.slow
# neither has a joint draw to check: group=True answers from ranges of its own, which are dropped
@pytest.mark.filterwarnings("ignore:`x`:UserWarning")
class TestIndependentContract(BasicSamplerTestCase):
    @pytest.fixture(params=["random", "tpe group"])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return lambda: NarrowedSampler({"x": (0.1, 0.9)}, BASES[request.param]())


@pytest.mark.parametrize("base", BASES)
def test_stays_inside_and_stores_the_declared_range(base: str) -> None:
    study = optuna.create_study(sampler=NarrowedSampler(BOUNDS, BASES[base]()))
    study.enqueue_trial({"learning_rate": 0.5})
    study.optimize(objective, n_trials=24)
    rates = [trial.params["learning_rate"] for trial in study.trials]
    assert rates[0] == 0.5
    assert all(1e-4 <= rate <= 3e-2 for rate in rates[1:])
    assert len(set(rates)) > 8  # a genetic sampler repeats its parents' values
    assert all(trial.distributions["learning_rate"] == WIDE for trial in study.trials)


def test_stays_inside_with_hyperband_and_two_jobs() -> None:
    def reporting(trial: optuna.Trial) -> float:
        for step in range(9):
            trial.report(objective(trial) + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return objective(trial)

    study = optuna.create_study(
        sampler=NarrowedSampler({**BOUNDS, "missing": (1.0, 2.0)}, TPESampler(seed=0), widen=False),
        pruner=optuna.pruners.HyperbandPruner(max_resource=9),
    )
    # the name is looked for outside the pruner's bracket too
    with pytest.warns(UserWarning, match="`missing`: came up in no trial"):
        study.optimize(reporting, n_trials=1)
    study.optimize(reporting, n_trials=30, n_jobs=2)
    assert all(1e-4 <= trial.params["learning_rate"] <= 3e-2 for trial in study.trials)
    assert any(trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials)


def test_same_seed_same_trials_and_pickles() -> None:
    studies = []
    for _ in range(2):
        sampler = pickle.loads(pickle.dumps(NarrowedSampler(BOUNDS, BASES["tpe"]())))
        studies.append(optuna.create_study(sampler=sampler))
        studies[-1].optimize(objective, n_trials=8)
    first, second = ([trial.params for trial in study.trials] for study in studies)
    assert first == second
    assert str(studies[0].sampler) == "NarrowedSampler(TPESampler)"


def test_one_value_grid_and_dynamic_ranges() -> None:
    bounds = {"one": (1e-3, 1e-3), "grid": (0.12, 0.58), "edge": (1e-9, 2e-3)}
    study = optuna.create_study(sampler=NarrowedSampler(bounds, BASES["tpe"](), widen=False))

    def suggests(trial: optuna.Trial) -> float:
        one = trial.suggest_float("one", 1e-5, 1.0, log=True)
        grid = trial.suggest_float("grid", 0.0, 1.0, step=0.1)
        edge = trial.suggest_float("edge", 1e-3, 1.0, log=True)
        return one + grid + edge

    with pytest.warns(UserWarning, match="`grid`: is suggested without log=True"):
        study.optimize(suggests, n_trials=16)
    assert {trial.params["one"] for trial in study.trials} == {1e-3}
    assert {trial.params["grid"] for trial in study.trials} <= {
        0.2,
        0.30000000000000004,
        0.3,
        0.4,
        0.5,
    }
    assert all(1e-3 <= trial.params["edge"] <= 2e-3 for trial in study.trials)


def test_a_linear_float_warns_once() -> None:
    sampler = NarrowedSampler({"rate": (0.01, 0.02)}, RandomSampler(), widen=False)
    study = optuna.create_study(sampler=sampler)
    with pytest.warns(UserWarning, match="without log=True") as caught:
        study.optimize(lambda trial: trial.suggest_float("rate", 0.0, 1.0), n_trials=5)
    assert len(caught) == 1
    assert all(0.01 <= trial.params["rate"] <= 0.02 for trial in study.trials)


def test_other_types_are_left_alone_and_noted() -> None:
    bounds = {"choice": (1e-3, 1e-2), "whole": (2.0, 3.0)}
    study = optuna.create_study(sampler=NarrowedSampler(bounds, TPESampler(seed=0)))

    def suggests(trial: optuna.Trial) -> float:
        trial.suggest_categorical("choice", ["slow", "fast"])
        return trial.suggest_int("whole", 5, 6)

    with pytest.warns(UserWarning, match="which is left alone") as caught:
        study.optimize(suggests, n_trials=4)
    assert len(caught) == 2
    assert set(study.user_attrs[UNUSED]) == {"choice", "whole"}
    assert "CategoricalDistribution" in study.user_attrs[UNUSED]["choice"]


@pytest.mark.parametrize("base", BASES)
def test_choices_are_drawn_inside_with_every_sampler(base: str) -> None:
    choices = [1e-5, 1e-4, 1e-3, 1e-2, 0.1]
    study = optuna.create_study(sampler=NarrowedSampler(BOUNDS, BASES[base](), widen=False))

    def suggests(trial: optuna.Trial) -> float:
        trial.suggest_float("decay", 0.0, 0.1)
        return abs(math.log10(trial.suggest_categorical("learning_rate", choices)) + 2)

    study.optimize(suggests, n_trials=24)
    assert {trial.params["learning_rate"] for trial in study.trials} == {1e-4, 1e-3, 1e-2}


def test_disjoint_bounds_and_an_empty_grid_keep_the_declared_range() -> None:
    bounds = {"rate": (1e-8, 1e-7), "grid": (0.11, 0.19)}
    study = optuna.create_study(sampler=NarrowedSampler(bounds, RandomSampler(seed=0)))

    def suggests(trial: optuna.Trial) -> float:
        trial.suggest_float("grid", 0.0, 1.0, step=0.1)
        return trial.suggest_float("rate", 1e-3, 1.0, log=True)

    with pytest.warns(UserWarning, match="`(rate|grid)`") as caught:
        study.optimize(suggests, n_trials=6)
    messages = [str(entry.message) for entry in caught]
    assert sum("does not meet the declared" in message for message in messages) == 1
    assert sum("no multiple of the step 0.1" in message for message in messages) == 1
    assert set(study.user_attrs[UNUSED]) == {"rate", "grid"}


def test_a_name_that_never_comes_up_warns_once_and_is_taken_back() -> None:
    study = optuna.create_study(sampler=NarrowedSampler(BOUNDS, RandomSampler(seed=0)))
    with pytest.warns(
        UserWarning, match=r"`learning_rate`: came up in no trial.*\['lr'\]"
    ) as caught:
        study.optimize(lambda trial: trial.suggest_float("lr", 1e-6, 1.0, log=True), n_trials=3)
    assert len(caught) == 1
    assert study.user_attrs[UNUSED] == {"learning_rate": "no trial suggested it"}
    study.optimize(objective, n_trials=1)
    assert study.user_attrs[UNUSED] == {}


def test_a_sampler_that_ignores_its_range_is_clipped() -> None:
    class Stubborn(RandomSampler):
        def sample_independent(self, *args: object) -> float:
            return 1.0

    study = optuna.create_study(sampler=NarrowedSampler(BOUNDS, Stubborn()))
    trial = study.ask({"learning_rate": WIDE})
    assert trial.params["learning_rate"] == 3e-2


@pytest.mark.parametrize("how", ["returns nan", "reports nan", "says so"])
def test_failures_lower_the_ceiling(how: str) -> None:
    def diverges(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-6, 10.0, log=True)
        if rate <= 1e-2:
            return (math.log10(rate) + 2.5) ** 2
        if how == "reports nan":
            trial.report(math.nan, 0)
            raise optuna.TrialPruned
        if how == "says so":
            trial.set_user_attr("diverged", True)
        return math.nan

    failures = {}
    for name, bounds in {"narrowed": (1e-5, 1.0), "wide": None}.items():
        base = TPESampler(seed=1, n_startup_trials=4)
        sampler = base if bounds is None else NarrowedSampler({"learning_rate": bounds}, base)
        study = optuna.create_study(sampler=sampler)
        study.optimize(diverges, n_trials=40)
        failures[name] = sum(trial.state.name != "COMPLETE" for trial in study.trials)
    assert failures["narrowed"] <= 10
    assert failures["narrowed"] < failures["wide"]


def trial_of(rate: float, state: str = "FAIL", **attributes: object) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[state],
        value=1.0 if state == "COMPLETE" else None,
        params={"learning_rate": rate},
        distributions={"learning_rate": WIDE},
        user_attrs=attributes,
    )


@pytest.mark.parametrize(
    ("trials", "ceiling"),
    [
        ([], 3e-2),
        ([trial_of(1e-2)], 3e-2),  # one failure may be an accident
        ([trial_of(1e-2), trial_of(2e-2)], math.sqrt(2e-2 * 1e-4)),
        ([trial_of(1e-2), trial_of(2e-2), trial_of(5e-3, "COMPLETE")], 1e-2),
        ([trial_of(1e-2), trial_of(2e-2), trial_of(2.5e-2, "COMPLETE")], 3e-2),
        ([trial_of(1e-2, diverged=True)], 1e-3),
        ([trial_of(1e-2, diverged=True), trial_of(4e-4, diverged=True)], 2e-4),
        ([trial_of(1e-2, diverged=False), trial_of(2e-2, diverged=False)], 3e-2),
        ([trial_of(1e-5, diverged=True)], 3e-2),  # failed below the bounds: says nothing
        ([trial_of(1e-2, diverged=True), trial_of(2e-2, "COMPLETE")], 3e-2),
        ([trial_of(0.5, diverged=True), trial_of(2e-2, "COMPLETE")], 3e-2),
        ([trial_of(1e-2, diverged=True), trial_of(2e-2, "PRUNED")], 1e-3),
    ],
)
def test_ceiling(trials: list[optuna.trial.FrozenTrial], ceiling: float) -> None:
    sampler = NarrowedSampler(BOUNDS, RandomSampler())
    study = optuna.create_study(sampler=sampler)
    study.add_trials(trials)
    assert sampler.ceiling(study, "learning_rate") == pytest.approx(ceiling)


def test_a_failed_trial_that_another_replaces_is_nobodys_divergence() -> None:
    sampler = NarrowedSampler(BOUNDS, RandomSampler())
    study = optuna.create_study(sampler=sampler)
    study.add_trials([trial_of(1e-2), trial_of(1e-2)])  # their processes were lost
    again = trial_of(1e-2, "COMPLETE")
    again.system_attrs = {"failed_trial": 0, "retry_history": [0, 1]}
    study.add_trials([again, trial_of(2e-2)])
    assert sampler.ceiling(study, "learning_rate") == pytest.approx(3e-2)
    study.add_trial(trial_of(2.2e-2, diverged=True))
    assert sampler.ceiling(study, "learning_rate") == pytest.approx(math.sqrt(2.2e-2 * 1e-2))


def test_the_range_of_a_cmaes_run_stays_and_its_draws_keep_below_the_ceiling() -> None:
    class Watched(optuna.samplers.CmaEsSampler):
        ranges: ClassVar[list[tuple[float, float]]] = []

        def sample_relative(self, study, trial, search_space):
            if search_space:
                kept = search_space["learning_rate"]
                self.ranges.append((kept.low, kept.high))
            return super().sample_relative(study, trial, search_space)

    base = Watched(seed=0, warn_independent_sampling=False)
    sampler = NarrowedSampler({"learning_rate": (1e-5, 1.0)}, base)
    study = optuna.create_study(sampler=sampler)
    failed = 0
    for _ in range(40):
        ceiling = sampler.ceiling(study, "learning_rate")
        trial = study.ask({"learning_rate": WIDE})
        rate = trial.params["learning_rate"]
        assert rate <= ceiling * (1 + 1e-12)
        if rate > 1e-2:
            failed += 1
            trial.set_user_attr("diverged", True)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, (math.log10(rate) + 2.5) ** 2)
    assert failed  # so that the ceiling moved
    assert len(Watched.ranges) > 30
    assert set(Watched.ranges) == {(1e-5, 1.0)}


def test_infinite_values_count_as_failures() -> None:
    sampler = NarrowedSampler(BOUNDS, RandomSampler(seed=0))
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"learning_rate": 1e-2})
    study.optimize(lambda trial: objective(trial) * math.inf, n_trials=1)
    assert sampler.ceiling(study, "learning_rate") == pytest.approx(1e-3)


def test_from_study_resumes_and_unwraps() -> None:
    study = optuna.create_study()
    with pytest.raises(ValueError, match="`study` must carry recorded bounds"):
        NarrowedSampler.from_study(study)
    record(study, bounds=LearningRateBounds(1e-4, 1e-2, 1e-3, "ok", "by hand"))
    study.sampler = NarrowedSampler.from_study(study)
    again = NarrowedSampler.from_study(study)
    assert again.bounds == {"learning_rate": (1e-4, 1e-2)}
    assert isinstance(again.base_sampler, TPESampler)
    assert isinstance(
        NarrowedSampler.from_study(study, RandomSampler()).base_sampler, RandomSampler
    )


def test_refuses_grid_samplers_also_when_wrapped() -> None:
    grid = GridSampler({"learning_rate": [1e-3, 1e-2]})
    with pytest.raises(TypeError, match="GridSampler draws from its own grid only"):
        NarrowedSampler(BOUNDS, grid)
    with pytest.raises(TypeError, match="GridSampler draws from its own grid only"):
        NarrowedSampler(BOUNDS, quietly(lambda: PartialFixedSampler({"units": 1}, grid)))


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="`base_sampler` must be an optuna sampler, but got str"):
        NarrowedSampler(BOUNDS, "tpe")  # type: ignore[arg-type]
    for bad in ({}, None):
        with pytest.raises(ValueError, match="`bounds` must map parameter names to bounds"):
            NarrowedSampler(bad, RandomSampler())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`bounds\['rate'\]` must be LearningRateBounds or"):
        NarrowedSampler({"rate": 0.1}, RandomSampler())  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"`bounds\['rate'\]` must hold 0 < low <= high"):
        NarrowedSampler({"rate": (0.1, 0.01)}, RandomSampler())
    for widen in ("learning_rate", ["rate"], None):
        with pytest.raises(ValueError, match=r"`widen` must be True, .* among \['learning_rate'\]"):
            NarrowedSampler(BOUNDS, RandomSampler(), widen)  # type: ignore[arg-type]
