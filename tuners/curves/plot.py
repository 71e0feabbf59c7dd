"""The picture of a LossCurve: raw seeds, mean, band, bounds, suggestion, baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuners.curves.smoothing import clip_losses

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tuners.curves.loss_curve import LossCurve


def plot_curve(curve: LossCurve, ax: Axes | None = None, baseline: float | None = None) -> Axes:
    """Draw a curve on a log axis of rates and return the axes; no window is opened.

    Args:
        curve: The curve to draw.
        ax: The axes to draw on; None makes a figure that no window manager holds.
        baseline: A rate to mark; None marks none.
    """
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(7, 4), layout="constrained").add_subplot()
    bounds = curve.bounds()
    rates, losses = curve.learning_rates, clip_losses(curve.table)
    mean = curve.smoothed()
    ax.plot(rates, losses, color="0.75", linewidth=0.6, zorder=1)
    if curve.seeds > 1:
        spread = losses.std(axis=1, ddof=1)
        ax.fill_between(rates, mean - spread, mean + spread, color="C0", alpha=0.15, linewidth=0)
    ax.plot(rates, mean, color="C0", linewidth=1.8, label=f"mean of {curve.seeds} seed(s)")
    ax.axvspan(
        bounds.low, bounds.high, color="C2", alpha=0.12, label=f"bounds ({bounds.status})", zorder=0
    )
    ax.axvline(bounds.suggestion, color="C2", label=f"suggestion {bounds.suggestion:.2g}")
    if baseline is not None:
        ax.axvline(baseline, color="C1", linestyle="--", label=f"baseline {baseline:.2g}")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel({"sweep": "loss reached", "ramp": "batch loss"}.get(curve.kind, "epoch loss"))
    finite = mean[np.isfinite(mean)]
    if finite.size and finite.max() > finite.min():
        margin = 0.25 * (finite.max() - finite.min())
        ax.set_ylim(finite.min() - margin, finite.max() + margin)
    ax.legend(loc="best", fontsize="small")
    return ax
