"""The study of a KerasTuner tuner: its ended trials as Optuna's, so that whatever reads one can.

A tuner is known by what it has, its oracle; KerasTuner is not loaded.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Iterator
from typing import Any, Protocol

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from search_spaces._input import InputError, is_from, is_number, is_whole


class Tuner(Protocol):
    """A `keras_tuner.Tuner`, as far as its trials are concerned."""

    oracle: Any


_studies: weakref.WeakKeyDictionary[Any, optuna.Study] = weakref.WeakKeyDictionary()


def as_study(target: optuna.Study | Tuner) -> optuna.Study:
    """Return a study, or the study of a KerasTuner tuner.

    With an `OptunaOracle` that is the oracle's own. Else it is one in memory, the same on each
    call, to which the trials that ended since are added; what is recorded on it lives as long as
    the tuner. Trials that Hyperband gave fewer epochs than the most are pruned ones.

    Args:
        target: An Optuna study, or any `keras_tuner.Tuner`.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(target, optuna.Study):
        return target
    oracle = getattr(target, "oracle", None)
    if not is_from(target, "keras_tuner") or oracle is None or isinstance(target, type):
        raise InputError(
            "`study` must be an optuna.Study or a keras_tuner.Tuner, but got "
            f"{type(target).__name__}; pass the study or the tuner that ran the search."
        )
    own = getattr(oracle, "study", None)
    if isinstance(own, optuna.Study):
        return own
    if oracle not in _studies:
        highest = oracle.objective.direction == "max"
        with optuna_silenced():
            study = optuna.create_study(
                direction="maximize" if highest else "minimize", study_name=_name(target)
            )
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            study.set_metric_names([oracle.objective.name])
        _studies[oracle] = study
    study = _studies[oracle]
    known = {trial.user_attrs["keras_tuner_trial"] for trial in study.get_trials(deepcopy=False)}
    for trial in oracle.trials.values():
        if trial.trial_id not in known and trial.status in ("COMPLETED", "FAILED", "INVALID"):
            study.add_trial(_frozen(trial, oracle))
    return study


@contextlib.contextmanager
def optuna_silenced() -> Iterator[None]:
    """Keep what our own calls of Optuna do out of the user's log."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _name(tuner: Any) -> str:
    return str(getattr(tuner, "project_name", None) or type(tuner).__name__)


def _frozen(trial: Any, oracle: Any) -> FrozenTrial:
    values = trial.hyperparameters.values
    entries = {entry.name: entry.get_config() for entry in trial.hyperparameters.space}
    params, distributions, others = {}, {}, {}
    for name, value in values.items():
        distribution = _distribution(entries.get(name, {}), value)
        if distribution is None:
            others[name] = value
        else:
            params[name], distributions[name] = value, distribution
    attributes = {"keras_tuner_trial": trial.trial_id, "role": "search"}
    attributes |= {"other_values": others} if others else {}
    done = trial.status == "COMPLETED" and is_number(trial.score)
    told: dict[str, Any] = {"state": TrialState.FAIL}
    if done:
        attributes["best_epoch"] = trial.best_step
        told = {"state": TrialState.COMPLETE, "value": float(trial.score)}
        epochs, most = values.get("tuner/epochs"), getattr(oracle, "max_epochs", None)
        if epochs is not None:
            attributes["epochs"] = epochs
        if epochs is not None and most is not None and epochs < most:
            steps = {int(epochs): float(trial.score)}
            told |= {"state": TrialState.PRUNED, "intermediate_values": steps}
    return optuna.create_trial(
        params=params, distributions=distributions, user_attrs=attributes, **told
    )


def _distribution(config: dict[str, Any], value: Any) -> BaseDistribution | None:
    """Return the distribution of a hyperparameter, None where Optuna could not hold it.

    Ranges may have been narrowed since, so they are widened to hold the value. Choices of numbers
    are ranges; other choices could not change from trial to trial.
    """
    values = config.get("values")
    numeric = values is not None and all(map(is_number, values))
    if values is not None and not numeric:
        return CategoricalDistribution([*values]) if value in values else None
    low, high = config.get("min_value"), config.get("max_value")
    if numeric and values:
        low, high = min(values), max(values)
    if not is_number(value) or low is None or high is None:
        return None
    low, high = min(low, value), max(high, value)
    if all(map(is_whole, (low, high, value))):
        return IntDistribution(int(low), int(high))
    log = low > 0 and (config.get("sampling") in ("log", "reverse_log") or numeric)
    return FloatDistribution(float(low), float(high), log=log)
