"""The HTML page of a summary: every number is looked up in it, so that page and JSON agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jinja2
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

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
    summary: Mapping[str, Any], kept: Mapping[str, Any], *, json_name: str, csv_name: str
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
    embedded = htmlsafe_json_dumps(kept, allow_nan=False, separators=(",", ":"))
    context = {
        "s": summary,
        "kept": kept,
        "show": _lookup(summary),
        "spread": _spread(summary),
        "short": formatting.shorten,
        **_STYLES,
        "sign": _SIGNS.get(summary["verdict"], "\u25cb"),
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
        "embedded": embedded if len(embedded) <= MOST_EMBEDDED else "",
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
