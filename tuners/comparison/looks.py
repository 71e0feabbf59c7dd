"""When the pairs of a comparison are looked at, and how sure each look must be.

A look is a paired t test at a level that was fixed before. The levels follow a spending function of
the count of pairs alone, so they do not ask how many pairs were planned: `pairs` may grow on any
day, and the chance of a false "better" over all looks stays under 2.5 %. NumPy and SciPy only;
functions work along the last axis, so that thousands of simulated comparisons are judged at once.

References:
    Lan and DeMets 1983, "Discrete Sequential Boundaries for Clinical Trials": spending functions.
    Kim and DeMets 1987: the function that spends evenly, as ours does up to `SPENT_BY` pairs.
    Armitage, McPherson and Rowe 1969: the recursion over the looks.
    Jennison and Turnbull 1989, "Interim Analyses: The Repeated Confidence Interval Approach":
    intervals that hold at all looks together.
    Schuirmann 1987: equal, where two one-sided tests both say so.
    Lan, Simon and Halperin 1982: the stop where little power is left.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from scipy import optimize, stats

from tuners.comparison.statistics import paired_t_interval

VERDICTS = ("better", "worse", "equal", "no_difference_shown", "too_few_pairs")
# Chance of a false "better" over all looks: one side of the usual 5 %, less what t tests of few
# pairs go over the levels of normal sums. Simulated, without the stop for futility and with pairs
# that grow to 120, it comes to 2.4 % (`benchmarks.verdict`).
ERROR = 0.023
LOOKS = (6, 8, 10, 12, 16, 20, 24, 30)  # and then after every 10; even, as pairs train by twos
FEWEST_PAIRS = LOOKS[0]
SPENT_BY = LOOKS[-1]
# Of ERROR, what is left for looks after more than 30 pairs. It costs under two points of power at
# an effect of half a standard deviation; without it, pairs past 30 could decide nothing.
KEPT = 0.1
MARGIN = 0.01  # the share of the baseline's value below which a difference counts as none
# Below it a look stops. How many pairs and how much power other values cost: `benchmarks.verdict`.
POWER_LEFT = 0.1
CELLS = 400  # of the grid that levels are computed on; twice as many move none by 1e-6
LIKELY = 0.5  # pairs go on for "equal" only while that is the likelier end


def looks(pairs: int) -> tuple[int, ...]:
    """Return after how many pairs a comparison of at most `pairs` is looked at.

    Example:
        >>> looks(15), looks(45)
        ((6, 8, 10, 12, 15), (6, 8, 10, 12, 16, 20, 24, 30, 40, 45))
        >>> looks(5)
        ()
    """
    if pairs < FEWEST_PAIRS:
        return ()
    return (*(count for count in (*LOOKS, *range(40, pairs, 10)) if count < pairs), pairs)


def spent(pairs: int) -> float:
    """Return the chance of a false "better" that the looks up to some pairs may use.

    Evenly over the first 30 pairs, `ERROR * (1 - KEPT) * n / 30`; the rest as `ERROR * (1 - KEPT *
    30 / n)`, which never ends.

    Example:
        >>> round(spent(10), 6), round(spent(30), 6), round(spent(60), 6)
        (0.0069, 0.0207, 0.02185)
    """
    early = (1 - KEPT) * pairs / SPENT_BY
    return ERROR * (early if pairs <= SPENT_BY else 1 - KEPT * SPENT_BY / pairs)


@cache
def level(pairs: int) -> float:
    """Return the one-sided level of the look after some pairs; that of the first below it.

    With S the sum of n standard normal differences, a look crosses at |S| > z sqrt(n). From look to
    look the density of those that have not crossed is carried along on a grid, and z is what makes
    the further chance to cross upwards `spent(n) - spent(before)`. The t test then uses the
    level of z, not z itself.

    Args:
        pairs: 1 or more.

    Example:
        >>> [round(level(pairs), 4) for pairs in (6, 12, 30)]
        [0.0041, 0.0033, 0.009]
    """
    sums, chances, before = np.zeros(1), np.ones(1), 0
    z = 0.0
    for count in looks(max(pairs, FEWEST_PAIRS)):
        root, spread = math.sqrt(count), math.sqrt(count - before)
        due = spent(count) - (spent(before) if before else 0.0)

        def surplus(z: float) -> float:
            crossing = stats.norm.sf((z * root - sums) / spread)  # noqa: B023
            return float(chances @ crossing) - due  # noqa: B023

        z = float(optimize.brentq(surplus, 0.0, 10.0))
        grid = z * root * (2 * np.arange(0.5, CELLS) / CELLS - 1)  # the middles of its cells
        density = stats.norm.pdf((grid[:, None] - sums) / spread) / spread @ chances
        sums, chances, before = grid, density * 2 * z * root / CELLS, count
    return float(stats.norm.sf(z))


def interval(differences: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of the mean along the last axis, for 2 or more pairs.

    It is the paired t interval of the look after so many pairs. Over all looks together such
    intervals hold the mean in 95 % of comparisons, so it may be read whenever they stopped.
    """
    differences = np.asarray(differences, float)
    return paired_t_interval(differences, 1 - 2 * level(differences.shape[-1]))


def decide(differences: Any, margin: Any = 0.0) -> np.ndarray:
    """Return the verdict of the look at some differences: (..., pairs) -> (...) strings.

    "equal": the interval of the mean lies within `margin`, also where it excludes zero. "better":
    it lies above zero; "worse": below. Else "no_difference_shown", and under 6 pairs
    "too_few_pairs".

    Args:
        differences: (..., pairs) finite gains of the first arm.
        margin: (...) differences that count as none, 0 or more.

    Example:
        >>> gains = np.array([0.2, 0.1, 0.3, 0.2, 0.1, 0.2, 0.3, 0.1])
        >>> str(decide(gains)), str(decide(gains, margin=0.5)), str(decide(gains[:5]))
        ('better', 'equal', 'too_few_pairs')
    """
    differences = np.asarray(differences, float)
    if differences.shape[-1] < FEWEST_PAIRS:
        return np.full(differences.shape[:-1], "too_few_pairs")
    low, high = interval(differences)
    return np.select(
        [(low >= -margin) & (high <= margin), low > 0, high < 0],
        ["equal", "better", "worse"],
        "no_difference_shown",
    )


def is_futile(differences: Any, most: int, margin: Any = 0.0) -> np.ndarray:
    """Return whether further pairs are worth nothing, (..., pairs) -> (...).

    With n of N pairs, mean m and standard deviation s, the mean of all N is normal around m with
    the standard deviation s sqrt(N - n) / N if things go on like this. Futile is where less than
    a tenth of it lies beyond the half-width of the last interval, which is a difference, and less
    than half of it so near zero that the arms would be equal. The levels of the looks do not count
    on it, so going on against it raises no error.

    Args:
        differences: (..., pairs) finite gains of the first arm, 2 or more pairs.
        most: Pairs that may be trained, more than there are.
        margin: (...) differences that count as none, 0 or more.

    Example:
        >>> bool(is_futile([0.3, -0.2, 0.1, -0.3, 0.2, -0.1], most=30))
        True
    """
    differences = np.asarray(differences, float)
    mean, sd = differences.mean(axis=-1), differences.std(axis=-1, ddof=1)
    half = stats.t.isf(level(most), most - 1) * sd / math.sqrt(most)
    ahead = np.maximum(sd * math.sqrt(most - differences.shape[-1]) / most, np.finfo(float).tiny)
    further, room = stats.norm(mean, ahead), np.asarray(margin - half)
    with np.errstate(over="ignore"):  # differences without any spread
        different = further.sf(half) + further.cdf(-half)
        equal = np.where(room > 0, further.cdf(room) - further.cdf(-room), 0.0)
    return (different < POWER_LEFT) & (equal < LIKELY)
