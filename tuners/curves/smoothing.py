"""Two-sided smoothing in the log rate, and what a curve's start, floor and noise are.

A one-sided average lags, which puts every point read from it 0.4 to 0.6 decade too high; the
smoother here is a local line with Gaussian weights on both sides (Fan and Gijbels 1996, ch. 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MOST_ROWS = 400  # rows above this are averaged in groups, so that the weights stay small
SPARSE = 0.1  # decades between rates from which the smoother's width exceeds its usual 0.15
TOO_LARGE = 1e100  # losses beyond are taken as not finite, so that squares stay finite


@dataclass(frozen=True)
class Level:
    """Where a curve starts, how far it falls, and how noisy one loss is, in units of the loss.

    Args:
        start: The start of each seed, `(seeds,)`.
        floor: The lowest value that the median seed reaches, lasting a few rows.
        noise: Standard deviation of one raw loss about its neighbours.
        cap: Losses above it, each seed's own start taken as 0, count as this value.
    """

    start: Values
    floor: float
    noise: float
    cap: float


def head_rows(rows: int) -> int:
    """Return how many rows are the start of a curve: a twentieth, 3 or more."""
    return max(3, rows // 20)


def finite_table(table: Values) -> Values:
    """Return the losses with NaN for all that is not finite, or absurdly large."""
    return np.where(np.abs(table) < TOO_LARGE, table, np.nan)


def read_level(table: Values) -> Level | None:
    """Return start, floor and noise of raw losses `(steps, seeds)`, None where none are finite."""
    table = finite_table(table)
    rows = len(table)
    head = table[: head_rows(rows)]
    counted = np.isfinite(head).sum(axis=0)
    if not counted.any():
        return None
    total = np.nansum(head, axis=0)
    start = np.divide(total, counted, out=np.full(len(total), np.nan), where=counted > 0)
    start = np.where(counted > 0, start, np.nanmean(start))
    fall = np.where(np.isfinite(table), table - start, np.inf)
    middle = np.median(fall, axis=1)
    if rows >= 5:  # one low batch is no floor
        padded = np.pad(middle, 2, mode="edge")
        middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    bottom = int(np.argmin(middle))
    floor = min(float(middle[bottom]), 0.0)
    steps = np.diff(table[: max(bottom + 1, head_rows(rows))], axis=0)
    steps = np.abs(steps[np.isfinite(steps)])
    noise = 1.4826 * float(np.median(steps)) / np.sqrt(2) if steps.size else 0.0
    return Level(start, floor, noise, max(-floor, 4 * noise))


def clip_losses(table: Values) -> Values:
    """Return the losses with NaN and all far above the start at the cap, `(steps, seeds)`."""
    level = read_level(table)
    if level is None:
        return np.full_like(table, np.nan)
    table = finite_table(table)
    cap = level.start + level.cap
    return np.where(np.isfinite(table), np.minimum(table, cap), cap)


def group_rows(rates: Values, table: Values) -> tuple[Values, Values]:
    """Average neighbouring rows, so that at most `MOST_ROWS` are left, each with its own rate."""
    x = np.log10(rates)
    starts = np.flatnonzero(np.diff(x, prepend=-np.inf) > 0)  # equal rates are one row
    if len(starts) > MOST_ROWS:
        starts = starts[np.linspace(0, len(starts) - 1, MOST_ROWS).round().astype(int)]
    counts = np.diff(starts, append=len(x))
    x = np.add.reduceat(x, starts) / counts
    return x, np.add.reduceat(table, starts, axis=0) / counts[:, None]


def bandwidth(x: Values) -> float:
    """Return the smoother's standard deviation in decades: 0.15, less on short or dense curves."""
    if len(x) < 2:
        return 1.0
    spacing = float(np.median(np.diff(x)))
    return max(1.5 * spacing, min(0.15, 0.04 * float(x[-1] - x[0])), 1e-9)


def weights(x: Values, width: float) -> Values:
    """Return the matrix of the local line, `(rows, rows)`: `weights @ y` is the smoothed `y`.

    Args:
        x: log10 of the rates, rising, `(rows,)`.
        width: Standard deviation of the Gaussian weights, in decades, above 0.
    """
    offset = (x[None, :] - x[:, None]) / width
    kernel = np.exp(-0.5 * offset**2)
    zeroth = kernel.sum(axis=1, keepdims=True)
    first = (kernel * offset).sum(axis=1, keepdims=True)
    second = (kernel * offset**2).sum(axis=1, keepdims=True)
    determinant = zeroth * second - first**2
    straight = determinant > 1e-9 * zeroth**2  # else too few neighbours for a slope
    line = kernel * (second - first * offset) / np.where(straight, determinant, 1.0)
    return np.where(straight, line, kernel / zeroth)


@dataclass(frozen=True, eq=False)
class Descent:
    """How far each seed has fallen from its own start, smoothed over the log rate.

    Args:
        x: log10 of the rates, `(rows,)`.
        smooth: Loss above each seed's start, smoothed, `(rows, seeds)`.
        matrix: The smoother, `(rows, rows)`.
        level: Start, floor and noise of the raw losses.
        merged: Raw rows to a row.
    """

    x: Values
    smooth: Values
    matrix: Values
    level: Level
    merged: float


def smooth_descent(rates: Values, table: Values) -> Descent:
    """Return the smoothed descent of raw losses `(steps, seeds)`, of which some are finite."""
    level = read_level(table)
    assert level is not None
    x, fall = group_rows(rates, clip_losses(table) - level.start)
    matrix = weights(x, bandwidth(x))
    return Descent(x, matrix @ fall, matrix, level, len(rates) / len(x))


def is_sparse(rates: Values) -> bool:
    """Return whether rates lie so far apart that a line through neighbours would hide the curve."""
    steps = np.diff(np.unique(np.log10(rates)))
    return not steps.size or float(np.median(steps)) >= SPARSE


def smooth_curve(rates: Values, table: Values) -> Values:
    """Return the mean over seeds at every rate, `(steps,)`, smoothed where the rates are dense.

    Where they are sparse, as in a sweep, it is the plain mean, NaN where a loss is not finite,
    since a line through neighbours half a decade away leaves all seeds. Elsewhere losses far above
    the start are clipped before they are averaged, so that one seed's explosion does not hide the
    others. Of several seeds it never lies outside their range.
    """
    if is_sparse(rates):
        return finite_table(table).mean(axis=1)
    clipped = clip_losses(table)
    x, grouped = group_rows(rates, clipped)
    if not np.isfinite(grouped).all():
        return np.full(len(rates), np.nan)
    mean = weights(x, bandwidth(x)) @ grouped.mean(axis=1)
    mean = np.interp(np.log10(rates), x, mean)
    if table.shape[1] == 1:
        return mean
    return np.clip(mean, clipped.min(axis=1), clipped.max(axis=1))
