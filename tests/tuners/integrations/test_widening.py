"""Bounds that widen: the rule on written trials, and real Optuna samplers on real storages."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from tests.tuners.integrations.bases import make_gp, quietly
from tuners import NarrowedSampler, narrow
from tuners.integrations.notes import WIDENED
from tuners.integrations.widening import FEWEST, finished, widened

WIDE = FloatDistribution(1e-6, 10.0, log=True)
GIVEN = (1e-4, 1e-2)
ROOT = math.sqrt(10)


def seen(*trials, wide=WIDE):
    return [(rate, loss, wide) for rate, loss in trials]


def test_the_best_of_three_at_an_edge_moves_that_side_by_half_a_decade() -> None:
    inside = [(1e-3, 2.0), (2e-3, 3.0)]
    assert widened(seen(*inside, (9e-3, 1.0)), *GIVEN) == (1e-4, pytest.approx(1e-2 * ROOT))
    assert widened(seen(*inside, (1.1e-4, 1.0)), *GIVEN) == (pytest.approx(1e-4 / ROOT), 1e-2)
    assert widened(seen(*inside, (6e-3, 1.0)), *GIVEN) == GIVEN  # a tenth of two decades: 6.3e-3
    assert widened(seen(*inside, (6.4e-3, 1.0)), *GIVEN) != GIVEN
    assert widened(seen(*inside, (9e-3, 2.5)), *GIVEN) == GIVEN  # not the best


def test_fewer_than_three_inside_widen_nothing() -> None:
    assert widened([], *GIVEN) == GIVEN
    assert widened(seen((9e-3, 1.0), (1e-3, 2.0)), *GIVEN) == GIVEN
    outside = [(0.5, 0.1)] * 5  # such as a baseline, better than all of them
    assert widened(seen(*outside, (9e-3, 1.0), (1e-3, 2.0)), *GIVEN) == GIVEN
    assert FEWEST == 3


def test_each_further_step_needs_a_better_trial_in_what_was_added() -> None:
    once = [(1e-3, 2.0), (2e-3, 3.0), (9e-3, 1.0)]
    high = 1e-2 * ROOT
    assert widened(seen(*once, (1e-3, 2.0), (2e-3, 3.0)), *GIVEN)[1] == pytest.approx(high)
    assert widened(seen(*once, (3e-2, 0.5)), *GIVEN)[1] == pytest.approx(high * ROOT)
    assert widened(seen(*once, (1e-3, 0.5)), *GIVEN)[1] == pytest.approx(high)  # and never back


def test_what_was_tried_outside_before_counts_once_it_is_inside() -> None:
    trials = seen((3e-2, 0.1), (1e-3, 2.0), (2e-3, 3.0), (9e-3, 1.0), (1e-3, 2.0))
    assert widened(trials, *GIVEN)[1] == pytest.approx(1e-1)


def test_the_declared_range_is_the_end() -> None:
    wide = FloatDistribution(1e-6, 2e-2, log=True)
    trials = seen((1e-3, 2.0), (2e-3, 3.0), (9e-3, 1.0), (1.9e-2, 0.5), wide=wide)
    assert widened(trials, *GIVEN) == (1e-4, 2e-2)
    assert widened(trials, 1e-4, 0.5) == (1e-4, 0.5)  # bounds that reached beyond it stay
    apart = FloatDistribution(0.1, 1.0, log=True)
    assert widened(seen(*[(0.5, 1.0)] * 4, wide=apart), *GIVEN) == GIVEN


def test_of_equal_trials_the_one_in_the_middle_counts() -> None:
    assert widened(seen((1e-4, 1.0), (1e-3, 1.0), (1e-2, 1.0)), *GIVEN) == GIVEN


def test_a_single_value_stays_and_so_does_what_is_no_rate() -> None:
    assert widened(seen(*[(1e-3, 1.0)] * 5), 1e-3, 1e-3) == (1e-3, 1e-3)
    whole = IntDistribution(1, 9)
    assert widened(seen(*[(2, 1.0)] * 5, wide=whole), 1.0, 2.0) == (1.0, 2.0)


def test_a_range_without_log_has_its_edge_in_parts_of_its_width() -> None:
    wide = FloatDistribution(0.0, 1.0)
    trials = [(0.05, 2.0), (0.06, 2.0)]
    assert widened(seen(*trials, (0.018, 1.0), wide=wide), 0.01, 0.1)[0] == pytest.approx(
        0.01 / ROOT
    )
    assert widened(seen(*trials, (0.02, 1.0), wide=wide), 0.01, 0.1)[0] == 0.01


CHOICES = CategoricalDistribution([1e-5, 1e-4, 1e-3, 1e-2, 1.0])


def test_choices_and_steps_widen_at_least_to_the_next_value() -> None:
    trials = [(1e-3, 2.0), (1e-3, 2.0), (1e-2, 1.0)]
    assert widened(seen(*trials, wide=CHOICES), *GIVEN) == (1e-4, 1.0)
    only = seen(*[(1e-3, 2.0)] * 3, wide=CHOICES)  # the only one inside is both ends
    assert widened(only, 5e-4, 5e-3) == (1e-4, pytest.approx(5e-3 * ROOT))
    between = seen(*[(1.0, 2.0)] * 3, wide=CategoricalDistribution([1e-5, 1.0, 5.0]))
    assert widened(between, *GIVEN) == (1e-5, 5.0)  # the neighbour below stays too
    grid = FloatDistribution(0.0, 1.0, step=0.1)
    assert widened(seen(*[(0.3, 2.0)] * 2, (0.4, 1.0), wide=grid), 0.12, 0.45)[1] == 1.0
    coarse = FloatDistribution(0.0, 10.0, step=2.0)
    assert widened(seen(*[(2.0, 2.0)] * 3, wide=coarse), 1.9, 2.1) == (
        0.0,
        pytest.approx(2.1 * ROOT),
    )


rates = st.floats(-6, 1).map(lambda decades: 10.0**decades)
losses = st.sampled_from([0.0, 1.0, 2.0, 3.0])


@given(st.lists(st.tuples(rates, losses), max_size=30), st.integers(0, 30))
def test_later_trials_take_nothing_back_and_the_range_is_kept(trials, cut) -> None:
    low, high = widened(seen(*trials), *GIVEN)
    before = widened(seen(*trials[:cut]), *GIVEN)
    assert WIDE.low <= low <= before[0] <= 1e-4
    assert 1e-2 <= before[1] <= high <= WIDE.high


def trial_of(rate, value, minute, state=TrialState.COMPLETE):
    trial = optuna.trial.create_trial(
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        params={"learning_rate": rate},
        distributions={"learning_rate": WIDE},
    )
    trial.datetime_complete = datetime(2024, 1, 1) + timedelta(minutes=minute)
    return trial


def test_complete_trials_count_in_the_order_in_which_they_ended() -> None:
    study = optuna.create_study(direction="maximize")
    study.add_trial(trial_of(1e-3, 1.0, 5))
    study.add_trial(trial_of(2e-3, 2.0, 1))
    study.add_trial(trial_of(3e-3, None, 2, TrialState.FAIL))
    study.add_trial(trial_of(4e-3, None, 3, TrialState.PRUNED))
    study.add_trial(trial_of(5e-3, math.inf, 4))
    assert list(finished(study, "learning_rate")) == [(2e-3, -2.0, WIDE), (1e-3, -1.0, WIDE)]
    assert list(finished(study, "decay")) == []
    assert list(finished(optuna.create_study(directions=["minimize"] * 2), "learning_rate")) == []


def test_an_earlier_trial_that_ends_late_takes_nothing_back() -> None:
    """By number the better one in the middle would come first, and nothing would have widened."""
    sampler = NarrowedSampler({"learning_rate": GIVEN}, RandomSampler())
    study = optuna.create_study(sampler=sampler)
    study.add_trial(trial_of(1e-3, 0.5, 9))
    for minute, (rate, loss) in enumerate([(1e-3, 2.0), (2e-3, 3.0), (9e-3, 1.0)]):
        study.add_trial(trial_of(rate, loss, minute))
    assert sampler.bounds_now(study, "learning_rate")[1] == pytest.approx(1e-2 * ROOT)
    kept = NarrowedSampler({"learning_rate": GIVEN}, RandomSampler(), widen=False)
    assert kept.bounds_now(study, "learning_rate") == GIVEN


# with how many trials are enough: who draws at random needs some ten for each half decade
BASES: dict[str, tuple[Callable[[], BaseSampler], int]] = {
    "random": (lambda: RandomSampler(seed=0), 120),
    "tpe": (lambda: TPESampler(seed=0), 40),
    "qmc": (
        lambda: quietly(lambda: QMCSampler(seed=0, scramble=True, warn_independent_sampling=False)),
        120,
    ),
    "cmaes": (lambda: CmaEsSampler(seed=0, warn_independent_sampling=False), 120),
    "gp": (lambda: make_gp(5), 25),
}


def objective(decades: float, sign: int = 1) -> Callable[[optuna.Trial], float]:
    """Return an objective whose best rate is that power of ten."""

    def loss(trial: optuna.Trial) -> float:
        decay = trial.suggest_float("decay", 0.0, 0.1)
        rate = trial.suggest_float("learning_rate", 1e-6, 10.0, log=True)
        return sign * ((math.log10(rate) - decades) ** 2 + decay)

    return loss


@pytest.mark.slow
# torch says where it finds no driver
@pytest.mark.filterwarnings("ignore:CUDA initialization:UserWarning")
# two decades above the bounds, one below
@pytest.mark.parametrize(("place", "decades"), [("memory", 0.0), ("sqlite", -5.0)])
@pytest.mark.parametrize("base", BASES)
def test_a_best_rate_outside_is_reached(base, decades, place, tmp_path: Path, caplog) -> None:
    make, trials = BASES[base]
    trials = trials if decades > -2 else trials // 2
    storage = f"sqlite:///{tmp_path}/study.db" if place == "sqlite" else None
    sign = -1 if place == "sqlite" else 1
    study = optuna.create_study(
        sampler=make(), storage=storage, direction="minimize" if sign > 0 else "maximize"
    )
    narrow(study, GIVEN).optimize(objective(decades, sign), n_trials=trials)
    assert math.log10(study.best_params["learning_rate"]) == pytest.approx(decades, abs=0.4)
    rates = [trial.params["learning_rate"] for trial in study.trials]
    assert all(1e-6 <= rate <= 10.0 for rate in rates)
    assert caplog.text.count("best trial so far lies at the edge of [0.0001, 0.01]") == 1
    assert study.user_attrs[WIDENED]["learning_rate"]["given"] == list(GIVEN)

    fixed = optuna.create_study(sampler=make(), direction=study.direction.name.lower())
    narrow(fixed, GIVEN, widen=False).optimize(objective(decades, sign), n_trials=12)
    kept = [trial.params["learning_rate"] for trial in fixed.trials]
    assert all(GIVEN[0] <= rate <= GIVEN[1] for rate in kept)
    trials_seen = list(finished(study, "learning_rate"))
    begun = next(n for n in range(trials) if widened(trials_seen[:n], *GIVEN) != GIVEN)
    assert begun >= FEWEST
    assert rates[: min(begun, 12)] == kept[:begun]  # as before, until the bounds have widened


def test_a_study_that_is_resumed_agrees_and_says_it_no_more(tmp_path: Path, caplog) -> None:
    """As one that runs through; a sampler that draws by the number of the trial has no state."""

    class ByNumber(RandomSampler):
        def sample_independent(self, study, trial, name, distribution):
            own = RandomSampler(seed=trial.number)
            return own.sample_independent(study, trial, name, distribution)

    def run(storage, parts):
        for n_trials in parts:
            study = optuna.create_study(
                storage=storage, study_name="mine", load_if_exists=True, sampler=ByNumber()
            )
            narrow(study, GIVEN).optimize(objective(0.0), n_trials=n_trials)
        return [trial.params for trial in study.trials], study.user_attrs[WIDENED]

    through = run(None, [60])
    caplog.clear()
    assert run(f"sqlite:///{tmp_path}/study.db", [20, 20, 20]) == through
    assert caplog.text.count("widen=False forbids it") == 1
    assert through[1]["learning_rate"]["now"][1] > 0.3


def test_it_is_said_again_for_other_bounds(caplog) -> None:
    study = narrow(optuna.create_study(sampler=TPESampler(seed=0)), GIVEN)
    study.optimize(objective(0.0), n_trials=30)
    narrow(study, (1e-6, 1e-5)).optimize(objective(0.0), n_trials=30)
    said = [r for r in caplog.records if r.name == "tuners.integrations.notes"]
    assert [r.getMessage().split(" [")[1] for r in said] == [
        "0.0001, 0.01], so trials are drawn from",
        "1e-06, 1e-05], so trials are drawn from",
    ]
    assert all(r.levelno == logging.WARNING for r in said)


def test_names_widen_one_by_one() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    narrow(narrow(study, GIVEN, widen=False), (0.01, 0.02), "decay")
    assert isinstance(study.sampler, NarrowedSampler)
    assert study.sampler.widens == {"decay"}
    assert narrow(study, GIVEN).sampler.widens == {"decay", "learning_rate"}
    assert narrow(study, GIVEN, "decay", widen=False).sampler.widens == {"learning_rate"}


@pytest.mark.parametrize("base", ["random", "tpe", "cmaes", "qmc"])
def test_choices_outside_are_reached(base: str) -> None:
    study = optuna.create_study(sampler=BASES[base][0]())
    choices = [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0]

    def loss(trial: optuna.Trial) -> float:
        trial.suggest_float("decay", 0.0, 0.1)
        return abs(math.log10(trial.suggest_categorical("learning_rate", choices)) - 1)

    narrow(study, GIVEN).optimize(loss, n_trials=60)
    assert study.best_params["learning_rate"] == 1.0
    assert min(trial.params["learning_rate"] for trial in study.trials) == 1e-4
