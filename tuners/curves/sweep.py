"""Short trainings at constant rates: which rates, how short, and where to search by their losses.

The rates lie half a decade apart, each is trained from the same weights on the same rows for a
twentieth of a training, and what counts is the validation loss at its end. The lowest of them,
`L`, tells where the best rate of a full training lies. This was measured on the 95 tasks of 43
data sets that the benchmarks develop on, four deals of their splits each, with one seed:

- The best rate lies a median of 0.5 decades below `L`, with a standard deviation of 0.58 decades;
  5 % and 95 % of best rates lie 1.5 decades below and 0.5 above. So the suggestion is `L` - 0.5.
- From 1.25 decades below `L` to 0.5 above it there was a rate as good as the best (within 1 %, or
  one standard error) in 97 % of cases; from 1.25 to 0.25 in 96 %, from 1 to 0.25 in 92 %.
- A tenth of a training instead of a twentieth brings the standard deviation to 0.54 decades at
  twice the price, two seeds to 0.57, quarters of a decade to 0.60.

Models with batch normalization need nothing else: after an epoch their validation loss lags behind
the moving averages at all rates alike, and on those tasks it told the best rate no worse than the
training loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from search_spaces._words import count
from tuners.curves.finding import Finding
from tuners.curves.smoothing import Values, finite_table

BELOW, ABOVE, SUGGESTED = 1.25, 0.5, 0.5  # decades from the lowest loss; see above
HELD = "97 %"  # of the tasks, between BELOW and ABOVE
GAP = 0.5  # decades between the rates of a sweep; see above
SHARE, LARGEST_SHARE = 1 / 20, 1 / 10  # of a training, that a short one lasts; see above
FEWEST_RATES = 5  # under that an end of the range is among the nearest to any rate
# Of the size of the losses: what float32 cannot tell apart once a few hundred rows are averaged.
# On the tasks above the losses of a sweep spread over 5 % of their size or more.
ROUNDING = 1e-6
SIGNIFICANT = 0.05  # of Friedman's test; on the tasks above two seeds fail it in 2 %


def sweep_rates(declared: tuple[float, float], most: int | None = None) -> Values:
    """Return the rates of a sweep over a range, rising, both ends among them.

    Args:
        declared: The range `(low, high)`, with `low < high`.
        most: How many there may be; there are `FEWEST_RATES` at least.

    Example:
        >>> len(sweep_rates((1e-5, 1.0))), len(sweep_rates((1e-3, 1e-2)))
        (11, 5)
    """
    low, high = declared
    gaps = round(float(np.log10(high / low)) / GAP)
    if most is not None:
        gaps = min(gaps, most - 1)
    return np.geomspace(low, high, max(gaps, FEWEST_RATES - 1) + 1)


def short_training(epochs: int, batches: int) -> tuple[int, int]:
    """Return the epochs of a short training, and how many batches of an epoch it trains on.

    These are whole epochs; where one is more than a tenth of a training, so many batches of one.

    Args:
        epochs: Of a full training.
        batches: Gradient steps of an epoch.

    Example:
        >>> short_training(30, 130), short_training(10, 130), short_training(5, 10)
        ((2, 130), (1, 130), (1, 5))
    """
    if epochs * LARGEST_SHARE < 1:
        return 1, min(max(1, round(LARGEST_SHARE * epochs * batches)), batches)
    return max(1, round(SHARE * epochs)), batches


def read_sweep(rates: Values, table: Values) -> Finding:
    """Return where to search by the losses of short trainings.

    Args:
        rates: Their rates, rising, `(rates,)`.
        table: The loss that each training reached, `(rates, seeds)`; a rate with one that is not
            finite is left out.
    """
    table = finite_table(table)
    finite: Any = np.isfinite(table).all(axis=1)
    distinct, measured = np.unique(rates), np.unique(rates[finite])
    if not np.isfinite(table).any():
        return Finding("non_finite", "No loss was finite; check the data, the loss and the model.")
    if len(distinct) < FEWEST_RATES:
        return Finding(
            "too_few_points",
            f"{count(len(distinct), 'rate')} measured; {FEWEST_RATES} are needed, measure more.",
        )
    if len(measured) < FEWEST_RATES - 1:
        return Finding(
            "diverged_at_start" if finite[0] else "non_finite",
            f"The loss was finite at {len(measured)} of {len(distinct)} rates; test lower rates, "
            "or check the data and the loss.",
            suggestion=-np.inf if finite[0] else np.nan,
        )
    mean = table[finite].mean(axis=1)
    first, lowest, last = np.log10(rates[finite][[0, int(np.argmin(mean)), -1]])
    if _all_alike(table[finite]):
        return Finding(
            "no_descent",
            f"The losses at rates from {10**first:.2g} to {10**last:.2g} cannot be told apart; "
            "use more seeds, longer trainings or a wider range of rates.",
            suggestion=lowest - SUGGESTED,
        )
    if lowest == first:
        return Finding(
            "diverged_at_start",
            f"The loss is lowest at the lowest rate tested, {10**first:.2g}; test lower rates.",
            suggestion=-np.inf,
        )
    if lowest == last and finite[-1]:
        return Finding(
            "no_divergence",
            f"The loss is lowest at the highest rate tested, {10**last:.2g}; test higher rates.",
            suggestion=lowest - SUGGESTED,
        )
    low, high = lowest - BELOW, lowest + ABOVE
    of_seeds = f", the mean of {table.shape[1]} seeds," if table.shape[1] > 1 else ""
    return Finding(
        "ok",
        f"The loss of short trainings{of_seeds} is lowest at rate {10**lowest:.2g}; rates from "
        f"{10**low:.2g} to {10**high:.2g} held a best rate in {HELD} of the benchmark's tasks.",
        low=low,
        high=high,
        suggestion=lowest - SUGGESTED,
    )


def _all_alike(table: Values) -> bool:
    """Whether losses `(rates, seeds)` show no rate that is better, by ranks within each seed."""
    mean = table.mean(axis=1)
    if np.ptp(mean) <= ROUNDING * np.abs(mean).max():
        return True
    if table.shape[1] < 2:
        return False  # the test needs a second seed
    return float(stats.friedmanchisquare(*table).pvalue) > SIGNIFICANT
