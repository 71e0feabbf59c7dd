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

from tuners.curves.finding import DRAWS, ONE_SEED, Finding, check_doubt, check_points, crossing
from tuners.curves.smoothing import Descent, Values, head_rows, smooth_descent

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
    descent = smooth_descent(rates, table)  # check_points has seen finite losses
    x, level = descent.x, descent.level
    mean = descent.smooth.mean(axis=1)
    bottom = int(np.argmin(mean))
    error = _error(descent)
    depth = -float(mean[bottom])
    flat = depth <= 1e-9 * np.abs(level.start).max()
    if flat or depth <= SIGNIFICANT * error[bottom] or bottom < head_rows(len(x)):
        return _nothing_fell(descent, mean, error)
    if _still_falling(x, mean, bottom, error):
        return Finding(
            "no_divergence",
            f"The loss still falls at the highest rate tested, {10 ** x[-1]:.2g}; "
            "test higher rates.",
            suggestion=crossing(x, mean, bottom, SUGGESTED_SHARE),
        )
    return _decided(descent, mean)


def _error(descent: Descent) -> Values:
    # standard error of the mean curve, by the seeds and never below what the batch noise gives
    seeds = descent.smooth.shape[1]
    spread = (descent.matrix**2).sum(axis=1)
    from_noise = descent.level.noise * np.sqrt(spread / (seeds * descent.merged))
    if seeds < 2:
        return from_noise
    return np.maximum(from_noise, descent.smooth.std(axis=1, ddof=1) / np.sqrt(seeds))


def _nothing_fell(descent: Descent, mean: Values, error: Values) -> Finding:
    x, level = descent.x, descent.level
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
    apart = np.median(descent.smooth.min(axis=0)) < -SIGNIFICANT * level.noise - 2 * depth
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


def _decided(descent: Descent, mean: Values) -> Finding:
    seeds = descent.smooth.shape[1]
    low, middle, high = _ends(descent.x, mean)
    draws = np.array([_ends(descent.x, drawn) for drawn in _redrawn(descent, mean)])
    lows, highs = (np.quantile(draws[:, i], (0.025, 0.975)) for i in (0, 2))
    trouble = check_doubt(lows, highs, middle)
    if trouble is not None:
        return trouble
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


def _redrawn(descent: Descent, mean: Values) -> list[Values]:
    # the mean curve with seeds drawn again; with one seed, with its batch noise drawn again
    generator = np.random.default_rng(0)
    seeds = descent.smooth.shape[1]
    if seeds > 1:
        picks = generator.integers(seeds, size=(DRAWS, seeds))
        return [descent.smooth[:, pick].mean(axis=1) for pick in picks]
    scale = descent.level.noise / np.sqrt(descent.merged)
    noise = scale * generator.standard_normal((DRAWS, len(mean)))
    return [mean + descent.matrix @ row for row in noise]
