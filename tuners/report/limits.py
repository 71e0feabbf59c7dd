"""What a large study leaves out of page and `report.json`, so that both stay under 2 MB.

Nothing is lost by it: `trials.csv` beside the page holds every trial, the storage every epoch.
Verdict, checks, counts and costs are worked out before anything is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

MOST_TRIALS = 2_000  # rows of report.json, half of them the best
MOST_EPOCHS = 1_000  # points of a learning curve in it
MOST_MARKS = 600  # trials drawn in a figure beside the best
BEST_MARKS = 200


def spread_out(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of some items, evenly spaced, the first and the last among them.

    Args:
        items: Any sequence.
        most: 2 or more.

    Example:
        >>> spread_out(range(101), 5)
        [0, 25, 50, 75, 100]
        >>> spread_out("abc", 5)
        ['a', 'b', 'c']
    """
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def rank(rows: Sequence[Mapping[str, Any]], direction: str) -> list[Mapping[str, Any]]:
    """Return the finished trials that have a value, the best first."""
    finished = [row for row in rows if row["state"] == "COMPLETE" and row["value"] is not None]
    return sorted(finished, key=lambda row: row["value"], reverse=direction == "maximize")


def leave_out(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary as `report.json` holds it.

    Beyond 2,000 trials it keeps the best 1,000 and, of the others, 1,000 evenly spaced ones;
    `trials_in_all` and `trials_left_out` count them. Beyond 1,000 epochs it keeps every k-th value
    of a learning curve, where `epochs_every` is k.

    Args:
        summary: What `tuners.report.summary.summarize` returned; it is not changed.
    """
    kept = dict(summary)
    kept["trials"] = _fewer_trials(summary["trials"], summary["direction"])
    kept["trials_left_out"] = len(summary["trials"]) - len(kept["trials"])
    kept["best_so_far"] = _fewer_steps(summary["best_so_far"])
    shown, comparison = summary["learning_curves"], summary["comparison"] or {}
    arms = {side: comparison.get(side) or {} for side in ("chosen", "baseline")}
    arms = {side: arm for side, arm in arms.items() if arm.get("curves")}
    curves = [curve for each in (*shown, *arms.values()) for curve in each["curves"].values()]
    longest = max(map(len, curves), default=0)
    every = kept["epochs_every"] = max(1, math.ceil(longest / MOST_EPOCHS))

    def thin(entry: Mapping[str, Any]) -> dict[str, Any]:
        fewer = {name: curve[::every] for name, curve in entry["curves"].items()}
        return {**entry, "curves": fewer}

    kept["learning_curves"] = [thin(entry) for entry in shown]
    kept["comparison"] = {**comparison, **{side: thin(arms[side]) for side in arms}} or None
    return kept


def _fewer_trials(rows: Sequence[Mapping[str, Any]], direction: str) -> list[Mapping[str, Any]]:
    if len(rows) <= MOST_TRIALS:
        return list(rows)
    best = rank(rows, direction)[: MOST_TRIALS // 2]
    known = {row["number"] for row in best}
    others = [row for row in rows if row["number"] not in known]
    return sorted(best + spread_out(others, MOST_TRIALS - len(best)), key=lambda row: row["number"])


def _fewer_steps(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if len(steps) <= MOST_TRIALS:
        return list(steps)
    before = [None, *(step["best"] for step in steps)]
    better = [step for step, best in zip(steps, before, strict=False) if step["best"] != best]
    kept = [*spread_out(steps, MOST_TRIALS // 2), *spread_out(better, MOST_TRIALS // 2)]
    return [step for _, step in sorted({step["number"]: step for step in kept}.items())]
