"""The HTML page of a summary: every number is looked up in it, so that page and JSON agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

from tuners.report import figures, formatting
from tuners.report.page_tables import choose_rows, list_facts, trial_table
from tuners.report.verdicts import measure

MOST_EMBEDDED = 600_000  # characters of JSON inside the page, which stays under 2 MB
_SIGNS = {"better": "\u25b2", "worse": "\u25bc"}
_SIGNS |= {"no_difference_shown": "=", "too_few_pairs": "\u2026"}
_CHECK_MARKS = {"passed": "\u2713", "failed": "\u2717", "not applicable": "\u2013"}
_STYLES = {
    "number": formatting.number,
    "one": lambda value: formatting.number(value if value is None else round(value, 1)),
    "rate": formatting.rate,
    "signed": formatting.signed,
    "share": formatting.share,
    "share2": lambda value: formatting.share(value, 2),
    "duration": formatting.duration,
}


def render(
    summary: Mapping[str, Any],
    kept: Mapping[str, Any],
    *,
    json_name: str,
    csv_name: str,
) -> str:
    """Return the whole page.

    Args:
        summary: What `tuners.report.summary.summarize` returned.
        kept: What the JSON file holds of it.
        json_name: Name of the JSON file beside the page.
        csv_name: Name of the CSV file beside it, linked where the trials are more than 500.
    """
    comparison = summary["comparison"]
    rows, left_out = choose_rows(summary)
    heads, cells = trial_table(summary, rows)
    embedded = json.dumps(kept, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    context = {
        "s": summary,
        "kept": kept,
        "show": _lookup(summary),
        "paste": _breakable(summary["paste"]),
        "spread": _spread(summary),
        "short": formatting.shorten,
        **_STYLES,
        "sign": _SIGNS.get(summary["verdict"], "\u25cb"),
        "css": Markup(_asset("page.css")),
        "script": _asset("page.js"),
        "facts": list_facts(summary),
        "check_marks": _CHECK_MARKS,
        "outcomes": Counter(check["outcome"] for check in summary["checks"]),
        "parameters": [
            (name, entry, figures.show_curves(summary, index))
            for index, (name, entry) in enumerate(summary["parameters"].items())
        ],
        "trial_figures": [
            figures.show_trials(summary, i) for i in range(len(summary["parameters"]))
        ],
        "best_figure": figures.show_best_so_far(summary),
        "pairs_figure": figures.show_pairs(comparison),
        "interval_strip": figures.show_interval(comparison),
        "measured": measure(comparison) if comparison else "",
        "curves_figure": figures.show_learning_curves(summary),
        "rows": cells,
        "heads": heads,
        "left_out": left_out,
        "csv_name": csv_name,
        "json_name": json_name,
        "embedded": _safe_json(embedded) if len(embedded) <= MOST_EMBEDDED else "",
    }
    return template("page.html.jinja2").render(context)


def _lookup(summary: Mapping[str, Any]) -> Any:
    def show(key: str, style: str = "number", *, path: Sequence[str] | None = None) -> Markup:
        value: Any = summary
        steps = key.split(".") if path is None else path
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
        pair, path = summary["comparison"]["scores"][score][side], ("comparison", "scores", score)
        words = formatting.mean_with_sd(*pair)
        tags = [_number_tag((*path, side, str(i)), pair[i], words[i]) for i in (0, 1)]
        return Markup("{} \u00b1 {}").format(*tags)

    return spread


def _breakable(code: str | None) -> Markup:
    """Return a line of code that may break after its bracket."""
    return escape(code or "").replace("(", Markup("(<wbr>"))


def _safe_json(dumped: str) -> str:
    # inside <script> only these can end the element or open a comment
    return dumped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return resources.files("tuners.report").joinpath(name).read_text(encoding="utf-8")


@cache
def template(name: str) -> jinja2.Template:
    """Return a template of this folder; what an HTML one is given is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tuners", "report"),
        autoescape=name.startswith("page"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
