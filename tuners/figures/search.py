"""Figures of a search and of the comparison that judges it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search_spaces._picture import rate_axis
from tuners.figures import style
from tuners.figures.style import CARD, INK, NARROW, WIDE, numbers, padded
from tuners.figures.words import label, rate, tick

# kind of a trial: shape, colour of its area and of its edge
_KINDS = {
    "trial": ("o", style.BLUE, CARD),
    "baseline's trial": ("D", style.ORANGE, CARD),
    "pruned": ("v", "none", style.SOFT),
    "left the race": ("o", "none", style.SOFT),
    "beyond the drawn range": ("^", style.BLUE, CARD),
    "failed": ("x", style.RED, style.RED),
}
_OUTCOMES = {  # sign of a gain: words, shape, colour
    1: ("chosen rate won", "^", style.BLUE),
    0: ("tied", "o", style.SOFT),
    -1: ("baseline won", "v", style.RED),
}


@dataclass(frozen=True)
class Mark:
    """A trial as a figure draws it.

    Args:
        rate: Its learning rate.
        value: Its value; None only where the kind is "failed".
        kind: "trial", "baseline's trial", "pruned" or "left the race"; or "beyond the drawn
            range" or "failed", which stand at the worse end whatever their value is.
        error: Standard error of the value, 0 where it is unknown.
        note: A word or number beside it.
    """

    rate: float
    value: float | None
    kind: str = "trial"
    error: float = 0.0
    note: str = ""


@style.styled
def trials_by_rate(
    marks: Sequence[Mark],
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    objective: str,
    *,
    maximize: bool = False,
    choice: Mapping[str, Any] | None = None,
    best: float | None = None,
    width: int = WIDE,
) -> Figure:
    """Return trials against their learning rate, with bounds, baseline and choice.

    Args:
        marks: The trials.
        bounds: Bounds as a dict, or None.
        baseline: A rate that is always on the axis, or None.
        objective: Name of the values.
        maximize: Whether larger values are better.
        choice: `Choice.to_dict()`, whose curve, band, plateau and rate are drawn; or None.
        best: Rate of the best trial, named where there is no choice; or None.
        width: In pixels.
    """
    figure, (ax,) = style.new_figure(width, 300 if width <= NARROW else 330)
    found = {kind: [mark for mark in marks if mark.kind == kind] for kind in _KINDS}
    aside = [kind for kind in ("beyond the drawn range", "failed") if found[kind]]
    drawn = [mark for mark in marks if mark.kind not in aside and mark.value is not None]
    ends = [mark.value + side * mark.error for mark in drawn for side in (-1, 1)]  # type: ignore[operator]
    low, high = padded(ends or [0.0, 1.0], 0.09)
    step = 0.08 * (high - low) * (-1 if maximize else 1)
    worse = low if maximize else high
    rows = {kind: worse + (row + 0.5) * step for row, kind in enumerate(aside)}
    span = [bounds["low"], bounds["high"]] if bounds else []
    known = [] if baseline is None else [baseline]
    rate_axis(ax, [*(mark.rate for mark in marks), *span, *known])
    if bounds:
        words = f"bounds: {rate(span[0])} to {rate(span[1])}"
        ax.axvspan(*span, facecolor=style.GREEN, alpha=0.1, linewidth=0, zorder=0.5, label=words)
    if baseline is not None:
        _name_rate(ax, baseline, f"baseline {rate(baseline)}", style.ORANGE, ":", row=1)
    if choice:
        draw_choice(ax, choice)
    elif best is not None:
        _name_rate(ax, best, f"best trial {rate(best)}", INK, "-", other=baseline)
    for kind, (shape, face, edge) in _KINDS.items():
        xs, errors = ([getattr(mark, part) for mark in found[kind]] for part in ("rate", "error"))
        ys = numbers([rows.get(kind, mark.value) for mark in found[kind]])
        shape = "v" if shape == "^" and maximize else shape  # it points to where the value lies
        look: Any = {"fmt": shape, "ms": 7.5, "mfc": face, "mec": edge}
        look |= {"mew": 0.8 if edge == CARD else 1.5, "ecolor": face, "elinewidth": 1.3}
        words = f"{kind}: mean \u00b1 standard error" if any(errors) and kind == "trial" else kind
        if xs:
            errors = [0.0] * len(xs) if kind in aside else errors
            ax.errorbar(xs, ys, errors if any(errors) else None, label=words, **look)
        for x, y, mark in zip(xs, ys, found[kind], strict=True):
            if not mark.note:
                continue
            look = {"xytext": (6, 3), "textcoords": "offset points", "fontsize": "x-small"}
            ax.annotate(mark.note, (x, y), color=style.SOFT, **look)
    ax.set_ylim(*sorted((worse + len(aside) * step, high if maximize else low)))
    ax.set_ylabel(label(objective))
    style.legend_above(figure)
    return figure


def draw_choice(ax: Axes, choice: Mapping[str, Any]) -> None:
    """Draw the levels of a choice's rates with their band, its plateau and its rate."""
    rates, (low, high) = choice["rates"], map(numbers, choice["band"])
    colour: Any = {"color": style.BLUE}
    ax.plot(
        rates, choice["fitted"], linewidth=2.3, label="loss of each rate, splits compared", **colour
    )
    ax.fill_between(rates, low, high, alpha=0.15, linewidth=0, label="its 95 % band", **colour)
    wide: Any = {"linewidth": 6, "alpha": 0.55, "solid_capstyle": "butt"}
    words = f"plateau: {rate(choice['plateau'][0])} to {rate(choice['plateau'][1])}"
    place = ax.get_xaxis_transform()
    ax.plot(choice["plateau"], [0.02] * 2, color=style.PURPLE, transform=place, label=words, **wide)
    at, other = choice["learning_rate"], choice["baseline_learning_rate"]
    _name_rate(ax, at, f"chosen {rate(at)}", INK, "-", other=other)


def _name_rate(
    ax: Axes,
    at: float,
    words: str,
    colour: str,
    line: str,
    row: int = 0,
    other: float | None = None,
) -> None:
    """Draw a line at a rate, named above the axes in one of two rows, away from another line."""
    ax.axvline(at, 0, 1 + 0.06 * row, color=colour, linestyle=line, linewidth=1.6, clip_on=False)
    low, high = map(math.log, ax.get_xlim())
    place = (math.log(at) - low) / (high - low)
    left = at > other if other and 0.2 < place < 0.8 else place < 0.5  # near an edge: inwards
    look: Any = {"ha": "left" if left else "right", "color": colour}
    look |= {"xytext": (-2 if left else 2, 4 + 16 * row), "textcoords": "offset points"}
    ax.annotate(words, (at, 1), xycoords=("data", "axes fraction"), **look)


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
    left, right, signs = (numbers(values)[order] for values in (baseline, chosen, np.sign(gains)))
    for sign, (_, form, colour) in _OUTCOMES.items():
        here = signs == sign
        xs, gaps = np.repeat([[0, 1, np.nan]], here.sum(), axis=0), np.full(here.sum(), np.nan)
        ys = np.column_stack([left[here], right[here], gaps])  # one line for all, with gaps
        dashes: Any = {"linestyle": "--" if sign < 0 else "-", "alpha": 0.6, "linewidth": 1.1}
        if here.any():
            slopes.plot(xs.ravel(), ys.ravel(), color=colour, **dashes)
            slopes.plot(xs[:, 0], ys[:, 0], "D", color=style.ORANGE, markersize=4.5)
            slopes.plot(xs[:, 1], ys[:, 1], form, color=colour, markersize=5.5)
    slopes.set_xticks([0, 1], names[:2])
    slopes.set(xlim=(-0.25, 1.25), ylabel=label(names[2]))
    draw_gains(side, gains, mean, intervals, names[2])
    style.legend_above(figure)
    return figure


def draw_gains(
    ax: Axes,
    gains: Sequence[float],
    mean: float,
    intervals: Mapping[str, Sequence[float] | None],
    what: str,
) -> None:
    """Draw the gains of all pairs, sorted, and below them the mean with its intervals.

    Args:
        ax: Where.
        gains: Differences, positive where the chosen rate did better.
        mean: Their mean.
        intervals: Name to (low, high) of the mean, or None.
        what: Name of the values.
    """
    sorted_gains, places = numbers(sorted(gains)), np.arange(len(gains))
    size = 6.5 if len(gains) <= 40 else 4.5
    for sign, (words, form, colour) in _OUTCOMES.items():
        here = np.sign(sorted_gains) == sign
        if here.any():
            ax.plot(sorted_gains[here], places[here], form, color=colour, ms=size, label=words)
    ax.axvline(0, color=INK, linewidth=1.2)
    bars = {name: interval for name, interval in intervals.items() if interval is not None}
    unit = max(1.0, len(gains) / 16)
    for place, (name, interval) in enumerate(bars.items()):
        row = -(place + 1.3) * unit
        draw_interval(ax, mean, interval, row, None if place else "mean with its 95 % interval")
        ax.annotate(name, (max(interval), row), (9, 0), textcoords="offset points", va="center")
    ax.set(ylim=(-(len(bars) + 1.1) * unit, len(gains)), yticks=[])
    ax.set(title="each pair's gain, sorted", xlabel=f"gain in {label(what)}")
    ax.locator_params(axis="x", nbins=7)
    ax.xaxis.set_major_formatter(lambda value, _: ("+" if value > 0 else "") + tick(value))


def draw_interval(
    ax: Axes, mean: float, interval: Sequence[float], row: float, words: str | None = None
) -> None:
    """Draw a mean and the two ends of its interval at a height."""
    reach = np.maximum([[mean - interval[0]], [interval[1] - mean]], 0)  # a bootstrap's may be odd
    look: Any = {"fmt": "D", "color": INK, "capsize": 5, "linewidth": 1.8}
    ax.errorbar([mean], [row], xerr=reach, label=words, **look)
