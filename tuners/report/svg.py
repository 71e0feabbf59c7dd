"""A few lines of SVG: scales, axes, marks. Colours are CSS classes, so that the page sets them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import escape

FONT = 12.5  # height of tick labels in pixels; the page draws each figure near its own size


@dataclass
class Panel:
    """One pair of axes inside a figure.

    Args:
        left: Left edge of the plotting area in pixels.
        top: Top edge.
        width: Width of the plotting area.
        height: Height of the plotting area.
        x_range: Smallest and largest x; both positive for a log axis.
        y_range: Smallest and largest y; y grows upwards.
        x_log: Whether x is on a log scale.
        name: Prefix of ids, unique in the page.
    """

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_log: bool = False
    name: str = "panel"
    parts: list[str] = field(default_factory=list)

    @property
    def right(self) -> float:
        """Right edge of the plotting area."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Bottom edge of the plotting area."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """Return the pixel of an x value."""
        low, high = self.x_range
        if self.x_log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.left + self.width * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """Return the pixel of a y value."""
        low, high = self.y_range
        return self.bottom - self.height * (value - low) / (high - low)

    def add(self, part: str) -> None:
        """Append a piece of SVG."""
        self.parts.append(part)

    def axes(self, x_title: str, y_title: str, *, x_ticks: Sequence[float] | None = None) -> None:
        """Draw grid, ticks, and titles below and above the axes."""
        low, high = self.x_range
        if x_ticks is None:
            most = max(3, int(self.width // 70))
            x_ticks = log_ticks(low, high, most) if self.x_log else ticks(low, high, most)
        for tick in x_ticks:
            place = self.x(tick)
            self.add(line(place, self.top, place, self.bottom, "grid"))
            self.add(text(place, self.bottom + 17, tick_label(tick), "tick", "middle"))
        y_ticks = ticks(*self.y_range, max(3, int(self.height // 46)))
        for tick in y_ticks:
            place = self.y(tick)
            self.add(line(self.left, place, self.right, place, "grid"))
            self.add(text(self.left - 7, place + 4, tick_label(tick), "tick", "end"))
        self.add(line(self.left, self.bottom, self.right, self.bottom, "axis"))
        self.add(text(self.left + self.width / 2, self.bottom + 37, x_title, "title", "middle"))
        self.add(text(self.left, self.top - 9, y_title, "title", "start"))

    def polyline(
        self,
        xs: Sequence[float | None],
        ys: Sequence[float | None],
        css: str,
        *,
        clip: bool = False,
    ) -> None:
        """Draw a line through the finite points, broken where a point is missing."""
        pieces, pen = [], "M"
        for x, y in zip(xs, ys, strict=True):
            if x is None or y is None or not math.isfinite(y):
                pen = "M"
                continue
            pieces.append(f"{pen}{self.x(x):.1f} {self._kept(self.y(y)):.1f}")
            pen = "L"
        if pieces:
            clipped = f' clip-path="url(#{self.name})"' if clip else ""
            self.add(f'<path class="{css}" d="{"".join(pieces)}"{clipped}/>')

    def band(
        self,
        xs: Sequence[float],
        low: Sequence[float | None],
        high: Sequence[float | None],
        css: str,
    ) -> None:
        """Fill between two lines where both are finite."""
        known = [
            (x, a, b)
            for x, a, b in zip(xs, low, high, strict=True)
            if a is not None and b is not None
        ]
        if len(known) < 2:
            return
        upper = [f"{self.x(x):.1f} {self._kept(self.y(b)):.1f}" for x, _, b in known]
        lower = [f"{self.x(x):.1f} {self._kept(self.y(a)):.1f}" for x, a, _ in reversed(known)]
        self.add(
            f'<path class="{css}" d="M{"L".join(upper + lower)}Z" clip-path="url(#{self.name})"/>'
        )

    def clip(self) -> str:
        """Return the clip path that lines and bands refer to."""
        return (
            f'<clipPath id="{self.name}"><rect x="{self.left:.1f}" y="{self.top:.1f}" '
            f'width="{self.width:.1f}" height="{self.height:.1f}"/></clipPath>'
        )

    def render(self) -> str:
        """Return the panel's SVG."""
        return self.clip() + "".join(self.parts)

    def _kept(self, place: float) -> float:
        # far outside the picture a browser's arithmetic overflows
        return min(max(place, self.top - 4 * self.height), self.bottom + 4 * self.height)


def figure(width: float, height: float, panels: Sequence[Panel], css: str) -> str:
    """Return one `<svg>` of panels; its words for the blind are on the surrounding figure."""
    return (
        f'<svg class="{css}" viewBox="0 0 {width:g} {height:g}" aria-hidden="true" '
        f'focusable="false">{"".join(panel.render() for panel in panels)}</svg>'
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Return a straight line."""
    return f'<path class="{css}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def rect(x: float, y: float, width: float, height: float, css: str) -> str:
    """Return a filled rectangle, nothing for one without a width or height."""
    if width <= 0 or height <= 0:
        return ""
    return (
        f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def text(x: float, y: float, content: object, css: str, anchor: str = "start") -> str:
    """Return a line of text, escaped."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{css}" {place}>{escape(content)}</text>'


def mark(shape: str, x: float, y: float, css: str, size: float = 5.0) -> str:
    """Return a mark: circle, square, diamond, triangle, triangle_down, cross or ring."""
    if shape in ("circle", "ring"):
        return f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"/>'
    s = size
    outlines = {
        "square": [(-s, -s), (s, -s), (s, s), (-s, s)],
        "diamond": [(0, -1.4 * s), (1.4 * s, 0), (0, 1.4 * s), (-1.4 * s, 0)],
        "triangle": [(0, -1.3 * s), (1.2 * s, s), (-1.2 * s, s)],
        "triangle_down": [(0, 1.3 * s), (1.2 * s, -s), (-1.2 * s, -s)],
    }
    if shape == "cross":
        return (
            f'<path class="{css}" d="M{x - s:.1f} {y - s:.1f}L{x + s:.1f} {y + s:.1f}'
            f'M{x - s:.1f} {y + s:.1f}L{x + s:.1f} {y - s:.1f}"/>'
        )
    points = "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in outlines[shape])
    return f'<path class="{css}" d="M{points}Z"/>'


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return up to `most` round numbers between two ends, steps of 1, 2 or 5 times a power of ten.

    Example:
        >>> ticks(0.0, 1.0, 6)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 1 - math.floor(math.log10(step)))
    return [round(index * step, min(digits, 15)) + 0.0 for index in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return powers of ten between two ends, with 2 and 5 times them where there is room.

    Example:
        >>> log_ticks(1e-4, 1e-2, 8)
        [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01]
        >>> log_ticks(1e-8, 1.0, 5)
        [1e-08, 1e-06, 0.0001, 0.01, 1.0]
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    inside = [
        float(f"{factor}e{power}")
        for power in range(first, last + 1)
        for factor in (1, 2, 5)
        if low * (1 - 1e-9) <= float(f"{factor}e{power}") <= high * (1 + 1e-9)
    ]
    if len(inside) <= most and len(inside) > 0:
        return inside
    decades = [value for value in inside if f"{value:e}".startswith("1.000000")]
    stride = max(1, math.ceil(len(decades) / most))
    return decades[::stride] or inside[:1] or [low]


def tick_label(value: float) -> str:
    """Return a tick's number as short as it goes: 0.001, 1e-5, 20k."""
    if value == 0:
        return "0"
    if 1e-4 < abs(value) < 1e5:
        return f"{value:.6g}".replace("-", "\u2212")
    mantissa, exponent = f"{value:.4e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".").replace("-", "\u2212")
    return f"{mantissa}e{int(exponent)}".replace("e-", "e\u2212")


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Return the range of values with some room at both ends, never of zero width."""
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * 0.05 or 1.0
    return low - room, high + room
