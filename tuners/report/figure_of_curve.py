"""The figure of a range test: losses by learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tuners.report.drawing import (
    MOST_POINTS,
    Figure,
    both_widths,
    draw_markers,
    draw_region,
    ends,
    log_range,
    width_class,
)
from tuners.report.formatting import number, rate
from tuners.report.svg import Panel, figure, mark, padded, text

MOST_SEED_LINES = 16


def draw_loss_curve(
    curve: Mapping[str, Any],
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    name: str = "loss-curve",
) -> Figure | None:
    """Return losses by rate with seeds, band, bounds, suggestion and baseline; None if not finite.

    Args:
        curve: A curve of the summary.
        bounds: Its bounds, or None.
        baseline: The baseline's rate, or None.
        name: Id of the figure.
    """
    rates = curve["learning_rates"]
    table = np.array(curve["losses"], dtype=float).reshape(len(rates), -1)
    smoothed = np.array(curve["smoothed"], dtype=float)
    finite = smoothed[np.isfinite(smoothed)]
    if finite.size < 2:
        return None
    y_range = loss_range(finite)
    lowest = int(np.nanargmin(smoothed))
    seeds = table.shape[1]
    found = f"{'1 seed' if seeds == 1 else f'{seeds} seeds'}"
    first, last = np.flatnonzero(np.isfinite(smoothed))[[0, -1]]
    alt = (
        f"Loss against learning rate on a log axis, {found}, {len(rates)} rates. The smoothed mean "
        f"starts at {number(smoothed[first])} (rate {rate(rates[first])}), is lowest at "
        f"{number(smoothed[lowest])} (rate {rate(rates[lowest])}) and ends at "
        f"{number(smoothed[last])} (rate {rate(rates[last])})."
    )
    if bounds:
        alt += (
            f" Bounds {rate(bounds['low'])} to {rate(bounds['high'])}, "
            f"suggestion {rate(bounds['suggestion'])}."
        )
    if baseline:
        alt += f" Baseline {rate(baseline)}."
    kept = [value for value in (*ends(bounds), baseline) if value]
    x_range = log_range([*rates, *kept])
    every = max(1, math.ceil(len(rates) / MOST_POINTS))
    band = [curve.get("band_low"), curve.get("band_high")]
    axis = {"ramp": "loss of the batch", "per_epoch": "loss of the epoch"}
    y_title = axis.get(curve["kind"], "loss reached")

    def draw(width: float, key: str) -> str:
        height = 390 if width > 600 else 340
        panel = Panel(52, 62, width - 66, height - 112, x_range, y_range, x_log=True, name=key)
        draw_region(panel, bounds)
        panel.axes("learning rate (log scale)", "")
        if band[0] and band[1]:
            panel.band(rates[::every], band[0][::every], band[1][::every], "band")
        for seed in table.T[: MOST_SEED_LINES if width > 600 else 4]:
            panel.polyline(rates[::every], _thinned(seed, every), "seed", clip=True)
        panel.polyline(rates[::every], _thinned(smoothed, every), "mean", clip=True)
        draw_markers(panel, bounds, baseline, intervals=True)
        if bounds:
            known = np.isfinite(smoothed)
            logs = np.log(np.array(rates))[known]
            value = float(np.interp(math.log(bounds["suggestion"]), logs, smoothed[known]))
            x, y = panel.x(bounds["suggestion"]), panel.y(value)
            if panel.top <= y <= panel.bottom:
                panel.add(mark("diamond", x, y, "suggestion-mark", 5))
        panel.add(text(panel.left + 8, panel.bottom - 9, f"\u2191 {y_title}", "title"))
        return figure(width, height, [panel], width_class(width))

    legend = [("mean", "line", "mean over seeds, smoothed" if seeds > 1 else "smoothed")]
    legend += [("seed", "line", "one seed, raw" if seeds > 1 else "raw")]
    if band[0]:
        legend.append(("band", "area", "middle 80 % of the seeds, smoothed"))
    if bounds:
        legend.append(("region", "area", "bounds"))
    return Figure(name, alt, both_widths(name, draw), tuple(legend))


def loss_range(smoothed: np.ndarray) -> tuple[float, float]:
    """Return the y range that shows the descent, not the height of the explosion."""
    start = float(np.median(smoothed[: max(1, len(smoothed) // 10)]))
    low = float(smoothed.min())
    fall = start - low
    if fall <= 0.02 * abs(start):
        low, high = (float(v) for v in np.quantile(smoothed, [0.0, 0.9]))
        return padded([low, high], 0.3)
    high = min(float(smoothed.max()), start + 0.6 * fall)
    return low - 0.25 * fall, max(high, start) + 0.15 * fall


def _thinned(values: np.ndarray, every: int) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values[::every]]
