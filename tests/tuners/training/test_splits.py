"""Lanes train on the rows of their own seed's split, in epochs and in single steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from search_spaces.task import TuningTask, with_data
from tests.tuners.tasks import HELD_OUT, ROWS, dense_model, rows
from tuners.training.runner import train, train_steps

pytestmark = pytest.mark.slow

TOLERANCE = 2e-5
LANES: dict[str, Any] = {"learning_rates": [0.05, 0.05], "seeds": [0, 1], "epochs": 2}


def halves() -> tuple[Any, Any]:
    x, y = rows()
    return (x[HELD_OUT:], y[HELD_OUT:]), (x[:HELD_OUT], y[:HELD_OUT])


def resplit(seed: int) -> tuple[Any, Any]:
    x, y = rows()
    order = np.random.default_rng(seed).permutation(ROWS)
    held, kept = order[:HELD_OUT], order[HELD_OUT:]
    return (x[kept], y[kept]), (x[held], y[held])


@pytest.mark.parametrize(
    "way",
    ["shuffle", pytest.param(resplit, marks=pytest.mark.table)],
    ids=["shuffle", "a function"],
)
def test_each_lane_has_rows_of_its_own_unless_asked_otherwise(way: Any) -> None:
    task = TuningTask("own", dense_model(), *halves(), batch_size=16, resplit=way)
    stacked = train(task, **LANES)
    alone = train(task, **LANES, how="sequential")
    assert (stacked.how, alone.how) == ("population", "sequential")
    np.testing.assert_allclose(stacked.val_loss, alone.val_loss, atol=TOLERANCE)
    np.testing.assert_allclose(stacked.initial_val_loss, alone.initial_val_loss, atol=TOLERANCE)
    fixed = train(task, **LANES, resplit=False)
    assert (fixed.val_loss != stacked.val_loss).all()
    for lane, seed in enumerate(LANES["seeds"]):
        parts = task.split(seed)
        own = with_data(task, train=parts[0], validation=parts[1], resplit=None)
        only = train(own, [0.05], [seed], epochs=2)
        np.testing.assert_allclose(only.val_loss[0], stacked.val_loss[lane], atol=TOLERANCE)
    plain = with_data(task, resplit=None)
    np.testing.assert_array_equal(train(plain, **LANES).seeds, stacked.seeds)
    np.testing.assert_allclose(train(plain, **LANES).loss, fixed.loss, atol=TOLERANCE)


def constant() -> Any:
    """Return a model that gives 0 and hardly learns, so that a loss tells the rows of its batch."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)]
    )
    model.compile("sgd", "mae")
    return model


@pytest.mark.parametrize("how", ["population", "sequential"])
@pytest.mark.filterwarnings("ignore:Two seeds build the same initial weights")
def test_steps_of_a_lane_see_the_training_rows_of_its_own_split_only(how: Any) -> None:
    number = np.arange(20.0, dtype="float32")
    x = np.zeros((20, 1), "float32")
    task = TuningTask(
        "numbers",
        constant,
        (x[:12], number[:12]),
        (x[12:], number[12:]),
        batch_size=1,
        resplit="shuffle",
    )
    found = train_steps(task, np.full((12, 3), 1e-6), [0, 1, 2], how=how)
    for lane in range(3):
        own = task.split(lane)[0][1]
        np.testing.assert_allclose(np.sort(found.loss[:, lane]), np.sort(own))
    assert len({tuple(np.sort(losses)) for losses in found.loss.T}) == 3
    fixed = train_steps(with_data(task, resplit=None), np.full((12, 3), 1e-6), [0, 1, 2], how=how)
    assert [sorted(losses) for losses in fixed.loss.T] == [list(range(12))] * 3


def test_sample_weights_go_with_their_rows() -> None:
    x, y = rows()
    weight = np.where(y > 0, 1.0, 0.0)  # what does not count must not count in any split
    task = TuningTask(
        "weighted",
        dense_model(),
        (x[HELD_OUT:], y[HELD_OUT:], weight[HELD_OUT:]),
        (x[:HELD_OUT], y[:HELD_OUT], weight[:HELD_OUT]),
        batch_size=16,
        resplit="shuffle",
    )
    lost = with_data(
        task,
        **{
            part: (each[0], np.where(each[2] > 0, each[1], 7.0), each[2])
            for part, each in (("train", task.train), ("validation", task.validation))
        },
    )
    for how in ("population", "sequential"):
        one, other = (train(each, **LANES, how=how) for each in (task, lost))
        np.testing.assert_allclose(one.loss, other.loss, atol=TOLERANCE)
        np.testing.assert_allclose(one.val_loss, other.val_loss, atol=TOLERANCE)
