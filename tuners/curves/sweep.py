"""From a sweep of constant rates, each trained for a while, to a finding."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from search_spaces._words import count
from tuners.curves.finding import Finding
from tuners.curves.response import WIDTH, fit_response
from tuners.curves.smoothing import Values, finite_table

FEWEST_RATES = 5
ROUNDING = 1e-9  # decades


def read_sweep(rates: Values, table: Values) -> Finding:
    """Return what a sweep shows: the plateau of its fit, one width of the fit wider on both sides.

    Trainings that are to be longer than those of the sweep favour lower rates than it shows.

    Args:
        rates: Its rates, rising, `(rates,)`.
        table: The loss that each training reached, `(rates, seeds)`.
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
    response = fit_response(rates[finite], table[finite])
    low, best, high = np.log10([response.plateau[0], response.best, response.plateau[1]])
    first, last = np.log10(measured[0]) + ROUNDING, np.log10(measured[-1]) - ROUNDING
    if (low <= first and high >= last) or _all_alike(table[finite]):
        return Finding(
            "no_descent",
            f"The losses at rates from {10**first:.2g} to {10**last:.2g} cannot be told apart; "
            "use more seeds, more steps or a wider range of rates.",
            suggestion=best,
        )
    if best <= first:
        return Finding(
            "diverged_at_start",
            f"The loss is lowest at the lowest rate tested, {10**first:.2g}; test lower rates.",
            suggestion=-np.inf,
        )
    if best >= last and finite[-1]:
        return Finding(
            "no_divergence",
            f"The loss is lowest at the highest rate tested, {10**last:.2g}; test higher rates.",
            suggestion=np.inf,
        )
    return Finding(
        "ok",
        f"The trainings of {count(table.shape[1], 'seed')} are lowest at rate {10**best:.2g}, and "
        f"cannot be told from it from {10**low:.2g} to {10**high:.2g}.",
        low=low - WIDTH,
        high=high + WIDTH,
        suggestion=best,
    )


def _all_alike(table: Values) -> bool:
    """Whether losses `(rates, seeds)` show no rate that is better, by ranks within each seed."""
    if table.shape[1] < 2:
        return False  # the test needs a second seed
    alike = bool((np.ptp(table, axis=0) == 0).all())
    return alike or float(stats.friedmanchisquare(*table).pvalue) > 0.05
