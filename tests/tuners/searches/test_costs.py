"""What a search has cost: steps of one model, counted from lanes, epochs and batches."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from search_spaces import LearningRateBounds
from tests.tuners.tasks import dense_model, make_task
from tuners import compare, search
from tuners.study.recording import recorded_facts

pytestmark = pytest.mark.slow

TASK = make_task(dense_model("sgd"))  # 75 rows at batch 16: 5 batches an epoch
BOUNDS = LearningRateBounds(1e-2, 0.3, 0.05, "ok", "by hand")


@pytest.mark.parametrize("engine", ["optuna", "keras-tuner"])
def test_steps_are_lanes_times_epochs_times_batches(engine: str) -> None:
    options: dict[str, Any] = {"epochs": 2, "splits": 3, "engine": engine, "tuner": "random"}
    study = search(TASK, BOUNDS, trials=2, **options)
    facts = recorded_facts(study)
    assert facts["epochs_search"] == 2 * 3 * 2
    assert study.user_attrs["gradient_steps"] == facts["steps_search"] == 2 * 3 * 2 * 5
    grown = search(TASK, BOUNDS, trials=4, storage=study._storage, **options)
    assert grown.user_attrs["gradient_steps"] == 4 * 3 * 2 * 5
    again = search(TASK, BOUNDS, trials=4, storage=study._storage, **options)
    assert again.user_attrs["gradient_steps"] == 4 * 3 * 2 * 5


def test_a_comparison_counts_the_pairs_that_it_has() -> None:
    study = optuna.create_study()
    compare(TASK, 0.5, pairs=2, epochs=3, study=study)
    assert recorded_facts(study)["epochs_comparison"] == 2 * 2 * 3
    assert recorded_facts(study)["steps_comparison"] == 2 * 2 * 3 * 5
