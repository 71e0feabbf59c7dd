"""From a ramp to a finding: whether the loss falls, where it is lowest, and how sure that is.

A ramp is read like this, all of it unmoved by a shift or a scaling of the losses:

1. Each seed's losses are taken from its own start, clipped far above it, and smoothed on both
   sides in the log rate; the mean over seeds is the curve.
2. Descent is established where the mean lies below the start by `SIGNIFICANT` standard errors.
3. The bounds lie `BELOW` decades below the rate at which the mean is lowest, where the ramp is
   about to turn, and `ABOVE` above it; the suggestion lies `SUGGESTED` below it.
4. The seeds are drawn again `DRAWS` times; how far the bounds move then is their 95 % interval.

The minimum divided by ten is the oldest advice on such curves (fastai's `minimum`, 2018), and the
median of the best rates does lie there: 1.0 decades below the lowest place, but with a standard
deviation of 0.61 decades. This was measured on the 95 tasks of 43 data sets that the benchmarks
develop on, of which ramps of an eighth of a training are stored, four of most tasks. 348 of the 377
ramps are decided. From 1.55 decades below the lowest place to 0.35 above it, cut at the declared
range, there was a rate as good as the best (within 1 %, or one standard error) in 95.4 % of them;
in steps of 0.05 decades no narrower pair reaches 95 %. Read from one of the eight seeds alone, that
pair has 93.9 %, and 95.2 % with 0.15 decades more below. Short trainings (`tuners.curves.sweep`)
have 97 % with 1.75 decades. `python -m benchmarks.margins` counts this again.
"""

from __future__ import annotations

import numpy as np

from search_spaces._words import count
from tuners.curves.finding import Finding, check_points
from tuners.curves.smoothing import Descent, Values, head_rows, smooth_descent

# Standard errors, since the lowest of many places is looked for: nine decades hold about twelve
# places that the smoother keeps apart, and the normal quantile of 1 - 0.02 / 12 is 2.9.
SIGNIFICANT = 3.0
BELOW, ABOVE, SUGGESTED = 1.55, 0.35, 1.0  # decades from the lowest place; see above
HELD = "95 %"  # of the ramps, between BELOW and ABOVE
DRAWS = 200
ONE_SEED = 0.15  # decades added below where there is no second seed; see above
WIDEST_END = 2.0  # decades of doubt in the lowest place above which nothing is decided


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
            suggestion=float(x[-1]) - SUGGESTED,
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


def _decided(descent: Descent, mean: Values) -> Finding:
    x, seeds = descent.x, descent.smooth.shape[1]
    lowest = float(x[np.argmin(mean)])
    drawn = [x[np.argmin(curve)] for curve in _redrawn(descent, mean)]
    least, most = np.quantile(drawn, (0.025, 0.975))
    if most - least > WIDEST_END:
        return Finding(
            "too_noisy",
            f"The seeds disagree by {most - least:.1f} decades on where the loss is lowest; use "
            "more seeds, more steps or larger batches.",
            suggestion=lowest - SUGGESTED,
        )
    below = BELOW + (ONE_SEED if seeds == 1 else 0.0)
    return Finding(
        "ok",
        f"The mean loss of {count(seeds, 'seed')} is lowest at rate {10**lowest:.2g} as the rate "
        f"rises; rates from {10 ** (lowest - below):.2g} to {10 ** (lowest + ABOVE):.2g} held a "
        f"best rate in {HELD} of the benchmark's ramps.",
        low=lowest - below,
        high=lowest + ABOVE,
        suggestion=lowest - SUGGESTED,
        low_interval=(min(least, lowest) - below, max(most, lowest) - below),
        high_interval=(min(least, lowest) + ABOVE, max(most, lowest) + ABOVE),
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
