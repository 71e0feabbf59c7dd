"""From a LossCurve to bounds: which rates are worth searching, how sure that is, and why not.

A ramp is read like this, all of it unmoved by a shift or a scaling of the losses:

1. Each seed's losses are taken from its own start, clipped far above it, and smoothed on both
   sides in the log rate; the mean over seeds is the curve.
2. Descent is established where the mean lies below the start by `SIGNIFICANT` standard errors.
3. The lower end is where a share `LOW_SHARE` of the descent is done, the suggestion where half
   of it is, the upper end where it is complete, before the mean turns.
4. The seeds are drawn again `DRAWS` times, and the bounds widened to the 95 % interval of each end.

A sweep is read by `tuners.sweep_bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search_spaces.learning_rate import LearningRateBounds
from tuners.curve_smoothing import (
    Level,
    bandwidth,
    clip_losses,
    finite_table,
    group_rows,
    head_rows,
    read_level,
    weights,
)

if TYPE_CHECKING:
    from tuners.loss_curve import LossCurve

Values = NDArray[np.float64]

FEWEST_ROWS = 8  # distinct rates below which a ramp shows no shape
SIGNIFICANT = 3.5  # standard errors, since the lowest of many places is looked for
LOW_SHARE, SUGGESTED_SHARE, HIGH_SHARE = 0.2, 0.5, 0.98
DRAWS = 200
ONE_SEED = 0.25  # decades added at both ends where no second seed tells how runs differ
WIDEST_END = 2.0  # decades of doubt in an end above which nothing is decided


@dataclass(frozen=True)
class Finding:
    """What a reading found, before it meets the declared range.

    Args:
        status: One of `LearningRateBounds`'s.
        reason: Why, in a sentence.
        low: log10 of the lower end; with `high` and `suggestion` only where status is "ok".
        high: log10 of the upper end.
        suggestion: log10 of the rate to try first, also where it is only a guess.
        low_interval: 95 % interval of the lower end, log10.
        high_interval: 95 % interval of the upper end, log10.
    """

    status: str
    reason: str
    low: float = np.nan
    high: float = np.nan
    suggestion: float = np.nan
    low_interval: tuple[float, float] | None = None
    high_interval: tuple[float, float] | None = None


def read_bounds(curve: LossCurve, declared: tuple[float, float] | None) -> LearningRateBounds:
    """Return the bounds of a curve inside the declared range.

    Args:
        curve: The curve to read.
        declared: The user's range; None means the curve's own, or else that of its rates.

    Raises:
        ValueError: `declared` does not hold `0 < low <= high < inf`.
    """
    if declared is None:
        declared = curve.declared
    if declared is None:
        declared = (float(curve.learning_rates[0]), float(curve.learning_rates[-1]))
    from tuners.loss_curve import check_declared

    declared = check_declared(declared)
    with np.errstate(all="ignore"):  # losses may be anything; what is read is checked for sense
        if curve.kind == "sweep":
            from tuners.sweep_bounds import read_sweep

            finding = read_sweep(curve)
        else:
            finding = read_ramp(curve)
    return _inside(finding, declared, curve.seeds)


def _inside(finding: Finding, declared: tuple[float, float], seeds: int) -> LearningRateBounds:
    low, high = declared
    if finding.status == "ok" and 10**finding.low > high:
        finding = Finding(
            "no_descent",
            f"The loss falls at rates from {10**finding.low:.2g}, above the declared range; "
            "raise its upper end.",
            suggestion=np.inf,
        )
    if finding.status == "ok" and 10**finding.high < low:
        finding = Finding(
            "diverged_at_start",
            f"Training stays stable up to {10**finding.high:.2g} only, below the declared range; "
            "lower its lower end.",
            suggestion=-np.inf,
        )
    if finding.status != "ok":
        guess = finding.suggestion
        rate = 10**guess if not np.isnan(guess) else np.sqrt(low) * np.sqrt(high)
        return LearningRateBounds(
            low,
            high,
            float(np.clip(rate, low, high)),
            finding.status,
            f"{finding.reason} The declared range is kept.",
            declared=declared,
            seeds=seeds,
        )

    def clip(log_rate: float) -> float:
        return float(np.clip(10**log_rate, low, high))

    def clip_pair(pair: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if pair is None else (clip(pair[0]), clip(pair[1]))

    ends = clip(finding.low), clip(finding.high)
    suggestion = float(np.clip(10**finding.suggestion, *ends))
    return LearningRateBounds(
        *ends,
        suggestion,
        "ok",
        finding.reason,
        declared=declared,
        low_interval=clip_pair(finding.low_interval),
        high_interval=clip_pair(finding.high_interval),
        seeds=seeds,
    )


def read_ramp(curve: LossCurve) -> Finding:
    """Return what a ramp or a per-epoch curve shows."""
    rates, table = curve.learning_rates, curve.table
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
    return _decided(x, smooth, mean, matrix, level, curve.seeds, len(rates) / len(x))


def check_points(rates: Values, table: Values, fewest: int = FEWEST_ROWS) -> Finding | None:
    """Return a finding where there are too few points or finite losses, else None."""
    finite = np.isfinite(finite_table(table))
    distinct = len(np.unique(rates))
    if not finite.any():
        return Finding("non_finite", "No loss was finite; check the data, the loss and the model.")
    if distinct < fewest:
        return Finding(
            "too_few_points",
            f"{distinct} rate(s) were measured and {fewest} are needed; measure more.",
        )
    rows = np.flatnonzero(finite.mean(axis=1) >= 0.5)
    if not rows.size or rows[0] > len(rates) // 4:
        return Finding(
            "non_finite",
            "The first losses were not finite though the rates were the lowest; check the data, "
            "the loss and the model.",
        )
    if rows[-1] < max(3, len(rates) // 20):
        return Finding(
            "diverged_at_start",
            f"The loss is not finite from rate {rates[min(rows[-1] + 1, len(rates) - 1)]:.2g}, "
            "at the start of the test; test lower rates.",
            suggestion=-np.inf,
        )
    late = finite[: rows[-1] + 1].mean(axis=1) < 0.5  # gaps, with finite losses after them
    if late.mean() > 0.1:
        return Finding(
            "non_finite",
            f"{late.mean():.0%} of the steps before the last finite loss were not finite; "
            "check the data and the loss.",
        )
    return None


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


def crossing(x: Values, mean: Values, bottom: int, share: float) -> float:
    """Return the last place before the bottom where `share` of the descent is not yet done."""
    target = share * mean[bottom]
    above = np.flatnonzero(mean[: bottom + 1] > target)
    if not above.size:
        return float(x[0])
    i = int(above[-1])
    if i >= bottom:
        return float(x[bottom])
    part = (mean[i] - target) / (mean[i] - mean[i + 1])
    return float(x[i] + part * (x[i + 1] - x[i]))


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
    seeds: int,
    merged: float,
) -> Finding:
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
