"""What Optuna does not document and we use: each fails here by its name when Optuna changes it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.samplers import PartialFixedSampler, RandomSampler
from optuna.storages import JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from tuners.study import optuna_private


@pytest.fixture(params=["memory", "sqlite", "journal"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    storage = {
        "memory": lambda: None,
        "sqlite": lambda: f"sqlite:///{tmp_path}/study.db",
        "journal": lambda: JournalStorage(JournalFileBackend(str(tmp_path / "log"))),
    }[request.param]()
    optuna.create_study(storage=storage, study_name="another").ask()
    return optuna.create_study(storage=storage, study_name="mine")


def running(study: optuna.Study) -> FrozenTrial:
    number = study.ask().number
    return study.trials[number]


def test_storage_of(study: optuna.Study) -> None:
    again = optuna.load_study(storage=optuna_private.storage_of(study), study_name="mine")
    study.ask()
    assert len(again.trials) == 1


def test_backend(tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db")
    cached = optuna_private.storage_of(study)
    assert not isinstance(cached, RDBStorage)
    found = optuna_private.backend(cached)
    assert isinstance(found, RDBStorage)
    assert optuna_private.backend(found) is found


def test_study_id_and_trial_id(study: optuna.Study) -> None:
    storage = optuna_private.storage_of(study)
    assert storage.get_study_name_from_id(optuna_private.study_id(study)) == "mine"
    trial = running(study)
    assert storage.get_trial(optuna_private.trial_id(trial)).number == trial.number


def test_running_trial(study: optuna.Study) -> None:
    optuna_private.running_trial(study, running(study)).suggest_float("x", 0, 1)
    assert "x" in study.trials[0].params


def test_begin_trial(study: optuna.Study) -> None:
    optuna_private.begin_trial(study, {"unit": "search"})
    trial = optuna_private.begin_trial(study, {"unit": "other"})
    assert (trial.number, trial.state.name, trial.user_attrs) == (1, "RUNNING", {"unit": "other"})
    assert [each.user_attrs["unit"] for each in study.trials] == ["search", "other"]


def test_take_waiting_trial(study: optuna.Study) -> None:
    for value in (0.25, 0.5):
        study.enqueue_trial({"x": value})
    first, second = study.trials
    assert optuna_private.take_waiting_trial(study, second)
    assert not optuna_private.take_waiting_trial(study, second)
    study.tell(1, 0.0)
    assert not optuna_private.take_waiting_trial(study, second)
    assert [trial.state.name for trial in study.trials] == ["WAITING", "COMPLETE"]
    assert optuna_private.take_waiting_trial(study, first)


def test_fail_trial(study: optuna.Study) -> None:
    trial = running(study)
    assert optuna_private.fail_trial(study, trial)
    assert study.trials[0].state == TrialState.FAIL
    with pytest.raises(UpdateFinishedTrialError):
        optuna_private.fail_trial(study, trial)


def test_set_trial_attribute(study: optuna.Study) -> None:
    optuna_private.set_trial_attribute(study, running(study), "role", "search")
    assert study.trials[0].user_attrs == {"role": "search"}


def test_fixed_values(study: optuna.Study) -> None:
    study.enqueue_trial({"x": 0.25, "y": 0.5})
    assert optuna_private.fixed_values(study.trials[0]) == {"x": 0.25, "y": 0.5}
    study.ask()
    assert optuna_private.fixed_values(study.trials[0]) == {"x": 0.25, "y": 0.5}
    assert optuna_private.fixed_values(running(study)) == {}


def test_release_fixed(study: optuna.Study) -> None:
    """A value that `before_trial` released is drawn; the others are as they were queued."""

    class Releasing(RandomSampler):
        def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
            optuna_private.release_fixed(trial, {"x", "unknown"})

    study.sampler = Releasing(seed=0)
    study.enqueue_trial({"x": 0.25, "y": 0.5})
    trial = study.ask()
    assert trial.suggest_float("x", 0, 1) != 0.25
    assert trial.suggest_float("y", 0, 1) == 0.5


def test_retry_history(study: optuna.Study) -> None:
    assert optuna_private.retry_history(running(study)) == []
    for number in (0, 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            RetryHeartbeatStaleTrialCallback()(study, study.trials[number])
    assert optuna_private.retry_history(study.trials[2]) == [0, 1]


def test_sampler_attributes(study: optuna.Study) -> None:
    study.sampler = optuna.samplers.CmaEsSampler(seed=0, warn_independent_sampling=False)
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1), 9)
    found = [optuna_private.sampler_attributes(trial, "cma:") for trial in study.trials]
    assert any("cma:generation" in each for each in found)
    assert optuna_private.sampler_attributes(study.trials[-1], "none") == {}


def test_write_and_forget_sampler_attributes(study: optuna.Study) -> None:
    trial = running(study)
    for key in ("rung_0", "other"):
        optuna_private.write_sampler_attribute(study, trial, key, 0.5)
    (stored,) = study.get_trials()
    assert optuna_private.sampler_attributes(stored, "rung") == {"rung_0": 0.5}
    optuna_private.forget_sampler_attributes(stored, "rung")
    assert optuna_private.sampler_attributes(stored, "") == {"other": 0.5}


def test_write_report(study: optuna.Study) -> None:
    trial = running(study)
    for value in (0.5, 0.25):
        optuna_private.write_report(study, trial, 3, value)
    assert study.trials[0].intermediate_values == {3: 0.25}


def test_whole_study() -> None:
    seen: list[optuna.Study] = []

    class Watching(RandomSampler):
        def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
            seen.append(study)

    pruner = optuna.pruners.HyperbandPruner(max_resource=9)
    study = optuna.create_study(sampler=Watching(), pruner=pruner)
    study.set_user_attr("known", True)
    study.optimize(lambda trial: trial.should_prune() or 1.0, n_trials=2)
    assert not any(isinstance(each, optuna.Study) and each is study for each in seen)
    assert all(optuna_private.whole_study(each).user_attrs == {"known": True} for each in seen)
    assert optuna_private.whole_study(study) is study


def test_inner_sampler() -> None:
    base = RandomSampler()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        assert optuna_private.inner_sampler(PartialFixedSampler({"x": 1}, base)) is base
    assert optuna_private.inner_sampler(base) is None


def test_no_other_file_uses_them() -> None:
    root = Path(optuna_private.__file__).parents[1]
    private = re.compile(r"\._(storage|trial_id|study_id)\b|system_attrs|\"_(study|backend)\"")
    found = {
        f"{file.relative_to(root)}: {line.strip()}"
        for file in root.rglob("*.py")
        if file.name != "optuna_private.py"
        for line in file.read_text().splitlines()
        if private.search(line)
    }
    assert found == set()
