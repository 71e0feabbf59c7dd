"""Inside which range a policy of the field searches: all that was declared, or our bounds."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.replay import Setting

Bounds = Callable[[Setting], tuple[float, float]]


def declared(setting: Setting) -> tuple[float, float]:
    """Return the declared range, which costs nothing."""
    return setting.declared


def from_range_test(setting: Setting) -> tuple[float, float]:
    """Return the bounds of a range test, which is paid for."""
    bounds = setting.range_test().bounds()
    return bounds.low, bounds.high
