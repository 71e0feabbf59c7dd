"""Bounds from a sweep (placeholder until the measurements are in)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuners.curve_bounds import Finding
    from tuners.loss_curve import LossCurve


def read_sweep(curve: LossCurve) -> Finding:
    """Return what a sweep of short trainings shows."""
    from tuners.curve_bounds import read_ramp

    return read_ramp(curve)
