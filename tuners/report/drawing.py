"""What all figures share: the two widths, ranges, and the marks of bounds and baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuners.report.formatting import rate
from tuners.report.svg import Panel, line, rect, text

WIDE, NARROW = 860.0, 380.0
MOST_POINTS = 400


@dataclass(frozen=True)
class Figure:
    """A drawn figure.

    Args:
        name: Its id in the page.
        alt: What it shows, with the numbers, for those who do not see it.
        svg: The two drawings, wide and narrow.
        legend: (CSS class, shape, words) of each kind of mark.
    """

    name: str
    alt: str
    svg: str
    legend: tuple[tuple[str, str, str], ...] = ()


def both_widths(name: str, draw: Callable[[float, str], str]) -> str:
    """Return the drawing for wide and for narrow pages, one after the other."""
    return draw(WIDE, f"{name}-w") + draw(NARROW, f"{name}-n")


def width_class(width: float) -> str:
    """Return the CSS class by which the page shows one of the two drawings."""
    return "wide" if width > 600 else "narrow"


def ends(bounds: Mapping[str, Any] | None) -> tuple[float, float] | tuple[()]:
    """Return low and high of the bounds, nothing without any."""
    return (bounds["low"], bounds["high"]) if bounds else ()


def log_range(values: Sequence[float]) -> tuple[float, float]:
    """Return a log axis's range with some room at both ends."""
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(0.04 * (high - low), 0.05)
    return 10 ** (low - room), 10 ** (high + room)


def far_limit(losses: Sequence[float]) -> float:
    """Return the loss beyond which a trial would flatten the picture and is drawn on its rim."""
    if len(losses) < 5:
        return math.inf
    lower, upper = np.quantile(losses, [0.25, 0.75])
    return float(upper + 4 * max(upper - lower, 1e-12))


def draw_region(panel: Panel, bounds: Mapping[str, Any] | None, *, tenths: bool = False) -> None:
    """Shade the bounds, and their outer tenths (of the log scale) where asked for."""
    if not bounds:
        return
    low, high = panel.x(bounds["low"]), panel.x(bounds["high"])
    panel.add(rect(low, panel.top, high - low, panel.height, "region"))
    if tenths:
        tenth = (high - low) / 10
        for start in (low, high - tenth):
            panel.add(rect(start, panel.top, tenth, panel.height, "tenth"))


def draw_markers(
    panel: Panel,
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    *,
    top: float | None = None,
    intervals: bool = False,
) -> None:
    """Draw the lines of bounds, suggestion and baseline, their words in rows above the panel.

    Args:
        panel: Where.
        bounds: Bounds of the summary, or None.
        baseline: The baseline's rate, or None.
        top: Pixel of the rows' lower edge; None means the panel's top.
        intervals: Whether to draw the intervals of the two ends over seeds.
    """
    base = (top if top is not None else panel.top) - 6
    rows: list[tuple[float, str, str, float]] = []
    if bounds:
        for end in ("low", "high"):
            value = bounds[end]
            rows.append((value, f"{end} {rate(value)}", "bound", base - 34))
            pair = [bounds.get(f"{end}_interval_{side}") for side in ("low", "high")]
            known = [float(value) for value in pair if value]
            if intervals and len(known) == 2:
                inside = [min(max(v, panel.x_range[0]), panel.x_range[1]) for v in known]
                y = panel.top + 5
                panel.add(line(panel.x(inside[0]), y, panel.x(inside[1]), y, "bracket"))
        value = bounds["suggestion"]
        rows.append((value, f"suggestion {rate(value)}", "suggestion", base - 17))
    if baseline and panel.x_range[0] <= baseline <= panel.x_range[1]:
        rows.append((baseline, f"baseline {rate(baseline)}", "baseline", base))
    for value, words, css, y in rows:
        x = panel.x(value)
        panel.add(line(x, y + 4, x, panel.bottom, f"{css}-line"))
        half = 3.4 * len(words)
        at_left, at_right = x - half < panel.left - 40, x + half > panel.right
        if css == "bound":  # low reads to the left of its line, high to the right, where they fit
            at_right = words.startswith("low") and x - 2 * half > panel.left - 44
            at_left = not at_right and x + 2 * half < panel.right + 10
            at_right = not at_left
        anchor = "start" if at_left else "end" if at_right else "middle"
        shift = 4 if anchor == "start" else -4 if anchor == "end" else 0
        panel.add(text(x + (shift if css == "bound" else 0), y, words, f"{css}-text", anchor))


def short_title(words: str) -> str:
    """Return an axis title that fits beside others."""
    return words if len(words) <= 28 else words[:27] + "\u2026"
