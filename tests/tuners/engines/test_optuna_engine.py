"""The Optuna engine: batches trained as lanes, failures, several optimizers, stop and resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces import LearningRateBounds, TuningTask
from tuners import search
from tuners.integrations.optuna_sampler import NarrowedSampler
from tuners.study import work_queue
from tuners.study.recording import recorded_bounds, recorded_facts
from tuners.study.schema import superseded
from tuners.study.storage import open_storage

pytestmark = pytest.mark.slow

BOUNDS = LearningRateBounds(1e-3, 0.3, 0.05, "ok", "by hand", declared=(1e-5, 1e3))


def make_task(optimizer: str = "SGD") -> TuningTask:
    def build() -> Any:
        import keras

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(getattr(keras.optimizers, optimizer)(0.01), loss="mse", metrics=["mae"])
        return model

    random = np.random.default_rng(0)
    x = random.normal(size=(48, 3)).astype("float32")
    y = x @ [1.0, -2.0, 0.5] + 0.1 * random.normal(size=48)
    return TuningTask("line", build, (x[:32], y[:32]), (x[32:], y[32:]), batch_size=8)


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return make_task()  # one object, so that its lanes are compiled once


def shown(study: optuna.Study) -> list[tuple[Any, ...]]:
    """Everything about the trials but times and who ran them."""
    return [
        (
            trial.number,
            trial.state.name,
            trial.value,
            trial.params,
            {
                key: value
                for key, value in trial.user_attrs.items()
                if key not in ("seconds", "worker")
            },
        )
        for trial in study.trials
    ]


def test_a_study_of_batches(task: TuningTask) -> None:
    progress: list[tuple[int, int]] = []
    told: list[int] = []
    study = search(
        task,
        BOUNDS,
        trials=10,
        batch=4,
        epochs=3,
        splits=2,
        seed=5,
        on_epoch=lambda *counts: progress.append(counts),
        on_trial=lambda _, trial: told.append(trial.number),
    )
    trials = study.trials
    assert told == list(range(10))
    assert [trial.user_attrs["place"] for trial in trials] == list(range(10))
    assert [trial.user_attrs["role"] for trial in trials] == [
        *["suggestion", "baseline"],
        *["search"] * 8,
    ]
    assert [trial.params["learning_rate"] for trial in trials[:2]] == [0.05, 0.01]
    assert all(1e-3 <= trial.params["learning_rate"] <= 0.3 for trial in trials)
    assert {trial.distributions["learning_rate"].high for trial in trials} == {1e3}
    first = trials[0].user_attrs
    assert (first["epochs"], first["diverged"], first["seed"], first["how"]) == (
        3,
        False,
        5,
        "population",
    )
    assert set(first["curves"]) == {"loss", "val_loss", "mae", "val_mae"}
    assert len(first["scores"]) == 2
    assert trials[0].value == pytest.approx(np.mean(first["scores"]), rel=1e-5)
    assert progress == sorted(progress)
    assert progress[-1] == (60, 60)
    facts = recorded_facts(study)
    assert (facts["optimizer"], facts["model_parameters"], facts["features"]) == ("SGD", 4, 3)
    assert (facts["train_rows"], facts["validation_rows"], facts["epochs_search"]) == (32, 16, 60)
    assert (facts["splits"], facts["resplit"], facts["sampler"]) == (2, False, "qmc")
    assert facts["baseline_learning_rate"] == 0.01
    assert recorded_bounds(study) == {"learning_rate": BOUNDS}


def test_trials_of_one_search_share_their_seeds(task: TuningTask) -> None:
    study = search(task, (0.05, 0.05), trials=3, epochs=2)
    assert len({trial.value for trial in study.trials}) == 1
    other = search(task, (0.05, 0.05), trials=1, epochs=2, seed=1)
    assert other.trials[0].value != study.trials[0].value


def test_a_metric_as_objective(task: TuningTask) -> None:
    study = search(task, BOUNDS, trials=2, epochs=2, splits=1, objective="val_mae")
    best = study.trials[0].user_attrs
    # half of two epochs is one
    assert study.trials[0].value == pytest.approx(best["curves"]["val_mae"][best["best_epoch"]])
    with pytest.raises(ValueError, match=r"`objective` must be one of .*, but got 'val_maee'; did"):
        search(task, BOUNDS, trials=2, epochs=2, objective="val_maee")


def test_diverged_trials_fail_and_lower_the_rates_drawn(task: TuningTask) -> None:
    study = search(task, (0.01, 1000.0), trials=16, batch=4, epochs=2, sampler="random")
    rates = np.array([trial.params["learning_rate"] for trial in study.trials])
    failed = np.array([trial.state.name == "FAIL" for trial in study.trials])
    assert failed[0]  # the middle of the pair
    for trial in study.trials:
        assert trial.user_attrs["diverged"] == (trial.state.name == "FAIL")
        assert trial.user_attrs["epochs"] >= 1
    assert failed[8:].sum() < failed[:8].sum()
    assert rates[12:].max() < rates[:4].max()


def test_several_optimizers_in_one_study() -> None:
    tasks = {"sgd": make_task("SGD"), "adam": make_task("Adam")}
    bounds = {"sgd": BOUNDS, "adam": LearningRateBounds(1e-4, 0.1, 0.01, "ok", "by hand")}
    study = search(tasks, bounds, trials=8, batch=8, epochs=2)
    assert [trial.params for trial in study.trials[:3]] == [
        {"optimizer": "sgd", "learning_rate_sgd": 0.05},
        {"optimizer": "adam", "learning_rate_adam": 0.01},  # its baseline is the same rate
        {"optimizer": "sgd", "learning_rate_sgd": 0.01},
    ]
    assert [trial.user_attrs["role"] for trial in study.trials] == [
        *["suggestion", "suggestion", "baseline"],
        *["search"] * 5,
    ]
    assert recorded_facts(study)["sampler"] == "tpe"
    for trial in study.trials:
        name = f"learning_rate_{trial.params['optimizer']}"
        own = bounds[trial.params["optimizer"]]
        assert set(trial.params) == {"optimizer", name}
        assert own.low <= trial.params[name] <= own.high
    assert {trial.params["optimizer"] for trial in study.trials[3:]} == {"sgd", "adam"}
    assert set(recorded_bounds(study)) == {"learning_rate_sgd", "learning_rate_adam"}
    assert recorded_facts(study)["optimizer"] == "sgd, adam"
    alone = search(tasks["adam"], (0.01, 0.01), trials=1, epochs=2)
    assert study.trials[1].value == pytest.approx(alone.trials[0].value, rel=1e-4)


@pytest.mark.parametrize(("how", "splits"), [("population", 4), ("sequential", 1)])
def test_pruned_trials_stop_early(task: TuningTask, how: str, splits: int) -> None:
    sizes: dict[str, Any] = {"epochs": 4, "splits": splits}
    middle = search(task, (3e-4, 3e-4), trials=1, **{**sizes, "epochs": 2}).trials[0].value
    pruner = optuna.pruners.ThresholdPruner(upper=middle, n_warmup_steps=1)
    study = search(task, (1e-4, 0.1), trials=3, pruner=pruner, baseline=2e-4, how=how, **sizes)
    rates = [trial.params["learning_rate"] for trial in study.trials]
    assert [trial.state.name for trial in study.trials] == [
        "COMPLETE" if rate > 3e-4 else "PRUNED" for rate in rates
    ]
    states = {trial.state.name for trial in study.trials}
    assert states == {"COMPLETE", "PRUNED"}
    for trial in study.trials:
        pruned = trial.state.name == "PRUNED"
        assert trial.user_attrs["epochs"] == len(trial.intermediate_values) == (2 if pruned else 4)
        assert (trial.user_attrs["curves"]["val_loss"][-1] is None) == pruned
        assert not trial.user_attrs["diverged"]


class Killed(BaseException):
    """Stands for whatever ends a process."""


def killed_when_told(number: int) -> Callable[[optuna.Study, optuna.trial.FrozenTrial], None]:
    def on_trial(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if trial.number == number:
            raise Killed

    return on_trial


def killed_at_draw(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    sample = NarrowedSampler.sample_relative

    def sample_or_die(sampler: NarrowedSampler, study: optuna.Study, *trial: Any) -> dict[str, Any]:
        drawn = sample(sampler, study, *trial)
        if trial[0].number == number:
            monkeypatch.setattr(NarrowedSampler, "sample_relative", sample)
            raise Killed
        return drawn

    monkeypatch.setattr(NarrowedSampler, "sample_relative", sample_or_die)


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "cmaes"])
def test_resumes_to_an_equal_study(
    task: TuningTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    arguments: dict[str, Any] = {"epochs": 2, "batch": 4, "sampler": sampler, "study_name": "a"}
    whole = search(task, BOUNDS, trials=10, **arguments)
    arguments |= {"storage": f"sqlite:///{tmp_path}/study.db", "trials": 10}

    with pytest.raises(Killed):  # while telling: trial 1 is told, 2 and 3 are not
        search(task, BOUNDS, **arguments, on_trial=killed_when_told(1))
    killed_at_draw(monkeypatch, 6)
    with pytest.raises(Killed):  # while drawing: 4 and 5 are stored, 6 is drawn, 7 is not made
        search(task, BOUNDS, **arguments)

    def interrupt(done: int, total: int) -> None:
        if done > 6 * 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # while training the second batch
        search(task, BOUNDS, **arguments, on_epoch=interrupt)
    with pytest.raises(Killed):  # the last of the last batch
        search(task, BOUNDS, **arguments, on_trial=killed_when_told(8))
    study = search(task, BOUNDS, **arguments)
    assert shown(study) == shown(whole)
    before = shown(study)
    assert shown(search(task, BOUNDS, **arguments)) == before


@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband"])
def test_kills_under_a_pruner_resume_to_an_equal_study(
    task: TuningTask, tmp_path: Path, pruner: str
) -> None:
    arguments: dict[str, Any] = {"trials": 12, "epochs": 5, "pruner": pruner, "study_name": "a"}
    wide = (1e-5, 0.3)
    whole = search(task, wide, **arguments)
    assert {"COMPLETE", "PRUNED"} == {trial.state.name for trial in whole.trials}
    arguments["storage"] = f"sqlite:///{tmp_path}/study.db"
    with pytest.raises(Killed):  # while telling: trials 2 and 3 of the first batch are not told
        search(task, wide, **arguments, on_trial=killed_when_told(1))
    for _ in range(2):  # while training the last batch

        def kill(done: int, total: int) -> None:
            if done > total * 0.8:
                raise Killed

        with pytest.raises(Killed):
            search(task, wide, **arguments, on_epoch=kill)
    with pytest.raises(Killed):
        search(task, wide, **arguments, on_trial=killed_when_told(9))
    study = search(task, wide, **arguments)
    assert shown(study) == shown(whole)
    for trial, known in zip(study.trials, whole.trials, strict=True):
        assert trial.intermediate_values == known.intermediate_values
        assert trial.system_attrs == known.system_attrs


def test_who_slept_and_lost_its_trials_goes_on(task: TuningTask, tmp_path: Path) -> None:
    address = f"journal:///{tmp_path}/study.journal"
    lost: list[int] = []

    def sleep(done: int, total: int) -> None:
        if not lost:
            other = optuna.load_study(study_name="a", storage=open_storage(address))
            for trial in work_queue._running(other):  # as another process does meanwhile
                work_queue._queue_again(other, trial)
                lost.append(trial.number)

    arguments: dict[str, Any] = {"trials": 4, "epochs": 2, "pruner": "median", "study_name": "a"}
    study = search(task, BOUNDS, **arguments, storage=address, on_epoch=sleep)
    assert lost == [0, 1, 2, 3]
    assert superseded(study.trials) == set(lost)
    whole = search(task, BOUNDS, **arguments)
    assert [t.value for t in study.trials[4:]] == [t.value for t in whole.trials]


def test_trials_may_grow_and_queued_trials_are_run(task: TuningTask, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"epochs": 2, "storage": f"sqlite:///{tmp_path}/study.db"}
    study = search(task, BOUNDS, trials=3, **arguments)
    study.enqueue_trial({"learning_rate": 0.9}, user_attrs={"role": "baseline"})
    study.enqueue_trial({"learning_rate": 0.8})
    study = search(task, BOUNDS, trials=5, **arguments)
    assert [trial.user_attrs["role"] for trial in study.trials] == [
        *["suggestion", "baseline", "search"],
        *["baseline", "queued", "search", "search"],
    ]
    assert all(trial.state.is_finished() for trial in study.trials)
    assert recorded_facts(study)["trials"] == 5
    assert len(search(task, BOUNDS, trials=2, **arguments).trials) == 7
