"""The KerasTuner examples, before and after."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("keras_tuner_bayesian", "keras_tuner_hyperband")


# KerasTuner loads the best weights into models whose optimizer holds nothing yet
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.slow
@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.table), "after"])
@pytest.mark.parametrize("name", NAMES)
def test_runs_and_narrows(name: str, when: str, tmp_path: Path) -> None:
    main = runpy.run_path(str(EXAMPLES / f"{name}_{when}.py"))["main"]
    size = {"max_trials": 2, "epochs": 5} if "bayesian" in name else {"max_epochs": 5}
    tuner = main(directory=tmp_path, **size)
    rate = "lr" if "bayesian" in name else "sgd/learning_rate"
    (entry,) = (entry for entry in tuner.oracle.hyperparameters.space if entry.name == rate)
    width = len(entry.values) if hasattr(entry, "ordered") else entry.max_value / entry.min_value
    declared = 9 if hasattr(entry, "ordered") else 1e5
    if when == "before":
        assert width == pytest.approx(declared)
    else:
        assert width < declared
    assert all(trial.status == "COMPLETED" for trial in tuner.oracle.trials.values())
