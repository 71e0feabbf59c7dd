"""The sweep: what it trains, what it costs, and that it is the beginning of a real training."""

from __future__ import annotations

import doctest
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras.optimizers import schedules

from tests.tuners.range_tests.small import X, Y, frozen, linear, task_of
from tuners import range_test, train
from tuners.range_tests import short_trainings
from tuners.range_tests.short_trainings import (
    MOST_FOR_RATES,
    MOST_TRAININGS,
    UNKNOWN_STEPS,
    sweep_size,
)

DECLARED = (1e-5, 1.0)


@given(st.integers(1, 300), st.integers(1, 10_000), st.integers(1, 64), st.floats(0.5, 30))
def test_one_seed_costs_a_training_and_a_half_and_all_of_them_two(
    epochs: int, batches: int, seeds: int, decades: float
) -> None:
    declared = (1e-12, 10 ** (decades - 12))
    rates, lanes, length, trained = sweep_size(epochs, batches, declared, seeds)
    training, one = epochs * batches, len(rates) * length * trained
    assert (rates[0], rates[-1]) == declared
    assert 1 <= lanes <= seeds
    assert len(rates) == 5 or one <= MOST_FOR_RATES * training
    if training >= 3:
        assert lanes * one <= MOST_TRAININGS * training
    if decades == 5 and epochs >= 10:
        assert len(rates) == 11


def test_a_dataset_of_unknown_length_has_short_trainings_of_its_own_length() -> None:
    rates, *size = sweep_size(30, 0, DECLARED, 2)
    assert len(rates) == 11
    assert size == [2, 1, UNKNOWN_STEPS]


@pytest.mark.slow
@pytest.mark.parametrize("resplit", [None, "shuffle"])
def test_each_rate_has_the_validation_loss_of_the_first_epochs_of_a_training(resplit: Any) -> None:
    task, told = task_of(10, resplit=resplit), []
    curve = range_test(task, epochs=30, seed=3, progress=lambda *n: told.append(n))
    assert (curve.kind, curve.declared, curve.seeds) == ("sweep", DECLARED, 1)
    np.testing.assert_allclose(curve.learning_rates, np.geomspace(1e-5, 1.0, 11))
    record = train(task, curve.learning_rates, [3] * 11, epochs=30)
    np.testing.assert_allclose(curve.table[:, 0], record.val_loss[:, 1], rtol=1e-5)
    assert curve.gradient_steps == 11 * 2 * 10
    assert curve.trainings == pytest.approx(22 / 30)
    assert told[-1] == (22, 22)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["population", "sequential"])
def test_under_ten_epochs_a_tenth_of_the_steps_is_trained(how: Any) -> None:
    task, rates = task_of(10), np.geomspace(*DECLARED, 11)
    curve = range_test(task, epochs=4, seed=3, how=how)
    first = train(task, rates, [3] * 11, epochs=1, batches=4, how=how)
    np.testing.assert_allclose(curve.table[:, 0], first.val_loss[:, 0], rtol=1e-5)
    assert curve.gradient_steps == 11 * 4
    other = range_test(task, epochs=4, seed=4, how=how)
    assert (other.table[:8] != curve.table[:8]).all()  # of other rows


@pytest.mark.slow
def test_seeds_have_columns_of_their_own_splits() -> None:
    task = task_of(10, resplit="shuffle")
    both = range_test(task, epochs=30, seed=3, seeds=2)
    assert both.table.shape == (11, 2)
    for column in (0, 1):
        one = range_test(task, epochs=30, seed=3 + column)
        np.testing.assert_allclose(both.table[:, column], one.table[:, 0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["population", "sequential"])
def test_a_short_training_is_the_beginning_of_the_whole_schedule(how: Any) -> None:
    def warmed() -> keras.Model:  # its peak is at the end of the fifth of 20 epochs
        return linear(
            keras.optimizers.SGD(
                schedules.CosineDecay(0.0, 150, warmup_target=0.1, warmup_steps=50)
            )
        )

    task = task_of(10, warmed)
    curve = range_test(task, epochs=20, how=how)
    whole = train(task, curve.learning_rates, [0] * 11, epochs=20, how=how)
    np.testing.assert_allclose(curve.table[:, 0], whole.val_loss[:, 0], rtol=1e-4)
    squeezed = train(task, curve.learning_rates, [0] * 11, epochs=1, how=how)
    assert (squeezed.val_loss[6:9, 0] < curve.table[6:9, 0]).all()  # which is far along by then


@pytest.mark.slow
def test_a_model_keeps_its_schedule_too() -> None:
    schedule = schedules.ExponentialDecay(0.05, 9, 0.01)
    sources = [linear(keras.optimizers.SGD(each)) for each in (schedule, 0.05)]
    sources[1].set_weights(sources[0].get_weights())
    falling, plain = (range_test(each, X, Y, epochs=10, batch_size=16) for each in sources)
    assert (falling.table[2:8] > plain.table[2:8]).all()


@pytest.mark.slow
def test_averaged_weights_are_measured_as_a_training_measures_them() -> None:
    def averaged() -> keras.Model:
        return linear(keras.optimizers.SGD(use_ema=True, ema_momentum=0.9))

    task = task_of(10, averaged)
    curves = [range_test(task, epochs=20, how=how) for how in ("population", "sequential")]
    np.testing.assert_allclose(curves[0].table, curves[1].table, rtol=1e-4)
    whole = train(task, curves[0].learning_rates, [0] * 11, epochs=20)
    np.testing.assert_allclose(curves[0].table[:, 0], whole.val_loss[:, 0], rtol=1e-4)


@pytest.mark.slow
def test_rates_that_turn_non_finite_have_no_loss_and_cost_what_they_ran() -> None:
    curve = range_test(task_of(10), epochs=100, declared=(1e-3, 1e18), how="sequential")
    lost = ~np.isfinite(curve.table[:, 0])
    assert lost[-1]
    assert not lost[:4].any()
    assert curve.bounds().status == "ok"
    assert curve.gradient_steps is not None
    assert curve.gradient_steps < len(curve.table) * 5 * 10


@pytest.mark.slow
def test_one_seed_more_is_measured_where_one_cannot_decide_and_can_be_paid_for() -> None:
    paid = range_test(task_of(10, frozen), epochs=30)  # 0.7 trainings a seed
    assert paid.bounds().status == "no_descent"
    assert paid.seeds == 2
    assert paid.gradient_steps == 2 * 11 * 2 * 10
    dear = range_test(task_of(10, frozen), epochs=10)  # 1.1
    assert dear.bounds().status == "no_descent"
    assert dear.seeds == 1


@pytest.mark.slow
@pytest.mark.parametrize(("epochs", "batches"), [(1, 1), (1, 3), (2, 4), (5, 10), (10, 2)])
@pytest.mark.parametrize("build", [linear, frozen], ids=["learns", "learns nothing"])
def test_no_sweep_costs_more_than_two_trainings(epochs: int, batches: int, build: Any) -> None:
    curve = range_test(task_of(batches, build), epochs=epochs, seeds=8)
    assert curve.gradient_steps is not None
    assert 0 < curve.gradient_steps <= max(MOST_TRAININGS * epochs * batches, 5)
    assert curve.bounds().status != "too_few_points"


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_a_dataset_that_streams_validates_on_its_first_batches(known: bool) -> None:
    kept = keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)
    model = keras.Sequential([keras.Input((1,)), kept])
    model.compile("sgd", "mae")
    x, y = np.zeros((40, 1), "float32"), np.repeat(np.arange(1.0, 11.0), 4).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)  # a batch's loss is its number
    if not known:
        dataset = dataset.filter(lambda x, y: True)
    curve = range_test(model, dataset, epochs=20, materialise=False)
    assert (curve.table == 1.0).all()
    assert curve.gradient_steps == (11 * 9 * (1 + 1) if known else None)
    assert curve.trainings == (pytest.approx(22 / 20) if known else None)


@pytest.mark.slow
def test_a_dataset_of_one_batch_validates_on_itself() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(160)
    curve = range_test(linear, dataset, epochs=60, materialise=False)
    assert np.isfinite(curve.table).all()


def test_the_docstring_examples_run() -> None:
    assert doctest.testmod(short_trainings).failed == 0
