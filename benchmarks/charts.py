"""The charts of the documentation, from what the benchmarks stored to Matplotlib's figures.

python -m benchmarks.charts     writes the picture of the README again (`make docs` does it too)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from PIL import Image

from benchmarks import stored
from tuners.figures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SOFT,
    WIDE,
    legend_above,
    new_figure,
    png,
    styled,
)

README_PICTURE = Path(__file__).parent.parent / "docs" / "quality.png"
OURS = "ours"
# what is drawn: colour and dashes; tables have all methods
LINES = {
    OURS: (BLUE, "-"),
    "Optuna TPE": (ORANGE, "-"),
    "Optuna GP": (ORANGE, "--"),
    "KerasTuner Bayesian": (GREEN, "-"),
    "KerasTuner Hyperband": (GREEN, "--"),
    "Optuna ASHA": (PURPLE, "--"),
    "NePS PriorBand": (PURPLE, "-"),
    "random": (SOFT, "-"),
    "top after one epoch": (SOFT, "--"),
    "race, no range test": (RED, "--"),
}
MARKS = {
    "our range test's suggestion": (BLUE, "o"),
    "fastai's valley": (INK, "^"),
    "Keras's default rate": (INK, "s"),
}
NOTHING = 0.25  # where a log axis has its 0 trainings
HIGHEST = 0.4  # mean excess at which the axis ends


def lines_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the points of each method, by its name."""
    return {line["method"]: line["points"] for line in results["lines"]}


@styled
def quality_by_cost(results: Mapping[str, Any], width: int = WIDE) -> Figure:
    """Draw the mean excess and the share as good as the best against trainings spent.

    Args:
        results: Of `benchmarks.quality`.
        width: Pixels.
    """
    wide = width > 500
    figure, (left, right) = new_figure(width, 380 if wide else 640, *((1, 2) if wide else (2, 1)))
    for ax, key in ((left, "mean"), (right, "equal")):
        _draw_lines(ax, lines_of(results), key, lambda point: point["budget"])
        _draw_marks(ax, lines_of(results), key)
        _cost_axis(ax, (1, 2, 4, 8, 16, 33))
        ax.set_xlabel("trainings spent, range test counted")
    left.set_title("test loss above the best rate's, mean")
    left.set_ylim(0, HIGHEST)
    right.set_title("named rates as good as the best")
    right.set_ylim(0, 1)
    legend_above(figure)
    return figure


def _draw_lines(
    ax: Axes,
    lines: Mapping[str, list[dict[str, Any]]],
    key: str,
    place: Callable[[Mapping[str, Any]], float],
) -> None:
    """Draw each method's line, with the band of its intervals, where `place` puts a point."""
    for name, (colour, dashes) in LINES.items():
        points = [point for point in lines.get(name, []) if point["budget"]]
        if not points:
            continue
        x, ours = [place(point) for point in points], name == OURS
        look = {"linewidth": 2.6, "marker": "o"} if ours else {"linewidth": 1.5}
        values = [point[key] for point in points]
        ax.plot(x, values, color=colour, linestyle=dashes, markersize=5, label=name, **look)
        low, high = zip(*(point[f"{key}_interval"] for point in points), strict=True)
        ax.fill_between(x, low, high, color=colour, alpha=0.16 if ours else 0.05, linewidth=0)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))


def _draw_marks(ax: Axes, lines: Mapping[str, list[dict[str, Any]]], key: str) -> None:
    """Mark what needs no search where its cost puts it."""
    for name, (colour, marker) in MARKS.items():
        if name in lines:
            point = lines[name][-1]
            place = max(point["cost"], NOTHING)
            ax.plot(place, point[key], marker, color=colour, markersize=8, label=name)


def _cost_axis(ax: Axes, ticks: Sequence[float]) -> None:
    ax.set_xscale("log")
    ax.set_xlim(0.2, 36)
    ax.set_xticks([NOTHING, *ticks], ["0", *(f"{value:g}" for value in ticks)])
    ax.xaxis.set_minor_locator(NullLocator())


@styled
def quality_by_seconds(results: Mapping[str, Any], width: int = WIDE) -> Figure:
    """Draw the mean excess against the time that it takes for a small and for a large model.

    Args:
        results: Of `benchmarks.quality`, with `seconds_of` each model.
        width: Pixels.
    """
    wide = width > 500
    models = results["seconds_of"]
    shape = (1, len(models)) if wide else (len(models), 1)
    figure, axes = new_figure(width, 360 if wide else 600, *shape)
    lines = lines_of(results)
    for ax, model in zip(axes, models, strict=True):
        _draw_lines(ax, lines, "mean", partial(seconds, model=model))
        ax.set_title(model["model"])
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_xlabel("seconds")
        ax.set_ylim(0, HIGHEST)
    legend_above(figure)
    return figure


def seconds(point: Mapping[str, Any], model: Mapping[str, Any]) -> float:
    """Return how long the trainings of a point take with a model.

    Args:
        point: Trainings of range tests, alone and together.
        model: Seconds of one training by `model.fit`, of one among several, of compilation, and
            of a range test.

    Example:
        >>> point = {"tests": 1.0, "alone": 0.0, "together": 32.0}
        >>> seconds(point, {"alone": 10.0, "together": 1.0, "compilation": 6.0, "range_test": 4.0})
        42.0
    """
    found = point["alone"] * model["alone"] + point["together"] * model["together"]
    found += model["compilation"] if point["together"] else 0.0
    return found + (model["range_test"] if point["tests"] > 0 else 0.0)


def digest(results: Any) -> str:
    """Return what tells two results apart, to know whether a picture is of these."""
    return hashlib.sha256(json.dumps(results, sort_keys=True).encode()).hexdigest()


def picture_is_of(results: Any, path: Path = README_PICTURE) -> bool:
    """Whether a picture was drawn from some results."""
    if not path.exists():
        return False
    with Image.open(path) as image:
        return image.info.get("results") == digest(results)


def write_picture(results: Mapping[str, Any], path: Path = README_PICTURE) -> None:
    """Draw the README's figure, unless it is there already."""
    if picture_is_of(results, path):
        return
    path.write_bytes(png(quality_by_cost(results), metadata={"results": digest(results)}))


if __name__ == "__main__":
    write_picture(stored.read("quality")["results"])
