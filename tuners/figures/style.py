"""One look for all figures: colours, sizes in CSS pixels, ticks; and a figure as SVG or PNG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from search_spaces import _picture
from tuners.figures.words import tick

WIDE, NARROW = 860, 380  # pixels at which a page shows a figure, on a screen and on a phone
# a page replaces each by its own variable of this name, so that it follows light, dark and print
PALETTE = {
    "ink": "#1d232a",
    "soft": "#5a6570",
    "grid": "#eceeef",
    "card": "#ffffff",
    "blue": "#0072b2",
    "orange": _picture.ORANGE,
    "green": _picture.GREEN,
    "red": "#c04f00",
    "purple": _picture.PURPLE,
}
INK, SOFT, GRID, CARD, BLUE, ORANGE, GREEN, RED, PURPLE = PALETTE.values()
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": SOFT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 12,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.hspace": 0.06,
    "figure.constrained_layout.wspace": 0.06,
    "figure.dpi": 72,  # a point is a pixel of the page
    "font.family": "DejaVu Sans",
    "font.size": 11.5,
    "grid.color": GRID,
    "legend.fontsize": 11.5,
    "legend.frameon": False,
    "path.simplify": True,
    "text.color": INK,
    "text.parse_math": False,  # a name with dollar signs is a name
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "ytick.major.size": 0,
}
styled = mpl.rc_context(STYLE)


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of a size in pixels, and its axes row by row."""
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for ax in axes:
        for axis, room in ((ax.xaxis, width / columns / 90), (ax.yaxis, height / rows / 55)):
            axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
            axis.set_major_locator(MaxNLocator(max(3, int(room)), steps=(1, 2, 5, 10)))
    return figure, axes


def legend_above(figure: Figure) -> None:
    """Name what is drawn in rows above all axes, each name once; the figure grows by the rows."""
    pairs = [ax.get_legend_handles_labels() for ax in figure.axes]
    named = {label: handle for both in pairs for handle, label in zip(*both, strict=True)}
    # as many columns as fit: a letter is 6.6 pixels wide on average, a handle with its gaps 44
    each = 6.6 * max(map(len, named), default=0) + 44
    columns = max(1, int(72 * figure.get_figwidth() // each))
    rows = -(-len(named) // columns)
    figure.set_figheight(figure.get_figheight() + 17.5 * rows / 72)
    place: Any = "outside upper left"  # what the stubs lack
    figure.legend(
        named.values(), named.keys(), loc=place, ncols=columns, columnspacing=1.4, handlelength=1.9
    )


def padded(values: Sequence[float] | NDArray[np.float64], share: float) -> tuple[float, float]:
    """Return the range of values with some room at both ends, never of zero width."""
    low, high = float(np.min(values)), float(np.max(values))
    room = (high - low) * share or abs(high) * 0.05 or 1.0
    return low - room, high + room


def numbers(values: Any) -> NDArray[np.float64]:
    """Return values as an array, NaN for None."""
    return np.array(values, dtype=np.float64)


def png(figure: Figure, scale: float = 2.0, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a figure as a PNG image on white, `scale` image pixels to each of ours."""
    out = io.BytesIO()
    with _without_glyph_warnings():
        facts: Any = {"Software": None, **(metadata or {})}
        figure.savefig(out, format="png", dpi=72 * scale, metadata=facts)
    return out.getvalue()


def svg(figure: Figure, name: str, css: str) -> str:
    """Return a figure as an `<svg>` to stand inside a page, the same for the same figure.

    Text stays text in the page's font, colours are the page's variables (`PALETTE`), and no id
    occurs in two figures of different names.

    Args:
        figure: The figure.
        name: Unique in the page.
        css: Class of the element.
    """
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), _without_glyph_warnings():
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", drawn, flags=re.S)
    used = set(re.findall(r"#([\w-]+)[\")]", drawn))
    head = f'<svg class="{css}" aria-hidden="true" focusable="false"'
    drawn = re.sub(r'<svg[^>]*?( viewBox="[^"]*")[^>]*>', rf"{head}\1>", drawn, count=1)
    drawn = re.sub(r"<[^>]*>", lambda tag: _page_tag(tag[0], used), drawn)
    return re.sub(r"\s*\n\s*", "\n", drawn).strip()


def _page_tag(tag: str, used: set[str]) -> str:
    """Return a tag of Matplotlib's SVG as it stands in a page, "" for one that shows nothing."""
    if tag.endswith('style="fill: none"/>'):
        return ""
    names = {colour: f"var(--{name})" for name, colour in PALETTE.items()}
    tag = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", tag)
    tag = re.sub(r" font-family: [^;]*;", "", tag.replace("xlink:href", "href"))
    tag = re.sub(r"(fill|stroke): (#\w{6})", lambda m: f"{m[1]}: {names.get(m[2], m[2])}", tag)
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag)


def _without_glyph_warnings() -> warnings.catch_warnings[None]:
    # Matplotlib's font lacks some letters; the reader's has them
    return warnings.catch_warnings(action="ignore", category=UserWarning)
