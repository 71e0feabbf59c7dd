"""From a sweep of short trainings to bounds, and from a ramp to where a sweep should look.

A sweep's rates share their seeds, so that two rates are compared by the differences of their
losses seed by seed. It is read like this, unmoved by a shift or a scaling of the losses:

1. Each seed's losses, clipped far above the start, are smoothed over the log rate by a local
   parabola; the mean over seeds has its lowest place.
2. Around it lie the rates that cannot be told from it: within `UNSURE` standard errors of the
   paired difference, or `EQUAL` of the whole descent.
3. Longer trainings favour lower rates, since noise grows with the rate and what is slow has time:
   the lower end and the suggestion move down by `SHIFT` decades for each factor of ten by which
   the trainings to come are longer. The upper end stays: stability sets it, not time.
4. The seeds are drawn again, and the bounds widened by how far their ends scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuners.curves.finding import DRAWS, ONE_SEED, Finding, check_doubt, check_points, crossing
from tuners.curves.smoothing import Values, finite_table, head_rows, read_level, smooth_descent

FEWEST_RATES = 5
EDGE = 0.25  # decades: a lowest loss whose equals reach no further is cut off there
WIDTH = 0.2  # decades, standard deviation of the weights of the local parabola
FINE = 0.025  # decades between the places looked at
UNSURE, EQUAL = 0.3, 0.0004
SHIFT = 0.2  # decades for each decade by which the trainings to come are longer
PULL = 0.25  # how far the suggestion goes from the lowest place to the middle of its equals
BELOW, ABOVE = 0.2, 0.15  # decades added to the equals at both ends
SCATTER = 5.0  # standard errors by which about ten equal rates differ at most
NARROWEST = 0.6  # decades, since the sweep's own grid and length leave that much open
HORIZON = 8.0  # how much longer the trainings to come are, where it is not said
ESTABLISHED = 3.0  # standard errors by which a ramp must fall to place a sweep
SWEEP_BELOW, SWEEP_ABOVE = 0.75, 0.25  # decades beyond half and whole descent of the ramp


@dataclass(frozen=True, eq=False)
class Sweep:
    """What is known of a sweep beside its losses.

    Args:
        ramp: Rates `(steps,)` and losses `(steps, seeds)` of the ramp that placed it, or None.
        horizon: How many times longer the trainings to come are, None where it is unknown.
    """

    ramp: tuple[Values, Values] | None = None
    horizon: float | None = None


@dataclass(frozen=True)
class Placement:
    """Where a sweep should look.

    Args:
        low: log10 of its lowest rate.
        high: log10 of its highest rate.
    """

    low: float
    high: float


def place_sweep(rates: Values, table: Values) -> Placement | None:
    """Return where a sweep should look, None where the ramp never falls.

    Args:
        rates: The rate of each row of a ramp, rising, `(steps,)`.
        table: Its raw losses, `(steps, seeds)`.
    """
    with np.errstate(all="ignore"):
        if check_points(rates, table) is not None:
            return None
        descent = smooth_descent(rates, table)  # check_points has seen finite losses
    x, level = descent.x, descent.level
    mean = descent.smooth.mean(axis=1)
    bottom = int(np.argmin(mean))
    rows = descent.smooth.shape[1] * descent.merged
    error = level.noise * np.sqrt((descent.matrix[bottom] ** 2).sum() / rows)
    tiny = 1e-9 * float(np.abs(level.start).max())
    if bottom < head_rows(len(x)) or -mean[bottom] <= max(ESTABLISHED * error, tiny):
        return None
    half = crossing(x, mean, bottom, 0.5)
    return Placement(half - SWEEP_BELOW, max(float(x[bottom]), half) + SWEEP_ABOVE)


def read_sweep(rates: Values, table: Values, sweep: Sweep) -> Finding:
    """Return what a sweep of short trainings shows.

    Args:
        rates: Its rates, rising, `(rates,)`.
        table: The loss that each training reached, `(rates, seeds)`.
        sweep: What else is known of it.
    """
    trouble = _few_points(rates, table)
    if trouble is not None:
        return trouble
    x, losses, depth = _prepared(rates, table, sweep)
    spread = float(losses.mean(axis=1).max() - losses.mean(axis=1).min())
    noise = _noise(losses)
    size = float(np.abs(losses).max())
    placed = sweep.ramp is not None and place_sweep(*sweep.ramp) is not None
    if not placed and spread <= max(1e-9 * max(size, depth), SCATTER * noise):
        return _nothing_better(spread, noise, size)  # where a ramp fell, all rates may be equal
    shift = SHIFT * max(np.log10(sweep.horizon or HORIZON), 0.0)
    fine = np.linspace(x[0], x[-1], max(int((x[-1] - x[0]) / FINE), 1) + 1)
    smooth = parabolas(x, fine) @ losses
    low, middle, high = _with_rates(x, losses, _equals(fine, smooth, depth, noise), depth, noise)
    if middle <= fine[0] and high <= fine[0] + EDGE:
        return Finding(
            "diverged_at_start",
            f"The loss is lowest at the lowest rate tested, {10 ** x[0]:.2g}; test lower rates.",
            suggestion=-np.inf,
        )
    turns = sweep.ramp is not None and float(np.log10(sweep.ramp[0][-1])) > x[-1]
    if middle >= fine[-1] and low >= fine[-1] - EDGE and not turns:
        return Finding(
            "no_divergence",
            f"The loss is lowest at the highest rate tested, {10 ** x[-1]:.2g}; test higher rates.",
            suggestion=np.inf,
        )
    return _decided(fine, smooth, depth, noise, shift, (low, middle, high))


def open_ends(rates: Values, table: Values, sweep: Sweep) -> tuple[bool, bool]:
    """Return whether rates below, and above, a sweep may be better than what it measured.

    Below, that is where the lowest loss is at the lowest rate; above, where rates up to the
    highest cannot be told from the lowest loss, since only a turn shows an upper end.

    Args:
        rates: Its rates, rising, `(rates,)`.
        table: The loss that each training reached, `(rates, seeds)`.
        sweep: What else is known of it.
    """
    with np.errstate(all="ignore"):
        if _few_points(rates, table) is not None:
            return False, False
        x, losses, depth = _prepared(rates, table, sweep)
        noise = _noise(losses)
        lowest = int(np.argmin(losses.mean(axis=1)))
        found = _with_rates(x, losses, (x[lowest],) * 3, depth, noise)
    return lowest == 0, found[2] >= x[-1]


def _few_points(rates: Values, table: Values) -> Finding | None:
    finite = np.isfinite(finite_table(table))
    if not finite.any():
        return Finding("non_finite", "No loss was finite; check the data, the loss and the model.")
    distinct = len(np.unique(rates))
    if distinct < FEWEST_RATES:
        return Finding(
            "too_few_points",
            f"{distinct} rate(s) were measured and {FEWEST_RATES} are needed; measure more.",
        )
    rates = np.unique(rates[finite.mean(axis=1) > 0.5])
    if len(rates) >= FEWEST_RATES - 1:
        return None
    if finite[0].any():
        return Finding(
            "diverged_at_start",
            f"The loss was finite at {len(rates)} rate(s) only; test lower rates.",
            suggestion=-np.inf,
        )
    return Finding(
        "non_finite",
        f"The loss was finite at {len(rates)} of {distinct} rates; check the data and the loss.",
    )


def _prepared(rates: Values, table: Values, sweep: Sweep) -> tuple[Values, Values, float]:
    # rates once each; losses clipped half a descent above the start; the depth of the descent
    table = finite_table(table)
    x, groups = np.unique(np.log10(rates), return_inverse=True)
    rows = [np.where(np.isfinite(table), table, np.inf)[groups == i].mean(0) for i in range(len(x))]
    losses = np.array(rows)
    mean = losses.mean(axis=1)
    finite = mean[np.isfinite(mean)]
    if not finite.size:
        finite = np.nanmin(np.where(np.isfinite(losses), losses, np.nan), axis=1)
        finite = finite[np.isfinite(finite)]
    start, lowest = float(finite[:3].max()), float(finite.min())
    if sweep.ramp is not None:
        level = read_level(sweep.ramp[1])
        start = max(start, float(np.mean(level.start))) if level is not None else start
    depth = max(start - lowest, 0.0)
    if depth <= 0:  # lowest among the lowest rates: what lies above is the scale there is
        depth = float(np.median(finite) - lowest) or float(finite.max() - lowest)
    cap = max(start, lowest) + 0.5 * depth
    return x, np.minimum(losses, cap), depth


def _noise(losses: Values) -> float:
    # standard error of the mean of one rate, among the lower half of the losses: from second
    # differences along the rates, or, where seeds share it, from what rates and seeds leave over
    rates, seeds = losses.shape
    bends = np.abs(np.diff(losses, 2, axis=0))
    near = np.argsort(losses.mean(axis=1))[: max(rates // 2, 3)]
    kept = bends[[i - 1 for i in near if 0 < i < rates - 1]]
    single = float(np.median(kept if kept.size else bends)) / 0.6745 / np.sqrt(6)
    if seeds > 1:
        part = losses[near]
        left = part - part.mean(axis=1, keepdims=True) - part.mean(axis=0) + part.mean()
        freedom = (len(near) - 1) * (seeds - 1)
        single = min(single, float(np.sqrt((left**2).sum() / freedom)))
    return single / np.sqrt(seeds)


def parabolas(x: Values, fine: Values) -> Values:
    """Return the matrix `(places, rates)` of a local parabola with Gaussian weights.

    Args:
        x: log10 of the rates, rising, `(rates,)`.
        fine: log10 of the places to smooth at, `(places,)`.
    """
    spacing = float(np.median(np.diff(x)))
    offset = (x[None, :] - fine[:, None]) / max(WIDTH, 0.8 * spacing)
    kernel = np.exp(-0.5 * offset**2)
    powers = np.stack([np.ones_like(offset), offset, offset**2], axis=2)
    normal = np.einsum("fk,fki,fkj->fij", kernel, powers, powers)
    ridge = 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    return np.linalg.solve(normal + ridge, np.einsum("fk,fki->fik", kernel, powers))[:, 0, :]


def _equals(fine: Values, smooth: Values, depth: float, noise: float) -> tuple[float, float, float]:
    # the lowest place, and both ends of those around it that cannot be told from it
    mean = smooth.mean(axis=1)
    lowest, seeds = int(np.argmin(mean)), smooth.shape[1]
    apart = smooth - smooth[lowest]
    error = apart.std(axis=1, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.zeros(len(fine))
    limit = np.maximum(UNSURE * np.maximum(error, noise), EQUAL * depth)
    different = np.flatnonzero(apart.mean(axis=1) > limit)
    below, above = different[different < lowest], different[different > lowest]
    low = int(below[-1]) + 1 if below.size else 0
    high = int(above[0]) - 1 if above.size else len(fine) - 1
    return float(fine[low]), float(fine[lowest]), float(fine[high])


def _with_rates(
    x: Values, losses: Values, found: tuple[float, float, float], depth: float, noise: float
) -> tuple[float, float, float]:
    # a parabola dips where a flat bottom ends, so rates as low as the lowest one count as well
    mean = losses.mean(axis=1)
    lowest = int(np.argmin(mean))
    different = np.flatnonzero(mean > mean[lowest] + max(UNSURE * noise, EQUAL * depth))
    below, above = different[different < lowest], different[different > lowest]
    low = x[below[-1] + 1] if below.size else x[0]
    high = x[above[0] - 1] if above.size else x[-1]
    return min(found[0], float(low)), found[1], max(found[2], float(high))


def _decided(
    fine: Values,
    smooth: Values,
    depth: float,
    noise: float,
    shift: float,
    found: tuple[float, float, float],
) -> Finding:
    seeds = smooth.shape[1]
    low, lowest, high = found
    generator = np.random.default_rng(0)
    draws = np.array(
        [
            _equals(fine, smooth[:, generator.integers(seeds, size=seeds)], depth, noise)
            for _ in range(DRAWS if seeds > 1 else 1)
        ]
    )
    lows, highs = (np.quantile(draws[:, i], (0.025, 0.975)) for i in (0, 2))
    suggestion = lowest + PULL * (0.5 * (low + high) - lowest) - shift
    extra = ONE_SEED if seeds == 1 else 0.0
    lows, highs = lows - shift - extra, highs + extra
    low_end = min(low - shift - BELOW - extra, lows[0])
    high_end = max(high + ABOVE + extra, highs[1])
    missing = max(NARROWEST - (high_end - low_end), 0.0)
    low_end, high_end = low_end - missing / 2, high_end + missing / 2
    trouble = check_doubt(lows, highs, suggestion)
    if trouble is not None:
        return trouble
    return Finding(
        "ok",
        f"Short trainings of {seeds} seed(s) reach their lowest loss at rate {10**lowest:.2g}, "
        f"and cannot be told apart from {10**low:.2g} to {10**high:.2g}; longer ones favour "
        f"rates {shift:.2f} decade lower.",
        low=low_end,
        high=high_end,
        suggestion=suggestion,
        low_interval=(low_end, max(lows[1], low_end)),
        high_interval=(min(highs[0], high_end), high_end),
    )


def _nothing_better(spread: float, noise: float, size: float) -> Finding:
    if noise > 0.1 * size:
        return Finding(
            "too_noisy",
            f"The losses at different rates differ by {spread:.2g}, within their standard error "
            f"of {noise:.2g}; use more seeds or more steps.",
        )
    return Finding(
        "no_descent",
        "The loss reached was the same at every rate; use more steps or a wider range of rates.",
    )
