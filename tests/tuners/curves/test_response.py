"""The fit of losses over rates: its lowest place, its plateau, and what moves neither."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tuners.curves import response
from tuners.curves.response import WIDTH, fit_response

BEST = 1e-3


def valley(trials: int = 16, splits: int = 4, noise: float = 0.02, seed: int = 0) -> Any:
    """Return rates, drawn at random, and losses with their lowest place at `BEST`."""
    generator = np.random.default_rng(seed)
    rates = 10 ** generator.uniform(-5, -1, trials)
    losses = 1 + 0.3 * np.log10(rates / BEST)[:, None] ** 2
    offsets = 0.2 * generator.normal(size=splits)
    return rates, losses + offsets + noise * generator.normal(size=(trials, splits))


def decades(pair: tuple[float, float]) -> float:
    return math.log10(pair[1] / pair[0])


@pytest.mark.parametrize("splits", [1, 4])
def test_the_lowest_place_is_found(splits: int) -> None:
    far = []
    for seed in range(30):
        found = fit_response(*valley(splits=splits, seed=seed))
        far.append(abs(math.log10(found.best / BEST)))
        assert found.splits == splits
    assert np.median(far) < 0.2
    assert max(far) < 0.6


def test_one_lucky_trial_does_not_win() -> None:
    rates = np.geomspace(1e-5, 1e-1, 33)
    losses = 1 + 0.3 * np.log10(rates / BEST)[:, None] ** 2 + np.zeros(4)
    lucky = int(np.argmin(abs(rates - 2e-2)))
    losses[lucky] = 0.95
    assert losses.mean(axis=1).argmin() == lucky
    assert fit_response(rates, losses).best == pytest.approx(BEST, rel=0.3)


@pytest.mark.parametrize("height", [10.0, 1e3, 1e30])
def test_a_cliff_on_the_right_does_not_move_the_lowest_place(height: float) -> None:
    rates, losses = valley(trials=24)
    calm = fit_response(rates, losses)
    cliff = losses.copy()
    cliff[rates > 2e-2] = height
    assert (rates > 2e-2).any()
    assert fit_response(rates, cliff).best == pytest.approx(calm.best, rel=1e-6)


def test_offsets_of_the_splits_cancel() -> None:
    rates, losses = valley()
    plain = fit_response(rates, losses)
    moved = fit_response(rates, losses + np.array([0.0, 0.3, 0.6, 0.1]))
    assert abs(math.log10(moved.best / plain.best)) < 0.1
    assert np.abs(np.log10(np.divide(moved.plateau, plain.plateau))).max() < 0.15
    # what is not all positive is fitted as it is, and there they cancel wholly
    plain = fit_response(rates, losses - 5.0)
    moved = fit_response(rates, losses - 5.0 + np.array([-3.0, 0.3, 2.0, 0.1]))
    assert moved.best == pytest.approx(plain.best)
    assert moved.plateau == pytest.approx(plain.plateau)


def test_paired_splits_tell_more_than_single_values_with_their_offsets() -> None:
    widths = []
    for seed in range(10):
        rates, losses = valley(trials=16, noise=0.1, seed=seed)
        picks = np.random.default_rng(seed).integers(4, size=16)
        mixed = losses[np.arange(16), picks][:, None]
        found = [fit_response(rates, some).plateau for some in (losses, mixed)]
        widths.append([decades(plateau) for plateau in found])
    together, single = np.mean(widths, axis=0)
    assert together < single


@pytest.mark.parametrize("splits", [1, 4])
def test_the_plateau_and_the_interval_are_narrower_with_less_noise(splits: int) -> None:
    widths = {
        noise: [
            (decades(found.plateau), decades(found.interval))
            for seed in range(10)
            for found in [fit_response(*valley(splits=splits, noise=noise, seed=seed))]
        ]
        for noise in (0.01, 0.1)
    }
    assert (np.mean(widths[0.01], axis=0) < np.mean(widths[0.1], axis=0)).all()


@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize("loss", [1.0, 0.0, -3.0, 1e-8, 1e6, 0.1])
def test_equal_losses_are_a_plateau_from_end_to_end(splits: int, loss: float) -> None:
    rates = np.geomspace(1e-4, 1e-1, 12)
    found = fit_response(rates, loss + np.zeros((12, splits)))
    assert found.plateau == pytest.approx((1e-4, 1e-1))


def test_constant_offsets_alone_are_no_difference_between_rates() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):  # sums of them differ in their last bits
        offsets = generator.normal(size=4)
        found = fit_response(np.geomspace(1e-4, 1e-1, 12), 1.0 + np.tile(offsets, (12, 1)))
        assert found.plateau == pytest.approx((1e-4, 1e-1))


def test_places_far_from_every_trial_are_not_looked_at() -> None:
    rates = np.array([1e-5, 1.1e-5, 1e-1, 1.1e-1])
    places = fit_response(rates, np.array([[1.0], [1.1], [2.0], [2.1]])).learning_rates
    gap = np.abs(np.log10(places)[:, None] - np.log10(rates)).min(axis=1)
    assert gap.max() <= WIDTH + 1e-9
    assert not ((places > 1e-4) & (places < 1e-2)).any()


def test_a_single_trial_is_its_own_answer() -> None:
    for losses in ([[0.5]], [[0.5, 0.7]], [[-0.5, 0.7]]):
        found = fit_response(np.array([1e-3]), np.array(losses))
        assert found.best == pytest.approx(1e-3)
        assert found.plateau == pytest.approx((1e-3, 1e-3))
        assert found.fitted == pytest.approx([np.mean(losses)])


tables = st.tuples(st.integers(1, 12), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        arrays.arrays(int, shape[0], elements=st.integers(-700, 100), unique=True).map(
            lambda hundredths: hundredths / 100  # rates apart enough to have one order
        ),
        st.sampled_from([st.floats(1e-3, 1e3), st.floats(-1e3, 1e3)]).flatmap(
            lambda values: arrays.arrays(float, shape, elements=values)
        ),
    )
)


@given(tables)
def test_a_fitted_curve_stays_within_the_values(drawn: Any) -> None:
    logs, losses = drawn
    found = fit_response(10**logs, losses)
    mean = losses.mean(axis=1)
    slack = 1e-9 * (1 + np.abs(losses).max())
    assert found.fitted.min() >= mean.min() - slack
    assert found.fitted.max() <= mean.max() + slack
    assert found.fitted.shape == found.learning_rates.shape == found.band.shape[1:]
    assert (np.diff(found.learning_rates) >= 0).all()
    assert (found.band[0] <= found.fitted + slack).all()
    assert (found.band[1] >= found.fitted - slack).all()


@given(tables)
def test_plateau_and_interval_hold_the_best_inside_the_rates_tried(drawn: Any) -> None:
    logs, losses = drawn
    found = fit_response(10**logs, losses)
    least, most = 10 ** logs.min(), 10 ** logs.max()
    for low, high in (found.plateau, found.interval):
        assert least * (1 - 1e-9) <= low <= found.best <= high <= most * (1 + 1e-9)


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_trials_does_not_matter(drawn: Any, random: Any) -> None:
    logs, losses = drawn
    order = list(range(len(logs)))
    random.shuffle(order)
    one, other = fit_response(10**logs, losses), fit_response(10 ** logs[order], losses[order])
    np.testing.assert_array_equal(one.fitted, other.fitted)
    np.testing.assert_array_equal(one.band, other.band)
    assert (one.best, one.interval, one.plateau) == (other.best, other.interval, other.plateau)


def test_the_docstring_example_runs() -> None:
    assert doctest.testmod(response).failed == 0
