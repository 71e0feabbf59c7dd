"""choose() on studies that `search` made."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces.task import TuningTask
from tests.tuners.tasks import HELD_OUT, dense_model, rows
from tuners import choose, record, search
from tuners.choosing.choice import recorded_choice
from tuners.study.recording import recorded_facts

pytestmark = pytest.mark.slow


def make(optimizer: Any = "sgd", **options: Any) -> TuningTask:
    x, y = rows()
    train, held = (x[HELD_OUT:], y[HELD_OUT:]), (x[:HELD_OUT], y[:HELD_OUT])
    build = dense_model(optimizer)
    return TuningTask("small", build, train, held, batch_size=16, resplit="shuffle", **options)


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    return search(make(), (1e-3, 10.0), trials=8, epochs=4, splits=3)


def test_all_trials_and_splits_name_one_rate(study: optuna.Study) -> None:
    choice = choose(study)
    finished = [trial for trial in study.trials if trial.value is not None]
    assert (choice.trials, choice.splits) == (len(finished), 3)
    rates = [trial.params["learning_rate"] for trial in finished]
    assert min(rates) <= choice.learning_rate <= max(rates)
    assert (choice.objective, choice.direction) == ("val_loss", "minimize")
    assert choice.baseline_learning_rate == pytest.approx(0.01)  # that of Keras's SGD
    assert choice.baseline_inside is False  # four epochs need more
    assert "compared on 3 splits" in choice.reason
    record(study, choice=choice)
    kept = recorded_choice(study)
    assert kept is not None
    assert kept.learning_rate == choice.learning_rate


def test_a_trial_keeps_a_score_for_each_split_and_its_best_epochs_beside(
    study: optuna.Study,
) -> None:
    for trial in study.trials:
        if trial.value is None:
            continue
        scores, best = trial.user_attrs["scores"], trial.user_attrs["best_values"]
        assert trial.value == pytest.approx(np.mean(scores), rel=1e-5)
        assert len(scores) == len(best) == 3
        assert len(set(scores)) == 3
        assert (np.array(best) <= np.array(scores) + 1e-6).all()


def test_diverged_trials_are_ignored() -> None:
    wide = search(make(), (0.5, 1e9), trials=8, epochs=2, splits=2)
    diverged = [trial for trial in wide.trials if trial.user_attrs["diverged"]]
    assert diverged
    assert all(trial.value is None for trial in diverged)
    choice = choose(wide)
    assert choice.trials == 8 - len(diverged)
    assert choice.plateau[1] < min(trial.params["learning_rate"] for trial in diverged)


def test_a_metric_that_is_better_high() -> None:
    study = search(make(), (0.01, 1.0), trials=4, epochs=4, splits=2, objective="val_accuracy")
    choice = choose(study)
    assert (choice.objective, choice.direction) == ("val_accuracy", "maximize")
    assert 0 <= min(choice.fitted) <= max(choice.fitted) <= 1


def test_a_race_names_its_best_finished_trial() -> None:
    study = search(make(), (0.02, 2.0), budget=11, epochs=2, baseline=0.05)
    choice = choose(study)
    states = [trial.state.name for trial in study.trials]
    assert choice.trials == states.count("COMPLETE") + states.count("PRUNED")
    assert choice.learning_rate == pytest.approx(study.best_params["learning_rate"], rel=1e-3)
    seen = {split for trial in study.trials for split in trial.user_attrs.get("splits", [])}
    assert choice.splits == len(seen) > 1
    assert choice.baseline_learning_rate == 0.05
    record(study, choice=choice)
    kept = recorded_choice(study)
    assert kept is not None
    assert kept.reason == choice.reason


def test_several_optimizers_in_one_study() -> None:
    tasks = {"sgd": make("sgd"), "adam": make("adam")}
    bounds = {"sgd": (1e-6, 1e-5), "adam": (1e-4, 1e-1)}  # where SGD learns nothing
    study = search(tasks, bounds, epochs=4)
    assert recorded_facts(study)["budget"] == 19  # of both
    assert recorded_facts(study)["epochs_search"] <= 19 * 4
    choice = choose(study)
    assert (choice.optimizer, choice.parameter) == ("adam", "learning_rate_adam")
    assert "with adam the best is at" in choice.reason  # none of the other's trials has finished
    assert choice.baseline_learning_rate == pytest.approx(1e-3)  # its own trial of it
