"""What a ramp costs: an eighth of a training for each seed, two trainings at most."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.tuners.range_tests.small import X, Y, frozen, linear, task_of
from tuners.range_tests import runner
from tuners.range_tests.runner import (
    FEWEST_STEPS,
    MOST_TRAININGS,
    SHARE,
    UNKNOWN_STEPS,
    ramp_size,
    range_test,
)


@given(st.integers(1, 300), st.integers(1, 10_000), st.integers(1, 64))
def test_a_ramp_takes_an_eighth_and_all_of_them_two_trainings(
    epochs: int, batches: int, seeds: int
) -> None:
    training, (steps, lanes) = epochs * batches, ramp_size(epochs, batches, seeds)
    assert steps >= 2
    assert 1 <= lanes <= seeds
    assert lanes == 1 or steps * lanes <= MOST_TRAININGS * training
    assert steps == 2 or lanes == seeds
    if SHARE * training >= FEWEST_STEPS and seeds <= 16:
        assert steps == int(SHARE * training)
    assert ramp_size(epochs, 0, seeds) == (UNKNOWN_STEPS, seeds)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epochs", "batches", "seeds", "shape"),
    [
        (1, 1, 8, (2, 1)),  # a training of one step pays for two steps of one seed
        (1, 3, 8, (2, 3)),
        (2, 4, 8, (2, 8)),
        (5, 10, 8, (12, 8)),
        (30, 10, 8, (37, 8)),
        (30, 10, 2, (37, 2)),
    ],
)
@pytest.mark.parametrize("build", [linear, frozen], ids=["learns", "learns nothing"])
def test_no_ramp_costs_more_than_two_trainings(
    epochs: int, batches: int, seeds: int, shape: tuple[int, int], build: Any
) -> None:
    curve = range_test(task_of(batches, build), epochs=epochs, seeds=seeds, mode="ramp")
    assert curve.gradient_steps is not None
    assert 0 < curve.gradient_steps <= MOST_TRAININGS * epochs * batches
    steps, lanes = curve.table.shape
    assert steps == shape[0]
    assert lanes in (shape[1], 2 * shape[1])


@pytest.mark.slow
def test_eight_more_seeds_are_measured_where_eight_cannot_decide() -> None:
    told: list[tuple[int, int]] = []
    plain = range_test(task_of(10), epochs=30, mode="ramp")
    assert plain.bounds().status == "ok"
    assert plain.seeds == 8
    tell: Any = {"progress": lambda *n: told.append(n)}
    curve = range_test(task_of(10, frozen), epochs=30, mode="ramp", **tell)
    assert curve.bounds().status in ("no_descent", "too_noisy")
    assert curve.losses.shape == (37, 16)
    assert curve.gradient_steps == np.isfinite(curve.losses).sum() == 37 * 16
    assert told.count((37 * 8, 37 * 8)) == 2
    assert curve.declared == plain.declared
    assert len({tuple(column) for column in curve.losses.T}) == 16  # of seeds of their own


@pytest.mark.slow
def test_too_dear_seeds_are_not_measured_unless_the_steps_were_given() -> None:
    short = range_test(task_of(10, frozen), epochs=5, mode="ramp")  # 12 * 8 of 100 steps are spent
    assert short.bounds().status in ("no_descent", "too_noisy")
    assert short.losses.shape == (12, 8)
    with pytest.warns(UserWarning, match=r"8\.0 trainings, .* leave out `steps`=25 for 2 at most"):
        given_steps = range_test(task_of(10, frozen), epochs=5, mode="ramp", steps=25)
    assert given_steps.losses.shape == (25, 16)


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_a_dataset_of_unknown_length_has_a_ramp_of_its_own_length(known: bool) -> None:
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    if not known:
        dataset = dataset.filter(lambda x, y: True)
    curve = range_test(linear, dataset, epochs=20, seeds=1, mode="ramp", materialise=False)
    # one of its ten batches validates
    assert len(curve.losses) == (22 if known else UNKNOWN_STEPS)
    assert curve.bounds().status in ("ok", "too_noisy", "no_descent", "no_divergence")


def test_the_docstring_examples_run() -> None:
    assert doctest.testmod(runner).failed == 0
