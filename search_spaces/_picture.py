"""A log axis of learning rates with bounds on it, and what an object shows of itself."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from search_spaces._words import rate

ORANGE, GREEN, PURPLE = "#b26f00", "#00795a", "#a8487f"  # baseline, bounds, suggestion
SHOWN_WIDTH = 560  # pixels of a picture in a notebook


def rate_axis(ax: Axes, rates: Sequence[float]) -> None:
    """Make x a log axis of learning rates with some room at both ends."""
    low, high = math.log10(min(rates)), math.log10(max(rates))
    room = max(0.04 * (high - low), 0.05)
    ax.set_xscale("log")
    ax.set_xlim(10 ** (low - room), 10 ** (high + room))
    few = high - low < 2.2  # decades
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=9))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: rate(value)))
    ax.set_xlabel("learning rate (log scale)")


def draw_bounds(
    ax: Axes, rates: Sequence[float], bounds: Mapping[str, Any] | None, baseline: float | None
) -> None:
    """Make x a log axis of rates, shade the bounds on it, mark suggestion and baseline.

    Args:
        ax: Where.
        rates: The rates that are drawn; the axis holds them and the bounds.
        bounds: `LearningRateBounds.to_dict()`, or None.
        baseline: A rate, or None.
    """
    lines = [] if baseline is None else [("baseline", baseline, ORANGE, ":")]
    ends = []
    if bounds:
        ends = [bounds["low"], bounds["high"]]
        words = "bounds" if bounds["status"] == "ok" else f"declared range ({bounds['status']})"
        words += f": {rate(ends[0])} to {rate(ends[1])}"
        ax.axvspan(*ends, facecolor=GREEN, alpha=0.1, linewidth=0, zorder=0.5, label=words)
        for end in ends:
            ax.axvline(end, color=GREEN, linewidth=1.4)
        lines.insert(0, ("suggestion", bounds["suggestion"], PURPLE, "--"))
    for name, value, colour, dashes in lines:
        words = f"{name} {rate(value)}"
        ax.axvline(value, color=colour, linestyle=dashes, linewidth=1.6, label=words)
    rate_axis(ax, [*rates, *ends, *(line[1] for line in lines)])


def new_axes(height: float = 4.0) -> Axes:
    """Return the axes of a new figure 7 inches wide, which no window shows."""
    return Figure(figsize=(7, height), layout="constrained").add_subplot()


def notebook_html(words: str, ax: Axes) -> str:
    """Return words and the picture of some axes under them as HTML, for `_repr_html_`."""
    image, figure = io.BytesIO(), ax.figure
    assert isinstance(figure, Figure)
    figure.savefig(image, format="png", dpi=144)
    source = base64.b64encode(image.getvalue()).decode()
    return (
        f"<div><p>{html.escape(words).replace(chr(10), '<br>')}</p>"
        f'<img src="data:image/png;base64,{source}" width="{SHOWN_WIDTH}" alt=""></div>'
    )
