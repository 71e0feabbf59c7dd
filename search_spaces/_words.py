"""A learning rate as a short text: one notation wherever a user reads one."""

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
