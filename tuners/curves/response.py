"""What trainings of several rates say together: which is lowest, and which are as good.

Rates are compared on the splits that they share, where the offset of a split cancels. The rate
named is the lowest of those seen, and none between them: a curve of fixed width through all of them
is pulled away from cliffs. On the 95 tasks that the benchmarks develop on, the lowest of all 21
rates on four splits chose 3.2 % above the best, a mean over neighbours 3.8 to 4.0 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from tuners.curves.smoothing import Values

LEVEL = 0.95
DRAWS = 2_000
ROUNDING = 1e-12  # of the size of the losses: differences below it are none


@dataclass(frozen=True, eq=False)
class Response:
    """The loss of each rate, the splits' offsets taken out, with what is read from it.

    Args:
        learning_rates: The rates, rising, `(rates,)`.
        fitted: Loss of each on a middling split, `(rates,)`.
        band: Ends of its 95 % band, `(2, rates)`.
        best: The rate that is named.
        interval: The middle 95 % of the lowest rates where the losses are drawn again.
        plateau: The rates around the best that cannot be told from it at 95 %.
        splits: How many splits there were, 1 where rates were trained once each.
    """

    learning_rates: Values
    fitted: Values
    band: Values
    best: float
    interval: tuple[float, float]
    plateau: tuple[float, float]
    splits: int


def read_response(rates: Values, losses: Values, best: float | None = None) -> Response:
    """Return what losses say about their rates.

    A loss is its rate's level plus its split's offset plus noise, in logarithms where all losses
    are positive (two-way least squares). Where no two splits show the noise, that of neighbouring
    rates does: how far each lies from the line between the two beside it (Gasser, Sroka and
    Jennen-Steinmetz 1986).

    Args:
        rates: Rate of each training or trial, `(trials,)`, positive; in any order, also repeated.
        losses: Its loss on each split, lower is better, `(trials, splits)`; NaN where it was not
            trained, at least one finite in each row.
        best: The rate to compare with; None for the one with the lowest level.

    Example:
        >>> rates = np.geomspace(1e-4, 1e-2, 9)
        >>> losses = 1 + np.log10(rates[:, None] / 1e-3) ** 2 + [0.0, 0.3, -0.2]
        >>> found = read_response(rates, losses)
        >>> round(found.best, 6), found.splits
        (0.001, 3)
    """
    values = np.asarray(losses, float)
    values = values[:, np.isfinite(values).any(axis=0)]  # a split that nobody saw says nothing
    known = np.isfinite(values)
    logarithmic = bool((values[known] > 0).all())
    # of what may be negative the size is taken out, whose square a float may not hold
    unit = 1.0 if logarithmic else float(np.abs(values[known]).max()) or 1.0
    values = np.log(np.where(known, values, 1.0)) if logarithmic else values / unit
    middle = float(values[known].mean())
    least = ROUNDING * max(float(np.abs(values[known]).max()), 1.0)
    distinct, which = np.unique(np.asarray(rates, float), return_inverse=True)
    level, residual, freedom = _two_way(which, np.where(known, values - middle, 0.0), known)
    x = np.log10(distinct)
    variance, freedom = _noise(x, level, residual, freedom)
    place = int(np.argmin(level)) if best is None else int(np.argmin(np.abs(x - np.log10(best))))
    counts = np.array([known[which == each].sum() for each in range(len(distinct))])
    quantile = stats.t.ppf((1 + LEVEL) / 2, freedom)
    error = quantile * np.sqrt(variance / counts)
    shared = np.array([_shared(which, known, each, place) for each in range(len(distinct))])
    margin = np.maximum(quantile * np.sqrt(2 * variance / shared), least)

    def back(v: Values) -> Values:
        if logarithmic:
            return np.asarray(np.exp(np.clip(v + middle, -700, 700)))
        most = np.finfo(float).max / max(unit, 1.0)
        return np.clip(v + middle, -most, most) * unit

    drawn = _drawn_lowest(level, variance, counts, freedom)
    low, high = np.quantile(x[drawn], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Response(
        learning_rates=distinct,
        fitted=back(level),
        band=back(np.array([level - error, level + error])),
        best=float(distinct[place]),
        interval=(float(10 ** min(low, x[place])), float(10 ** max(high, x[place]))),
        plateau=_around(distinct, level - level[place] > margin, place),
        splits=values.shape[1],
    )


def _two_way(which: Any, values: Values, known: Any) -> tuple[Values, Values, float]:
    """Return the level of each rate, the residuals and their degrees of freedom."""
    rows, columns = np.nonzero(known)
    rates, splits = int(which.max()) + 1, values.shape[1]
    design = np.zeros((len(rows) + 1, rates + splits))
    design[np.arange(len(rows)), which[rows]] = 1.0
    design[np.arange(len(rows)), rates + columns] = 1.0
    design[-1, rates:] = 1.0  # the offsets have mean 0
    told = np.append(values[rows, columns], 0.0)
    solution, _, rank, _ = np.linalg.lstsq(design, told, rcond=None)
    return solution[:rates], (told - design @ solution)[:-1], float(len(told) - rank)


def _noise(x: Values, level: Values, residual: Values, freedom: float) -> tuple[float, float]:
    """Return the variance of one loss and its degrees of freedom, 1 or more."""
    if freedom >= 1:
        return float((residual**2).sum() / freedom), freedom
    if len(x) < 3:
        return 0.0, 1.0
    share = (x[2:] - x[1:-1]) / (x[2:] - x[:-2])
    apart = level[1:-1] - share * level[:-2] - (1 - share) * level[2:]
    return float((apart**2 / (1 + share**2 + (1 - share) ** 2)).mean()), float(len(x) - 2)


def _shared(which: Any, known: Any, one: int, other: int) -> int:
    """Return on how many splits two rates were both trained, 1 at least."""
    both = known[which == one].any(axis=0) & known[which == other].any(axis=0)
    return max(int(both.sum()), 1)


def _drawn_lowest(level: Values, variance: float, counts: Values, freedom: float) -> Values:
    """Return the lowest place where each level is drawn again, `(DRAWS,)`."""
    generator = np.random.default_rng(0)
    noise = generator.standard_t(freedom, size=(DRAWS, len(level)))
    return np.argmin(level + np.sqrt(variance / counts) * noise, axis=1)


def _around(rates: Values, different: Values, best: int) -> tuple[float, float]:
    apart = np.flatnonzero(different)
    below, above = apart[apart < best], apart[apart > best]
    low = rates[below[-1] + 1] if below.size else rates[0]
    high = rates[above[0] - 1] if above.size else rates[-1]
    return float(low), float(high)
