"""A stored study as one plain dict: all that page, terminal and `report.json` say.

A pure function of what the storage holds. It takes any Optuna study: parts that a study does not
carry, or that carry something else than the record writes, are None and the rest goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from optuna.trial import TrialState

from search_spaces._input import InputError, is_number
from search_spaces.learning_rate import LearningRateBounds
from tuners.choosing.choice import Choice
from tuners.choosing.choosing import choose
from tuners.comparison.result import Comparison, mean_and_sd
from tuners.curves.loss_curve import LossCurve
from tuners.report import verdicts
from tuners.report.checks import run_checks
from tuners.report.formatting import price
from tuners.report.trial_rows import (
    ENDED,
    best_row,
    best_so_far,
    sanitize,
    shown_curves,
    trial_rows,
)
from tuners.study.parameters import float_distributions, objective_name, pick_rate
from tuners.study.passwords import hide_passwords
from tuners.study.schema import gather_facts, plain

if TYPE_CHECKING:
    import optuna

PARTS = ("range_test", "search", "comparison")
FEWEST_FITTED, MOST_FITTED = 4, 200  # finished trials that a page chooses from by itself
T = TypeVar("T")


def summarize(study: optuna.Study) -> dict[str, Any]:
    """Return what the study says, as JSON can hold it.

    Returns:
        A dict with, among others: `verdict` ("better", "worse", "equal", "no_difference_shown",
        "too_few_pairs" or "not_compared") and `sentence`; `recommended_learning_rate`; `bounds`
        and `curve` of the learning rate, None where there are none; `trials`, one dict each;
        `choice` and `comparison`, None where there are none; `checks`; `facts`; `cost`; `command`.

    Example:
        >>> import optuna
        >>> summary = summarize(optuna.create_study(study_name="empty"))
        >>> summary["verdict"], summary["trials"], len(summary["checks"])
        ('not_compared', [], 12)
    """
    attributes = hide_passwords(study.user_attrs)
    stored = study.get_trials(deepcopy=False)
    notes: list[str] = []
    facts = sanitize(gather_facts(attributes))
    bounds = _read_all(attributes.get("bounds"), LearningRateBounds.from_dict, "bounds", notes)
    curves = _read_all(attributes.get("curve"), LossCurve.from_dict, "curve", notes)
    comparison = _read_comparison(attributes.get("comparison"), notes)
    choice = _read_choice(attributes.get("choice"), notes)
    if "choice" not in attributes:
        choice = _choose_now(study, comparison)
    directions = [direction.name.lower() for direction in study.directions]
    direction = "maximize" if directions[0] == "maximize" else "minimize"
    if len(directions) > 1:
        notes.append(f"The study has {len(directions)} objectives; this page reads the first.")
    distributions = float_distributions(stored)
    best = best_row(trial_rows(stored, None), direction)
    parameter = pick_rate([*bounds, *curves], distributions, best["params"] if best else {})
    rows = hide_passwords(trial_rows(stored, parameter))
    waiting = sum(trial.state.name == "WAITING" for trial in stored)
    running = sum(row["state"] == "RUNNING" for row in rows)
    ended = [row for row in rows if row["state"] in ENDED]
    planned = facts.get("trials")
    if running or waiting:
        notes.append(
            f"The study is not finished: {len(ended)} trials have ended, {running} are running, "
            f"{waiting} are waiting. Write the report again for a later state."
        )
    elif isinstance(planned, int) and len(ended) < planned:
        notes.append(
            f"{len(ended)} of the {planned} planned trials have ended: it was interrupted, or its "
            "tuner asked for no more."
        )
    names = list(dict.fromkeys([*bounds, *curves, *([parameter] if parameter else [])]))
    parameters = {
        name: {
            "bounds": bounds[name].to_dict() if name in bounds else None,
            "curve": curves[name].drawn() if name in curves else None,
            "distribution": distributions.get(name),
        }
        for name in names
    }
    main = parameters.get(parameter or "", dict.fromkeys(("bounds", "curve", "distribution")))
    summary: dict[str, Any] = {
        "schema": 1,
        "title": str(facts.get("task") or study.study_name),
        "study_name": hide_passwords(study.study_name),
        "as_of": _last_moment(stored),
        "objective": str(facts.get("objective") or objective_name(study) or "objective value"),
        "direction": direction,
        "parameter": parameter,
        **main,
        "parameters": parameters,
        "baseline_learning_rate": _baseline(facts, comparison, rows),
        "trials": rows,
        "trials_in_all": len(rows),
        "best_trial": best_row(rows, direction),
        "best_so_far": best_so_far(rows, direction),
        "learning_curves": shown_curves(stored, rows, direction, comparison),
        "choice": choice,
        "comparison": comparison,
        "facts": facts,
        "notes": notes,
        "command": facts.get("command") if isinstance(facts.get("command"), str) else None,
    }
    summary |= verdicts.decide(summary)
    summary["paste"] = verdicts.line_to_paste(summary)
    summary["cost"] = _cost(summary)
    summary["limits"] = verdicts.limits(summary)
    summary["checks"] = [asdict(check) for check in run_checks(summary)]
    return plain(summary, 10)


def _read_all(
    stored: Any, read: Callable[[Mapping[str, Any]], T], name: str, notes: list[str]
) -> dict[str, T]:
    if stored is None:
        return {}
    if not isinstance(stored, Mapping):
        notes.append(f"The study's `{name}` attribute is not one of this record and is left out.")
        return {}
    found = {}
    for parameter, entry in stored.items():
        try:
            found[str(parameter)] = read(entry)
        except (ValueError, TypeError, KeyError, AttributeError):
            notes.append(f"The study's `{name}` of {parameter!r} cannot be read and is left out.")
    return found


def _read_comparison(stored: Any, notes: list[str]) -> dict[str, Any] | None:
    if stored is None:
        return None
    try:
        comparison = Comparison.from_dict(stored)
        arms = {"chosen": comparison.chosen, "baseline": comparison.baseline}
        sides = {side: arm for side, arm in arms.items() if arm}
        if comparison.pairs and len(sides) < 2:
            raise InputError("a comparison with pairs has two arms")
        scores: dict[str, Any] = {
            field.removesuffix("s"): {s: mean_and_sd(getattr(sides[s], field)) for s in sides}
            for field in ("values", "accuracy", "validation")
        }
        scores["diverged"] = {side: sum(arm.diverged) for side, arm in sides.items()}
        return comparison.to_dict() | {
            "optimistic": comparison.optimistic,
            "test_noise": comparison.test_noise,
            "accuracy_gain": comparison.accuracy_gain,
            "scores": scores if len(sides) == 2 else {},
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        notes.append("The study's `comparison` cannot be read and is left out.")
        return None


def _read_choice(stored: Any, notes: list[str]) -> dict[str, Any] | None:
    if stored is None:
        return None
    try:
        return Choice.from_dict(stored).to_dict()
    except (ValueError, TypeError, KeyError, AttributeError):
        notes.append("The study's `choice` cannot be read and is left out.")
        return None


def _choose_now(study: optuna.Study, comparison: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the choice from the trials of a study that stores none, None where they give none.

    Under four trials there is no curve, and above a few hundred it would take long. A comparison
    of another rate has no use for it.
    """
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not FEWEST_FITTED <= len(finished) <= MOST_FITTED:
        return None
    try:
        choice = choose(study)
    except InputError:
        return None
    judged = comparison["chosen_learning_rate"] if comparison else choice.learning_rate
    return choice.to_dict() if math.isclose(judged, choice.learning_rate, rel_tol=0.01) else None


def _baseline(
    facts: Mapping[str, Any], comparison: Mapping[str, Any] | None, rows: list[dict]
) -> float | None:
    if comparison:
        return comparison["baseline_learning_rate"]
    stored: Any = facts.get("baseline_learning_rate")
    if is_number(stored) and 0 < stored < math.inf:
        return float(stored)
    return next((r["learning_rate"] for r in rows if r["role"] == "baseline"), None)


def _last_moment(trials: list[optuna.trial.FrozenTrial]) -> str | None:
    moments = [trial.datetime_complete or trial.datetime_start for trial in trials]
    known = [moment for moment in moments if moment is not None]
    return max(known).strftime("%Y-%m-%d %H:%M") if known else None


def _cost(summary: Mapping[str, Any]) -> dict[str, Any]:
    facts, rows, comparison = summary["facts"], summary["trials"], summary["comparison"] or {}
    words = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
    states = [row["state"] for row in rows]
    known: dict[str, float | None] = {  # where the facts do not say it
        "seconds_range_test": None,
        "seconds_search": _sum([row["seconds"] for row in rows]),
        "seconds_comparison": comparison.get("seconds"),
        "steps_range_test": None,
        "steps_search": None,
        "steps_comparison": None,
        "epochs_search": _sum(
            [row["epochs"] * len(row["scores"] or [0]) for row in rows if row["epochs"]]
        ),
        "epochs_comparison": 2 * comparison["pairs"] * comparison["epochs"] if comparison else None,
    }
    known |= {name: facts[name] for name in known if is_number(facts.get(name))}
    steps = {part: known[f"steps_{part}"] for part in PARTS}
    trainings = _trainings(facts, known)
    return {
        "price": price(trainings),
        "trainings": trainings,
        "trials": {word: states.count(state) for state, word in words.items()},
        **known,
        "gradient_steps": steps | {"total": _sum(list(steps.values()))},
        "seconds_total": _sum([known[name] for name in known if name.startswith("seconds")]),
        "gain": comparison.get("mean_difference"),
    }


def _trainings(
    facts: Mapping[str, Any], known: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return what each part cost in trainings of full length, and their sum; None for unknown."""
    epochs, rows, batch = (facts.get(name) for name in ("epochs", "train_rows", "batch_size"))
    if not is_number(epochs) or not epochs:
        return dict.fromkeys((*PARTS, "total"))
    found = {part: _share(known.get(f"epochs_{part}"), epochs) for part in PARTS[1:]}
    steps = known.get("steps_range_test")
    length = None
    if is_number(rows) and is_number(batch) and batch:
        length = epochs * math.ceil(rows / batch)
    found = {"range_test": _share(steps, length), **found}
    return {**found, "total": _sum(list(found.values()))}


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else round(part / whole, 2)


def _sum(values: Sequence[float | None]) -> float | None:
    """Return the sum of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
