"""Trials of any study as plain rows, whatever a stranger's objective stored on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuners.study.schema import STALE

if TYPE_CHECKING:
    import optuna

ENDED = ("COMPLETE", "PRUNED", "FAIL")
HUGE = 1e300  # no number of a study is as large; whole ones of JSON may not fit a float


def trial_rows(trials: Sequence[optuna.trial.FrozenTrial], parameter: str | None) -> list[dict]:
    """Return one plain dict a trial, in the order of their numbers; waiting ones are left out.

    Args:
        trials: The study's trials.
        parameter: Name of the learning rate among their parameters, or None.

    Returns:
        Dicts of number, state ("STALE" where another trial replaced it), value (of the first
        objective), role, seed, learning_rate, params,
        diverged, epochs, best_epoch, seconds, scores, how. What is missing or of another kind
        than the record writes is None.
    """
    rows = []
    for trial in sorted(trials, key=lambda item: item.number):
        if trial.state.name == "WAITING":
            continue
        attributes = trial.user_attrs
        values = trial.values or []
        seconds = _number(attributes.get("seconds"))
        if seconds is None and trial.datetime_start and trial.datetime_complete:
            seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
        learning_rate = _number(_rate_of(trial.params, parameter))
        scores = attributes.get("scores")
        rows.append(
            {
                "number": trial.number,
                "state": "STALE" if attributes.get("role") == STALE else trial.state.name,
                "value": _number(values[0]) if values else None,
                "role": _text(attributes.get("role")) or "search",
                "seed": _whole(attributes.get("seed")),
                "learning_rate": learning_rate if learning_rate and learning_rate > 0 else None,
                "params": {str(name): _plain(value) for name, value in trial.params.items()},
                "diverged": bool(attributes.get("diverged", False)),
                "epochs": _whole(attributes.get("epochs")),
                "best_epoch": _whole(attributes.get("best_epoch")),
                "seconds": seconds,
                "scores": _numbers(scores),
                "how": _text(attributes.get("how")),
            }
        )
    return rows


def _rate_of(params: Mapping[str, Any], parameter: str | None) -> Any:
    # with several optimizers each has a rate of its own name, and a trial has one of them
    if parameter is None or parameter in params:
        return params.get(parameter) if parameter else None
    if "optimizer" not in params:
        return None
    return next((params[name] for name in params if name.startswith("learning_rate")), None)


def best_row(rows: Sequence[Mapping[str, Any]], direction: str) -> dict | None:
    """Return the finished trial with the best value, None where none has finished."""
    finished = [row for row in rows if row["state"] == "COMPLETE" and row["value"] is not None]
    if not finished:
        return None
    sign = 1 if direction == "minimize" else -1
    return dict(min(finished, key=lambda row: sign * row["value"]))


def best_so_far(rows: Sequence[Mapping[str, Any]], direction: str) -> list[dict]:
    """Return, for each ended trial, the best value until then and the seconds spent until then.

    Seconds are the sum of the trials' own durations, since trials may have run side by side.
    """
    sign = 1 if direction == "minimize" else -1
    best: float | None = None
    seconds, steps = 0.0, []
    for row in rows:
        if row["state"] not in ENDED:
            continue
        seconds += row["seconds"] or 0.0
        value = row["value"] if row["state"] == "COMPLETE" else None
        if value is not None and (best is None or sign * value < sign * best):
            best = value
        steps.append(
            {"number": row["number"], "value": value, "best": best, "seconds": round(seconds, 3)}
        )
    return steps


def shown_curves(
    trials: Sequence[optuna.trial.FrozenTrial],
    rows: Sequence[Mapping[str, Any]],
    direction: str,
    comparison: Mapping[str, Any] | None,
) -> list[dict]:
    """Return the learning curves of the best, median and worst finished trial and the baseline."""
    curves = {trial.number: read_curves(trial.user_attrs.get("curves")) for trial in trials}
    sign = 1 if direction == "minimize" else -1
    ranked = sorted(
        (row for row in rows if row["state"] == "COMPLETE" and row["value"] is not None),
        key=lambda row: sign * row["value"],
    )
    ranked = [row for row in ranked if curves[row["number"]]]
    picked = []
    if ranked:
        places = {"best": 0, "median": (len(ranked) - 1) // 2, "worst": len(ranked) - 1}
        picked = [(label, ranked[place]) for label, place in places.items()]
    picked += [("baseline", row) for row in ranked if row["role"] == "baseline"][:1]
    shown = [
        {
            "label": label,
            "trial": row["number"],
            "learning_rate": row["learning_rate"],
            "value": row["value"],
            "best_epoch": row["best_epoch"],
            "curves": curves[row["number"]],
        }
        for label, row in picked
    ]
    if comparison and comparison["pairs"] and not any(s["label"] == "baseline" for s in shown):
        mean = read_curves(comparison["baseline"].get("curves"))
        if mean:
            shown.append(
                {
                    "label": "baseline",
                    "trial": None,
                    "learning_rate": comparison["baseline_learning_rate"],
                    "value": None,
                    "best_epoch": None,
                    "curves": mean,
                }
            )
    return shown


def read_curves(stored: Any) -> dict[str, list[float | None]]:
    """Return name -> values by epoch of what is stored, {} for anything else."""
    if not isinstance(stored, Mapping):
        return {}
    found = {}
    for name, values in stored.items():
        if isinstance(values, (list, tuple)) and values:
            numbers = [_number(value) for value in values]
            if any(value is not None for value in numbers):
                found[str(name)] = numbers
    return found


def tame(value: Any) -> Any:
    """Return a nest of what a stranger stored without the numbers that no float holds.

    Example:
        >>> tame({"rows": 10**400, "seeds": [1, 2]})
        {'rows': None, 'seeds': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): tame(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [tame(item) for item in value]
    return None if isinstance(value, (int, float)) and not abs(value) < HUGE else value


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < HUGE else None


def _whole(value: Any) -> int | None:
    found = _number(value)
    return int(found) if found is not None and found == int(found) else None


def _numbers(values: Any) -> list[float | None] | None:
    return [_number(value) for value in values] if isinstance(values, (list, tuple)) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _plain(value: Any) -> Any:
    if isinstance(value, int) and abs(value) >= HUGE:
        return None
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)
