"""Figures of a search and of the comparison that judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tuners.figures.curves import draw_bounds
from tuners.figures.style import (
    BLUE,
    CARD,
    GREEN,
    INK,
    NARROW,
    ORANGE,
    PURPLE,
    RED,
    SOFT,
    WIDE,
    legend_above,
    new_figure,
    numbers,
    padded,
    rate_axis,
    styled,
)
from tuners.figures.words import label, tick

_ROLES = {"suggestion": ("s", PURPLE), "baseline": ("D", ORANGE)}
_OUTCOMES = (("chosen rate won", "^", BLUE), ("baseline won", "v", RED), ("tied", "o", SOFT))


@styled
def trials_by_rate(
    marks: Sequence[Mapping[str, Any]],
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    objective: str,
    *,
    maximize: bool = False,
    width: int = WIDE,
) -> Figure:
    """Return trials against their learning rate, with bounds and baseline.

    Args:
        marks: One dict a trial: `rate`, `value` (None where it failed), `kind` ("finished",
            "pruned", "failed" or "beyond", whose value is too bad to be drawn to scale), `role`
            and `best` (whether it gets a ring).
        bounds: Bounds as a dict, or None; their outer tenths are shaded.
        baseline: A rate to mark, or None.
        objective: Name of the values.
        maximize: Whether larger values are better; failed trials stand at the worse end.
        width: In pixels.
    """
    figure, (ax,) = new_figure(width, 300 if width <= NARROW else 330)
    kinds = {kind: [mark for mark in marks if mark["kind"] == kind] for kind in _KINDS}
    shown = [mark["value"] for kind in ("finished", "pruned") for mark in kinds[kind]]
    low, high = padded(shown or [0.0, 1.0], 0.09)
    rows, step = bool(kinds["failed"]) + bool(kinds["beyond"]), 0.08 * (high - low)
    ends = (low - rows * step, high) if maximize else (low, high + rows * step)
    draw_bounds(ax, bounds, baseline)
    if bounds:
        tenth = (bounds["high"] / bounds["low"]) ** 0.1
        spans = [(bounds["low"], bounds["low"] * tenth), (bounds["high"] / tenth, bounds["high"])]
        for span, name in zip(spans, ("outer tenths of the bounds", None), strict=True):
            ax.axvspan(*span, facecolor=GREEN, alpha=0.13, linewidth=0, zorder=0.6, label=name)
    for kind, (shape, colour, words) in _KINDS.items():
        place = {"failed": 0.5, "beyond": rows - 0.5}.get(kind, 0.0) * step
        edge = ends[0] + place if maximize else ends[1] - place
        roles = [*_ROLES, None] if kind == "finished" else [None]
        for role in roles:
            found = [m for m in kinds[kind] if role in (None, m["role"])]
            if kind == "finished" and role is None:
                found = [m for m in found if m["role"] not in _ROLES]
            if not found:
                continue
            form, tone = _ROLES.get(role or "", (shape, colour))
            ax.plot(
                [mark["rate"] for mark in found],
                [edge if kind in ("failed", "beyond") else mark["value"] for mark in found],
                form,
                markersize=9 if form == "x" else 7.5,
                markerfacecolor="none" if kind == "pruned" else tone,
                markeredgecolor=tone if kind in ("pruned", "failed") else CARD,
                markeredgewidth=1.5 if kind in ("pruned", "failed") else 0.8,
                label=f"{role}'s trial" if role else words,
            )
    best = [mark for mark in kinds["finished"] if mark["best"]]
    ax.plot(
        [mark["rate"] for mark in best],
        [mark["value"] for mark in best],
        "o",
        markersize=15,
        markerfacecolor="none",
        markeredgecolor=INK,
        label=f"best {len(best)}" if len(best) > 1 else "best",
    )
    marked = [bounds[name] for name in ("low", "high") if bounds]
    rates = [mark["rate"] for mark in marks]
    rate_axis(ax, [*rates, *marked, *([baseline] if baseline is not None else [])])
    ax.set_ylim(*ends)
    ax.set_ylabel(label(objective))
    legend_above(figure, [ax])
    return figure


_KINDS = {
    "finished": ("o", BLUE, "finished trial"),
    "pruned": ("v", SOFT, "pruned"),
    "failed": ("x", RED, "failed"),
    "beyond": ("^", BLUE, "beyond the drawn range"),
}


@styled
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
    figure, axes = new_figure(width, 215 * shape[0] + 25, *shape, sharey=True)
    best = numbers([step["best"] for step in steps])
    values = [*best[np.isfinite(best)], *(mark["value"] for mark in marks)]
    for ax, (key, title) in zip(axes, titles.items(), strict=True):
        ax.plot(
            [mark[key] for mark in marks],
            [mark["value"] for mark in marks],
            "o",
            color=BLUE,
            alpha=0.45,
            markeredgewidth=0,
            label="one trial",
        )
        line = ax.step([step[key] for step in steps], best, where="post", label="best so far")[0]
        line.set(color=BLUE, linewidth=2.3)
        ax.set_xlabel(title)
        ax.set_ylim(*padded(values, 0.08))
        if ax is axes[0] or width <= NARROW:
            ax.set_ylabel(label(objective))
    legend_above(figure, axes)
    return figure


@styled
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
    figure, (slopes, side) = new_figure(width, 650 if narrow else 360, *shape, width_ratios=ratios)
    ends, order = np.array([baseline, chosen]), np.argsort(gains, kind="stable")
    sorted_gains, places = np.asarray(gains)[order], np.arange(len(gains))
    for (words, shape_, colour), won in zip(_OUTCOMES, (1, -1, 0), strict=True):
        here = np.sign(gains) == won
        if not here.any():
            continue
        # one line for all pairs of a kind, broken between them
        ys = np.vstack([ends[:, here], np.full(here.sum(), np.nan)]).T.ravel()
        dashes = "--" if won < 0 else "-"
        slopes.plot(
            np.tile([0, 1, np.nan], here.sum()), ys, dashes, color=colour, alpha=0.6, lw=1.1
        )
        slopes.plot(np.zeros(here.sum()), ends[0, here], "D", color=ORANGE, markersize=4.5)
        slopes.plot(np.ones(here.sum()), ends[1, here], shape_, color=colour, markersize=5.5)
        now = np.sign(sorted_gains) == won
        size = 6.5 if len(gains) <= 40 else 4.5
        side.plot(sorted_gains[now], places[now], shape_, color=colour, ms=size, label=words)
    slopes.set_xticks([0, 1], names[:2])
    slopes.set_xlim(-0.25, 1.25)
    slopes.set_ylabel(label(names[2]))
    side.axvline(0, color=INK, linewidth=1.2)
    unit, bars = max(1.0, len(gains) / 16), [(k, v) for k, v in intervals.items() if v is not None]
    for i, (name, interval) in enumerate(bars):
        row = -(i + 1.3) * unit
        title = "mean with its 95 % interval" if i == 0 else None
        draw_interval(side, mean, interval, row, title)
        side.annotate(name, (max(interval), row), (9, 0), textcoords="offset points", va="center")
    side.set_ylim(-(len(bars) + 1.1) * unit, len(gains))
    side.set_yticks([])
    side.set_title("each pair's gain, sorted")
    side.set_xlabel(f"gain in {label(names[2])}")
    side.xaxis.set_major_formatter(lambda value, _: ("+" if value > 0 else "") + tick(value))
    legend_above(figure, [side])
    return figure


@styled
def interval_strip(mean: float, interval: Sequence[float], width: int = WIDE) -> Figure:
    """Return the interval of a mean gain against zero, in one line.

    Args:
        mean: The mean gain.
        interval: Its ends (low, high).
        width: In pixels.
    """
    figure, (ax,) = new_figure(width, 62)
    reach = 1.15 * max(map(abs, interval)) or 1.0
    ax.set(xlim=(-reach, reach), ylim=(-1, 1), yticks=[])
    ax.spines["bottom"].set_visible(False)
    ax.axhline(0, color=SOFT, linewidth=0.8, alpha=0.5)
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
    reach = [[mean - interval[0]], [interval[1] - mean]]
    reach = np.maximum(reach, 0).tolist()  # a bootstrap interval may leave its mean out
    ax.errorbar(
        [mean], [row], xerr=reach, fmt="D", color=INK, capsize=5, linewidth=1.8, label=words
    )
