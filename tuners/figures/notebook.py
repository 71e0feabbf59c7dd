"""What an object shows of itself: axes without a window, and words with a small picture."""

from __future__ import annotations

import base64
import html

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from tuners.figures.style import png

SHOWN_WIDTH = 560  # pixels of a picture in a notebook


def new_axes(height: float = 4.0) -> Axes:
    """Return the axes of a new figure of 7 inches, which no window shows."""
    return Figure(figsize=(7, height), layout="constrained").add_subplot()


def notebook_html(words: str, figure: Figure | SubFigure | None) -> str:
    """Return words and a picture under them as HTML, for `_repr_html_`."""
    assert isinstance(figure, Figure)
    image = base64.b64encode(png(figure)).decode()
    return (
        f"<div><p>{html.escape(words)}</p>"
        f'<img src="data:image/png;base64,{image}" width="{SHOWN_WIDTH}" alt=""></div>'
    )
