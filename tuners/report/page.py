"""The HTML page of a summary: every number is looked up in it, so that page and JSON agree."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jinja2
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape

from tuners.report import figures, formatting
from tuners.report.page_tables import choose_rows, list_facts, trial_table
from tuners.report.verdicts import measure, name_report

MOST_EMBEDDED = 600_000  # characters of JSON inside the page, which stays under 2 MB
_SIGNS = {"better": "\u25b2", "worse": "\u25bc"}
_SIGNS |= {"equal": "=", "no_difference_shown": "?", "too_few_pairs": "\u2026"}
_CHECK_MARKS = {"passed": "\u2713", "failed": "\u2717", "not applicable": "\u2013"}
_STYLES = {
    "number": formatting.number,
    "one": lambda value: formatting.number(value if value is None else round(value, 1)),
    "rate": formatting.rate,
    "signed": formatting.signed,
    "share": formatting.share,
    "points": formatting.points,
    "size": lambda value: formatting.points(value).lstrip("+"),
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
    comparison, checks = summary["comparison"], summary["checks"]
    rows, left_out = choose_rows(summary)
    heads, cells = trial_table(summary, rows)
    embedded = htmlsafe_json_dumps(kept, allow_nan=False, separators=(",", ":"))
    trials, tests = {}, {}
    for index, name in enumerate(summary["parameters"]):
        trials[name] = figures.show_trials(summary, index)
        tests[name] = figures.show_curves(summary, index)
    main = (summary["choice"] or {}).get("parameter", summary["parameter"])
    answer = trials.get(main) or next(iter(tests.get(main) or ()), None)
    context = {
        "s": summary,
        "kept": kept,
        "title": name_report(summary),
        "show": _lookup(summary),
        "spread": _spread(summary),
        "short": formatting.shorten,
        "whole": _whole,
        **_STYLES,
        "sign": _SIGNS.get(summary["verdict"], "\u25cb"),
        "measured": measure(comparison) if comparison else "",
        "failed": [check for check in checks if check["outcome"] == "failed"],
        "outcomes": Counter(check["outcome"] for check in checks),
        "check_marks": _CHECK_MARKS,
        "answer": answer,
        "pairs_figure": figures.show_pairs(comparison),
        "tests": {name: [each for each in tests[name] if each is not answer] for name in tests},
        "trial_figures": [each for each in trials.values() if each is not answer],
        "best_figure": figures.show_best_so_far(summary),
        "curves_figure": figures.show_learning_curves(summary),
        "rows": cells,
        "heads": heads,
        "left_out": left_out,
        "facts": list_facts(summary),
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


def _whole(words: str) -> Markup:
    """Return words in which no line breaks inside a rate such as 1.07e-4."""
    escaped = str(escape(words))
    return Markup(re.sub(r"\b\d[\d.]*e-\d+", r'<span class="whole">\g<0></span>', escaped))


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
