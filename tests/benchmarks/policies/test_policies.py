"""Every policy names a rate inside the declared range, at any moment, and ours is the real one."""

from __future__ import annotations

import importlib.util

import numpy as np
import optuna
import pytest

from benchmarks.budgets import MOST
from benchmarks.policies import keras_tuner, neps, optuna_studies, ours
from benchmarks.policies.bounds import declared, from_range_test
from benchmarks.policies.methods import methods
from benchmarks.replay import (
    Curve,
    Play,
    Setting,
    Steps,
    Training,
    World,
    named_within,
    played,
    replay,
)
from tests.benchmarks.truths import BEST, make_truth
from tests.tuners.tasks import dense_model, make_task

BASE = "baseline"  # role of the trial of the rate to beat

optuna.logging.set_verbosity(optuna.logging.ERROR)

PLAYS: dict[str, Play] = {
    "default": ours.keras_default,
    "suggestion": ours.suggestion,
    "valley": ours.rule("valley"),
    "ramp": ours.ramp,
    "race": ours.race(11),
    "race, no range test": ours.race(11, tested=False),
    "one after the other": ours.one_after_the_other(11),
    "random": optuna_studies.trials(optuna_studies.random_sampler, 12),
    "tpe": optuna_studies.trials(optuna_studies.tpe, 12),
    "cma-es": optuna_studies.trials(optuna_studies.cma_es, 12),
    "in bounds": optuna_studies.trials(optuna_studies.tpe, 12, bounds=from_range_test),
    "our score": optuna_studies.trials(
        optuna_studies.tpe, 6, score=optuna_studies.our_score, splits=2
    ),
    "hyperband": optuna_studies.pruned(optuna_studies.hyperband, 12),
    "asha": optuna_studies.pruned(optuna_studies.asha, 12),
    "wilcoxon": optuna_studies.wilcoxon(12, 4),
    "top": optuna_studies.top_after_one_epoch(12),
}
WITH_EXTRAS = {
    "gp": (optuna_studies.trials(optuna_studies.gp, 12), "torch"),
    "bayesian": (keras_tuner.bayesian(8), "keras_tuner"),
    "keras-tuner hyperband": (keras_tuner.hyperband(), "keras_tuner"),
    "priorband": (neps.priorband(4), "neps"),
}


def check(play: Play, nearest: float = 2.0) -> None:
    """Replay on a clean valley: every answer is a rate, the last one near the best."""
    for repeat in range(2):
        named = replay(played(play), World(make_truth(), repeat), MOST)
        costs = [each.cost for each in named]
        assert costs == sorted(costs)
        rates = [each.learning_rate for each in named if each.learning_rate is not None]
        assert all(1e-5 <= rate <= 1.0 for rate in rates)
        assert abs(np.log10(rates[-1] / BEST)) < nearest
        again = replay(played(play), World(make_truth(), repeat), MOST)
        assert again[-1] == named[-1]


@pytest.mark.parametrize("name", PLAYS)
def test_a_policy_names_a_rate_near_the_best_of_a_clean_valley(name: str) -> None:
    check(PLAYS[name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of libraries that only the benchmarks load
@pytest.mark.parametrize("name", WITH_EXTRAS)
def test_so_does_one_that_needs_an_extra(name: str) -> None:
    play, package = WITH_EXTRAS[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed; pip install '.[benchmarks]'")
    check(play, nearest=2.5)


def test_a_shorter_search_is_the_beginning_of_a_longer_one() -> None:
    world = World(make_truth(), 0)
    long = replay(played(optuna_studies.trials(optuna_studies.tpe, 20)), world)
    short = replay(played(optuna_studies.trials(optuna_studies.tpe, 8)), world)
    assert named_within(long, 8, 0.1) == short[-1]


@pytest.mark.parametrize("budget", [4, 8, 11, 16, 24, 33])
def test_a_race_costs_no_more_than_its_budget(budget: int) -> None:
    for play, over in ((ours.race(budget), 0.0), (ours.one_after_the_other(budget), 2.0)):
        for repeat in range(3):
            named = replay(played(play), World(make_truth(), repeat))
            assert named[-1].cost <= budget + over  # a trial that wins trains all its splits


def test_methods_have_names_of_their_own() -> None:
    names = [method.name for method in methods()]
    assert len(names) == len(set(names))
    assert all((method.play is None) != (method.play_for is None) for method in methods())


def setting(play: Play) -> list[Training]:
    """What a policy asks for first."""
    return played(play)(World(make_truth(), 0).setting()).ask()


def test_bounds_are_ours_or_those_declared() -> None:
    known = World(make_truth(), 0).setting()
    assert declared(known) == (1e-5, 1.0)
    assert known.spent == 0
    low, high = from_range_test(known)
    assert known.spent == pytest.approx(0.8)
    assert 1e-5 <= low < high <= 1.0
    (first,) = setting(PLAYS["in bounds"])
    assert low <= first.learning_rate <= high


@pytest.mark.slow
def test_ours_tries_the_rates_that_a_real_search_tries() -> None:
    from tuners import choose, range_test, search

    task = make_task(dense_model("adam"), resplit="shuffle")
    curve = range_test(task, epochs=4, seed=3, verbose=0)
    real = search(task, curve, budget=12, epochs=4, seed=3, curve=curve, verbose=0)
    known = {  # rate and split -> what the study holds of it
        (trial.params["learning_rate"], split): trial.user_attrs[f"split {split}"]
        for trial in real.trials
        for split in trial.user_attrs["splits"]
    }
    baseline = next(t.params["learning_rate"] for t in real.trials if t.user_attrs["role"] == BASE)
    policy = played(ours.race(12))(Setting(baseline, 4, 3, None, 0.0))
    short = policy.ask()
    assert [each.learning_rate for each in short] == pytest.approx(curve.learning_rates, rel=1e-4)
    policy.tell([Curve(loss, loss, 1.0, False) for loss in curve.table])
    asked = set()
    while not policy.done:
        round_ = policy.ask()
        asked |= {(each.learning_rate, each.split) for each in round_}
        stored = [known[each.learning_rate, each.split] for each in round_]
        losses = [np.array(each["curves"]["val_loss"], float) for each in stored]
        policy.tell(
            [
                Curve(loss, loss, 1.0, each["diverged"])
                for loss, each in zip(losses, stored, strict=True)
            ]
        )
    assert asked == known.keys()
    assert policy.choice == pytest.approx(choose(real).learning_rate, rel=1e-3)


def test_where_all_diverge_the_suggestion_stays() -> None:
    diverged = np.ones_like(make_truth().diverged)
    truth = make_truth(diverged=diverged)
    for play in (ours.race(11), ours.one_after_the_other(11)):
        named = replay(played(play), World(truth, 0))
        suggested = replay(played(ours.suggestion), World(truth, 0))
        assert named[-1].learning_rate == suggested[-1].learning_rate


def test_the_pruners_of_epochs_pay_for_the_epochs_that_they_train() -> None:
    def first_rate(known: Setting) -> Steps:
        for epoch in (1, 2):
            yield None, [Training(1e-3, 0, epoch / known.epochs)]
        return 1e-3

    assert replay(played(first_rate), World(make_truth(), 0))[-1].cost == pytest.approx(0.2)
    whole = replay(played(optuna_studies.pruned(optuna_studies.asha, 12)), World(make_truth(), 0))
    assert 1 < whole[-1].cost < 12
