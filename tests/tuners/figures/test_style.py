"""A figure as SVG inside a page, and as PNG."""

from __future__ import annotations

import re
import struct
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from tuners.figures.curves import learning_curves, plain_lines
from tuners.figures.search import Mark, trials_by_rate
from tuners.figures.style import NARROW, PALETTE, WIDE, png, svg

HOSTILE = "$\\frac{x$ <script>alert(1)</script> & \U0001f377\n\x00 \u6e2c\u8a66"


def draw(width: int, objective: str = "val_loss") -> str:
    kinds = ("trial", "baseline's trial", "pruned", "beyond the drawn range")
    marks = [Mark(1e-3 * (i + 1), 0.5 + i, kind, 0.1) for i, kind in enumerate(kinds)]
    marks.append(Mark(0.01, None, "failed"))
    figure = trials_by_rate(marks, None, 2e-3, objective, best=1e-3, width=width)
    return svg(figure, f"t{width}", "wide")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_an_svg_is_part_of_the_page(width: int) -> None:
    drawn = draw(width)
    root = ElementTree.fromstring(drawn)
    assert root.get("class") == "wide"
    assert root.get("viewBox", "").startswith(f"0 0 {width} ")
    # no colour but the page's, no font but the page's, nothing from elsewhere
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", drawn)) - {"none"} <= {
        f"var(--{name})" for name in PALETTE
    }
    for word in ("font-family", "http", "<style", "<!--", "metadata", "font:"):
        assert word not in drawn
    words = [text.text for text in root.iter() if text.tag.endswith("text")]
    assert {"val_loss", "baseline's trial", "failed", "best trial 0.001"} <= set(words)
    assert "0.001" in words  # the rounding of coordinates leaves words alone


def test_the_same_figure_is_the_same_svg_and_ids_are_its_own() -> None:
    wide, narrow = draw(WIDE), draw(NARROW)
    assert draw(WIDE) == wide
    ids = [set(re.findall(r' id="([^"]+)"', each)) for each in (wide, narrow)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'#([\w-]+)[")]', wide)) == ids[0]


def test_hostile_words_are_words() -> None:
    drawn = draw(WIDE, HOSTILE)
    assert "<script" not in drawn
    assert "$\\frac{x$ &lt;script&gt;al" in drawn


def test_a_users_own_style_changes_nothing() -> None:
    plain = draw(WIDE)
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.grid": False}):
        styled = draw(WIDE)
    assert re.findall("font-size: [^;]+", styled) == re.findall("font-size: [^;]+", plain)


def test_a_png_is_twice_as_fine_as_the_page() -> None:
    image = png(plain_lines({"loss": [1.0, None, 0.5]}, "one"))
    assert image.startswith(b"\x89PNG")
    assert struct.unpack(">II", image[16:24])[0] == 2 * WIDE


def test_a_curve_that_rose_is_named_and_flattens_no_other() -> None:
    calm = {"title": "a", "metric": "loss", "training": [0.7, 0.5], "validation": [0.8, 0.6]}
    calm["best_epoch"] = 1
    wild = calm | {"training": [1e9, 1e9], "validation": [1e9, None], "best_epoch": None}
    first, second, third = learning_curves([calm, wild, calm]).axes
    assert first.get_ylim()[1] < 1
    assert [text.get_text() for text in second.texts] == ["beyond the drawn range"]
    assert not first.texts
    assert not third.texts


def test_the_articles_losses_are_raw() -> None:
    (ax,) = plain_lines({"loss": [0.5, None]}, "a", [1e-3, 1e-2], 1e-3).axes
    assert ax.lines[0].get_ydata() == pytest.approx([0.5, np.nan], nan_ok=True)
    assert ax.get_xscale() == "log"
