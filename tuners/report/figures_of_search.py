"""The figures of a search: trials by rate, best so far, learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuners.report.drawing import (
    MOST_POINTS,
    Figure,
    both_widths,
    draw_markers,
    draw_region,
    ends,
    far_limit,
    log_range,
    short_title,
    width_class,
)
from tuners.report.formatting import duration, number, rate
from tuners.report.limits import BEST_MARKS, MOST_MARKS, spread_out
from tuners.report.svg import Panel, figure, mark, padded, rect, text


def draw_trials(
    trials: Sequence[Mapping[str, Any]],
    parameter: str,
    bounds: Mapping[str, Any] | None,
    baseline: float | None,
    objective: str,
    direction: str,
    name: str = "trials",
) -> Figure | None:
    """Return trials against the rate with bounds, baseline and suggestion; None without any.

    Args:
        trials: Rows of the summary.
        parameter: The learning rate's name.
        bounds: Its bounds; the outer tenths are shaded.
        baseline: The baseline's rate, or None.
        objective: Name of the values.
        direction: "minimize" or "maximize".
        name: Id of the figure.
    """
    placed = [
        (float(row["params"][parameter]), row)
        for row in trials
        if _positive(row["params"].get(parameter))
    ]
    done = [(x, r) for x, r in placed if r["state"] == "COMPLETE" and r["value"] is not None]
    pruned = [(x, r) for x, r in placed if r["state"] == "PRUNED" and r["value"] is not None]
    failed = [(x, r) for x, r in placed if r["state"] == "FAIL"]
    if not done and not failed:
        return None
    sign = 1 if direction == "minimize" else -1
    ranked = sorted(done, key=lambda item: sign * item[1]["value"])
    best = {row["number"] for _, row in ranked[:5]}
    limit = far_limit([sign * row["value"] for _, row in done + pruned])
    shown = [v for _, r in done + pruned if sign * (v := r["value"]) <= limit]
    y_range = padded(shown or [0.0, 1.0], 0.09)
    x_range = log_range([x for x, _ in placed] + [v for v in (*ends(bounds), baseline) if v])
    alt = f"{objective} of {len(done)} finished trials against {parameter} on a log axis."
    if ranked:
        x, row = ranked[0]
        alt += f" Best: trial {row['number']} at {rate(x)} with {number(row['value'])}."
        x, row = ranked[-1]
        alt += f" Worst: trial {row['number']} at {rate(x)} with {number(row['value'])}."
    far = len(done) + len(pruned) - len(shown)
    alt += f" {far} lie beyond the drawn range." if far else ""
    alt += f" {len(failed)} failed" + (
        f" (rates {rate(min(x for x, _ in failed))} to {rate(max(x for x, _ in failed))})."
        if failed
        else "."
    )
    marked = _marked([row for _, row in ranked], [row for _, row in (*pruned, *failed)])
    if len(marked) < len(done) + len(pruned) + len(failed):
        alt += f" {len(marked)} of them are drawn: the best {BEST_MARKS}, others evenly spaced."
    done, pruned, failed = (
        [(x, row) for x, row in rows if row["number"] in marked] for rows in (done, pruned, failed)
    )

    def draw(width: float, key: str) -> str:
        height = 390 if width > 600 else 350
        panel = Panel(52, 84, width - 66, height - 134, x_range, y_range, x_log=True, name=key)
        draw_region(panel, bounds, tenths=True)
        panel.axes("learning rate (log scale)", "")
        draw_markers(panel, bounds, baseline, top=62)
        rim = panel.top - 11 if sign > 0 else panel.bottom - 9
        if failed:
            panel.add(rect(panel.left, rim - 9, panel.width, 18, "rim"))
        for x, _ in failed:
            panel.add(mark("cross", panel.x(x), rim, "failed", 4.5))
        for kind, rows in (("pruned", pruned), ("trial", done)):
            for x, row in rows:
                beyond = sign * row["value"] > limit
                edge = panel.top + 8 if sign > 0 else panel.bottom - 8
                y = edge if beyond else panel.y(row["value"])
                shape = _shape(row, kind)
                if beyond:
                    shape = "triangle" if sign > 0 else "triangle_down"
                if row["number"] in best and kind == "trial":
                    panel.add(mark("ring", panel.x(x), y, "ring", 9.5))
                panel.add(mark(shape, panel.x(x), y, _colour(row, kind), 4.6))
        panel.add(
            text(panel.left + 8, panel.bottom - 9, f"\u2191 {short_title(objective)}", "title")
        )
        return figure(width, height, [panel], width_class(width))

    legend = [("trial", "circle", "finished trial"), ("ring", "ring", "best five")]
    if any(row["role"] == "suggestion" for _, row in done):
        legend.append(("suggestion-mark", "square", "suggestion"))
    if any(row["role"] == "baseline" for _, row in done):
        legend.append(("baseline-mark", "diamond", "baseline"))
    if pruned:
        legend.append(("pruned", "triangle_down", "pruned"))
    if failed:
        legend.append(("failed", "cross", "failed"))
    if far:
        legend.append(("trial", "triangle", "beyond the drawn range"))
    if bounds:
        legend.append(("tenth", "area", "outer tenths of the bounds"))
    return Figure(name, alt, both_widths(name, draw), tuple(legend))


def draw_best_so_far(
    steps: Sequence[Mapping[str, Any]], objective: str, direction: str
) -> Figure | None:
    """Return the best value so far against trials and against seconds; None under two values."""
    known = [step for step in steps if step["best"] is not None]
    if len(known) < 2:
        return None
    sign = 1 if direction == "minimize" else -1
    values = [step["value"] for step in known if step["value"] is not None]
    limit = far_limit([sign * value for value in values])
    y_range = padded([value for value in values if sign * value <= limit], 0.08)
    counts = [float(index) for index in range(1, len(steps) + 1)]
    seconds = [float(step["seconds"]) for step in steps]
    found = next(i for i, step in enumerate(steps) if step["best"] == known[-1]["best"])
    alt = (
        f"Best {objective} so far: {number(known[0]['best'])} at first, "
        f"{number(known[-1]['best'])} "
        f"after {found + 1} of {len(steps)} trials and {duration(seconds[found])} of "
        f"{duration(seconds[-1])}; no later trial was better."
    )

    def draw(width: float, key: str) -> str:
        panels, stacked = [], width < 600
        one_width = width - 66 if stacked else (width - 66 - 62) / 2
        for i, (xs, title) in enumerate(
            ((counts, "trials ended"), (seconds, "seconds of training, summed"))
        ):
            if xs[-1] <= 0:
                continue
            panel = Panel(
                52 + (0 if stacked else i * (one_width + 62)),
                26 + (i * 270 if stacked else 0),
                one_width,
                190 if stacked else 226,
                (0.0, xs[-1] * 1.02),
                y_range,
                name=f"{key}{i}",
            )
            panel.axes(title, f"\u2191 {short_title(objective)}" if i == 0 or stacked else "")
            for x, step in spread_out(list(zip(xs, steps, strict=True)), MOST_MARKS):
                if step["value"] is not None and sign * step["value"] <= limit:
                    panel.add(mark("circle", panel.x(x), panel.y(step["value"]), "faint", 3))
            stairs_x: list[float | None] = []
            stairs_y: list[float | None] = []
            for x, step in zip(xs, steps, strict=True):
                best, last = step["best"], stairs_y[-1] if stairs_y else None
                if best == last and step is not steps[-1]:
                    continue  # only where it changes, which is seldom
                if last is not None:
                    stairs_x.append(x)
                    stairs_y.append(last)
                stairs_x.append(x)
                stairs_y.append(best)
            panel.polyline(stairs_x, stairs_y, "mean", clip=True)
            panels.append(panel)
        height = (560 if len(panels) > 1 else 290) if stacked else 306
        return figure(width, height, panels, width_class(width))

    legend = (("mean", "line", "best so far"), ("faint", "circle", "one trial"))
    return Figure("best-so-far", alt, both_widths("best", draw), legend)


def draw_learning_curves(shown: Sequence[Mapping[str, Any]], objective: str) -> Figure | None:
    """Return training and validation curves of a few trials on one scale; None without any."""
    metric = objective.removeprefix("val_")
    kinds = []
    for entry in shown:
        curves = entry["curves"]
        base = metric if metric in curves or f"val_{metric}" in curves else "loss"
        train, validation = curves.get(base), curves.get(f"val_{base}")
        if train or validation:
            kinds.append((entry, base, train or [], validation or []))
    if not kinds:
        return None
    pooled = [v for _, _, a, b in kinds for v in (*a, *b) if v is not None]
    starts = [b[0] for _, _, _, b in kinds if b and b[0] is not None]
    low, high = min(pooled), max(pooled)
    if starts and high > 3 * max(starts) > 0:  # one trial that rose would flatten the others
        high = 1.5 * max(starts)
    y_range = padded([low, high], 0.05)
    longest = max(len(curve) for _, _, a, b in kinds for curve in (a, b))
    words = []
    for entry, base, _, validation in kinds:
        known = [value for value in validation if value is not None]
        if known:
            where = f"trial {entry['trial']}" if entry["trial"] is not None else "mean of the pairs"
            words.append(
                f"{entry['label']} ({where}, rate {rate(entry['learning_rate'])}): val_{base} from "
                f"{number(known[0])} to {number(known[-1])}, lowest {number(min(known))}, "
                f"highest {number(max(known))}"
            )
    alt = f"Learning curves over {longest} epochs. " + "; ".join(words) + "."

    def draw(width: float, key: str) -> str:
        columns = 1 if width < 600 else 2
        one_width = (width - 66 - (columns - 1) * 56) / columns
        one_height, panels = 168, []
        for i, (entry, base, train, validation) in enumerate(kinds):
            row, column = divmod(i, columns)
            panel = Panel(
                52 + column * (one_width + 56),
                34 + row * (one_height + 78),
                one_width,
                one_height,
                (1.0, float(max(2, longest))),
                y_range,
                name=f"{key}{i}",
            )
            where = f"trial {entry['trial']}" if entry["trial"] is not None else "pairs, mean"
            title = f"{entry['label']}: {rate(entry['learning_rate'])} ({where})"
            panel.axes("epoch", title)
            every = max(1, math.ceil(longest / MOST_POINTS))
            for curve, css in ((train, "train"), (validation, "mean")):
                epochs = [float(epoch) for epoch in range(1, len(curve) + 1)]
                panel.polyline(epochs[::every], curve[::every], css, clip=True)
            best = entry["best_epoch"]
            if best is not None and 0 <= best < len(validation) and validation[best] is not None:
                y = panel.y(validation[best])
                if panel.top <= y <= panel.bottom:
                    panel.add(mark("diamond", panel.x(best + 1), y, "suggestion-mark", 4.6))
            panel.add(text(panel.right - 4, panel.top + 14, short_title(base), "title", "end"))
            panels.append(panel)
        rows = math.ceil(len(kinds) / columns)
        return figure(width, rows * (one_height + 78) + 6, panels, width_class(width))

    legend = (
        ("mean", "line", "validation"),
        ("train", "line", "training"),
        ("suggestion-mark", "diamond", "best epoch"),
    )
    return Figure("learning-curves", alt, both_widths("learning", draw), legend)


def _marked(ranked: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the numbers of the trials to draw: all, or in a large study the best and some."""
    kept = list(ranked[:BEST_MARKS])
    rest = [*ranked[BEST_MARKS:], *others]
    kept += [row for row in rest if row["role"] in ("suggestion", "baseline")][:BEST_MARKS]
    rest.sort(key=lambda row: row["number"])
    return {row["number"] for row in (*kept, *spread_out(rest, MOST_MARKS))}


def _shape(row: Mapping[str, Any], kind: str) -> str:
    if kind == "pruned":
        return "triangle_down"
    return {"suggestion": "square", "baseline": "diamond"}.get(row["role"], "circle")


def _colour(row: Mapping[str, Any], kind: str) -> str:
    if kind == "pruned":
        return "pruned"
    return {"suggestion": "suggestion-mark", "baseline": "baseline-mark"}.get(row["role"], "trial")


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
