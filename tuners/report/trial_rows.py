"""Trials of any study as plain rows, whatever a stranger's objective stored on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search_spaces._input import is_number
from tuners.report.limits import rank
from tuners.study.parameters import rate_of
from tuners.study.schema import STALE, continued, superseded

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
        objective), role, seed, learning_rate, params, diverged, epochs, best_epoch, seconds,
        scores, best_values, splits (which, in a race), how. What is missing or of another kind
        than the record writes is None.
    """
    started = [trial for trial in trials if trial.state.name != "WAITING"]
    replaced = superseded(trials) | continued(trials)
    return [
        _row(trial, parameter, trial.number in replaced)
        for trial in sorted(started, key=lambda trial: trial.number)
    ]


def _row(trial: optuna.trial.FrozenTrial, parameter: str | None, replaced: bool) -> dict:
    stored, params = trial.user_attrs, trial.params
    seconds = _number(stored.get("seconds"))
    if seconds is None and trial.datetime_start and trial.datetime_complete:
        seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
    name = rate_of(params, parameter)
    scores, best = stored.get("scores"), stored.get("best_values")
    learning_rate = _number(params.get(name)) if name else None
    role, how = (v if isinstance(v := stored.get(name), str) else None for name in ("role", "how"))
    return {
        "number": trial.number,
        "state": "STALE" if role == STALE or replaced else trial.state.name,
        "value": _number(trial.values[0]) if trial.values else None,
        "role": role or "search",
        "seed": _whole(stored.get("seed")),
        "learning_rate": learning_rate if learning_rate and learning_rate > 0 else None,
        "params": sanitize(params),
        "diverged": bool(stored.get("diverged", False)),
        "epochs": _whole(stored.get("epochs")),
        "best_epoch": _whole(stored.get("best_epoch")),
        "seconds": seconds,
        "scores": _numbers(scores) if isinstance(scores, (list, tuple)) else None,
        "best_values": _numbers(best) if isinstance(best, (list, tuple)) else None,
        "splits": stored["splits"] if _are_splits(stored) else None,
        "how": how,
    }


def _are_splits(stored: Mapping[str, Any]) -> bool:
    """Whether a trial says on which splits it has its scores, as those of a race do."""
    splits, scores = stored.get("splits"), stored.get("scores")
    if not isinstance(splits, list) or not isinstance(scores, list):
        return False
    return all(type(split) is int for split in splits) and len(splits) == len(scores)


def best_row(rows: Sequence[Mapping[str, Any]], direction: str) -> dict | None:
    """Return the finished trial with the best value, None where none has finished."""
    return next((dict(row) for row in rank(rows, direction)), None)


def best_so_far(rows: Sequence[Mapping[str, Any]], direction: str) -> list[dict]:
    """Return, for each ended trial, the best value until then and the seconds spent until then.

    Seconds are the sum of the trials' own durations, since trials may have run side by side.
    """
    better = min if direction == "minimize" else max
    best: float | None = None
    seconds, steps = 0.0, []
    for row in (row for row in rows if row["state"] in ENDED):
        seconds += row["seconds"] or 0.0
        step = {"number": row["number"], "value": None, "best": best}
        if row["state"] == "COMPLETE" and row["value"] is not None:
            best = row["value"] if best is None else better(best, row["value"])
            step |= {"value": row["value"], "best": best}
        steps.append(step | {"seconds": round(seconds, 3)})
    return steps


def shown_curves(
    trials: Sequence[optuna.trial.FrozenTrial],
    rows: Sequence[Mapping[str, Any]],
    direction: str,
    comparison: Mapping[str, Any] | None,
) -> list[dict]:
    """Return the learning curves of the best, median and worst finished trial and the baseline."""
    stored = {trial.number: read_curves(trial.user_attrs.get("curves")) for trial in trials}
    ranked = [row for row in rank(rows, direction) if stored[row["number"]]]
    picked: dict[str, Mapping[str, Any]] = {}
    if ranked:
        picked = {"best": ranked[0], "median": ranked[(len(ranked) - 1) // 2], "worst": ranked[-1]}
    baseline = next((row for row in ranked if row["role"] == "baseline"), None)
    picked |= {"baseline": baseline} if baseline else {}
    if comparison and comparison["pairs"] and "baseline" not in picked:
        mean = read_curves(comparison["baseline"].get("curves"))
        rate = comparison["baseline_learning_rate"]
        picked |= {"baseline": {"learning_rate": rate, "curves": mean}} if mean else {}
    return [
        {
            "label": label,
            "trial": row.get("number"),
            **{name: row.get(name) for name in ("learning_rate", "value", "best_epoch")},
            "curves": row.get("curves") or stored[row["number"]],
        }
        for label, row in picked.items()
    ]


def read_curves(stored: Any) -> dict[str, list[float | None]]:
    """Return name -> values by epoch of what is stored, {} for anything else."""
    if not isinstance(stored, Mapping):
        return {}
    lists = {str(k): _numbers(v) for k, v in stored.items() if isinstance(v, (list, tuple))}
    return {name: values for name, values in lists.items() if set(values) - {None}}


def sanitize(value: Any) -> Any:
    """Return a nest of what a stranger stored as JSON can hold it: no number beyond all floats.

    Example:
        >>> sanitize({"rows": 10**400, "seeds": [1, 2]})
        {'rows': None, 'seeds': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): sanitize(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [sanitize(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return value if abs(value) < HUGE else None
    return str(value)


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) and abs(value) < HUGE else None


def _whole(value: Any) -> int | None:
    found = _number(value)
    return int(found) if found is not None and found.is_integer() else None


def _numbers(values: Sequence[Any]) -> list[float | None]:
    return [_number(value) for value in values]
