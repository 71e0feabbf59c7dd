"""From a curve's losses to bounds inside the declared range, or that range and the reason."""

from __future__ import annotations

import numpy as np

from search_spaces.learning_rate import LearningRateBounds
from tuners.curves.finding import Finding
from tuners.curves.ramp import read_ramp
from tuners.curves.smoothing import Values
from tuners.curves.sweep import read_sweep


def read_bounds(
    rates: Values, table: Values, declared: tuple[float, float], kind: str
) -> LearningRateBounds:
    """Return the bounds of a curve inside the declared range.

    Args:
        rates: The rate of each row, rising, `(steps,)`.
        table: The raw losses, `(steps, seeds)`.
        declared: The user's range, checked.
        kind: Of the curve.
    """
    with np.errstate(all="ignore"):  # losses may be anything; what is read is checked for sense
        finding = (read_sweep if kind == "sweep" else read_ramp)(rates, table)
    return _inside(finding, declared, table.shape[1])


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
            f"The loss is low at rates up to {10**finding.high:.2g} only, below the declared "
            "range; lower its lower end.",
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
