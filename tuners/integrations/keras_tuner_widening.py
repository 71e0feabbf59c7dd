"""Bounds of a KerasTuner search that widen while it goes on, inside the range that was declared."""

from __future__ import annotations

import json
import math
import warnings
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras_tuner
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from search_spaces.learning_rate import LearningRateBounds
from tuners.integrations.keras_tuner_entries import Scale, listed_values, narrow_entry
from tuners.integrations.keras_tuner_oracle import OptunaOracle
from tuners.integrations.notes import say_widened
from tuners.integrations.widening import Seen, widened

_DECLARED = "declared"  # in the oracle's state: the entries as the user's code declared them


@dataclass
class _Bounded:
    """Bounds of one entry, as given, and their ends as they are now."""

    bounds: LearningRateBounds
    scale: Scale
    now: tuple[float, float]


@dataclass
class _Widening:
    """What an oracle's search began with, by the key of an entry."""

    declared: dict[str, dict[str, Any]] = field(default_factory=dict)
    bounded: dict[str, _Bounded] = field(default_factory=dict)


_widenings: weakref.WeakKeyDictionary[Any, _Widening] = weakref.WeakKeyDictionary()


def let_widen(
    oracle: Any,
    entry: Any,
    serialized: dict[str, Any],
    bounds: LearningRateBounds,
    scale: Scale,
) -> None:
    """Let the bounds of an entry widen before each trial of a search, see `widening.widened`.

    What counts are the oracle's completed trials, in the order in which they ended; with Hyperband
    those of fewer epochs too. The entry as it was declared is kept in the oracle's state on disk,
    since the space there is the narrowed one; so a search that is resumed widens inside the same
    range. A grid search has its values in a list, and Optuna cannot change choices
    that its trials hold: they stay.

    Args:
        oracle: The oracle.
        entry: The entry before it is narrowed.
        serialized: The same, as KerasTuner serializes it.
        bounds: Its bounds.
        scale: What rate its values stand for.
    """
    fixed = isinstance(oracle, OptunaOracle) and _is_listed_by_optuna(entry)
    if fixed or isinstance(oracle, keras_tuner.oracles.GridSearchOracle):
        return
    if oracle not in _widenings:
        _widenings[oracle] = _Widening(_stored(oracle))
        _watch(oracle)
    widening, key = _widenings[oracle], _key(serialized)
    widening.declared.setdefault(key, serialized)
    widening.bounded[key] = _Bounded(bounds, scale, (bounds.low, bounds.high))


def by_sampler(oracle: Any, entry: Any, scale: Scale) -> bool:
    """Return whether an entry widens by the sampler of its oracle's study, its space as declared.

    Optuna draws jointly only what has one range in all trials, and an `OptunaOracle` asks for it.
    """
    kinds = keras_tuner.engine.hyperparameters
    plain = isinstance(oracle, OptunaOracle) and isinstance(entry, kinds.Float)
    return plain and scale.transform is None and not _is_listed_by_optuna(entry)


def keep_bounds(oracle: Any, serialized: dict[str, Any]) -> None:
    """Let the bounds of an entry widen no more."""
    if oracle in _widenings:
        _widenings[oracle].bounded.pop(_key(serialized), None)


def _is_listed_by_optuna(entry: Any) -> bool:
    """Return whether an `OptunaOracle` asks for choices, or for a value mirrored in its range."""
    sampling = getattr(entry, "sampling", "reverse_log")
    return sampling == "reverse_log" or (sampling == "log" and entry.step is not None)


def _key(serialized: dict[str, Any]) -> str:
    config = serialized["config"]
    return json.dumps([config["name"], config["conditions"]])


def _stored(oracle: Any) -> dict[str, dict[str, Any]]:
    """Return the declared entries in the state that a resumed oracle was loaded from."""
    path = Path(oracle._get_oracle_fname())
    if not (oracle.trials and path.exists()):
        return {}
    return dict(json.loads(path.read_text()).get(_DECLARED, {}))


def _watch(oracle: Any) -> None:
    """Widen before values are chosen, and keep the declared entries where the oracle is kept."""
    populate, get_state, widening = oracle.populate_space, oracle.get_state, _widenings[oracle]

    def populate_space(trial_id: str) -> dict[str, Any]:
        _widen(oracle, widening)
        response: dict[str, Any] = populate(trial_id)
        return response

    def state() -> dict[str, Any]:
        return {**get_state(), _DECLARED: widening.declared}

    oracle.populate_space, oracle.get_state = populate_space, state


def _widen(oracle: Any, widening: _Widening) -> None:
    config, changed = oracle.hyperparameters.get_config(), False
    for position, entry in enumerate(config["space"]):
        key = _key(entry)
        bounded = widening.bounded.get(key)
        if bounded is None:
            continue
        declared, given = widening.declared[key], (bounded.bounds.low, bounded.bounds.high)
        own = keras_tuner.HyperParameters.from_config({"space": [declared], "values": {}}).space[0]
        now = widened(_seen(oracle, own, bounded.scale), *given)
        if now == bounded.now:
            continue
        if bounded.now == given:
            say_widened(own.name, given, now)
        bounded.now, changed = now, True
        bounds = replace(bounded.bounds, low=now[0], high=now[1])
        with warnings.catch_warnings(action="ignore"):  # was said when the entry was narrowed
            narrowed = narrow_entry(oracle, own, declared, bounds, bounded.scale)
        config["space"][position] = narrowed or declared
    if changed:
        oracle.hyperparameters = keras_tuner.HyperParameters.from_config(config)


def _seen(oracle: Any, own: Any, scale: Scale) -> Iterator[Seen]:
    """Give what `widened` takes of the completed trials in which an entry was active."""
    declared = _rates(own, scale)
    sign = -1.0 if oracle.objective.direction == "max" else 1.0
    for trial_id in oracle.end_order:
        trial = oracle.trials[trial_id]
        hps = trial.hyperparameters
        if trial.status != "COMPLETED" or own.name not in hps.values or not hps.is_active(own):
            continue
        if trial.score is not None and math.isfinite(trial.score):
            yield scale.rate(hps.values[own.name]), sign * trial.score, declared


def _rates(own: Any, scale: Scale) -> BaseDistribution:
    """Return the rates that an entry's values stand for, as Optuna's distribution."""
    listed = listed_values(own)
    if listed is not None:
        return CategoricalDistribution([scale.rate(value) for value in listed])
    low, high = sorted(scale.rate(end) for end in (own.min_value, own.max_value))
    return FloatDistribution(low, high, log=scale.transform is not None or own.sampling != "linear")
