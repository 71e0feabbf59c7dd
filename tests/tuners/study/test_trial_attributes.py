"""What a study keeps of a trial's lanes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tuners.study.schema import trial_attributes
from tuners.training.records import TrainingRecord, best_epochs

NAN = np.nan


def make(losses: Any, diverged: Any) -> TrainingRecord:
    curve = np.array(losses, float)
    gone = np.array(diverged)
    first = np.where(np.isnan(curve).any(axis=1), np.isnan(curve).argmax(axis=1), -1)
    return TrainingRecord(
        learning_rates=np.full(len(curve), 0.1),
        seeds=np.arange(len(curve)),
        loss=curve,
        val_loss=curve,
        metrics={"val_accuracy": 1 - curve},
        best_epoch=best_epochs(curve),
        diverged=gone,
        diverged_epoch=np.where(gone, first, -1),
        initial_val_loss=np.ones(len(curve)),
        objective="val_loss",
        seconds=1.0,
        how="population",
        why="by hand",
        chunk_size=4,
    )


CALM, GONE = [0.9, 0.5, 0.3, 0.3], [0.9, NAN, NAN, NAN]


def test_scores_and_best_epochs_stand_side_by_side() -> None:
    lucky = [0.9, 0.1, 0.7, 0.7]
    kept = trial_attributes(make([CALM, lucky], [False, False]), np.array([0, 1]), 2.0)
    assert kept["scores"] == pytest.approx([0.3, 0.4])
    assert kept["best_values"] == pytest.approx([0.3, 0.1])
    assert (kept["best_epoch"], kept["epochs"], kept["seconds"]) == (1, 4, 2.0)
    assert kept["curves"]["loss"] == pytest.approx([0.9, 0.3, 0.5, 0.5])
    assert kept["how"] == "population"
    json.dumps(kept, allow_nan=False)


def test_a_trial_sees_its_own_lanes_only() -> None:
    record = make([CALM, GONE, CALM, CALM], [False, True, False, False])
    kept = trial_attributes(record, np.array([2, 3]), 1.0)
    assert kept["scores"] == pytest.approx([0.3, 0.3])
    assert kept["diverged"] is False


@pytest.mark.parametrize(
    ("gone", "expected"), [(0, False), (1, False), (2, False), (3, True), (4, True)]
)
def test_a_trial_diverged_where_most_of_its_lanes_did(gone: int, expected: bool) -> None:
    record = make([GONE] * gone + [CALM] * (4 - gone), [True] * gone + [False] * (4 - gone))
    kept = trial_attributes(record, np.arange(4), 1.0)
    assert kept["diverged"] is expected
    # a lane that diverged counts as the worst that it had, its untrained loss of 1
    assert kept["scores"] == pytest.approx([1.0] * gone + [0.3] * (4 - gone))
    json.dumps(kept, allow_nan=False)
