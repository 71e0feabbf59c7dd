"""The report's story in the terminal: start block, one line a trial, end block.

Each block is a Rich renderable; a `rich.console.Console` leaves out colour where `NO_COLOR` is set
or the output is no terminal, and wraps to the width there is. Only ASCII carries meaning.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tuners.figures.words import label
from tuners.report import formatting
from tuners.report.verdicts import measure
from tuners.study.passwords import hide_passwords

_TONES = {"better": "green", "worse": "red"}
_PLAIN = str.maketrans(
    {"\u2212": "-", "\u00a0": " ", "\u00b1": "+-", "\u2026": "...", "\u2013": "-", "\u2192": "->"}
)


def start_block(facts: Mapping[str, Any], *, out: str | None = None) -> RenderableType:
    """Return what is about to be run: data, model, search, comparison, seed, place.

    Args:
        facts: The study's facts; what is missing is left out.
        out: Where the files go.
    """
    facts = hide_passwords(facts)
    get = facts.get
    rows = ", ".join(
        f"{formatting.number(get(f'{part}_rows'))} {part}"
        for part in ("train", "validation", "test")
        if get(f"{part}_rows") is not None
    )
    data = _join(get("task"), rows, get("data_hash") and f"sha256 {get('data_hash')}")
    model = _join(
        get("optimizer"),
        get("model_parameters") and f"{formatting.number(get('model_parameters'))} parameters",
        get("batch_size") and f"batch {get('batch_size')}",
        get("epochs") and f"{get('epochs')} epochs",
    )
    search = _join(
        get("engine"),
        get("sampler"),
        get("trials") is not None and f"{get('trials')} trials",
        get("budget") is not None and f"{get('budget'):g} trainings at most, range test included",
        get("objective"),
    )
    baseline = get("baseline_learning_rate")
    compared = _join(
        get("pairs") is not None and f"{get('pairs')} pairs",
        baseline is not None and f"baseline {formatting.rate(baseline)}",
    )
    lines = {
        "data": data,
        "model": model,
        "search": search,
        "compare": compared,
        "seed": _join(get("seed") is not None and f"{get('seed')}", get("machine")),
        "files": hide_passwords(out),
    }
    return _pairs(lines)


def trial_line(
    row: Mapping[str, Any],
    *,
    total: int | None,
    best: float | None,
    best_number: int | None,
    seconds_left: float | None = None,
) -> str:
    """Return one plain line on an ended trial, in columns of fixed width, to be searched by grep.

    Args:
        row: The trial, as `tuners.report.trial_rows.trial_rows` gives it.
        total: Trials planned; None in a race, where it is not known.
        best: Best value so far, this trial included.
        best_number: Number of the trial that reached it.
        seconds_left: Estimate of the time left, None where it is unknown.

    Example:
        >>> row = {"number": 11, "state": "COMPLETE", "value": 0.4312, "learning_rate": 0.0021,
        ...        "role": "search", "seconds": 8.4, "diverged": False}
        >>> trial_line(row, total=24, best=0.4127, best_number=6, seconds_left=125)
        ' 12/24  ok        lr 0.0021   0.4312   best 0.4127 (#6)   8.4 s  left 2 min 05 s'
    """
    rate, number = formatting.rate(row["learning_rate"] or None), f"{row['number'] + 1}"
    place = f"{number:>3}" if total is None else f"{number:>{len(str(total))}}/{total}"
    states = {"COMPLETE": "ok", "PRUNED": "pruned", "FAIL": "failed"}
    state = "diverged" if row["diverged"] else states.get(row["state"], row["state"].lower())
    value = "-" if row["value"] is None else f"{row['value']:.4g}"
    star = "*" if best_number == row["number"] else " "
    words = (
        f" {place}  {state:<8}  lr {rate:<7}  "
        f"{value:<8} {'' if best is None else f'best {best:.4g} (#{best_number}){star}'}"
    )
    if row["seconds"] is not None:
        words += f"  {row['seconds']:.1f} s"
    if row["role"] != "search":
        words += f"  {formatting.shorten(row['role'], 12)}"
    if seconds_left is not None:
        words += f"  left {formatting.duration(seconds_left)}"
    return words.translate(_PLAIN).rstrip()


def end_block(
    summary: Mapping[str, Any], *, report: str | None = None, width: int = 100
) -> RenderableType:
    """Return the verdict with what it rests on, in under 40 lines at 80 columns.

    Args:
        summary: What `tuners.report.summary.summarize` returned.
        report: Path of the page, printed last.
        width: Columns of the terminal; long reasons are cut to three lines of them.
    """
    tone = _TONES.get(summary["verdict"], "")
    bounds, best, command = summary["bounds"], summary["best_trial"], summary["command"]
    rested = {}
    if bounds:
        ends = f"{formatting.rate(bounds['low'])} to {formatting.rate(bounds['high'])}"
        reason = _plain(bounds["reason"], 2 * width)
        rested["bounds"] = f"{ends} ({bounds['status']}): {reason}"
    if summary["choice"]:
        chosen = formatting.rate(summary["choice"]["learning_rate"])
        rested["choice"] = f"{chosen}: {_plain(summary['choice']['reason'], 3 * width)}"
    if best:
        score = f"{formatting.shorten(summary['objective'], 40)} {formatting.number(best['value'])}"
        where = f"trial {best['number']} of {len(summary['trials'])}; not the result"
        rested["best trial"] = f"{formatting.rate(best['learning_rate'])}, {score} ({where})"
    last = {
        "recommended": _plain(summary["recommendation"] or "", 2 * width),
        "paste": summary["paste"],
        "cost": _cost(summary["cost"]),
        "repeat": _plain(command or "", 3 * width),
        "report": report,
    }
    parts: list[RenderableType] = [
        Text(_plain(summary["headline"], 3 * width), style=f"bold {tone}".strip()),
        Text(_plain(summary["sentence"], 4 * width)),
        Text(""),
        _pairs(rested),
    ]
    for block in (_table(summary["comparison"]), _pairs(_failed(summary["checks"], width))):
        if block is not None and block.row_count:
            parts += [Text(""), block]
    parts += [Text(""), _pairs(last)]
    parts += [Text(_plain(note, 2 * width), style="yellow") for note in summary["notes"][:2]]
    return Group(*parts)


def as_text(block: RenderableType, width: int = 80) -> str:
    """Return a block as plain text without colour, for a file or a pipe."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, highlight=False).print(block)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _table(comparison: Mapping[str, Any] | None) -> Table | None:
    if not comparison or not comparison["pairs"]:
        return None
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    sides = ("chosen", "baseline")
    heads = [f"{side} {formatting.rate(comparison[f'{side}_learning_rate'])}" for side in sides]
    table.add_column(f"{comparison['pairs']} pairs")
    for head in (*heads, "gain"):
        table.add_column(head, justify="right")
    scores = {measure(comparison): ("value", "mean_difference")}
    scores["test accuracy"] = ("accuracy", "accuracy_gain")
    for name, (score, difference) in scores.items():
        if comparison[difference] is not None:
            pairs = [comparison["scores"][score][side] for side in sides]
            spreads = [" +- ".join(formatting.mean_with_sd(*pair)) for pair in pairs]
            gain = formatting.signed(comparison[difference])
            if score == "accuracy":
                gain = f"{formatting.points(comparison[difference])} points"
            table.add_row(name, *spreads, gain.translate(_PLAIN))
    if comparison["test_noise"] is not None:
        resolved = f"{100 * comparison['test_noise']:.2f} points"
        table.add_row("the test set resolves", "", "", resolved)
    lost = comparison["pairs"] - comparison["wins"]
    table.add_row("pairs won", f"{comparison['wins']:g}", f"{lost:g}", "")
    matrices = [comparison[side]["confusion"] for side in sides]
    for true_class in (0, 1) if all(matrices) and len(matrices[0]) == 2 else ():
        counts = [" ".join(f"{count:.1f}" for count in matrix[true_class]) for matrix in matrices]
        table.add_row(f"true {true_class}: predicted 0, 1", *counts, "")
    return table


def _failed(checks: Sequence[Mapping[str, Any]], width: int) -> dict[str, str]:
    failed = [check for check in checks if check["outcome"] == "failed"]
    lines = {check["code"]: _plain(check["meaning"], 2 * width - 30) for check in failed[:5]}
    if len(failed) > 5:
        lines["more"] = f"{len(failed) - 5} more checks failed; the report lists them"
    return lines


def _cost(cost: Mapping[str, Any]) -> str:
    counts = [f"{count} {word}" for word, count in cost["trials"].items() if count]
    parts = [cost["price"]] if cost["price"] else []
    parts += [f"trials: {', '.join(counts)}" if counts else "no trials"]
    steps = cost["gradient_steps"]["total"]
    parts += [f"{formatting.number(steps)} gradient steps"] if steps is not None else []
    for part in ("range test", "search", "comparison", "total"):
        seconds = cost[f"seconds_{part.replace(' ', '_')}"]
        parts += [f"{part} {formatting.duration(seconds)}"] if seconds is not None else []
    return ", ".join(parts)


def _pairs(lines: Mapping[str, str | None]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, words in lines.items():
        if words:
            grid.add_row(Text(name), Text(words.translate(_PLAIN)))
    return grid


def _join(*words: Any) -> str:
    return ", ".join(formatting.shorten(word, 200) for word in words if word)


def _plain(words: str, length: int) -> str:
    # control characters of a stranger's name must not reach a terminal
    return label(words.translate(_PLAIN), max(40, length)).translate(_PLAIN)
