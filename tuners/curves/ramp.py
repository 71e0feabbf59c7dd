"""From a ramp to a finding: where the loss falls, where it turns, and how sure that is.

A ramp is read like this, all of it unmoved by a shift or a scaling of the losses:

1. Each seed's losses are taken from its own start, clipped far above it, and smoothed on both
   sides in the log rate; the mean over seeds is the curve.
2. Descent is established where the mean lies below the start by `SIGNIFICANT` standard errors.
3. The lower end is where a share `LOW_SHARE` of the descent is done, the suggestion where half
   of it is, the upper end where it is complete, before the mean turns.
4. The seeds are drawn again `DRAWS` times, and the bounds widened to the 95 % interval of each end.
"""

from __future__ import annotations

import numpy as np

from tuners.curves.finding import DRAWS, ONE_SEED, WIDEST_END, Finding, check_points, crossing
from tuners.curves.smoothing import (
    Level,
    Values,
    bandwidth,
    clip_losses,
    group_rows,
    head_rows,
    read_level,
    weights,
)

SIGNIFICANT = 3.5  # standard errors, since the lowest of many places is looked for
LOW_SHARE, SUGGESTED_SHARE, HIGH_SHARE = 0.2, 0.5, 0.98


def read_ramp(rates: Values, table: Values) -> Finding:
    """Return what a ramp or a per-epoch curve shows.

    Args:
        rates: The rate of each row, rising, `(steps,)`.
        table: The raw losses, `(steps, seeds)`.
    """
    trouble = check_points(rates, table)
    if trouble is not None:
        return trouble
    level = read_level(table)
    assert level is not None  # check_points has seen finite losses
    x, fall = group_rows(rates, clip_losses(table) - level.start)
    matrix = weights(x, bandwidth(x))
    smooth = matrix @ fall
    mean = smooth.mean(axis=1)
    bottom = int(np.argmin(mean))
    error = _error(smooth, matrix, level, len(rates) / len(x))
    depth = -float(mean[bottom])
    flat = depth <= 1e-9 * np.abs(level.start).max()
    if flat or depth <= SIGNIFICANT * error[bottom] or bottom < head_rows(len(x)):
        return _nothing_fell(x, mean, error, level, smooth)
    if _still_falling(x, mean, bottom, error):
        return Finding(
            "no_divergence",
            f"The loss still falls at the highest rate tested, {10 ** x[-1]:.2g}; "
            "test higher rates.",
            suggestion=crossing(x, mean, bottom, SUGGESTED_SHARE),
        )
    return _decided(x, smooth, mean, matrix, level, len(rates) / len(x))


def _error(smooth: Values, matrix: Values, level: Level, merged: float) -> Values:
    # standard error of the mean curve, by the seeds and never below what the batch noise gives
    seeds = smooth.shape[1]
    from_noise = level.noise * np.sqrt((matrix**2).sum(axis=1) / (seeds * merged))
    if seeds < 2:
        return from_noise
    return np.maximum(from_noise, smooth.std(axis=1, ddof=1) / np.sqrt(seeds))


def _nothing_fell(x: Values, mean: Values, error: Values, level: Level, smooth: Values) -> Finding:
    third, size = max(len(x) // 3, 1), float(np.abs(np.mean(level.start)))
    rises = mean > np.maximum(SIGNIFICANT * error, max(0.1 * mean.max(), 0.001 * size))
    lasting = np.cumsum(rises[::-1])[::-1] >= 0.9 * np.arange(len(x), 0, -1)
    if lasting[:third].any():
        first = 10 ** x[int(np.argmax(lasting))]
        return Finding(
            "diverged_at_start",
            f"The loss rises from rate {first:.2g} without having fallen; test lower rates.",
            suggestion=-np.inf,
        )
    depth, sigma = -float(mean.min()), float(error[np.argmin(mean)])
    apart = np.median(smooth.min(axis=0)) < -SIGNIFICANT * level.noise - 2 * depth
    if apart or level.noise > 0.3 * size or depth > max(3 * sigma, 1e-9 * size):
        return Finding(
            "too_noisy",
            f"The mean loss fell by {depth:.2g}, no more than {SIGNIFICANT:g} standard errors of "
            f"{sigma:.2g}; use more seeds, more steps or larger batches.",
        )
    return Finding(
        "no_descent",
        f"The loss did not fall at any rate from {10 ** x[0]:.2g} to {10 ** x[-1]:.2g}; "
        "use more steps, or check that the model learns.",
    )


def _still_falling(x: Values, mean: Values, bottom: int, error: Values) -> bool:
    if bottom == len(x) - 1:
        return True
    depth = -mean[bottom]
    rise = mean[bottom:].max() - mean[bottom]
    # a floor that stays flat for half a decade is an end of descent; a short one is not
    flat = x[-1] - x[bottom] >= 0.5
    return bool(rise <= max(2 * error[bottom], 0.05 * depth) and not flat)


def _ends(x: Values, mean: Values) -> tuple[float, float, float]:
    bottom = int(np.argmin(mean))
    low, middle, high = (
        crossing(x, mean, bottom, share) for share in (LOW_SHARE, SUGGESTED_SHARE, HIGH_SHARE)
    )
    return low, middle, max(middle, high)


def _decided(
    x: Values,
    smooth: Values,
    mean: Values,
    matrix: Values,
    level: Level,
    merged: float,
) -> Finding:
    seeds = smooth.shape[1]
    low, middle, high = _ends(x, mean)
    draws = np.array([_ends(x, drawn) for drawn in _redrawn(smooth, mean, matrix, level, merged)])
    lows, highs = (np.quantile(draws[:, i], (0.025, 0.975)) for i in (0, 2))
    if max(lows[1] - lows[0], highs[1] - highs[0]) > WIDEST_END:
        return Finding(
            "too_noisy",
            f"The seeds disagree by {max(np.ptp(lows), np.ptp(highs)):.1f} decades on where the "
            "bounds lie; use more seeds, more steps or larger batches.",
            suggestion=middle,
        )
    extra = ONE_SEED if seeds == 1 else 0.0
    low_interval = min(lows[0], low) - extra, max(lows[1], low) + extra
    high_interval = min(highs[0], high) - extra, max(highs[1], high) + extra
    return Finding(
        "ok",
        f"The mean of {seeds} seed(s) falls from rate {10**low:.2g}, is half down at "
        f"{10**middle:.2g} and turns at {10**high:.2g}.",
        low=low_interval[0],
        high=high_interval[1],
        suggestion=middle,
        low_interval=low_interval,
        high_interval=high_interval,
    )


def _redrawn(
    smooth: Values, mean: Values, matrix: Values, level: Level, merged: float
) -> list[Values]:
    # the mean curve with seeds drawn again; with one seed, with its batch noise drawn again
    generator = np.random.default_rng(0)
    seeds = smooth.shape[1]
    if seeds > 1:
        picks = generator.integers(seeds, size=(DRAWS, seeds))
        return [smooth[:, pick].mean(axis=1) for pick in picks]
    noise = level.noise / np.sqrt(merged) * generator.standard_normal((DRAWS, len(mean)))
    return [mean + matrix @ row for row in noise]
