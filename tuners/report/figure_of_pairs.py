"""The figure of a comparison: every pair, and the gains with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuners.report.drawing import Figure, both_widths, short_title, width_class
from tuners.report.formatting import number, rate, signed
from tuners.report.svg import Panel, figure, line, mark, padded, text, tick_label, ticks
from tuners.report.verdicts import measure


def draw_pairs(comparison: Mapping[str, Any]) -> Figure | None:
    """Return every pair's two values joined, and every difference with mean and intervals."""
    if not comparison["pairs"]:
        return None
    chosen, baseline = comparison["chosen"]["values"], comparison["baseline"]["values"]
    gains = comparison["differences"]
    what = measure(comparison)
    rates = [
        rate(comparison["chosen_learning_rate"]),
        rate(comparison["baseline_learning_rate"]),
    ]
    y_range = padded([*chosen, *baseline], 0.07)
    intervals = [
        (comparison["interval"], "t interval"),
        (comparison["bootstrap_interval"], "bootstrap"),
    ]
    spread = [0.0, *gains, *(end for pair, _ in intervals if pair for end in pair)]
    alt = (
        f"{what} of {comparison['pairs']} pairs: {rates[0]} ranges from {number(min(chosen))} to "
        f"{number(max(chosen))}, the baseline {rates[1]} from {number(min(baseline))} to "
        f"{number(max(baseline))}. Gains range from {signed(min(gains))} to {signed(max(gains))}, "
        f"mean {signed(comparison['mean_difference'])}."
    )
    order = sorted(range(len(gains)), key=lambda i: gains[i])

    def draw(width: float, key: str) -> str:
        stacked = width < 600
        left_width = width - 66 if stacked else 300
        slope = Panel(52, 30, left_width, 280, (0.0, 1.0), y_range, name=f"{key}a")
        slope.axes("", f"\u2191 {short_title(what)}", x_ticks=[])
        for x, label, words in (
            (0.15, "baseline", rates[1]),
            (0.85, "chosen", rates[0]),
        ):
            slope.add(text(slope.x(x), slope.bottom + 18, f"{label} {words}", "title", "middle"))
        for a, b, gain in zip(baseline, chosen, gains, strict=True):
            css = "won" if gain > 0 else "lost" if gain < 0 else "tied"
            slope.add(line(slope.x(0.15), slope.y(a), slope.x(0.85), slope.y(b), f"{css}-line"))
            slope.add(mark("circle", slope.x(0.15), slope.y(a), "baseline-mark", 3.2))
            slope.add(
                mark("triangle" if gain > 0 else "circle", slope.x(0.85), slope.y(b), f"{css}", 3.4)
            )
        bars = sum(pair is not None for pair, _ in intervals)
        unit = max(1.0, len(gains) / 18)  # so that the bars keep their room below many pairs
        side = Panel(
            52 if stacked else 52 + left_width + 62,
            386 if stacked else 30,
            width - 66 if stacked else width - 66 - left_width - 62,
            280,
            padded(spread, 0.08),
            (-(0.6 + 1.3 * bars) * unit, len(gains) + 0.5),
            name=f"{key}b",
        )
        side.add(line(side.left, side.bottom, side.right, side.bottom, "axis"))
        for tick in ticks(*side.x_range, max(3, int(side.width // 80))):
            side.add(line(side.x(tick), side.top, side.x(tick), side.bottom, "grid"))
            side.add(
                text(
                    side.x(tick),
                    side.bottom + 17,
                    ("+" if tick > 0 else "") + tick_label(tick),
                    "tick",
                    "middle",
                )
            )
        side.add(line(side.x(0), side.top, side.x(0), side.bottom, "zero"))
        size = 3.6 if len(gains) <= 40 else 2.4
        for place, i in enumerate(order):
            gain = gains[i]
            css, shape = (
                ("won", "triangle")
                if gain > 0
                else ("lost", "triangle_down")
                if gain < 0
                else ("tied", "circle")
            )
            side.add(mark(shape, side.x(gain), side.y(place + 0.5), css, size))
        row = -1.0
        for pair, label in intervals:
            if pair is None:
                continue
            y = side.y(row * unit)
            _bar(side, pair, comparison["mean_difference"], y, label)
            row -= 1.2
        side.add(text(side.left, side.top - 9, "each pair's gain, sorted", "title"))
        side.add(
            text(side.left + side.width / 2, side.bottom + 37, f"gain in {what}", "title", "middle")
        )
        return figure(width, 730 if stacked else 362, [slope, side], width_class(width))

    legend = (
        ("won", "triangle", "chosen rate won"),
        ("lost", "triangle_down", "baseline won"),
        ("bar", "line", "mean with its 95 % interval"),
    )
    return Figure("pairs", alt, both_widths("pairs", draw), legend)


def _bar(panel: Panel, pair: Sequence[float], mean: float, y: float, label: str) -> None:
    low, high = panel.x(pair[0]), panel.x(pair[1])
    panel.add(line(low, y, high, y, "bar"))
    for end in (low, high):
        panel.add(line(end, y - 5, end, y + 5, "bar"))
    panel.add(mark("diamond", panel.x(mean), y, "bar-mark", 4.4))
    room_right = panel.right - high
    x, anchor = (high + 8, "start") if room_right > 90 else (low - 8, "end")
    panel.add(text(x, y + 4, label, "tick", anchor))
