"""What losses say about their rates: the lowest, those as good, and what moves neither."""

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
from tuners.curves.response import Response, read_response

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


# --- which rate is named


@pytest.mark.parametrize("splits", [1, 4])
def test_the_rate_with_the_lowest_mean_is_named(splits: int) -> None:
    for seed in range(30):
        rates, losses = valley(splits=splits, seed=seed)
        found = read_response(rates, losses)
        # of whole tables two-way least squares are the means, here of logarithms
        assert found.best == rates[np.log(losses).mean(axis=1).argmin()]
        assert found.splits == splits
        np.testing.assert_array_equal(found.learning_rates, np.sort(rates))


def test_the_level_is_the_geometric_mean_over_splits() -> None:
    losses = np.array([[1.0, 4.0], [9.0, 16.0]])
    found = read_response(np.array([1e-3, 1e-2]), losses)
    assert found.fitted == pytest.approx([2.0, 12.0])
    plain = read_response(np.array([1e-3, 1e-2]), losses - 5)  # not all positive: arithmetic
    assert plain.fitted == pytest.approx([-2.5, 7.5])


def test_a_rate_that_is_given_is_compared_with_instead_of_the_lowest() -> None:
    rates, losses = valley(noise=0.01)
    given_ = read_response(rates, losses, best=rates[3])
    assert given_.best == rates[3]
    lowest = read_response(rates, losses)
    np.testing.assert_array_equal(given_.fitted, lowest.fitted)
    assert given_.plateau[0] <= rates[3] <= given_.plateau[1]
    assert given_.interval[0] <= min(rates[3], lowest.interval[0])
    # the nearest of those tried, on the log scale
    assert read_response(rates, losses, best=rates[3] * 1.001).best == rates[3]


# --- two-way least squares


def whole_and_cut() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rates, losses = valley(trials=8, splits=5, noise=0.0)
    cut = losses.copy()
    cut[0, 2:] = cut[5, :3] = cut[7, 1] = np.nan
    return rates, np.exp(losses), np.exp(cut)  # the splits' offsets are exact in logarithms


def test_missing_cells_move_no_level_where_there_is_no_noise() -> None:
    rates, whole, cut = whole_and_cut()
    one, other = read_response(rates, whole), read_response(rates, cut)
    # up to one constant: the offsets of a cut table have another mean
    gap = np.log(one.fitted) - np.log(other.fitted)
    assert gap == pytest.approx(gap.mean() + np.zeros(8), abs=1e-9)
    assert other.best == one.best
    assert other.plateau == one.plateau == (one.best, one.best)


def test_a_rate_of_easy_splits_only_gains_nothing() -> None:
    rates = np.array([1e-4, 1e-3, 1e-2])
    losses = np.array([[1.1, 2.1, np.nan], [1.0, 2.0, 3.0], [np.nan, 2.2, 3.2]])
    losses = np.column_stack([losses, [0.5, np.nan, np.nan]])  # an easy split, the first one's own
    found = read_response(rates, losses - 10)  # not positive, so that differences are plain
    assert losses[0, [0, 1, 3]].mean() < losses[1, :3].mean()  # by its mean the first would win
    assert found.best == 1e-3
    assert np.diff(found.fitted) == pytest.approx([-0.1, 0.2])


def test_offsets_of_the_splits_cancel() -> None:
    rates, losses = valley()
    losses = losses - 5.0  # as they are, not in logarithms
    one = read_response(rates, losses)
    other = read_response(rates, losses + np.array([-3.0, 0.3, 2.0, 0.1]))
    assert (other.best, other.plateau) == (one.best, one.plateau)
    assert other.interval == pytest.approx(one.interval)
    assert other.fitted - one.fitted == pytest.approx(np.full(16, -0.15))
    positive = np.exp(losses)
    one, other = read_response(rates, positive), read_response(rates, positive * [1, 3, 0.1, 2])
    assert (other.best, other.plateau) == (one.best, one.plateau)


def test_repeated_rates_are_one_with_more_losses() -> None:
    generator = np.random.default_rng(2)
    rates = np.array([1e-3, 1e-2, 1e-3])
    losses = 2 + generator.normal(size=(3, 4)) / 10
    found = read_response(rates, losses)
    assert found.learning_rates.tolist() == [1e-3, 1e-2]
    assert found.fitted[0] == pytest.approx(np.exp(np.log(losses[[0, 2]]).mean()))
    width = np.log(found.band[1]) - np.log(found.band[0])
    assert width[0] == pytest.approx(width[1] / math.sqrt(2))  # of twice as many


def test_noise_and_band_are_those_of_a_two_way_analysis() -> None:
    rates, losses = valley(trials=6, splits=3, noise=0.1)
    losses -= 9
    found = read_response(rates, losses)
    order = np.argsort(rates)
    table = losses[order]
    residual = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    deviation = math.sqrt((residual**2).sum() / (5 * 2))
    quantile = 2.2281388519649385  # Student's t with 10 degrees of freedom, 97.5 %
    half = quantile * deviation / math.sqrt(3)
    assert found.band[1] - found.fitted == pytest.approx(np.full(6, half))
    assert found.fitted - found.band[0] == pytest.approx(np.full(6, half))


def test_the_band_covers_the_true_level_as_often_as_it_says() -> None:
    inside = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        rates = np.geomspace(1e-4, 1e-2, 5)
        truth = -np.arange(5.0)
        losses = truth[:, None] + 0.3 * generator.normal(size=(5, 4))
        found = read_response(rates, losses)
        inside.append((found.band[0] <= truth) & (truth <= found.band[1]))
    assert 0.93 < np.mean(inside) < 0.97


# --- the plateau and the interval


@pytest.mark.parametrize("splits", [1, 4])
def test_they_are_narrower_with_less_noise(splits: int) -> None:
    widths = {
        noise: [
            (decades(found.plateau), decades(found.interval))
            for seed in range(10)
            for found in [read_response(*valley(splits=splits, noise=noise, seed=seed))]
        ]
        for noise in (0.01, 0.1)
    }
    assert (np.mean(widths[0.01], axis=0) < np.mean(widths[0.1], axis=0)).all()


def test_paired_splits_tell_more_than_single_values_with_their_offsets() -> None:
    widths = []
    for seed in range(10):
        rates, losses = valley(trials=16, noise=0.1, seed=seed)
        picks = np.random.default_rng(seed).integers(4, size=16)
        mixed = losses[np.arange(16), picks][:, None]
        found = [read_response(rates, some).plateau for some in (losses, mixed)]
        widths.append([decades(plateau) for plateau in found])
    together, single = np.mean(widths, axis=0)
    assert together < single


def test_a_plateau_ends_at_the_first_rate_that_differs() -> None:
    rates = np.geomspace(1e-5, 1e-1, 5)
    levels = np.array([1.0, 1.5, 1.0, 1.001, 1.2])[:, None]
    noise = 0.002 * np.random.default_rng(0).normal(size=(5, 4))
    found = read_response(rates, levels + noise, best=1e-3)
    assert found.plateau == pytest.approx((1e-3, 1e-2))  # 1e-5 is as good, but not beside it


def test_a_cliff_does_not_move_the_rate_that_is_named() -> None:
    rates, losses = valley(trials=24)
    calm = read_response(rates, losses)
    for height in (10.0, 1e3, 1e30):
        cliff = losses.copy()
        cliff[rates > 2e-2] = height
        assert read_response(rates, cliff).best == calm.best


@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize("loss", [1.0, 0.0, -3.0, 1e-8, 1e6, 0.1, 1e300])
def test_equal_losses_are_a_plateau_from_end_to_end(splits: int, loss: float) -> None:
    rates = np.geomspace(1e-4, 1e-1, 12)
    found = read_response(rates, loss + np.zeros((12, splits)))
    assert found.plateau == pytest.approx((1e-4, 1e-1))


def test_constant_offsets_alone_are_no_difference_between_rates() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):  # sums of them differ in their last bits
        offsets = generator.normal(size=4)
        found = read_response(np.geomspace(1e-4, 1e-1, 12), 1.0 + np.tile(offsets, (12, 1)))
        assert found.plateau == pytest.approx((1e-4, 1e-1))


@pytest.mark.parametrize("losses", [[[0.5]], [[0.5, 0.7]], [[-0.5, 0.7]], [[np.nan, 0.5]]])
def test_a_single_rate_is_its_own_answer(losses: list[list[float]]) -> None:
    found = read_response(np.array([1e-3]), np.array(losses))
    values = np.array(losses)[np.isfinite(losses)]
    mean = np.exp(np.log(values).mean()) if (values > 0).all() else values.mean()
    assert found.best == 1e-3
    assert found.plateau == pytest.approx((1e-3, 1e-3))
    assert found.interval == pytest.approx((1e-3, 1e-3))
    assert found.fitted == pytest.approx([mean])


def test_two_rates_on_one_split_show_no_noise() -> None:
    found = read_response(np.array([1e-3, 1e-2]), np.array([[1.0], [1.1]]))
    assert found.best == 1e-3
    assert found.plateau == (1e-3, 1e-3)
    assert found.band.tolist() == [found.fitted.tolist()] * 2


def test_on_one_split_the_scatter_of_neighbours_is_the_noise() -> None:
    rates = np.geomspace(1e-4, 1e-2, 5)
    line = read_response(rates, np.array([[-1.0], [-2.0], [-3.0], [-4.0], [-5.0]]))
    assert line.plateau == pytest.approx((1e-2, 1e-2))  # a line has no scatter
    # Gasser, Sroka and Jennen-Steinmetz: the middle one of three lies 1 off the line between the
    # others, of which the variance is 1 + 1/4 + 1/4 times that of one
    bent = read_response(rates[:3], np.array([[-1.0], [1.0], [-1.0]]))
    assert bent.band[1] - bent.fitted == pytest.approx(
        np.full(3, 12.706204736432095 * math.sqrt(4 / 1.5)), rel=1e-6
    )


# --- what holds for any losses

shapes = st.tuples(st.integers(1, 10), st.integers(1, 4))


def tables(positive: bool | None = None, missing: bool = True) -> st.SearchStrategy[Any]:
    """Rates, perhaps repeated, and losses with a finite one in each row."""
    kinds = [st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.floats(-1e200, 1e200)]
    kinds = kinds[:1] if positive else kinds[1:2] if positive is False else kinds

    def draw(shape: tuple[int, int]) -> st.SearchStrategy[Any]:
        logs = arrays.arrays(int, shape[0], elements=st.integers(-700, 100))
        values = st.sampled_from(kinds).flatmap(
            lambda each: arrays.arrays(float, shape, elements=each)
        )
        gone = arrays.arrays(bool, shape) if missing else st.just(np.zeros(shape, bool))
        return st.tuples(logs, values, gone).map(cut)

    def cut(drawn: Any) -> tuple[np.ndarray, np.ndarray]:
        logs, values, gone = drawn
        gone[np.arange(len(gone)), np.arange(len(gone)) % gone.shape[1]] = False
        return 10 ** (logs / 100), np.where(gone, np.nan, values)

    return shapes.flatmap(draw)


def holds(found: Response, rates: np.ndarray) -> None:
    least, most = rates.min(), rates.max()
    assert found.best in rates
    for low, high in (found.plateau, found.interval):
        assert least * (1 - 1e-9) <= low <= found.best * (1 + 1e-9)
        assert found.best * (1 - 1e-9) <= high <= most * (1 + 1e-9)
    assert found.fitted.shape == found.learning_rates.shape == found.band.shape[1:]
    assert (np.diff(found.learning_rates) > 0).all()
    assert np.isfinite(found.fitted).all()
    assert np.isfinite(found.band).all()
    slack = 1e-9 * np.abs(found.fitted)
    assert (found.band[0] <= found.fitted + slack).all()
    assert (found.band[1] >= found.fitted - slack).all()


@given(tables())
def test_it_answers_inside_the_rates_tried(drawn: Any) -> None:
    rates, losses = drawn
    holds(read_response(rates, losses), rates)


@given(tables(missing=False))
def test_a_level_stays_within_the_values_of_its_rate(drawn: Any) -> None:
    rates, losses = drawn
    found = read_response(rates, losses)
    slack = 1e-9 * (1 + np.abs(losses).max())
    for rate, level in zip(found.learning_rates, found.fitted, strict=True):
        own = losses[rates == rate]
        assert own.min() - slack <= level <= own.max() + slack


@given(tables(positive=False), st.randoms(use_true_random=False))
def test_the_order_of_the_trials_does_not_matter(drawn: Any, random: Any) -> None:
    rates, losses = drawn
    order = list(range(len(rates)))
    random.shuffle(order)
    one, other = read_response(rates, losses), read_response(rates[order], losses[order])
    scale = np.nanmax(np.abs(losses)) + 1e-9
    np.testing.assert_array_equal(one.learning_rates, other.learning_rates)
    assert one.fitted / scale == pytest.approx(other.fitted / scale, abs=1e-8)
    at = np.searchsorted(one.learning_rates, [one.best, other.best])
    assert one.fitted[at[0]] / scale == pytest.approx(one.fitted[at[1]] / scale, abs=1e-8)


@given(tables(positive=False, missing=False), st.floats(-100, 100), st.floats(0.01, 100))
def test_a_shift_and_a_positive_scale_change_nothing_else(
    drawn: Any, shift: float, scale: float
) -> None:
    rates, losses = drawn
    losses[0, 0] = -1e3  # so that all are fitted as they are
    moved = scale * losses - abs(shift)
    one, other = read_response(rates, losses), read_response(rates, moved)
    size = 1e3 * scale + abs(shift)
    back = (other.fitted + abs(shift) - scale * one.fitted) / size
    assert back == pytest.approx(np.zeros(len(back)), abs=1e-9)
    at = np.searchsorted(one.learning_rates, [one.best, other.best])
    assert one.fitted[at[0]] == pytest.approx(one.fitted[at[1]], abs=1e-6)  # the same, or its equal


@given(tables(positive=True), st.floats(1e-3, 1e3))
def test_a_scale_of_positive_losses_changes_nothing_else(drawn: Any, scale: float) -> None:
    rates, losses = drawn
    one, other = read_response(rates, losses), read_response(rates, scale * losses)
    assert other.fitted == pytest.approx(scale * one.fitted, rel=1e-6)
    at = np.searchsorted(one.learning_rates, [one.best, other.best])
    assert one.fitted[at[0]] == pytest.approx(one.fitted[at[1]], rel=1e-6)


def test_the_docstring_example_runs() -> None:
    assert doctest.testmod(response).failed == 0
