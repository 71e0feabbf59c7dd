"""The HTML page of a summary: every number is looked up in it, so that page and JSON agree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

from tuners.report import formatting
from tuners.report.drawing import NARROW, WIDE, Figure
from tuners.report.figure_of_curve import draw_loss_curve
from tuners.report.figure_of_pairs import draw_pairs
from tuners.report.figures_of_search import draw_best_so_far, draw_learning_curves, draw_trials
from tuners.report.limits import leave_out
from tuners.report.page_tables import choose_rows, list_facts, trial_table
from tuners.report.svg import Panel, figure, line, mark, text
from tuners.report.verdicts import measure

MOST_EMBEDDED = 600_000  # characters of JSON inside the page, which stays under 2 MB
_SIGNS = {
    "better": "\u25b2",
    "worse": "\u25bc",
    "no_difference_shown": "=",
    "too_few_pairs": "\u2026",
}
_CHECK_MARKS = {"passed": "\u2713", "failed": "\u2717", "not applicable": "\u2013"}
_STYLES = {
    "number": formatting.number,
    "short": lambda value: formatting.number(value, 2),
    "one": lambda value: formatting.number(value if value is None else round(value, 1)),
    "rate": formatting.rate,
    "signed": formatting.signed,
    "share": formatting.share,
    "share2": lambda value: formatting.share(value, 2),
    "duration": formatting.duration,
}


def render(
    summary: Mapping[str, Any],
    kept: Mapping[str, Any] | None = None,
    *,
    json_name: str,
    csv_name: str,
) -> str:
    """Return the whole page.

    Args:
        summary: What `tuners.report.summary.summarize` returned.
        kept: What the JSON file holds of it; None means what `leave_out` keeps.
        json_name: Name of the JSON file beside the page.
        csv_name: Name of the CSV file beside it, linked where the trials are more than 500.
    """
    comparison = summary["comparison"]
    objective, direction = summary["objective"], summary["direction"]
    kept = leave_out(summary) if kept is None else kept
    rows, left_out = choose_rows(summary)
    heads, cells = trial_table(summary, rows)
    embedded = json.dumps(kept, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    parameters = [
        (name, entry, _curve_figures(summary, name, entry, index))
        for index, (name, entry) in enumerate(summary["parameters"].items())
    ]
    context = {
        "s": summary,
        "kept": kept,
        "show": _lookup(summary),
        "paste": _breakable(summary["paste"]),
        "spread": _spread(summary),
        "short": formatting.shorten,
        "rate": formatting.rate,
        "swatch": _swatch,
        "sign": _SIGNS.get(summary["verdict"], "\u25cb"),
        "css": Markup(_asset("page.css")),
        "script": _asset("page.js"),
        "contents": _CONTENTS,
        "facts": list_facts(summary),
        "check_marks": _CHECK_MARKS,
        "check_count": _count_checks(summary["checks"]),
        "parameters": parameters,
        "trial_figures": _trial_figures(summary),
        "search_line": _describe_search(summary),
        "best_figure": draw_best_so_far(summary["best_so_far"], objective, direction),
        "pairs_figure": draw_pairs(comparison) if comparison else None,
        "pairs_caption": _caption_pairs(comparison),
        "interval_strip": _interval_strip(comparison),
        "measured": measure(comparison) if comparison else "",
        "sides": ("chosen", "baseline"),
        "curves_figure": draw_learning_curves(summary["learning_curves"], objective),
        "confusions": _confusions(comparison),
        "gain_line": _describe_gain(summary),
        "rows": cells,
        "heads": heads,
        "left_out": left_out,
        "csv_name": csv_name,
        "json_name": json_name,
        "embedded": _safe_json(embedded) if len(embedded) <= MOST_EMBEDDED else "",
    }
    return _template().render(context)


def _lookup(summary: Mapping[str, Any]) -> Any:
    def show(key: str, style: str = "number", *, path: Sequence[str] | None = None) -> Markup:
        value: Any = summary
        steps = list(path) if path is not None else key.split(".")
        for step in steps:
            value = value[int(step)] if isinstance(value, (list, tuple)) else value[step]
        return _number_tag(steps, value, _STYLES[style](value))

    return show


def _number_tag(steps: Sequence[str], value: Any, words: str) -> Markup:
    if value is None:
        return Markup('<span class="num">{}</span>').format(words)
    return Markup('<data class="num" data-key="{}" value="{}">{}</data>').format(
        json.dumps(list(steps)), json.dumps(value), words
    )


def _spread(summary: Mapping[str, Any]) -> Any:
    def spread(score: str, side: str) -> Markup:
        pair = summary["comparison"]["scores"][score][side]
        tags = [
            _number_tag(("comparison", "scores", score, side, str(i)), value, words)
            for i, (value, words) in enumerate(
                zip(pair, formatting.mean_with_sd(*pair), strict=True)
            )
        ]
        return Markup("{} \u00b1 {}").format(*tags)

    return spread


def _breakable(code: str | None) -> Markup:
    """Return a line of code that may break after its bracket."""
    return escape(code or "").replace("(", Markup("(<wbr>"))


_CONTENTS = (
    ("facts", "Facts"),
    ("checks", "Checks"),
    ("range-test", "Range test"),
    ("search", "Search"),
    ("comparison", "Comparison"),
    ("learning-curves-section", "Learning curves"),
    ("scores", "Scores"),
    ("cost", "Cost"),
    ("all-trials", "All trials"),
    ("repeat", "Repeat it"),
    ("limits", "Not varied"),
)


def _curve_figures(
    summary: Mapping[str, Any], name: str, entry: Mapping[str, Any], index: int
) -> list[tuple[Figure, str]]:
    if entry["curve"] is None:
        return []
    baseline = summary["baseline_learning_rate"] if name == summary["parameter"] else None
    found = []
    kinds = {
        "ramp": "The ramp: the rate grows from batch to batch, and the loss is that of the batch.",
        "sweep": "The sweep: short trainings at a constant rate each, and the loss they reached.",
        "per_epoch": "One rate an epoch, and the loss of that epoch.",
    }
    for curve, suffix in ((entry["curve"], ""), (entry["curve"]["coarse"], "-coarse")):
        if curve is not None:
            drawn = draw_loss_curve(
                curve, entry["bounds"], baseline, name=f"loss-curve-{index}{suffix}"
            )
            if drawn is not None:
                words = kinds.get(curve["kind"], "")
                if suffix:
                    words = f"{words} It placed the sweep above."
                found.append((drawn, words))
    return found


def _trial_figures(summary: Mapping[str, Any]) -> list[tuple[Figure, str]]:
    found = []
    for index, (name, entry) in enumerate(summary["parameters"].items()):
        baseline = summary["baseline_learning_rate"] if name == summary["parameter"] else None
        drawn = draw_trials(
            summary["trials"],
            name,
            entry["bounds"],
            baseline,
            summary["objective"],
            summary["direction"],
            name=f"trials-{index}",
        )
        if drawn is not None:
            found.append((drawn, f"Every trial by its {formatting.shorten(name, 60)}."))
    return found


def _describe_search(summary: Mapping[str, Any]) -> str:
    counts = summary["cost"]["trials"]
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    better = "lower" if summary["direction"] == "minimize" else "higher"
    line = f"{len(summary['trials'])} trials: {', '.join(parts)}."
    best = summary["best_trial"]
    if best:
        at = f" at {formatting.rate(best['learning_rate'])}" if best["learning_rate"] else ""
        line += (
            f" Best: trial {best['number']}{at} with {formatting.number(best['value'])} in "
            f"{formatting.shorten(summary['objective'], 60)} ({better} is better), a selection "
            "score that looks better than it is."
        )
    return line


def _describe_gain(summary: Mapping[str, Any]) -> str:
    comparison, seconds = summary["comparison"], summary["cost"]["seconds_total"]
    spent = f"All of it took {formatting.duration(seconds)}. " if seconds is not None else ""
    if not comparison or not comparison["pairs"]:
        return f"{spent}No gain was measured."
    gain = formatting.signed(comparison["mean_difference"])
    shown = {
        "better": "The gain is shown.",
        "worse": "It is a loss: the search bought nothing here but the knowledge.",
    }.get(comparison["verdict"], "No gain is shown: what was bought is the knowledge.")
    return f"{spent}The mean gain in {measure(comparison)} is {gain}. {shown}"


def _caption_pairs(comparison: Mapping[str, Any] | None) -> str:
    if not comparison:
        return ""
    better = "lower" if comparison["direction"] == "minimize" else "higher"
    return (
        f"Every pair's two values, joined ({better} is better), and its gain: right of zero the "
        "chosen rate did better."
    )


def _count_checks(checks: Sequence[Mapping[str, Any]]) -> str:
    counts = dict.fromkeys(_CHECK_MARKS, 0)
    for check in checks:
        counts[check["outcome"]] += 1
    return (
        f"{counts['failed']} of {len(checks)} checks failed, {counts['passed']} passed, "
        f"{counts['not applicable']} not applicable."
    )


def _confusions(comparison: Mapping[str, Any] | None) -> list[tuple[str, str, list[list[float]]]]:
    """Return title, side and row shares of each confusion matrix."""
    found: list[tuple[str, str, list[list[float]]]] = []
    if not comparison or not comparison["pairs"]:
        return found
    for side in ("chosen", "baseline"):
        matrix = comparison[side]["confusion"]
        if matrix:
            shares = [[count / max(sum(row), 1e-12) for count in row] for row in matrix]
            title = f"{side} {formatting.rate(comparison[f'{side}_learning_rate'])}"
            found.append((title, side, shares))
    return found


def _interval_strip(comparison: Mapping[str, Any] | None) -> str:
    """Return the interval of the mean against zero, in one line of drawing; "" without one."""
    if not comparison or not comparison["interval"]:
        return ""
    low, high = comparison["interval"]
    reach = 1.15 * max(abs(low), abs(high), 1e-300)
    drawings = []
    for width, css in ((WIDE, "wide"), (NARROW, "narrow")):
        panel = Panel(8, 22, width - 16, 26, (-reach, reach), (0, 1), name=f"strip-{css}")
        y = panel.top + 13
        panel.add(line(panel.left, y, panel.right, y, "grid"))
        panel.add(line(panel.x(0), panel.top, panel.x(0), panel.bottom, "zero"))
        panel.add(line(panel.x(low), y, panel.x(high), y, "bar"))
        for end in (low, high):
            panel.add(line(panel.x(end), y - 6, panel.x(end), y + 6, "bar"))
        mean = comparison["mean_difference"]
        panel.add(mark("diamond", panel.x(mean), y, "bar-mark", 6))
        panel.add(text(panel.left, panel.bottom + 14, "\u2190 baseline better", "tick"))
        panel.add(text(panel.x(0), panel.bottom + 14, "0", "tick", "middle"))
        panel.add(text(panel.right, panel.bottom + 14, "chosen better \u2192", "tick", "end"))
        drawings.append(figure(width, 66, [panel], css))
    words = (
        f"Mean gain {formatting.signed(mean)}, 95 % interval {formatting.signed(low)} to "
        f"{formatting.signed(high)}."
    )
    return f'<div class="strip" role="img" aria-label="{escape(words)}">{"".join(drawings)}</div>'


def _swatch(css: str, shape: str) -> Markup:
    if shape == "line":
        drawn = line(1, 6, 21, 6, css)
    elif shape == "area":
        drawn = f'<rect class="{css}" x="2" y="0" width="18" height="12"/>'
    else:
        drawn = mark(shape, 11, 6, css, 4)
    return Markup(f'<svg class="swatch" viewBox="0 0 22 12" aria-hidden="true">{drawn}</svg>')


def _safe_json(dumped: str) -> str:
    # inside <script> only these can end the element or open a comment
    return dumped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return resources.files("tuners.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("page.html.jinja2"))
