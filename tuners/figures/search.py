"""Figures of a search and of the comparison that judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tuners.figures import style
from tuners.figures.curves import draw_bounds
from tuners.figures.style import CARD, INK, NARROW, WIDE, numbers, padded
from tuners.figures.words import label, rate, tick

# kind of a trial: shape, colour of its area and of its edge
_KINDS = {
    "finished trial": ("o", style.BLUE, CARD),
    "suggestion's trial": ("s", style.PURPLE, CARD),
    "baseline's trial": ("D", style.ORANGE, CARD),
    "pruned": ("v", "none", style.SOFT),
    "beyond the drawn range": ("^", style.BLUE, CARD),
    "failed": ("x", style.RED, style.RED),
}
_OUTCOMES = {  # sign of a gain: words, shape, colour
    1: ("chosen rate won", "^", style.BLUE),
    0: ("tied", "o", style.SOFT),
    -1: ("baseline won", "v", style.RED),
}


@style.styled
def trials_by_rate(
    marks: Sequence[tuple[float, float | None, str]],
    best: Sequence[tuple[float, float]],
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    objective: str,
    maximize: bool = False,
    choice: Mapping[str, Any] | None = None,
    width: int = WIDE,
) -> Figure:
    """Return trials against their learning rate, with bounds, baseline and choice.

    Args:
        marks: Rate, value and kind of each trial; the kinds are "finished trial", "suggestion's
            trial", "baseline's trial" and "pruned", and without regard to their value, which may
            be None, "beyond the drawn range" and "failed", which stand at the worse end.
        best: Rate and value of those that get a ring.
        bounds: Bounds as a dict, or None; their outer tenths are shaded.
        baseline: A rate to mark, or None.
        objective: Name of the values.
        maximize: Whether larger values are better.
        choice: `Choice.to_dict()`, whose curve, band, plateau and rate are drawn; or None.
        width: In pixels.
    """
    figure, (ax,) = style.new_figure(width, 300 if width <= NARROW else 330)
    found = {kind: [mark for mark in marks if mark[2] == kind] for kind in _KINDS}
    aside = [kind for kind in ("beyond the drawn range", "failed") if found[kind]]
    values = [mark[1] for mark in marks if mark[1] is not None and mark[2] not in aside]
    low, high = padded(values or [0.0, 1.0], 0.09)
    step = 0.08 * (high - low) * (-1 if maximize else 1)
    worse = low if maximize else high
    rows = {kind: worse + (row + 0.5) * step for row, kind in enumerate(aside)}
    draw_bounds(ax, [mark[0] for mark in marks], bounds, baseline)
    if choice:
        draw_choice(ax, choice)
    elif bounds:
        tenth = (bounds["high"] / bounds["low"]) ** 0.1
        spans = [(bounds["low"], bounds["low"] * tenth), (bounds["high"] / tenth, bounds["high"])]
        for span, name in zip(spans, ("outer tenths of the bounds", None), strict=True):
            ax.axvspan(*span, facecolor=style.GREEN, alpha=0.13, lw=0, zorder=0.6, label=name)
    for kind, (shape, face, edge) in _KINDS.items():
        xs = [mark[0] for mark in found[kind]]
        ys = [rows.get(kind, mark[1]) for mark in found[kind]]
        look: Any = {"mfc": face, "mec": edge, "mew": 0.8 if edge == CARD else 1.5}
        shape = "v" if shape == "^" and maximize else shape  # it points to where the value lies
        if xs:
            ax.plot(xs, numbers(ys), shape, markersize=7.5, label=kind, **look)
    if best:
        words = f"best {len(best)}" if len(best) > 1 else "best"
        ax.plot(*zip(*best, strict=True), "o", ms=15, mfc="none", mec=INK, label=words)
    ax.set_ylim(*sorted((worse + len(aside) * step, high if maximize else low)))
    ax.set_ylabel(label(objective))
    style.legend_above(figure)
    return figure


def draw_choice(ax: Axes, choice: Mapping[str, Any]) -> None:
    """Draw the fitted curve of a choice with its band, its plateau and its rate."""
    rates, (low, high) = choice["rates"], map(numbers, choice["band"])
    colour: Any = {"color": style.BLUE}
    ax.fill_between(rates, low, high, alpha=0.15, linewidth=0, label="its 95 % band", **colour)
    ax.plot(rates, choice["fitted"], linewidth=2.3, label="curve through all trials", **colour)
    wide: Any = {"linewidth": 6, "alpha": 0.55, "solid_capstyle": "butt"}
    words = f"plateau: {rate(choice['plateau'][0])} to {rate(choice['plateau'][1])}"
    place = ax.get_xaxis_transform()
    ax.plot(choice["plateau"], [0.02] * 2, color=style.PURPLE, transform=place, label=words, **wide)
    words = f"chosen: {rate(choice['learning_rate'])}"
    ax.axvline(choice["learning_rate"], color=INK, linewidth=1.6, label=words)


@style.styled
def best_so_far(
    steps: Sequence[Mapping[str, Any]],
    marks: Sequence[Mapping[str, Any]],
    objective: str,
    width: int = WIDE,
) -> Figure:
    """Return the best value so far against trials ended and against seconds of training.

    Args:
        steps: One dict for each ended trial: `ended` (how many until then), `seconds`, `best`.
        marks: Those of them whose own `value` is drawn.
        objective: Name of the values.
        width: In pixels.
    """
    titles = {"ended": "trials ended", "seconds": "seconds of training, summed"}
    titles = {key: title for key, title in titles.items() if steps[-1][key] > 0}
    shape = (len(titles), 1) if width <= NARROW else (1, len(titles))
    figure, axes = style.new_figure(width, 215 * shape[0] + 25, *shape, sharey=True)
    best, own = numbers([step["best"] for step in steps]), [mark["value"] for mark in marks]
    look: Any = {"color": style.BLUE, "alpha": 0.45, "markeredgewidth": 0}
    for ax, (key, title) in zip(axes, titles.items(), strict=True):
        ax.plot([mark[key] for mark in marks], own, "o", label="one trial", **look)
        line = ax.step([step[key] for step in steps], best, where="post", label="best so far")[0]
        line.set(color=style.BLUE, linewidth=2.3)
        ax.set(xlabel=title, ylim=padded([*best[np.isfinite(best)], *own], 0.08))
        if ax is axes[0] or width <= NARROW:
            ax.set_ylabel(label(objective))
    style.legend_above(figure)
    return figure


@style.styled
def pairs(
    chosen: Sequence[float],
    baseline: Sequence[float],
    gains: Sequence[float],
    mean: float,
    intervals: Mapping[str, Sequence[float] | None],
    names: tuple[str, str, str],
    width: int = WIDE,
) -> Figure:
    """Return every pair's two values joined, and beside them every gain with the mean's intervals.

    Args:
        chosen: Values of the chosen rate, one a pair.
        baseline: Values of the baseline.
        gains: Differences, positive where the chosen rate did better.
        mean: Their mean.
        intervals: Name to (low, high) of the mean, or None.
        names: What the baseline, the chosen rate and the values are called.
        width: In pixels.
    """
    narrow = width <= NARROW
    shape, ratios = ((2, 1), (1,)) if narrow else ((1, 2), (2, 3))
    height = 650 if narrow else 360
    figure, (slopes, side) = style.new_figure(width, height, *shape, width_ratios=ratios)
    order = np.argsort(gains, kind="stable")
    left, right, sorted_gains = (numbers(values)[order] for values in (baseline, chosen, gains))
    places, size = np.arange(len(gains)), 6.5 if len(gains) <= 40 else 4.5
    for sign, (words, form, colour) in _OUTCOMES.items():
        here = np.sign(sorted_gains) == sign
        xs, gaps = np.repeat([[0, 1, np.nan]], here.sum(), axis=0), np.full(here.sum(), np.nan)
        ys = np.column_stack([left[here], right[here], gaps])  # one line for all, with gaps
        dashes: Any = {"linestyle": "--" if sign < 0 else "-", "alpha": 0.6, "linewidth": 1.1}
        if here.any():
            slopes.plot(xs.ravel(), ys.ravel(), color=colour, **dashes)
            slopes.plot(xs[:, 0], ys[:, 0], "D", color=style.ORANGE, markersize=4.5)
            slopes.plot(xs[:, 1], ys[:, 1], form, color=colour, markersize=5.5)
            side.plot(sorted_gains[here], places[here], form, color=colour, ms=size, label=words)
    slopes.set_xticks([0, 1], names[:2])
    slopes.set(xlim=(-0.25, 1.25), ylabel=label(names[2]))
    side.axvline(0, color=INK, linewidth=1.2)
    bars = {name: interval for name, interval in intervals.items() if interval is not None}
    unit = max(1.0, len(gains) / 16)
    for place, (name, interval) in enumerate(bars.items()):
        row = -(place + 1.3) * unit
        draw_interval(side, mean, interval, row, None if place else "mean with its 95 % interval")
        side.annotate(name, (max(interval), row), (9, 0), textcoords="offset points", va="center")
    side.set(ylim=(-(len(bars) + 1.1) * unit, len(gains)), yticks=[])
    side.set(title="each pair's gain, sorted", xlabel=f"gain in {label(names[2])}")
    side.xaxis.set_major_formatter(lambda value, _: ("+" if value > 0 else "") + tick(value))
    style.legend_above(figure)
    return figure


@style.styled
def interval_strip(mean: float, interval: Sequence[float], width: int = WIDE) -> Figure:
    """Return the interval (low, high) of a mean gain against zero, in one line."""
    figure, (ax,) = style.new_figure(width, 62)
    reach = 1.15 * max(map(abs, interval)) or 1.0
    ax.set(xlim=(-reach, reach), ylim=(-1, 1), yticks=[])
    ax.spines["bottom"].set_visible(False)
    ax.axhline(0, color=style.SOFT, linewidth=0.8, alpha=0.5)
    ax.axvline(0, color=INK, linewidth=1.2)
    draw_interval(ax, mean, interval, 0.0)
    ax.set_xticks([-reach, 0, reach], ["\u2190 baseline better", "0", "chosen better \u2192"])
    first, _, last = ax.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    ax.tick_params(length=0)
    return figure


def draw_interval(
    ax: Axes, mean: float, interval: Sequence[float], row: float, words: str | None = None
) -> None:
    """Draw a mean and the two ends of its interval at a height."""
    reach = np.maximum([[mean - interval[0]], [interval[1] - mean]], 0)  # a bootstrap's may be odd
    look: Any = {"fmt": "D", "color": INK, "capsize": 5, "linewidth": 1.8}
    ax.errorbar([mean], [row], xerr=reach, label=words, **look)
