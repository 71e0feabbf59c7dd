"""choose: from a study's stored trials to one rate and the plateau around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces._input import InputError, is_number
from tuners.choosing.choice import Choice
from tuners.curves.response import Response, read_response
from tuners.figures.words import count, rate
from tuners.study.parameters import float_distributions, objective_name, pick_rate, rate_of
from tuners.study.recording import recorded_facts
from tuners.study.schema import STALE, continued, superseded
from tuners.study.tuner_study import Tuner, as_study

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

MOST_PLACES = 200  # of the curve that a study keeps
NARROW = 1.05  # ratio of its ends below which a plateau is one rate


@dataclass(frozen=True, eq=False)
class _Fitted:
    """The trials of one optimizer, compared; `optimizer` is None where the study has one only.

    `value` is that of the best finished trial, turned so that lower is better.
    """

    optimizer: str | None
    parameter: str
    trials: int
    response: Response
    value: float


def choose(study: optuna.Study | Tuner) -> Choice:
    """Return the rate of the best finished trial, and the rates that are as good.

    Trials of `search` carry a score for each split and are compared on the splits that they share,
    those that left a race early by the splits that they have; the finished ones of a race have
    values of the same fresh splits. A study of your own has one value a trial, so that only the
    scatter of neighbouring trials tells how sure the answer is, and the reason says so. Where
    several optimizers were searched, the best trial of all is named.

    Args:
        study: A study with one finished trial or more whose parameters hold a learning rate; or a
            KerasTuner tuner after its search (see `tuners.study.tuner_study.as_study`).

    Returns:
        The rate with its interval, the plateau around it, and the reason; nothing is recorded.

    Raises:
        ValueError: There is no finished trial with a learning rate, or several objectives.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        >>> def objective(trial):
        ...     rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        ...     return 1 + math.log10(rate / 1e-3) ** 2
        >>> import math
        >>> study.optimize(objective, n_trials=40)
        >>> choose(study).learning_rate == float(f"{study.best_params['learning_rate']:.4g}")
        True
    """
    study = as_study(study)
    if len(study.directions) != 1:
        raise InputError(
            f"`study` must have one objective, but {study.study_name!r} has "
            f"{len(study.directions)}; choose among its best trials by hand."
        )
    direction = study.direction.name.lower()
    facts = {"objective": objective_name(study)} | recorded_facts(study)
    groups = _finished_trials(study)
    if not groups:
        raise InputError(
            f"`study` must hold a finished trial with a learning rate, but {study.study_name!r} "
            f"holds none among {len(study.get_trials(deepcopy=False))} trials; run a search first."
        )
    fits = [
        _compare(optimizer, parameter, trials, direction)
        for (optimizer, parameter), trials in groups.items()
    ]
    best = min(fits, key=lambda fit: fit.value)
    return _describe(best, fits, facts, direction, _baseline(groups, facts, best))


def _finished_trials(
    study: optuna.Study,
) -> dict[tuple[str | None, str], list[FrozenTrial]]:
    """Return the trials by optimizer and name of the rate: finished ones, and what a race pruned.

    Only what has a finished one is there.
    """
    trials = study.get_trials(deepcopy=False)
    replaced = superseded(trials) | continued(trials)
    finished = [
        trial
        for trial in trials
        if (_is_finished(trial) or _raced(trial))
        and trial.user_attrs.get("role") != STALE
        and trial.number not in replaced
    ]
    recorded = [name for key in ("bounds", "curve") for name in _names(study.user_attrs.get(key))]
    likely = pick_rate(recorded, float_distributions(trials), {})
    groups: dict[tuple[str | None, str], list[FrozenTrial]] = {}
    for trial in finished:
        name = rate_of(trial.params, likely)
        if name is None or not 0 < trial.params[name] < np.inf:
            continue
        several = name.startswith("learning_rate_") and "optimizer" in trial.params
        optimizer = str(trial.params["optimizer"]) if several else None
        groups.setdefault((optimizer, name), []).append(trial)
    return {key: each for key, each in groups.items() if any(map(_is_finished, each))}


def _names(stored: Any) -> list[str]:
    return [str(name) for name in stored] if isinstance(stored, Mapping) else []


def _is_finished(trial: FrozenTrial) -> bool:
    finite = trial.value is not None and bool(np.isfinite(trial.value))
    return trial.state.name == "COMPLETE" and finite


def _raced(trial: FrozenTrial) -> bool:
    """Whether a trial left a race, with a score for each of its splits."""
    attributes = trial.user_attrs
    return trial.state.name == "PRUNED" and "splits" in attributes and "scores" in attributes


def _compare(
    optimizer: str | None, parameter: str, trials: Sequence[FrozenTrial], direction: str
) -> _Fitted:
    sign = -1.0 if direction == "maximize" else 1.0
    best = min(filter(_is_finished, trials), key=lambda trial: sign * float(trial.value or 0.0))
    rates = np.array([trial.params[parameter] for trial in trials], float)
    response = read_response(rates, sign * _table(trials), float(best.params[parameter]))
    return _Fitted(optimizer, parameter, len(trials), response, sign * float(best.value or 0.0))


def _table(trials: Sequence[FrozenTrial]) -> np.ndarray:
    """Return the score of each trial on each split, NaN where it has none, or one value each."""
    scores = [trial.user_attrs.get("scores") for trial in trials]
    whole = all(
        isinstance(each, (list, tuple)) and each and all(map(is_number, each)) for each in scores
    )
    if not whole:
        return np.array([[trial.value] for trial in trials], float)
    splits = [
        trial.user_attrs.get("splits") or list(range(len(each or ())))
        for trial, each in zip(trials, scores, strict=True)
    ]
    table = np.full((len(trials), 1 + max(map(max, splits))), np.nan)
    for row, own, each in zip(table, splits, scores, strict=True):
        row[own] = each
    return table


def _baseline(
    groups: Mapping[tuple[str | None, str], Sequence[FrozenTrial]],
    facts: Mapping[str, Any],
    best: _Fitted,
) -> float | None:
    """Return the baseline of the chosen optimizer: that of a trial, else the one in the facts."""
    for trial in groups[best.optimizer, best.parameter]:
        if trial.user_attrs.get("role") == "baseline":
            return float(trial.params[best.parameter])
    stored: Any = facts.get("baseline_learning_rate")
    known = is_number(stored) and 0 < stored < np.inf and best.optimizer is None
    return float(stored) if known else None


def _describe(
    best: _Fitted,
    fits: Sequence[_Fitted],
    facts: Mapping[str, Any],
    direction: str,
    baseline: float | None,
) -> Choice:
    response = best.response
    low, high = response.plateau
    chosen = float(f"{response.best:.4g}")
    inside = None if baseline is None else bool(low * 0.99 <= baseline <= high * 1.01)
    most = np.linspace(0, len(response.fitted) - 1, MOST_PLACES)
    spots = np.unique([*most.round().astype(int), np.searchsorted(response.learning_rates, chosen)])
    spots = spots[spots < len(response.fitted)]
    sign = -1.0 if direction == "maximize" else 1.0
    band = np.sort(sign * response.band[:, spots], axis=0)
    return Choice(
        learning_rate=chosen,
        interval=(min(response.interval[0], chosen), max(response.interval[1], chosen)),
        plateau=(min(low, chosen), max(high, chosen)),
        baseline_inside=inside,
        reason=_reason(best, fits, baseline, inside),
        optimizer=best.optimizer,
        baseline_learning_rate=baseline,
        parameter=best.parameter,
        trials=best.trials,
        splits=response.splits,
        objective=str(facts.get("objective") or "objective value"),
        direction=direction,
        rates=tuple(response.learning_rates[spots].tolist()),
        fitted=tuple((sign * response.fitted[spots]).tolist()),
        band=(tuple(band[0].tolist()), tuple(band[1].tolist())),
    )


def equal_rates(low: float, high: float) -> str:
    """Return which rates are as good as the chosen one, in words.

    Example:
        >>> equal_rates(1e-4, 3e-4)
        'rates from 1e-4 to 3e-4 perform equally well within noise'
    """
    if high / low < NARROW:
        return "no other rate tried performs equally well within noise"
    return f"rates from {rate(low)} to {rate(high)} perform equally well within noise"


def _reason(
    best: _Fitted, fits: Sequence[_Fitted], baseline: float | None, inside: bool | None
) -> str:
    response = best.response
    low, high = response.plateau
    whose = f" with {best.optimizer}" if best.optimizer else ""
    words = f"Of {count(best.trials, 'trial')}{whose} the best is at {rate(response.best)}; "
    words += equal_rates(low, high)
    if response.splits > 1:
        words += f", compared on {response.splits} splits"
    else:
        words += ", judged by the scatter of single values, without splits"
    if inside is not None:
        words += f", {'and' if inside else 'but'} the baseline {rate(baseline)} is "
        words += "one of them" if inside else "not one of them"
    others = [fit for fit in fits if fit is not best]
    if others:
        second = min(others, key=lambda fit: fit.value)
        words += f"; the next best optimizer is {second.optimizer}"
    return words + "."
