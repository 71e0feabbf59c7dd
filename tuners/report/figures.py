"""The figures of a page: what each draws of a summary, and what it says to those who cannot see."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from search_spaces._input import is_number
from tuners.comparison.result import mean_and_sd
from tuners.figures import curves, search
from tuners.figures.style import NARROW, WIDE, svg
from tuners.figures.words import rate, shorten, signed
from tuners.report.formatting import duration, number
from tuners.report.limits import BEST_MARKS, MOST_MARKS, rank, spread_out
from tuners.report.verdicts import measure

_CURVES = {
    "ramp": "The ramp: the rate grows from batch to batch. Shown is the loss of each batch.",
    "sweep": "The sweep: short trainings, each at one rate. Shown is the loss that they reached.",
    "per_epoch": "One rate an epoch. Shown is the loss of that epoch.",
}
_SPECIAL = ("suggestion", "baseline")  # roles whose trials are always drawn
_BETTER = {"minimize": "lower", "maximize": "higher"}


@dataclass(frozen=True)
class Drawn:
    """A figure as it stands in the page.

    Args:
        name: Its id in the page.
        alt: What it shows, with the numbers.
        caption: What it is.
        svg: The two drawings, wide and narrow, of which the page shows one.
    """

    name: str
    alt: str
    caption: str
    svg: str


def show_curves(summary: Mapping[str, Any], index: int) -> list[Drawn]:
    """Return the loss curve of a learning rate, and the ramp that placed it where there is one."""
    name, entry = list(summary["parameters"].items())[index]
    curve, bounds, baseline = entry["curve"], entry["bounds"], _baseline(summary, name)
    found = []
    for shown, suffix in ((curve, ""), (curve and curve["coarse"], "-coarse")):
        if shown is None or sum(value is not None for value in shown["smoothed"]) < 2:
            continue
        caption = _CURVES[shown["kind"]] + (" It placed the sweep above." if suffix else "")
        alt = _describe_curve(shown, bounds, baseline)
        draw = partial(curves.loss_curve, shown, bounds, baseline)
        found.append(_drawn(f"loss-curve-{index}{suffix}", alt, caption, draw))
    return found


def _describe_curve(
    curve: Mapping[str, Any], bounds: Mapping[str, Any] | None, baseline: float | None
) -> str:
    rates, seeds = curve["learning_rates"], curve["seeds"]
    known = [pair for pair in zip(curve["smoothed"], rates, strict=True) if pair[0] is not None]
    ends = (known[0], min(known), known[-1])
    first, lowest, last = (f"{number(value)} (rate {rate(at)})" for value, at in ends)
    alt = (
        f"Loss against learning rate on a log axis, {seeds} seed{'s' * (seeds != 1)}, "
        f"{len(rates)} rates. The smoothed mean starts at {first}, is lowest at {lowest} and ends "
        f"at {last}."
    )
    if bounds:
        low, high, best = (rate(bounds[name]) for name in ("low", "high", "suggestion"))
        alt += f" Bounds {low} to {high}, suggestion {best}."
    return alt + (f" Baseline {rate(baseline)}." if baseline else "")


def show_trials(summary: Mapping[str, Any], index: int) -> Drawn | None:
    """Return the trials against a learning rate, None without any that ended."""
    name = list(summary["parameters"])[index]
    given = [(row, row["params"].get(name)) for row in summary["trials"]]
    rows = [row for row, value in given if is_number(value) and 0 < value < math.inf]
    done = rank(rows, summary["direction"])
    pruned = [r for r in rows if r["state"] == "PRUNED" and r["value"] is not None]
    failed = [r for r in rows if r["state"] == "FAIL"]
    if not done and not failed:
        return None
    objective, maximize = summary["objective"], summary["direction"] == "maximize"
    choice = summary["choice"]
    choice = choice if choice and choice["parameter"] == name else None
    done, pruned = (_on_one_scale(each, choice, name) for each in (done, pruned))
    values = [row["value"] for row in (*done, *pruned)]
    far = _too_far(values, maximize)
    alt = f"{objective} of {len(done)} finished trials against {name} on a log axis."
    for word, row in zip(("Best", "Worst"), (done[:1] + done[-1:]), strict=False):
        at = f"trial {row['number']} at {rate(row['params'][name])}"
        alt += f" {word}: {at} with {number(row['value'])}."
    beyond = sum(map(far, values))
    alt += f" {beyond} lie beyond the drawn range." if beyond else ""
    alt += f" {len(failed)} failed"
    if failed:
        rates = [row["params"][name] for row in failed]
        alt += f" (rates {rate(min(rates))} to {rate(max(rates))})"
    alt += "."
    kept = _choose_marks(done, [*pruned, *failed])
    if len(kept) < len(done) + len(pruned) + len(failed):
        alt += f" {len(kept)} of them are drawn: the best {BEST_MARKS}, others evenly spaced."
    marks = [make_mark(row, row["params"][name], far(row["value"])) for row in kept]
    bounds, baseline = summary["parameters"][name]["bounds"], _baseline(summary, name)
    best = done[0]["params"][name] if done else None
    caption = f"Every trial by its {shorten(name.replace('_', ' '), 60)}."
    if choice:
        low, high = (rate(end) for end in choice["plateau"])
        alt += f" Chosen {rate(choice['learning_rate'])}; its plateau is {low} to {high}."
        caption = choice["reason"]
    if any(mark.note for mark in marks):
        caption += " The number at a mark is how many splits its rate was trained on."
        walked = [mark for mark in marks if bounds and not _inside(mark.rate, bounds)]
        if walked:
            caption += " The race began inside the bounds and walked out of them."
    if any(mark.error for mark in marks):
        caption += " A point is the mean over a trial's splits, its bar the standard error."
    options: Any = {"choice": choice, "maximize": maximize, "best": best}
    draw = partial(search.trials_by_rate, marks, bounds, baseline, objective, **options)
    return _drawn(f"trials-{index}", alt, caption, draw)


def show_best_so_far(summary: Mapping[str, Any]) -> Drawn | None:
    """Return the best value so far against trials and against seconds; None under two values."""
    steps = [{**step, "ended": i} for i, step in enumerate(summary["best_so_far"], start=1)]
    known = [step for step in steps if step["best"] is not None]
    if len(known) < 2:
        return None
    own = [step for step in known if step["value"] is not None]
    far = _too_far([step["value"] for step in own], summary["direction"] == "maximize")
    found = next(step for step in known if step["best"] == known[-1]["best"])
    alt = (
        f"Best {summary['objective']} so far: {number(known[0]['best'])} at first, "
        f"{number(known[-1]['best'])} after {found['ended']} of {len(steps)} trials and "
        f"{duration(found['seconds'])} of {duration(steps[-1]['seconds'])}; no later trial was "
        "better."
    )
    marks = spread_out([step for step in own if not far(step["value"])], MOST_MARKS)
    caption = "The best value so far, by trials and by the seconds that they took."
    draw = partial(search.best_so_far, steps, marks, summary["objective"])
    return _drawn("best-so-far", alt, caption, draw)


def show_pairs(comparison: Mapping[str, Any] | None) -> Drawn | None:
    """Return every pair's two values and all gains, None without pairs."""
    if not comparison or not comparison["pairs"]:
        return None
    sides = [comparison[side]["values"] for side in ("chosen", "baseline")]
    gains, mean = comparison["differences"], comparison["mean_difference"]
    what, better = measure(comparison), _BETTER[comparison["direction"]]
    one, other = (rate(comparison[f"{side}_learning_rate"]) for side in ("chosen", "baseline"))
    ranges = [f"from {number(min(values))} to {number(max(values))}" for values in sides]
    alt = (
        f"{what} of {comparison['pairs']} pairs: {one} ranges {ranges[0]}, the baseline {other} "
        f"{ranges[1]}. Gains range from {signed(min(gains))} to {signed(max(gains))}, mean "
        f"{signed(mean)}."
    )
    caption = f"Left: the two values of every pair, joined ({better} is better). Right: its gain; "
    caption += "right of zero the chosen rate did better."
    intervals = {"adjusted for the looks": comparison["interval"]}
    titles = (f"baseline {other}", f"chosen {one}", what)
    draw = partial(search.pairs, sides[0], sides[1], gains, mean, intervals, titles)
    return _drawn("pairs", alt, caption, draw)


def show_learning_curves(summary: Mapping[str, Any]) -> Drawn | None:
    """Return the curves of a few trainings on one scale, None without any."""
    metric, shown, words, longest = summary["objective"].removeprefix("val_"), [], [], 0
    for entry in summary["learning_curves"]:
        stored = entry["curves"]
        base = metric if metric in stored or f"val_{metric}" in stored else "loss"
        training, validation = stored.get(base, []), stored.get(f"val_{base}", [])
        if not training and not validation:
            continue
        longest = max(longest, len(training), len(validation))
        at, trial = rate(entry["learning_rate"]), entry["trial"]
        where = "all pairs" if trial is None else f"trial {trial}"
        title = f"{entry['label']}: {at} ({where})"
        drawn = {"training": training, "validation": validation, "metric": base, "title": title}
        shown.append({**drawn, "best_epoch": entry["best_epoch"]})
        known = [value for value in validation if value is not None]
        if known:
            words.append(
                f"{entry['label']} ({where}, rate {at}): val_{base} from {number(known[0])} to "
                f"{number(known[-1])}, lowest {number(min(known))}, highest {number(max(known))}"
            )
    if not shown:
        return None
    alt = f"Learning curves over {longest} epochs. {'; '.join(words)}."
    caption = (
        "Best, median and worst finished trial, and the baseline, on one scale. Each curve is "
    )
    caption += "the average over the splits of its trial."
    return _drawn("learning-curves", alt, caption, partial(curves.learning_curves, shown))


def _drawn(name: str, alt: str, caption: str, draw: Callable[..., Figure]) -> Drawn:
    sizes = {"wide": WIDE, "narrow": NARROW}
    drawings = [svg(draw(width=size), f"{name}-{css}", css) for css, size in sizes.items()]
    return Drawn(name, alt, caption, "\n".join(drawings))


def _baseline(summary: Mapping[str, Any], name: str) -> float | None:
    return summary["baseline_learning_rate"] if name == summary["parameter"] else None


def _choose_marks(
    ranked: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the trials to draw: all, or in a large study the best and some of the others."""
    rest = [*ranked[BEST_MARKS:], *others]
    kept = [*ranked[:BEST_MARKS]]
    kept += [row for row in rest if row["role"] in _SPECIAL][:BEST_MARKS]
    rest = spread_out(sorted(rest, key=lambda row: row["number"]), MOST_MARKS)
    return list({row["number"]: row for row in (*kept, *rest)}.values())


def make_mark(row: Mapping[str, Any], at: float, far: bool) -> search.Mark:
    """Return a trial as it is drawn; a bar stands only on a value that is the mean of its scores.

    Args:
        row: The trial, as `tuners.report.trial_rows` gives it.
        at: Its learning rate.
        far: Whether its value lies beyond the drawn range.
    """
    kind = "baseline's trial" if row["role"] == "baseline" else "trial"
    if row["state"] == "PRUNED":
        kind = "left the race" if row["splits"] else "pruned"
    kind = "failed" if row["state"] == "FAIL" else "beyond the drawn range" if far else kind
    scores = [score for score in row["scores"] or [] if score is not None]
    mean, sd = mean_and_sd(scores)
    error = sd / math.sqrt(len(scores)) if sd else 0.0
    if mean is None or row["value"] is None or not math.isclose(mean, row["value"], rel_tol=1e-5):
        error = 0.0
    note = str(len(row["splits"])) if row["splits"] else ""
    return search.Mark(at, row["value"], kind, error, note)


def _on_one_scale(
    rows: Sequence[Mapping[str, Any]], choice: Mapping[str, Any] | None, name: str
) -> list[Mapping[str, Any]]:
    """Return the trials of a race with the level of their rate, the splits' offsets taken out."""
    levels = dict(zip(choice["rates"], choice["fitted"], strict=True)) if choice else {}
    return [
        {**row, "value": levels[row["params"][name]]}
        if row["splits"] and row["params"][name] in levels
        else row
        for row in rows
    ]


def _inside(at: float, bounds: Mapping[str, Any]) -> bool:
    return bool(bounds["low"] * 0.999 <= at <= bounds["high"] * 1.001)


def _too_far(values: Sequence[float], maximize: bool) -> Callable[[float | None], bool]:
    """Return whether a value is so bad that drawing it to scale would flatten the others."""
    sign, limit = -1 if maximize else 1, math.inf
    if len(values) >= 5:
        lower, upper = np.quantile(sign * np.array(values), [0.25, 0.75])
        limit = upper + 4 * max(upper - lower, 1e-12)
    return lambda value: value is not None and bool(sign * value > limit)
