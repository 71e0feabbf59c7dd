"""The part of a parameter's own range that lies inside bounds, and what to say where none does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from tuners._checks import is_number


def kept_choices(values: Sequence[float], low: float, high: float) -> list[float]:
    """Return the values inside bounds; those next to them on both sides where none is; else none.

    Example:
        >>> kept_choices([1e-4, 1e-3, 1e-2], 5e-4, 5e-3), kept_choices([1e-4, 1e-1], 1e-3, 1e-2)
        ([0.001], [0.0001, 0.1])
        >>> kept_choices([0.1, 1.0], 1e-3, 1e-2)
        []
    """
    below = [value for value in values if value < low]
    above = [value for value in values if value > high]
    if len(below) + len(above) < len(values):
        return [value for value in values if low <= value <= high]
    return [max(below), min(above)] if below and above else []


def decades_off(value: float, rate: float) -> float:
    """Return how far a value lies from a rate, in decades; a value that is no rate, infinitely."""
    return abs(math.log10(value / rate)) if value > 0 else math.inf


def missing_side(low: float, high: float, own_high: float) -> str:
    """Return on which side of a user's own range bounds lie that don't meet it, and the cure.

    Example:
        >>> missing_side(0.02, 0.3, 1e-2)
        'they lie above it: raise its upper end to 0.3'
    """
    if low > own_high:
        return f"they lie above it: raise its upper end to {high:.3g}"
    return f"they lie below it: lower its lower end to {low:.3g}"


def is_rates(wide: BaseDistribution | None) -> bool:
    """Return whether a distribution can be narrowed: a float's, or choices of numbers."""
    if isinstance(wide, CategoricalDistribution):
        return all(map(is_number, wide.choices))
    return isinstance(wide, FloatDistribution)


def cut(
    wide: BaseDistribution, low: float, high: float, ceiling: float = math.inf
) -> tuple[BaseDistribution, str]:
    """Return the part of an Optuna distribution inside bounds, or the whole and why it is kept.

    Args:
        wide: What the objective asks for.
        low: Lower end of the bounds.
        high: Their upper end.
        ceiling: The highest value worth drawing, where it is lower.

    Returns:
        The part and "", or `wide` itself and the reason.

    Example:
        >>> cut(FloatDistribution(1e-5, 1.0, log=True), 1e-3, 1e-2)[0].high
        0.01
        >>> cut(CategoricalDistribution([1e-4, 1e-3, 1e-2]), 5e-4, 2e-2)[0].choices
        (0.001, 0.01)
    """
    if not is_rates(wide):
        return wide, f"suggested as {type(wide).__name__}, which is left alone"
    if isinstance(wide, CategoricalDistribution):
        values: list[float] = list(wide.choices)  # type: ignore[arg-type]  # all are numbers
        kept = kept_choices(values, low, high)
        if not kept:
            return wide, _apart(low, high, min(values), max(values))
        below = [value for value in kept if value <= ceiling]
        return CategoricalDistribution(below or [min(kept)]), ""
    assert isinstance(wide, FloatDistribution)
    if high < wide.low or wide.high < low:
        return wide, _apart(low, high, wide.low, wide.high)
    low = max(low, wide.low)
    high = max(low, min(high, ceiling, wide.high))
    if wide.step is None:
        return FloatDistribution(low, high, log=wide.log), ""
    # decimals, as in Optuna's own distributions: 0.1 + 0.2 must be the grid's 0.3
    start, step = Decimal(str(wide.low)), Decimal(str(wide.step))
    first = math.ceil((Decimal(str(low)) - start) / step)
    last = math.floor((Decimal(str(high)) - start) / step)
    if first > last:
        return wide, (
            f"no multiple of the step {wide.step:g} lies in [{low:g}, {high:g}]; the declared "
            "range is kept"
        )
    ends = float(start + first * step), float(start + last * step)
    return FloatDistribution(*ends, step=wide.step), ""


def _apart(low: float, high: float, own_low: float, own_high: float) -> str:
    return (
        f"[{low:g}, {high:g}] does not meet the declared [{own_low:g}, {own_high:g}], which is "
        f"kept as it is; {missing_side(low, high, own_high)}"
    )


def nearest(wide: BaseDistribution, rate: float) -> float | None:
    """Return the value nearest to a rate that a distribution holds; None where it holds no rates.

    Example:
        >>> nearest(CategoricalDistribution([1e-4, 1e-3, 1e-2]), 2e-3)
        0.001
        >>> nearest(FloatDistribution(0, 1, step=0.1), 0.28)
        0.3
    """
    if not is_rates(wide):
        return None
    if isinstance(wide, CategoricalDistribution):
        values: list[float] = list(wide.choices)  # type: ignore[arg-type]  # all are numbers
        return min(values, key=lambda value: decades_off(value, rate))
    assert isinstance(wide, FloatDistribution)
    inside = min(max(rate, wide.low), wide.high)
    if wide.step is None:
        return inside
    start, step = Decimal(str(wide.low)), Decimal(str(wide.step))
    return float(start + round((Decimal(str(inside)) - start) / step) * step)
