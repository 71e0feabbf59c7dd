"""The charts of the documentation, from what the benchmarks stored to Matplotlib's figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from search_spaces._picture import rate_axis
from tuners.figures.style import (
    BLUE,
    INK,
    ORANGE,
    SOFT,
    WIDE,
    legend_above,
    new_figure,
    styled,
)

LEAST = 0.002  # an excess below it is drawn there, since 0 has no place on a log axis


@styled
def bounds_of_tasks(results: Mapping[str, Any], width: int = WIDE) -> Figure:
    """Draw each task's rates as good as the best, and the bounds of its range tests.

    Args:
        results: Of `benchmarks.bounds_quality`.
        width: Pixels.
    """
    tasks = sorted(results["tasks"], key=lambda task: (task["held_out"], task["as_good_rates"]))
    figure, (ax,) = new_figure(width, 60 + 9 * len(tasks))
    for place, task in enumerate(tasks):
        ax.plot(
            task["as_good_rates"],
            (place, place),
            color=SOFT,
            alpha=0.45,
            linewidth=6,
            solid_capstyle="round",  # one rate of the grid alone is a dot
            label="as good as the best rate",
        )
        held_out = task["held_out"]
        ax.plot(
            (task["low"], task["high"]),
            (place, place),
            color=ORANGE if held_out else BLUE,
            linewidth=1.8,
            label="bounds, task set aside" if held_out else "bounds, task developed on",
        )
    ends = [rate for task in tasks for rate in (*task["as_good_rates"], task["low"], task["high"])]
    rate_axis(ax, ends)
    ax.yaxis.set_major_locator(NullLocator())
    ax.margins(y=0.02)
    legend_above(figure)
    return figure


@styled
def excess_by_way(results: Mapping[str, Any], width: int = WIDE) -> Figure:
    """Draw how far the named rate's test loss lies above the best, by way and group of tasks.

    Args:
        results: Of `benchmarks.search_efficiency`.
        width: Pixels.
    """
    groups = results["groups"]
    names = [name for name in ("held out", "developed on") if name in groups]
    ways = list(dict.fromkeys(way for name in names for way in groups[name]["ways"]))
    figure, axes = new_figure(width, 70 + 30 * len(ways) * len(names), rows=len(names))
    for ax, name in zip(axes, names, strict=True):
        ax.set_title(f"{groups[name]['tasks']} tasks {name}")
        for place, way in enumerate(reversed(ways)):
            found = groups[name]["ways"].get(way)
            if found is None:
                ax.text(LEAST * 1.1, place, "not run", color=SOFT, va="center")
                continue
            median, most = (max(found[part], LEAST) for part in ("median", "excess_90"))
            colour = BLUE if way == "ours" else ORANGE
            ax.plot((median, most), (place, place), color=SOFT, linewidth=1.2)
            ax.plot(median, place, "o", color=colour, markersize=8, label=f"median, {_who(way)}")
            ax.plot(most, place, "|", color=INK, markersize=13, label="90th percentile")
        ax.set_yticks(range(len(ways)), list(reversed(ways)))
        ax.set_ylim(-0.6, len(ways) - 0.4)
        ax.set_xscale("log")
        ax.set_xlim(LEAST, 4)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3) if width > 500 else (1,)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes[-1].set_xlabel("test loss above the best rate's (log scale)")
    legend_above(figure)
    return figure


def _who(way: str) -> str:
    return "ours" if way == "ours" else "others"
