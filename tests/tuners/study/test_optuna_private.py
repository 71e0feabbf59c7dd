"""What Optuna does not document and we use: each fails here by its name when Optuna changes it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.samplers import RandomSampler

from tuners.study.optuna_private import release_fixed, set_trial_attribute


@pytest.fixture(params=["memory", "sqlite", "journal"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    files = optuna.storages.journal
    storage = {
        "memory": lambda: None,
        "sqlite": lambda: f"sqlite:///{tmp_path}/study.db",
        "journal": lambda: optuna.storages.JournalStorage(
            files.JournalFileBackend(str(tmp_path / "log"))
        ),
    }[request.param]()
    return optuna.create_study(storage=storage)


def test_release_fixed(study: optuna.Study) -> None:
    """A value that `before_trial` released is drawn; the others are as they were queued."""

    class Releasing(RandomSampler):
        def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            release_fixed(trial, {"x", "unknown"})

    study.sampler = Releasing(seed=0)
    study.enqueue_trial({"x": 0.25, "y": 0.5})
    trial = study.ask()
    assert trial.suggest_float("x", 0, 1) != 0.25
    assert trial.suggest_float("y", 0, 1) == 0.5


def test_set_trial_attribute(study: optuna.Study) -> None:
    asked = study.ask()
    set_trial_attribute(study, study.trials[asked.number], "role", "search")
    study.tell(asked, 1.0)
    assert study.trials[0].user_attrs == {"role": "search"}
