"""What a reading of a curve found, and what all readings look for: enough points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_spaces._words import count
from tuners.curves.smoothing import Values, finite_table

FEWEST_ROWS = 8  # distinct rates below which a ramp shows no shape


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


def check_points(rates: Values, table: Values, fewest: int = FEWEST_ROWS) -> Finding | None:
    """Return a finding where there are too few points or finite losses, else None."""
    finite = np.isfinite(finite_table(table))
    distinct = len(np.unique(rates))
    if not finite.any():
        return Finding("non_finite", "No loss was finite; check the data, the loss and the model.")
    if distinct < fewest:
        return Finding(
            "too_few_points",
            f"{count(distinct, 'rate')} measured; {fewest} are needed, measure more.",
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
