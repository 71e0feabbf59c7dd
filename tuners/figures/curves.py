"""Figures of losses: by learning rate, and by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from search_spaces._picture import draw_bounds, rate_axis
from tuners.figures import style
from tuners.figures.style import NARROW, WIDE, numbers, padded
from tuners.figures.words import count, label, rate

MOST_POINTS = 400  # of a line in a page
_LOSSES = {
    "ramp": "loss of the batch",
    "per_epoch": "loss of the epoch",
    "sweep": "loss after a short training",
}


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
    rates, mean, seeds = curve["learning_rates"], numbers(curve["smoothed"]), curve["seeds"]
    finite = mean[np.isfinite(mean)]
    low, high = loss_range(finite) if finite.size else (0.0, 1.0)
    if seeds > 1 or not curve["sparse"]:  # else the mean is what was measured
        raw = numbers(curve["losses"]).reshape(len(rates), -1)[:, :most_seeds]
        lines = ax.plot(rates, raw, color=style.SOFT, linewidth=0.7, alpha=0.35, zorder=1)
        lines[0].set_label("each seed, raw" if seeds > 1 else "raw")
    words = f"mean of {count(seeds, 'seed')}"
    look: Any = {"color": style.BLUE, "linewidth": 2.3, "zorder": 3}
    if not curve["sparse"]:
        ax.plot(rates, mean, label=f"{words}, smoothed", **look)
    elif curve.get("band_low"):
        error, words = numbers(curve["band_high"]) - mean, f"{words} with its standard error"
        ax.errorbar(rates, mean, yerr=error, fmt="o-", capsize=3, label=words, **look)
    else:
        ax.plot(rates, mean, "o-", label=words if seeds > 1 else "measured", **look)
    if curve.get("band_low") and not curve["sparse"]:
        # what lies far outside is cut, since a page's arithmetic is not endless
        cut = (low - 4 * (high - low), high + 4 * (high - low))
        under, over = (np.clip(numbers(curve[f"band_{side}"]), *cut) for side in ("low", "high"))
        wide: Any = {"alpha": 0.18, "linewidth": 0, "label": "middle 80 % of the seeds"}
        ax.fill_between(rates, under, over, color=style.BLUE, **wide)
    draw_bounds(ax, rates, bounds, baseline)
    known = [end for end in ("low", "high") if bounds and bounds.get(f"{end}_interval_low")]
    ends = [[bounds[f"{end}_interval_{i}"] for i in ("low", "high")] for end in known if bounds]
    for end, title in zip(ends, ("95 % intervals of the ends", None), strict=False):
        look = {"linewidth": 5, "alpha": 0.5, "solid_capstyle": "butt", "label": title}
        ax.plot(end, [0.975] * 2, color=style.GREEN, transform=ax.get_xaxis_transform(), **look)
    ax.set_ylim(low, high)
    ax.set_ylabel(_LOSSES[curve["kind"]])


@style.styled
def loss_curve(
    curve: Mapping[str, Any],
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    width: int = WIDE,
) -> Figure:
    """Return the figure of a range test: `draw_loss_curve` in `width` pixels, with its legend."""
    every = max(1, math.ceil(len(curve["learning_rates"]) / MOST_POINTS))
    by_rate = ("learning_rates", "losses", "smoothed", "band_low", "band_high")
    fewer = {name: curve[name][::every] for name in by_rate if curve.get(name)}
    narrow = width <= NARROW
    figure, (ax,) = style.new_figure(width, 290 if narrow else 340)
    draw_loss_curve(ax, {**curve, **fewer}, bounds, baseline, 4 if narrow else 16)
    style.legend_above(figure)
    return figure


def loss_range(mean: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of losses that shows the descent, not the height of the explosion."""
    start, low = float(np.median(mean[: max(1, len(mean) // 10)])), float(mean.min())
    fall = start - low
    if fall <= 0.02 * abs(start):
        return padded(np.quantile(mean, [0.0, 0.9]), 0.3)
    high = min(float(mean.max()), start + 0.6 * fall)
    return low - 0.25 * fall, max(high, start) + 0.15 * fall


@style.styled
def learning_curves(shown: Sequence[Mapping[str, Any]], width: int = WIDE) -> Figure:
    """Return training and validation losses by epoch of a few trainings, on one scale.

    Args:
        shown: One dict a training: `title`, `metric`, `training` and `validation` (values by
            epoch, maybe none), `best_epoch` (from 0, or None).
        width: In pixels.
    """
    columns = 1 if width <= NARROW else 2
    rows = math.ceil(len(shown) / columns)
    share = {"sharex": True, "sharey": True}
    figure, axes = style.new_figure(width, 195 * rows + 20, rows, columns, **share)
    pooled = [numbers(entry[part]) for entry in shown for part in ("training", "validation")]
    every = max(1, math.ceil(max(curve.size for curve in pooled) / MOST_POINTS))
    finite = np.concatenate(pooled)[np.isfinite(np.concatenate(pooled))]
    starts = [curve[0] for curve in pooled if curve.size and np.isfinite(curve[0])]
    calm = finite[finite <= 2 * np.median(starts)] if starts else finite
    limits = padded(calm if calm.size else finite, 0.05)  # one that rose would flatten the others
    for place, (ax, entry) in enumerate(zip(axes, shown, strict=False)):
        training, validation = numbers(entry["training"]), numbers(entry["validation"])
        for name, values, form in (("training", training, "--"), ("validation", validation, "-")):
            epochs, colour = np.arange(1, values.size + 1), _COLOURS[name]
            ax.plot(epochs[::every], values[::every], form, color=colour, label=name)
        best = entry["best_epoch"]
        if best is not None and 0 <= best < validation.size:
            ax.plot([best + 1], [validation[best]], "D", color=style.PURPLE, label="best epoch")
        if not (np.concatenate([training, validation]) <= limits[1]).any():
            ax.text(0.5, 0.5, "beyond the drawn range", ha="center", transform=ax.transAxes)
        ax.set(title=entry["title"], ylabel=label(entry["metric"], 20), ylim=limits)
        if place >= len(shown) - columns:
            ax.set_xlabel("epoch")
            ax.tick_params(labelbottom=True)
    for ax in axes[len(shown) :]:
        ax.remove()
    style.legend_above(figure)
    return figure


_COLOURS = {"training": style.ORANGE, "validation": style.BLUE}


@style.styled
def plain_lines(
    series: Mapping[str, Sequence[float | None]],
    title: str,
    rates: Sequence[float] | None = None,
    chosen: float | None = None,
) -> Figure:
    """Return up to three named series, raw, by epoch or by learning rate.

    Args:
        series: Name to values; None stands for one that is not finite.
        title: What stands above.
        rates: The rate of each value, for a log axis of rates; None counts epochs from 1.
        chosen: A rate to mark on that axis.
    """
    figure, (ax,) = style.new_figure(WIDE, 460)
    looks = ((style.BLUE, "-"), (style.ORANGE, "--"), (style.GREEN, ":"))
    for (name, values), (colour, dashes) in zip(series.items(), looks, strict=False):
        xs = np.arange(1, len(values) + 1) if rates is None else rates
        ax.plot(xs, numbers(values), dashes, color=colour, label=name)
    ax.set(xlabel="epoch", ylabel="value", title=title)
    if rates is not None and chosen is not None:
        ax.axvline(chosen, color=style.ORANGE, linestyle="--", label=f"chosen: {rate(chosen)}")
        rate_axis(ax, [*rates, chosen])
    style.legend_above(figure)
    return figure
