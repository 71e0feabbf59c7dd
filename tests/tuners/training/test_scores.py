"""The score of a lane: steady, honest about divergence, and the same way round as its objective."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.tuners.tasks import dense_model, make_task
from tuners.training import records
from tuners.training.records import TrainingRecord, best_epochs, join_records, score_window
from tuners.training.runner import train

NAN = np.nan


def make(values: Any, **changes: Any) -> TrainingRecord:
    """Return a record whose objective went so, (lanes, epochs)."""
    curve = np.array(values, float)
    lanes = len(curve)
    sign = -1.0 if changes.get("direction") == "maximize" else 1.0
    options: dict[str, Any] = {
        "learning_rates": np.full(lanes, 0.1),
        "seeds": np.arange(lanes),
        "loss": curve,
        "val_loss": curve,
        "metrics": {"val_accuracy": curve},
        "best_epoch": best_epochs(sign * curve),
        "diverged": np.zeros(lanes, bool),
        "diverged_epoch": np.full(lanes, -1),
        "initial_val_loss": np.ones(lanes),
        "objective": "val_loss",
        "seconds": 0.1,
        "how": "population",
        "why": "by hand",
        "chunk_size": 1,
    }
    return TrainingRecord(**{**options, **changes})


@pytest.mark.parametrize(("epochs", "window"), [(1, 1), (2, 1), (3, 2), (4, 2), (10, 5), (30, 15)])
def test_a_score_is_the_mean_of_half_of_the_epochs(epochs: int, window: int) -> None:
    assert score_window(epochs) == window


def test_one_lucky_epoch_does_not_win() -> None:
    steady = [0.9, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    lucky = [0.9, 0.7, 0.7, 0.1, 0.7, 0.7, 0.7, 0.7]
    record = make([steady, lucky])
    assert record.best().tolist() == [0.5, 0.1]
    scores = record.scores()
    assert scores == pytest.approx([0.5, 0.55])
    assert scores[0] < scores[1]


def test_overfitting_after_the_best_half_costs_nothing() -> None:
    early = [0.4, 0.4, 0.9, 2.0]
    assert make([early]).scores() == pytest.approx([0.4])


def test_a_diverged_lane_scores_the_worst_that_it_had() -> None:
    record = make(
        [[0.2, 0.3, NAN, NAN], [0.2, 5.0, NAN, NAN], [NAN] * 4, [0.2, 0.2, 0.2, 0.2]],
        diverged=np.array([True, True, True, False]),
    )
    # the untrained loss of 1 is among them
    assert record.scores() == pytest.approx([1.0, 5.0, 1.0, 0.2])


def test_a_lane_without_any_finite_value_has_no_score() -> None:
    record = make(
        [[NAN, NAN]] * 2,
        diverged=np.array([True, False]),
        initial_val_loss=np.array([NAN, 1.0]),
    )
    assert np.isnan(record.scores()).all()


def test_what_is_better_high_is_scored_so() -> None:
    settings: dict[str, Any] = {"objective": "val_accuracy", "direction": "maximize"}
    steady, lucky = [0.1, 0.8, 0.8, 0.8], [0.1, 0.2, 0.99, 0.2]
    assert make([steady, lucky], **settings).scores() == pytest.approx([0.8, 0.595])
    gone = make([[0.5, 0.9, NAN, NAN]], **settings, diverged=np.array([True]))
    assert gone.scores() == pytest.approx([0.5])  # the loss before training is no accuracy
    assert np.isnan(make([[NAN, NAN]], **settings, diverged=np.array([True])).scores()).all()


def test_a_stopped_lane_is_scored_by_the_epochs_that_it_had() -> None:
    record = make([[0.9, 0.5, 0.3, NAN, NAN, NAN, NAN, NAN], [0.9, 0.5] + [0.3] * 6])
    assert record.scores() == pytest.approx([1.7 / 3, 0.3])  # fewer than half: their mean
    assert make([[0.9, 0.5, 0.3, 0.1, NAN, NAN]]).scores() == pytest.approx([0.3])


def test_the_direction_stays_where_records_are_joined() -> None:
    settings: dict[str, Any] = {"objective": "val_accuracy", "direction": "maximize"}
    one, other = make([[0.1, 0.5]], **settings), make([[0.9, 0.2]], **settings)
    both = join_records([one, other], 1.0)
    assert both.direction == "maximize"
    assert both.scores() == pytest.approx([0.5, 0.9])


curves = st.tuples(st.integers(1, 4), st.integers(1, 12)).flatmap(
    lambda shape: arrays.arrays(float, shape, elements=st.floats(-100, 100))
)


@given(curves, st.floats(-50, 50))
def test_a_score_lies_between_best_and_worst_and_moves_with_its_curve(
    values: np.ndarray, shift: float
) -> None:
    scores = make(values).scores()
    assert (scores >= values.min(axis=1) - 1e-9).all()
    assert (scores <= values.max(axis=1) + 1e-9).all()
    assert make(values + shift).scores() == pytest.approx(scores + shift, abs=1e-6)


@given(curves)
def test_maximizing_is_minimizing_turned_round(values: np.ndarray) -> None:
    up = make(-values, objective="val_accuracy", direction="maximize")
    assert up.scores() == pytest.approx(-make(values).scores())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["population", "sequential"])
def test_real_lanes_are_scored_by_their_objective(how: Any) -> None:
    task = make_task(dense_model("sgd"))
    record = train(task, [0.05, 1e4], [0, 0], epochs=4, how=how)
    assert record.direction == "minimize"
    assert record.diverged.tolist() == [False, True]
    scores = record.scores()
    assert scores[0] == pytest.approx(record.val_loss[0, 2:].mean())  # still falling
    assert scores[1] >= record.initial_val_loss[1] > scores[0]
    accuracy = train(task, [0.05], [0], epochs=4, how=how, objective="val_accuracy")
    assert accuracy.direction == "maximize"
    assert 0 <= accuracy.scores()[0] <= accuracy.best()[0] <= 1


def test_the_docstring_examples_run() -> None:
    assert doctest.testmod(records).failed == 0


def test_a_record_shows_itself_without_its_arrays() -> None:
    assert repr(make([[1.0, 2.0]])) == "TrainingRecord(1 lane of 2 epochs, val_loss, population)"
    lost = make([[1.0, 2.0]] * 3, diverged=np.array([True, False, True]))
    assert "3 lanes of 2 epochs, val_loss, 2 diverged, population" in repr(lost)
