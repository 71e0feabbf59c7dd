"""Learning rates and counts as short texts: one notation wherever a user reads one."""

from __future__ import annotations

import math


def rate(value: float | None) -> str:
    """Return a learning rate with 3 significant digits, plain from 0.001 on.

    Example:
        >>> rate(0.001), rate(0.00123456), rate(2.5e-06), rate(0.18)
        ('0.001', '0.00123', '2.5e-6', '0.18')
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    if value >= 9.995e-4 or value <= 0:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def count(number: int, noun: str) -> str:
    """Return a number of things, the noun in its plural but for one.

    Example:
        >>> count(1, "seed"), count(1200, "seed")
        ('1 seed', '1,200 seeds')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"
