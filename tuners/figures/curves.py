"""Figures of losses: by learning rate, and by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tuners.figures.style import (
    BLUE,
    GREEN,
    NARROW,
    ORANGE,
    PURPLE,
    SOFT,
    WIDE,
    legend_above,
    new_figure,
    numbers,
    padded,
    rate_axis,
    styled,
)
from tuners.figures.words import label, rate

MOST_POINTS = 400  # of a line in a page
_LOSSES = {"ramp": "loss of the batch", "per_epoch": "loss of the epoch"}


def draw_bounds(ax: Axes, bounds: Mapping[str, Any] | None, baseline: float | None) -> None:
    """Shade the bounds and mark suggestion and baseline on a log axis of rates.

    Args:
        ax: Where.
        bounds: `LearningRateBounds.to_dict()`, or None.
        baseline: A rate, or None.
    """
    if bounds:
        low, high = bounds["low"], bounds["high"]
        words = f"bounds ({bounds['status']}): {rate(low)} to {rate(high)}"
        ax.axvspan(low, high, facecolor=GREEN, alpha=0.1, linewidth=0, zorder=0.5, label=words)
        for end in (low, high):
            ax.axvline(end, color=GREEN, linewidth=1.4)
        words = f"suggestion {rate(bounds['suggestion'])}"
        ax.axvline(bounds["suggestion"], color=PURPLE, linestyle="--", linewidth=1.5, label=words)
    if baseline is not None:
        words = f"baseline {rate(baseline)}"
        ax.axvline(baseline, color=ORANGE, linestyle=":", linewidth=1.8, label=words)


def draw_loss_curve(
    ax: Axes,
    curve: Mapping[str, Any],
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    most_seeds: int = 16,
) -> None:
    """Draw losses by rate: raw seeds, their mean, their middle 80 %, bounds and baseline.

    Args:
        ax: Where.
        curve: `LossCurve.drawn()`; None stands for a loss that is not finite.
        bounds: Its bounds as a dict, or None.
        baseline: A rate to mark, or None.
        most_seeds: How many raw seeds are drawn at most.
    """
    rates, mean = numbers(curve["learning_rates"]), numbers(curve["smoothed"])
    table = numbers(curve["losses"]).reshape(len(rates), -1)
    seeds = curve["seeds"]
    finite = mean[np.isfinite(mean)]
    low, high = loss_range(finite) if finite.size else (0.0, 1.0)
    words = "each seed, raw" if seeds > 1 else "raw"
    for i, seed in enumerate(table.T[:most_seeds]):
        name = words if i == 0 else None
        ax.plot(rates, seed, color=SOFT, linewidth=0.7, alpha=0.35, zorder=1, label=name)
    if curve.get("band_low"):
        # what lies far outside is cut, since a page's arithmetic is not endless
        cut = (low - 4 * (high - low), high + 4 * (high - low))
        under, over = (np.clip(numbers(curve[f"band_{side}"]), *cut) for side in ("low", "high"))
        words = "middle 80 % of the seeds"
        ax.fill_between(rates, under, over, color=BLUE, alpha=0.18, linewidth=0, label=words)
    words = f"mean of {seeds} seeds, smoothed" if seeds > 1 else "mean of 1 seed, smoothed"
    ax.plot(rates, mean, color=BLUE, linewidth=2.3, zorder=3, label=words)
    draw_bounds(ax, bounds, baseline)
    ends = [
        [bounds[f"{end}_interval_low"], bounds[f"{end}_interval_high"]]
        for end in ("low", "high")
        if bounds and bounds.get(f"{end}_interval_low")
    ]
    for i, end in enumerate(ends):
        ax.plot(
            end,
            [0.975, 0.975],
            transform=ax.get_xaxis_transform(),
            color=GREEN,
            alpha=0.5,
            linewidth=5,
            solid_capstyle="butt",
            label="95 % intervals of the ends" if i == 0 else None,
        )
    marked = [bounds[name] for name in ("low", "high") if bounds]
    rate_axis(ax, [*rates, *marked, *([baseline] if baseline is not None else [])])
    ax.set_ylim(low, high)
    ax.set_ylabel(_LOSSES.get(curve["kind"], "loss reached"))


@styled
def loss_curve(
    curve: Mapping[str, Any],
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    width: int = WIDE,
) -> Figure:
    """Return the figure of a range test, `draw_loss_curve` with its legend.

    Args:
        curve: `LossCurve.drawn()`.
        bounds: Its bounds as a dict, or None.
        baseline: A rate to mark, or None.
        width: In pixels.
    """
    every = max(1, math.ceil(len(curve["learning_rates"]) / MOST_POINTS))
    by_rate = ("learning_rates", "losses", "smoothed", "band_low", "band_high")
    fewer = {name: curve[name][::every] for name in by_rate if curve.get(name)}
    narrow = width <= NARROW
    figure, (ax,) = new_figure(width, 290 if narrow else 340)
    draw_loss_curve(ax, {**curve, **fewer}, bounds, baseline, 4 if narrow else 16)
    legend_above(figure, [ax])
    return figure


def loss_range(mean: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of losses that shows the descent, not the height of the explosion."""
    start, low = float(np.median(mean[: max(1, len(mean) // 10)])), float(mean.min())
    fall = start - low
    if fall <= 0.02 * abs(start):
        return padded(np.quantile(mean, [0.0, 0.9]), 0.3)
    high = min(float(mean.max()), start + 0.6 * fall)
    return low - 0.25 * fall, max(high, start) + 0.15 * fall


@styled
def learning_curves(shown: Sequence[Mapping[str, Any]], width: int = WIDE) -> Figure:
    """Return training and validation losses by epoch of a few trainings, on one scale.

    Args:
        shown: One dict a training: `title`, `metric`, `training` and `validation` (values by
            epoch, maybe none), `best_epoch` (from 0, or None).
        width: In pixels.
    """
    columns = 1 if width <= NARROW else 2
    rows = math.ceil(len(shown) / columns)
    figure, axes = new_figure(width, 195 * rows + 20, rows, columns, sharex=True, sharey=True)
    pooled = [numbers(entry[part]) for entry in shown for part in ("training", "validation")]
    every = max(1, math.ceil(max(curve.size for curve in pooled) / MOST_POINTS))
    starts = [curve[0] for curve in pooled if curve.size and np.isfinite(curve[0])]
    finite = np.concatenate(pooled)[np.isfinite(np.concatenate(pooled))]
    middle = float(np.median(starts)) if starts else 0.0
    if middle > 0 and (finite <= 2 * middle).any():  # one that rose would flatten the others
        finite = finite[finite <= 2 * middle]
    limits = padded(finite, 0.05)
    for ax, entry in zip(axes, shown, strict=False):
        for part, colour, dashes in (("training", ORANGE, "--"), ("validation", BLUE, "-")):
            values = numbers(entry[part])
            epochs = np.arange(1, values.size + 1)
            ax.plot(epochs[::every], values[::every], dashes, color=colour, label=part)
        best, values = entry["best_epoch"], numbers(entry["validation"])
        if best is not None and 0 <= best < values.size:
            ax.plot(best + 1, values[best], "D", color=PURPLE, label="best epoch", linestyle="")
        ax.set_title(entry["title"])
        ax.set_ylabel(label(entry["metric"], 20))
        ax.set_ylim(*limits)
        drawn = np.concatenate([numbers(entry[part]) for part in ("training", "validation")])
        if not (drawn <= limits[1]).any():
            ax.text(0.5, 0.5, "beyond the drawn range", ha="center", transform=ax.transAxes)
    for ax in axes[len(shown) :]:
        ax.remove()
    for ax in axes[max(0, len(shown) - columns) : len(shown)]:
        ax.set_xlabel("epoch")
        ax.tick_params(labelbottom=True)
    legend_above(figure, axes[: len(shown)])
    return figure


@styled
def series_by_epoch(series: Mapping[str, Sequence[float | None]], title: str) -> Figure:
    """Return up to three series of values by epoch, counted from 1, each with its name."""
    figure, (ax,) = new_figure(WIDE, 460)
    for (name, values), colour, dashes in zip(
        series.items(), (BLUE, ORANGE, GREEN), ("-", "--", ":"), strict=False
    ):
        ax.plot(np.arange(1, len(values) + 1), numbers(values), dashes, color=colour, label=name)
    ax.set(xlabel="epoch", ylabel="value", title=title)
    legend_above(figure, [ax])
    return figure


@styled
def losses_by_rate(rates: Sequence[float], losses: Sequence[float | None], chosen: float) -> Figure:
    """Return raw losses against their rate on a log axis, the chosen rate marked."""
    figure, (ax,) = new_figure(WIDE, 460)
    ax.plot(rates, numbers(losses), color=BLUE, label="training loss")
    ax.axvline(chosen, color=ORANGE, linestyle="--", label=f"chosen: {rate(chosen)}")
    rate_axis(ax, [*rates, chosen])
    ax.set(ylabel="training loss", title="Loss against learning rate")
    legend_above(figure, [ax])
    return figure
