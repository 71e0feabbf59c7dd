"""The loop of a race: what its trials are, that it resumes anywhere, grows, and shares a budget."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage

from search_spaces import LearningRateBounds, TuningTask
from tests.tuners.searches.formula import (
    BATCHES,
    BEST,
    BOUNDS,
    EPOCHS,
    Formula,
    bowl,
    cliff,
    plan_of,
)
from tests.tuners.tasks import dense_model, make_task
from tuners import LearningRateRace, LossCurve, RacePruner, RaceSampler, choose, search, train
from tuners.searches import racing
from tuners.study.recording import recorded_facts
from tuners.study.schema import CONTINUES, EXTRA, STALE, continued

ROOT = Path(__file__).parents[3]


def raced(
    trainer: Formula, *names: str, study: optuna.Study | None = None, **options: Any
) -> optuna.Study:
    """Run a race of formulas, on a new study or a given one."""
    study = study or optuna.create_study(direction=options.get("direction", "minimize"))
    racing.run(study, plan_of(trainer, *names, **options))
    return study


def shown(study: optuna.Study) -> list[tuple[Any, ...]]:
    """Everything about the trials but times."""

    def timeless(attributes: Any) -> Any:
        if isinstance(attributes, dict):
            return {k: timeless(v) for k, v in attributes.items() if k != "seconds"}
        return attributes

    return [
        (
            trial.number,
            trial.state.name,
            trial.values,
            trial.params,
            repr(trial.intermediate_values),  # where NaN is NaN
            timeless(trial.user_attrs),
        )
        for trial in study.trials
    ]


def standing(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that no later one took up and that count for something, by rate."""
    again = continued(study.trials)
    kept = [t for t in study.trials if t.number not in again and t.user_attrs["role"] != STALE]
    return sorted(kept, key=lambda trial: sorted(map(str, trial.params.values())))


def results(study: optuna.Study) -> list[tuple[Any, ...]]:
    """What a race found at each rate, whatever the number of its trial."""
    return [
        (t.params, t.state.name, t.values, repr(t.intermediate_values), t.user_attrs.get("scores"))
        for t in standing(study)
    ]


# --- what a study of a race looks like


def test_a_trial_is_a_rate_with_a_score_for_each_split() -> None:
    trainer = Formula()
    study = raced(trainer)
    alone = LearningRateRace((1e-5, 1.0), budget=14, bounds=BOUNDS, baseline=1 / 300, seed=3)
    asked = []
    while not alone.done:
        asked.append(alone.ask())
        alone.tell([bowl(each.learning_rate, each.split) - 0.1 / 3 for each in asked[-1]])
    # the same rounds as those of the race by ask and tell, on the splits from the seed on
    assert [(rate, seed) for _, rate, seed in trainer.trained] == [
        (each.learning_rate, each.split) for round_ in asked for each in round_
    ]
    states = {trial.state.name for trial in study.trials}
    assert states == {"PRUNED", "COMPLETE"}
    for trial in study.trials:
        rate, kept = trial.params["learning_rate"], trial.user_attrs
        assert kept["splits"] == sorted(trial.intermediate_values)
        for split, value in trial.intermediate_values.items():
            # half of the epochs in a row: the last two of four, which lie 0.1 / 3 and 0.1 lower
            assert value == pytest.approx(bowl(rate, 3 + split) - 0.2 / 3, rel=1e-5)
            assert kept[f"split {split}"]["scores"] == [value]
            assert kept[f"split {split}"]["curves"]["val_loss"][0] > value
        assert kept["scores"] == list(trial.intermediate_values.values())
        assert kept["diverged"] is False
        assert len(kept["curves"]["val_loss"]) == EPOCHS
        if trial.state.name == "COMPLETE":
            fresh = [v for split, v in trial.intermediate_values.items() if split >= 2]
            assert trial.value == pytest.approx(np.mean(fresh))
    finished = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert len({max(trial.intermediate_values) for trial in finished}) == 1
    assert study.best_params["learning_rate"] == alone.choice


def test_roles_and_the_declared_range() -> None:
    study = raced(Formula())
    roles = {trial.user_attrs["role"]: trial.params["learning_rate"] for trial in study.trials}
    assert roles["baseline"] == 1 / 300
    assert roles["suggestion"] == pytest.approx(1 / 317, rel=1e-4)
    assert set(roles) == {"baseline", "suggestion", "search"}
    wide = optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)
    assert all(trial.distributions == {"learning_rate": wide} for trial in study.trials)


@pytest.mark.parametrize("baseline", [9e-6, 1.1])
def test_a_baseline_outside_of_the_declared_range_is_left_out(baseline: float) -> None:
    study = raced(Formula(), baseline=baseline)
    assert {trial.user_attrs["role"] for trial in study.trials} == {"suggestion", "search"}
    assert all(1e-5 <= trial.params["learning_rate"] <= 1.0 for trial in study.trials)


def test_a_rate_that_diverged_is_failed_with_its_curves() -> None:
    study = raced(Formula(cliff))
    failed = [trial for trial in study.trials if trial.state.name == "FAIL"]
    assert failed
    for trial in study.trials:
        assert (trial.params["learning_rate"] > 2e-2) == (trial in failed)
    assert all(trial.user_attrs["diverged"] for trial in failed)
    assert all(list(trial.intermediate_values) == [0] for trial in failed)
    assert study.best_params["learning_rate"] < 2e-2
    nowhere = raced(Formula(lambda *_: math.nan))
    assert {trial.state.name for trial in nowhere.trials} == {"FAIL"}
    # places, then down to the end of what is declared
    assert min(trial.params["learning_rate"] for trial in nowhere.trials) == 1e-5


def test_gradient_steps_and_costs_are_those_of_all_trainings() -> None:
    trainer = Formula()
    study = raced(trainer)
    spent = len(trainer.trained)
    assert study.user_attrs["gradient_steps"] == spent * EPOCHS * BATCHES
    facts = recorded_facts(study)
    assert facts["epochs_search"] == spent * EPOCHS
    assert facts["steps_search"] == spent * EPOCHS * BATCHES
    assert facts["seconds_search"] == pytest.approx(0.1 * len(trainer.calls), abs=1e-3)
    assert (facts["how"], facts["why"], facts["chunk_size"]) == ("sequential", "by formula", 1)
    fallen = Formula(cliff)
    study = raced(fallen)
    lost = sum(rate > 2e-2 for _, rate, _ in fallen.trained)  # an epoch each
    steps = ((len(fallen.trained) - lost) * EPOCHS + lost) * BATCHES
    assert study.user_attrs["gradient_steps"] == steps


def test_a_metric_that_is_better_high_gives_the_same_race() -> None:
    down, up = Formula(), Formula(sign=-1.0)
    raced(down)
    study = raced(up, objective="val_accuracy", direction="maximize")
    assert up.trained == down.trained
    assert study.best_trial.value is not None
    assert study.best_trial.value < 0
    assert max(t.value for t in study.trials if t.state.name == "COMPLETE" if t.value is not None)


@pytest.mark.parametrize("budget", [2, 3, 5.5, 8, 12, 30])
@pytest.mark.parametrize("loss", [bowl, cliff, lambda *_: 1.0, lambda rate, _: -rate])
def test_it_spends_at_most_its_budget(budget: float, loss: Any) -> None:
    trainer = Formula(loss)
    study = raced(trainer, budget=budget)
    assert 0 < len(trainer.trained) <= budget
    assert len(set(trainer.trained)) == len(trainer.trained)
    assert all(trial.state.is_finished() for trial in study.trials)
    assert choose(study).learning_rate > 0


def curve(trainings: float) -> LossCurve:
    rates = np.geomspace(1e-5, 1, 11)
    losses = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2
    spent = round(100 * trainings)
    return LossCurve(rates, losses, kind="sweep", gradient_steps=spent, training_steps=100)


def test_what_the_range_test_spent_is_taken_from_the_budget() -> None:
    trainer = Formula()
    raced(trainer, budget=12, curve=curve(1.5))
    plain = Formula()
    raced(plain, budget=10.5)
    assert trainer.trained == plain.trained
    with pytest.raises(ValueError, match=r"`budget` must leave a training for each task, 1 in all"):
        racing.check_paid(plan_of(trainer, budget=2.0, curve=curve(1.5)))
    with pytest.raises(ValueError, match=r"2 in all, but got 3, of which range tests have spent 3"):
        racing.check_paid(plan_of(trainer, "a", "b", budget=3, curve=curve(1.5)))


def test_lanes_of_a_round_are_trained_together_by_four_at_most() -> None:
    trainer = Formula()
    raced(trainer)
    assert max(map(len, trainer.calls)) == racing.WIDTH
    assert len(trainer.calls) < len(trainer.trained) / 2


def test_progress_is_told_in_lane_epochs_of_the_budget() -> None:
    told: list[tuple[int, int]] = []
    trainer = Formula()
    raced(trainer, on_epoch=lambda *counts: told.append(counts))
    done, totals = zip(*told, strict=True)
    assert set(totals) == {14 * EPOCHS}
    assert list(done) == sorted(done)
    assert done[-1] == len(trainer.trained) * EPOCHS


def test_every_trial_is_told_once() -> None:
    told: list[int] = []
    study = raced(Formula(), on_trial=lambda _, trial: told.append(trial.number))
    assert sorted(told) == [trial.number for trial in study.trials]


def test_the_study_goes_on_as_a_race_with_an_objective_of_ones_own() -> None:
    study = raced(Formula())
    assert isinstance(study.sampler, RaceSampler)
    assert isinstance(study.pruner, RacePruner)


# --- stopped and resumed


class Killed(BaseException):
    """As a process that is no more."""


class MortalStorage(InMemoryStorage):
    """Optuna's storage for a process that dies before its write of a number, and is then dead."""

    def __init__(self) -> None:
        super().__init__()
        self.left: float = math.inf

    def _write(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def set_study_user_attr(self, *values: Any, **named: Any) -> None:
        self._write()
        super().set_study_user_attr(*values, **named)

    def create_new_trial(self, *values: Any, **named: Any) -> int:
        self._write()
        return super().create_new_trial(*values, **named)

    def set_trial_param(self, *values: Any, **named: Any) -> None:
        self._write()
        super().set_trial_param(*values, **named)

    def set_trial_state_values(self, *values: Any, **named: Any) -> bool:
        self._write()
        return super().set_trial_state_values(*values, **named)

    def set_trial_intermediate_value(self, *values: Any, **named: Any) -> None:
        self._write()
        super().set_trial_intermediate_value(*values, **named)

    def set_trial_user_attr(self, *values: Any, **named: Any) -> None:
        self._write()
        super().set_trial_user_attr(*values, **named)


def stored_scores(study: optuna.Study) -> set[tuple[float, int]]:
    return {
        (trial.params["learning_rate"], split)
        for trial in study.trials
        for split in trial.intermediate_values
    }


@pytest.mark.parametrize(("loss", "budget"), [(bowl, 12.0), (cliff, 9.0)])
def test_killed_before_any_write_it_resumes_to_an_equal_study(loss: Any, budget: float) -> None:
    whole = raced(Formula(loss), budget=budget)
    writes = MortalStorage()
    writes.left = 10_000
    raced(Formula(loss), study=optuna.create_study(storage=writes), budget=budget)
    count = 10_000 - int(writes.left)
    assert count > 60
    for moment in range(0, count, 3):
        storage = MortalStorage()
        study = optuna.create_study(storage=storage)
        storage.left = moment
        with pytest.raises(Killed):
            raced(Formula(loss), study=study, budget=budget)
        storage.left = math.inf
        known = stored_scores(study)
        again = Formula(loss)
        raced(again, study=study, budget=budget)
        assert shown(study) == shown(whole), moment
        # what was told is not trained again
        assert not known & {(rate, seed - 3) for _, rate, seed in again.trained}
        assert study.user_attrs["gradient_steps"] == whole.user_attrs["gradient_steps"]


def test_interrupted_in_any_training_it_resumes_to_an_equal_study() -> None:
    untouched = Formula()
    whole = raced(untouched)
    for moment in range(1, len(untouched.calls) + 1):
        trainer, study = Formula(stop=moment), optuna.create_study()
        with pytest.raises(KeyboardInterrupt):
            raced(trainer, study=study)
        raced(trainer, study=study)
        assert trainer.trained == untouched.trained  # none of them twice
        assert shown(study) == shown(whole)


def test_a_callback_that_raises_loses_nothing() -> None:
    whole = raced(Formula())
    for moment in range(1, len(whole.trials) + 1):
        left = [moment]

        def fail(*_: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise RuntimeError("disk full")

        study, trainer = optuna.create_study(), Formula()
        with pytest.raises(RuntimeError, match="disk full"):
            raced(trainer, study=study, on_trial=fail)
        raced(trainer, study=study)
        assert shown(study) == shown(whole)
        assert len(set(trainer.trained)) == len(trainer.trained)


# a process that is killed before a commit of its number
CHILD = """
import os, signal, sys
import optuna, sqlalchemy
from tests.tuners.searches.formula import Formula, plan_of
from tuners.searches import racing

optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.load_study(study_name="killed", storage=sys.argv[1])
left = [int(sys.argv[2])]

@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "commit")
def count(connection):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

racing.run(study, plan_of(Formula()))
"""


@pytest.mark.slow
def test_processes_that_are_killed_leave_a_study_that_ends_as_if_nothing_had_been(
    tmp_path: Path,
) -> None:
    whole = raced(Formula())
    storage = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="killed", storage=storage)
    generator = np.random.default_rng(5)
    before: set[tuple[float, int]] = set()
    for moment in generator.integers(20, 90, 2):
        child = [sys.executable, "-c", CHILD, storage, str(moment)]
        done = subprocess.run(child, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert stored_scores(study) >= before
        before = stored_scores(study)
    assert before
    trainer = Formula()
    raced(trainer, study=study)
    assert shown(study) == shown(whole)
    assert not before & {(rate, seed - 3) for _, rate, seed in trainer.trained}


AT_WORK = """
import sys, time, optuna
from tuners.study.heartbeat import at_work

with at_work(optuna.load_study(study_name="shared", storage=sys.argv[1]), "one only"):
    print("at work", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="shared", storage=storage)
    child = subprocess.Popen(
        [sys.executable, "-c", AT_WORK, storage], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "at work\n"
        message = rf"one process that decides, but process {child.pid} on .* is at work on the stud"
        with pytest.raises(ValueError, match=message + "y 'shared'; wait for it, or use another"):
            raced(Formula(), study=study)
        assert study.trials == []
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    raced(Formula(), study=study)
    assert study.best_trial.value is not None


# --- a budget that grows


@pytest.mark.parametrize("steps", [(8, 12), (10, 11, 12), (12, 13, 15, 17), (11, 17), (6, 20)])
def test_a_budget_that_grows_ends_where_the_whole_one_does(steps: tuple[int, ...]) -> None:
    trainer, study = Formula(), optuna.create_study()
    for budget in steps:
        before = len(trainer.trained)
        raced(trainer, study=study, budget=budget)
        assert len(trainer.trained) <= budget
        assert all(trial.state.is_finished() for trial in study.trials)
        finished = [trial for trial in standing(study) if trial.state.name == "COMPLETE"]
        fresh = {tuple(s for s in t.intermediate_values if s >= 2) for t in finished}
        assert len(fresh) == 1  # whose values are of the same splits
        assert choose(study).learning_rate == pytest.approx(
            min(finished, key=lambda trial: trial.value or 0.0).params["learning_rate"], rel=1e-3
        )
    assert len(set(trainer.trained)) == len(trainer.trained)
    assert len(trainer.trained) > before
    if steps[0] >= 10:  # else it began with fewer places, and walked to the others
        whole = Formula()
        assert results(study) == results(raced(whole, budget=steps[-1]))
        assert sorted(trainer.trained) == sorted(whole.trained)
    taken = [trial for trial in study.trials if CONTINUES in trial.user_attrs]
    assert taken
    for trial in taken:
        earlier = study.trials[trial.user_attrs[CONTINUES]]
        assert earlier.params == trial.params
        assert earlier.user_attrs["role"] == trial.user_attrs["role"]
        assert earlier.intermediate_values.items() <= trial.intermediate_values.items()
    spent = len(trainer.trained) * EPOCHS * BATCHES
    assert study.user_attrs["gradient_steps"] == spent  # none is counted twice


def test_the_same_budget_again_changes_nothing() -> None:
    study = raced(Formula())
    before, trainer = shown(study), Formula()
    raced(trainer, study=study)
    assert shown(study) == before
    assert trainer.trained == []


def test_killed_while_it_goes_on_with_a_larger_budget() -> None:
    expected = optuna.create_study()
    for budget in (11, 15):
        raced(Formula(), study=expected, budget=budget)
    for moment in range(0, 100, 4):
        storage = MortalStorage()
        study = optuna.create_study(storage=storage)
        raced(Formula(), study=study, budget=11)
        storage.left = moment
        try:
            raced(Formula(), study=study, budget=15)
        except Killed:
            storage.left = math.inf
            raced(Formula(), study=study, budget=15)
        storage.left = math.inf
        assert shown(study) == shown(expected), moment


# --- what somebody queued


def test_a_queued_rate_is_one_more_place_over_and_above_the_budget() -> None:
    plain = raced(Formula(), budget=12)
    trainer, study = Formula(), optuna.create_study()
    study.enqueue_trial({"learning_rate": 2e-5})
    raced(trainer, study=study, budget=12)
    queued = study.trials[0]
    assert queued.params == {"learning_rate": 2e-5}
    assert queued.user_attrs["role"] == EXTRA
    assert queued.user_attrs["splits"] == [0]
    assert queued.state.name == "PRUNED"
    assert trainer.trained[0] == ("formula", 2e-5, 3)
    assert len(trainer.trained) == 13
    assert study.best_params == plain.best_params


def test_a_queued_rate_that_is_good_goes_on_and_may_win() -> None:
    def narrow(rate: float, split: int) -> float:
        return bowl(rate, split) - (0.8 if abs(math.log10(rate / 4e-2)) < 0.01 else 0.0)

    trainer = Formula(narrow)
    study = raced(trainer, budget=15)
    done = len(trainer.trained)
    study.enqueue_trial({"learning_rate": 4e-2})
    raced(trainer, study=study, budget=24)
    queued = next(t for t in standing(study) if t.params["learning_rate"] == 4e-2)
    assert trainer.trained[done] == ("formula", 4e-2, 3)
    assert {0, 1, 2} <= set(queued.intermediate_values)
    assert queued.state.name == "COMPLETE"
    assert choose(study).learning_rate == 4e-2
    assert len(trainer.trained) <= 25


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"learning_rate": 5.0}, "5 lies outside of the declared range, 1e-05 to 1"),
        ({"learning_rate": 1 / 300}, "0.00333333 is a trial already"),
        ({"learning_rate": 0.0034}, "0.0034 is a trial already"),  # of a rate that is the same
        ({"lr": 1e-3}, "it must hold learning_rate"),
    ],
)
def test_what_is_queued_and_cannot_be_raced_is_left_out_in_words(values: Any, why: str) -> None:
    study = raced(Formula())
    before = shown(study)
    study.enqueue_trial(values)
    trainer = Formula()
    message = f"Trial {len(before)}, which was queued, is left out: {why}"
    with pytest.warns(UserWarning, match=message):
        raced(trainer, study=study)
    assert trainer.trained == []
    assert shown(study)[:-1] == before
    assert study.trials[-1].user_attrs["role"] == STALE
    assert study.trials[-1].state.name == "FAIL"


def test_one_queued_twice_is_tried_once() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"learning_rate": 2e-5})
    study.enqueue_trial({"learning_rate": 2.01e-5})
    with pytest.warns(UserWarning, match="Trial 1, which was queued, is left out: 2.01e-05 is"):
        raced(Formula(), study=study)
    assert {t.params["learning_rate"] for t in study.trials if t.params} >= {2e-5}
    assert not any(t.params.get("learning_rate") == 2.01e-5 for t in study.trials)


def test_killed_while_it_tries_what_was_queued() -> None:
    expected = optuna.create_study()
    expected.enqueue_trial({"learning_rate": 2e-5})
    raced(Formula(), study=expected)
    for moment in range(14):
        storage = MortalStorage()
        study = optuna.create_study(storage=storage)
        study.enqueue_trial({"learning_rate": 2e-5})
        storage.left = moment
        with pytest.raises(Killed):
            raced(Formula(), study=study)
        storage.left = math.inf
        raced(Formula(), study=study)
        assert shown(study) == shown(expected), moment


# --- several tasks


class Arms(Formula):
    """Losses that depend on the task too: how much worse each is."""

    def __init__(self, **worse: float) -> None:
        super().__init__()
        self.worse = worse

    def train(self, task: Any, rates: Any, seeds: Any, **options: Any) -> Any:
        self.loss = lambda rate, split: bowl(rate, split) + self.worse[task.name]
        return super().train(task, rates, seeds, **options)


def test_two_tasks_share_a_budget_and_the_loser_gets_no_more() -> None:
    trainer = Arms(adam=0.0, sgd=1.0)
    study = raced(trainer, "adam", "sgd", budget=24)
    assert len(trainer.trained) <= 24
    splits = {name: {s - 3 for n, _, s in trainer.trained if n == name} for name in ("adam", "sgd")}
    assert splits["sgd"] == {0, 1}
    assert {0, 1, 2} <= splits["adam"]
    spent = {name: sum(n == name for n, _, _ in trainer.trained) for name in ("adam", "sgd")}
    assert spent["adam"] > spent["sgd"]
    names = {trial.params["optimizer"] for trial in study.trials}
    assert names == {"adam", "sgd"}
    for trial in study.trials:
        name = trial.params["optimizer"]
        assert set(trial.params) == {"optimizer", f"learning_rate_{name}"}
        assert trial.state.name == "PRUNED" or name == "adam"
    choice = choose(study)
    assert choice.optimizer == "adam"
    assert abs(math.log10(choice.learning_rate / BEST)) < 0.3


def test_two_tasks_of_which_each_won_on_one_split_both_go_on() -> None:
    class Crossed(Arms):
        def train(self, task: Any, rates: Any, seeds: Any, **options: Any) -> Any:
            self.worse = {"adam": 0.0, "sgd": 0.3 if seeds[0] % 2 else -0.3}
            return super().train(task, rates, seeds, **options)

    trainer = Crossed()
    raced(trainer, "adam", "sgd", budget=30)
    assert {n for n, _, seed in trainer.trained if seed - 3 >= 2} == {"adam", "sgd"}


@pytest.mark.parametrize("budget", [2, 3, 7, 12, 19, 40])
@pytest.mark.parametrize("worse", [0.0, 0.01, 1.0, math.nan])
def test_several_tasks_keep_to_the_budget(budget: float, worse: float) -> None:
    trainer = Arms(adam=0.0, sgd=worse)
    study = raced(trainer, "adam", "sgd", budget=budget)
    assert 2 <= len(trainer.trained) <= budget
    assert len(set(trainer.trained)) == len(trainer.trained)
    assert all(trial.state.is_finished() for trial in study.trials)


def test_several_tasks_resume_and_take_what_is_queued() -> None:
    whole = optuna.create_study()
    whole.enqueue_trial({"optimizer": "sgd", "learning_rate_sgd": 2e-5})
    raced(Arms(adam=0.0, sgd=0.1), "adam", "sgd", study=whole, budget=20)
    assert whole.trials[0].params == {"optimizer": "sgd", "learning_rate_sgd": 2e-5}
    assert whole.trials[0].user_attrs["role"] == EXTRA
    for moment in range(0, 150, 7):
        storage = MortalStorage()
        study = optuna.create_study(storage=storage)
        study.enqueue_trial({"optimizer": "sgd", "learning_rate_sgd": 2e-5})
        storage.left = moment
        with pytest.raises(Killed):
            raced(Arms(adam=0.0, sgd=0.1), "adam", "sgd", study=study, budget=20)
        storage.left = math.inf
        raced(Arms(adam=0.0, sgd=0.1), "adam", "sgd", study=study, budget=20)
        assert shown(study) == shown(whole), moment
    whole.enqueue_trial({"learning_rate_sgd": 3e-5})  # of which task?
    with pytest.warns(UserWarning, match="must hold optimizer and learning_rate_adam or learning_"):
        raced(Arms(adam=0.0, sgd=0.1), "adam", "sgd", study=whole, budget=20)


# --- with real trainings

SMALL: dict[str, Any] = {"epochs": 2, "budget": 10, "verbose": 0}
WIDE = LearningRateBounds(0.02, 0.6, 0.1, "ok", "by hand", declared=(1e-3, 0.6))


@pytest.fixture(scope="module")
def small() -> TuningTask:
    return make_task(dense_model("sgd"), resplit="shuffle")  # one object, compiled once


@pytest.fixture(scope="module")
def searched(small: TuningTask) -> optuna.Study:
    return search(small, WIDE, **SMALL)


@pytest.mark.slow
def test_search_without_trials_is_a_race(
    small: TuningTask, searched: optuna.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = recorded_facts(searched)
    assert (facts["sampler"], facts["budget"]) == ("race", 10)
    assert facts["trials"] is None
    assert facts["splits"] is None
    assert facts["epochs_search"] <= 10 * 2
    assert {trial.user_attrs["role"] for trial in searched.trials} >= {"suggestion", "baseline"}
    assert {trial.state.name for trial in searched.trials} >= {"COMPLETE", "PRUNED"}
    assert json.loads(json.dumps(searched.trials[0].user_attrs)) == searched.trials[0].user_attrs
    kept = searched.trials[0].user_attrs["split 0"]
    assert len(kept["curves"]["val_accuracy"]) == 2
    search(small, WIDE, **{**SMALL, "verbose": 1}, storage=searched._storage)
    spent = facts["epochs_search"] / 2
    said = capsys.readouterr().out
    assert f"{len(searched.trials)} rates, {spent:g} of 10 trainings, the best at " in said


@pytest.mark.slow
def test_what_was_told_is_what_a_training_of_that_seed_reaches(
    small: TuningTask, searched: optuna.Study
) -> None:
    trial = next(t for t in searched.trials if len(t.intermediate_values) > 1)
    rate, splits = trial.params["learning_rate"], list(trial.intermediate_values)
    record = train(small, [rate] * len(splits), splits, epochs=2, width=racing.WIDTH)
    assert list(trial.intermediate_values.values()) == pytest.approx(record.scores(), rel=1e-4)


@pytest.mark.slow
def test_ctrl_c_in_a_real_training_and_another_setting(
    small: TuningTask, searched: optuna.Study, tmp_path: Path
) -> None:
    stored: dict[str, Any] = {**SMALL, "storage": f"sqlite:///{tmp_path}/study.db"}
    moments = [3, 9]

    def interrupt(done: int, _: int) -> None:
        if moments and done >= moments[0]:
            moments.pop(0)
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            search(small, WIDE, **stored, on_epoch=interrupt)
    study = search(small, WIDE, **stored)
    assert results(study) == results(searched)
    with pytest.raises(ValueError, match="seed was 0, now 1"):
        search(small, WIDE, **stored, seed=1)
    with pytest.raises(ValueError, match="sampler was race, now qmc"):
        search(small, WIDE, **{**stored, "budget": None}, trials=4)
    grown = search(small, WIDE, **{**stored, "budget": 12})
    assert recorded_facts(grown)["budget"] == 12


@pytest.mark.slow
def test_two_processes_that_train_give_the_same_study(
    small: TuningTask, searched: optuna.Study
) -> None:
    two = search(small, WIDE, **SMALL, workers=2)
    assert shown(two) == shown(searched)


# --- whatever somebody asks for, in any order


@pytest.mark.filterwarnings("ignore:Trial .* which was queued, is left out:UserWarning")
@given(
    steps=st.lists(
        st.tuples(st.integers(2, 20), st.none() | st.floats(-5, 0)), min_size=1, max_size=4
    ),
    kind=st.integers(0, 4),
    names=st.sampled_from([(), ("adam", "sgd")]),
)
@example(steps=[(16, None), (2, -2.375), (17, None)], kind=4, names=())  # one stable finalist
def test_budgets_that_change_and_rates_that_are_queued(
    steps: list[tuple[int, float | None]], kind: int, names: tuple[str, ...]
) -> None:
    losses: list[Any] = [
        bowl,
        cliff,
        lambda *_: 1.0,
        lambda rate, split: math.sin(1e6 * rate + split),
        lambda rate, split: math.nan if math.sin(1e6 * rate + split) > 0.3 else bowl(rate, split),
    ]
    trainer, study, queued = Formula(losses[kind]), optuna.create_study(), 0
    for budget, power in steps:
        if power is not None:
            label = {"optimizer": "sgd"} if names else {}
            name = "learning_rate_sgd" if names else "learning_rate"
            study.enqueue_trial({**label, name: 10**power})
            queued += 1
        before = len(trainer.trained)
        raced(trainer, *names, study=study, budget=budget)
        most = max(each for each, _ in steps) + queued
        assert before <= len(trainer.trained) <= most
        assert len(set(trainer.trained)) == len(trainer.trained)
        assert all(trial.state.is_finished() for trial in study.trials)
        finished = [t for t in standing(study) if t.state.name == "COMPLETE"]
        fresh = {
            (t.params.get("optimizer"), *(s for s in t.intermediate_values if s >= 2))
            for t in finished
        }
        assert len(fresh) == len({each[0] for each in fresh})  # the same splits, by optimizer
        if finished:
            choose(study)
