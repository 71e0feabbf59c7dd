"""RaceSampler and RacePruner: Optuna's own contract, and a race in a study of the user's own."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase
from optuna.trial import TrialState

from search_spaces import LearningRateBounds
from tuners import LearningRateRace, RacePruner, RaceSampler
from tuners.searches.sampler import course_of, race_scores
from tuners.study.schema import STALE

BEST = 2e-4
WIDE = optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)


def bowl(rate: float, split: int) -> float:
    return 1 + 0.3 * math.log10(rate / BEST) ** 2 + 0.2 * split


class Objective:
    """One score a split, of a formula, with the trainings counted."""

    def __init__(
        self, loss: Callable[[float, int], float] = bowl, splits: int = 3, sign: float = 1.0
    ) -> None:
        self.loss, self.splits, self.sign, self.trainings = loss, splits, sign, 0

    def __call__(self, trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
        scores = []
        for split in range(self.splits):
            self.trainings += 1
            scores.append(self.sign * self.loss(rate, split))
            trial.report(scores[-1], split)
            if trial.should_prune():
                raise optuna.TrialPruned
        return sum(scores) / len(scores)


def moved(best: float) -> Callable[[float, int], float]:
    return lambda rate, split: bowl(rate * BEST / best, split)


def rates(study: optuna.Study) -> list[float]:
    return [trial.params["learning_rate"] for trial in study.trials]


def race(budget: float = 12, **options: Any) -> RaceSampler:
    return RaceSampler((1e-4, 1e-2), budget=budget, seed=0, **options)


# --- Optuna's own tests of a sampler


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
class TestContract(BasicSamplerTestCase, RelativeSamplerTestCase):
    @pytest.fixture(params=["beside", "of it"])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        # the contract's parameter is `x`, or another one that the race leaves to its base
        name = "x" if request.param == "of it" else "learning_rate"
        return lambda: RaceSampler(None, name, base_sampler=TPESampler(seed=0, n_startup_trials=0))


@pytest.mark.slow
class TestIndependentContract(BasicSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: RaceSampler((0.2, 0.8), "x", base_sampler=RandomSampler(seed=0))


# --- a race in a study


def test_it_finds_the_lowest_rate_of_a_bowl_outside_of_its_bounds_too() -> None:
    for best in (3e-5, 2e-4, 5e-2):
        study = optuna.create_study(sampler=race(), pruner=RacePruner())
        study.optimize(Objective(moved(best)), n_trials=12)
        assert abs(math.log10(study.best_params["learning_rate"] / best)) < 0.15


def test_the_rates_are_those_of_the_race_and_the_declared_range_is_stored() -> None:
    study = optuna.create_study(sampler=race(baseline=2e-3), pruner=RacePruner())
    study.optimize(Objective(), n_trials=6)
    # from the suggestion outwards, the walk, and beside the lowest mean
    assert rates(study) == [1e-3, 2e-3, 3.1623e-4, 3.1623e-3, 1e-4, 1.7783e-4]
    assert {trial.distributions["learning_rate"] for trial in study.trials} == {WIDE}


def test_what_cannot_win_is_pruned_and_what_a_sequence_costs() -> None:
    objective = Objective()
    study = optuna.create_study(sampler=race(), pruner=RacePruner())
    study.optimize(objective, n_trials=7)
    finished = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert len(finished) + len(pruned) == 7
    assert pruned
    assert study.best_trial in finished
    # trials one after the other: the first has no rival, later ones leave once they have lost
    assert objective.trainings == sum(len(trial.intermediate_values) for trial in study.trials)
    assert 12 <= objective.trainings < 7 * 3


def test_maximizing_is_the_same_race() -> None:
    down = optuna.create_study(sampler=race(), pruner=RacePruner())
    up = optuna.create_study(sampler=race(), pruner=RacePruner(), direction="maximize")
    down.optimize(Objective(), n_trials=7)
    up.optimize(Objective(sign=-1.0), n_trials=7)
    assert rates(up) == rates(down)
    assert [trial.state for trial in up.trials] == [trial.state for trial in down.trials]


def test_other_parameters_are_drawn_by_the_base_sampler() -> None:
    def objective(trial: optuna.Trial) -> float:
        units = trial.suggest_int("units", 1, 64)
        kind = trial.suggest_categorical("kind", ["a", "b"])
        return Objective(lambda r, s: bowl(r, s) + units / 64 + (kind == "a"))(trial)

    study = optuna.create_study(sampler=race(), pruner=RacePruner())
    study.optimize(objective, n_trials=10)
    assert rates(study)[:3] == [1e-3, 3.1623e-4, 3.1623e-3]
    assert len({trial.params["units"] for trial in study.trials}) > 3
    assert {trial.params["kind"] for trial in study.trials} == {"a", "b"}


def test_after_the_race_the_base_sampler_draws() -> None:
    study = optuna.create_study(sampler=race(), pruner=RacePruner())
    study.optimize(Objective(), n_trials=14)
    grid = np.log10(np.array(rates(study)) / 1e-3) * 4
    places = np.abs(grid - grid.round()) < 0.01
    assert places[:5].all()
    assert not places[5:].any()
    assert len(set(rates(study))) == 14


def test_a_resumed_study_goes_on_with_a_fresh_sampler(tmp_path: Path) -> None:
    def wide() -> dict[str, Any]:
        return {"sampler": RaceSampler(budget=30, seed=0), "pruner": RacePruner()}

    whole = optuna.create_study(**wide())
    whole.optimize(Objective(), n_trials=10)
    storage = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(storage=storage, study_name="cut")
    for _ in range(10):
        cut = optuna.load_study(study_name="cut", storage=storage, **wide())
        cut.optimize(Objective(), n_trials=1)
    assert rates(cut) == rates(whole)
    values = [[trial.intermediate_values for trial in each.trials] for each in (cut, whole)]
    assert values[0] == values[1]


def test_two_trials_that_run_at_once_have_two_rates() -> None:
    study = optuna.create_study(sampler=race(), pruner=RacePruner())
    asked = [study.ask({"learning_rate": WIDE}) for _ in range(5)]
    assert len({trial.params["learning_rate"] for trial in asked}) == 5
    study.optimize(Objective(), n_trials=8, n_jobs=2)
    assert len(set(rates(study))) == 13


@pytest.mark.parametrize("how", ["returns nan", "reports nan", "raises"])
def test_a_rate_that_fails_has_diverged_and_is_not_tried_again(how: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
        if rate > 5e-4:
            if how == "raises":
                raise FloatingPointError
            if how == "reports nan":
                trial.report(math.nan, 0)
                assert trial.should_prune()
            return math.nan
        trial.report(bowl(rate, 0), 0)
        return bowl(rate, 0)

    study = optuna.create_study(sampler=race(), pruner=RacePruner())
    study.optimize(objective, n_trials=7, catch=(FloatingPointError,))
    assert set(rates(study)[:4]) == {1e-3, 3.1623e-4, 3.1623e-3, 1e-4}
    assert abs(math.log10(study.best_params["learning_rate"] / BEST)) < 0.15


def test_without_bounds_it_begins_over_the_declared_range() -> None:
    study = optuna.create_study(sampler=RaceSampler(seed=0, budget=30), pruner=RacePruner())
    study.optimize(Objective(), n_trials=9)
    places = sorted(rates(study))
    assert places[0] == pytest.approx(3.1623e-5)
    assert places[-1] == pytest.approx(0.31623)


def test_bounds_beyond_the_declared_range_are_cut_to_it() -> None:
    course = course_of((1e-4, 1e-2), LearningRateBounds(1e-6, 1.0, 0.5, "ok", ""), None, 12)
    bounds = course.bounds
    assert (bounds.low, bounds.suggestion, bounds.high) == (1e-4, 1e-2, 1e-2)
    assert all(1e-4 <= rate <= 1e-2 for rate in course.places())


@pytest.mark.parametrize(
    "declared",
    [
        optuna.distributions.FloatDistribution(1e-4, 0.5),  # no log=True
        optuna.distributions.FloatDistribution(0.1, 0.5, step=0.1),
        optuna.distributions.IntDistribution(1, 9),
        optuna.distributions.CategoricalDistribution([1e-3, 1e-2]),
    ],
)
def test_what_is_no_float_on_a_log_scale_is_the_base_samplers(declared: Any) -> None:
    study = optuna.create_study(sampler=race(base_sampler=RandomSampler(seed=3)))
    plain = optuna.create_study(sampler=RandomSampler(seed=3))
    own = [study.ask({"learning_rate": declared}).params for _ in range(4)]
    assert own == [plain.ask({"learning_rate": declared}).params for _ in range(4)]


def test_it_pickles_and_shows_itself() -> None:
    sampler = pickle.loads(pickle.dumps(race()))
    study = optuna.create_study(sampler=sampler, pruner=pickle.loads(pickle.dumps(RacePruner())))
    study.optimize(Objective(), n_trials=3)
    assert rates(study) == [1e-3, 3.1623e-4, 3.1623e-3]
    assert (str(sampler), str(study.pruner)) == ("RaceSampler", "RacePruner")


def test_the_sampler_asks_for_the_places_of_the_race() -> None:
    alone = LearningRateRace((1e-5, 1.0), budget=12, bounds=(1e-4, 1e-2), baseline=2e-3)
    study = optuna.create_study(sampler=race(baseline=2e-3))
    asked = [study.ask({"learning_rate": WIDE}).params["learning_rate"] for _ in range(4)]
    assert sorted(asked) == [each.learning_rate for each in alone.ask()]


# --- the pruner


def trial_of(values: dict[int, float]) -> optuna.trial.FrozenTrial:
    return optuna.create_trial(value=1.0, intermediate_values=values)


@pytest.mark.parametrize(
    ("others", "own", "prune"),
    [
        ([], {}, False),
        ([], {0: 5.0}, False),
        ([{0: 1.0}, {0: 2.0}], {0: 5.0}, False),  # among the best three of the first split
        ([{0: 1.0}, {0: 2.0}, {0: 3.0}], {0: 5.0}, True),
        ([{0: 1.0}, {0: 2.0}, {0: 5.0}], {0: 5.0}, False),  # equal is not better
        ([{0: 1.0, 1: 1.0}], {0: 0.9, 1: 1.2}, True),  # by the mean over both
        ([{0: 1.0, 1: 1.0}], {0: 0.7, 1: 1.2}, False),
        ([{0: 1.0}], {0: 2.0, 1: 2.0}, False),  # was not on the second split
        ([], {0: math.nan}, True),
        ([], {0: 1.0, 1: math.inf}, True),
    ],
)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_who_is_pruned(
    others: list[dict[int, float]], own: dict[int, float], prune: bool, direction: Any
) -> None:
    sign = 1 if direction == "minimize" else -1
    study = optuna.create_study(pruner=RacePruner(), direction=direction)
    study.add_trials([trial_of({k: sign * v for k, v in each.items()}) for each in others])
    trial = study.ask()
    for step, value in own.items():
        trial.report(sign * value, step)
    assert trial.should_prune() is prune


# --- what is read from a study


def test_scores_are_numbered_by_the_steps_and_keyed_by_the_rates_as_they_are() -> None:
    study = optuna.create_study(direction="maximize")
    for rate, values in ((1 / 3000, {10: -1.0, 30: -2.0}), (0.5, {10: math.nan}), (0.1, {})):
        study.add_trial(
            optuna.create_trial(
                value=1.0,
                params={"learning_rate": rate},
                distributions={"learning_rate": WIDE},
                intermediate_values=values,
            )
        )
    failed: dict[str, Any] = {"distributions": {"learning_rate": WIDE}, "state": TrialState.FAIL}
    study.add_trials(
        [
            optuna.create_trial(params={"learning_rate": 0.7}, **failed),
            optuna.create_trial(
                params={"learning_rate": 0.8}, user_attrs={"role": STALE}, **failed
            ),
            optuna.create_trial(value=1.0, intermediate_values={20: 3.0}),  # has no rate
        ]
    )
    assert race_scores(study.trials, "learning_rate", study.direction) == {
        1 / 3000: {0: 1.0, 1: 2.0},
        0.5: {0: math.inf},
        0.7: {0: math.inf},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bounds": (1e-2, 1e-3)}, r"`bounds` must hold 0 < low <= high"),
        ({"bounds": "wide"}, r"`bounds` must be a pair"),
        ({"baseline": -1.0}, r"`baseline` must be positive and finite, but got -1.0"),
        ({"budget": 1}, r"`budget` must be a number of trainings, 2 or more, but got 1"),
        ({"base_sampler": "tpe"}, r"`base_sampler` must be a sampler of Optuna's or None: 'tpe'"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RaceSampler(**arguments)
