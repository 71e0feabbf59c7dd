"""One entry of a KerasTuner space: whether it is a rate, and what of it lies inside bounds."""

from __future__ import annotations

import warnings
from typing import Any

import keras_tuner

from search_spaces.learning_rate import LearningRateBounds
from tuners.integrations.keras_tuner_oracle import OptunaOracle
from tuners.integrations.ranges import decades_off, kept_choices, missing_side


def is_rate(entry: Any) -> bool:
    """Return whether an entry can be narrowed: a `Float`, or a `Choice` of floats."""
    kinds = keras_tuner.engine.hyperparameters
    if isinstance(entry, kinds.Choice):
        return all(isinstance(value, float) for value in entry.values)
    return isinstance(entry, kinds.Float)


def narrow_entry(
    oracle: Any, entry: Any, serialized: dict[str, Any], bounds: LearningRateBounds
) -> dict[str, Any] | None:
    """Return the narrowed entry as KerasTuner serializes it, None where it stays as it is."""
    kinds = keras_tuner.engine.hyperparameters
    config = dict(serialized["config"])
    held = _held_values(oracle, entry.name)
    if held and isinstance(entry, kinds.Choice) and isinstance(oracle, OptunaOracle):
        warnings.warn(
            f"`{entry.name}`: Optuna cannot change the choices that its trials hold, so they are "
            "kept; use hp.Float, or a new study.",
            stacklevel=5,
        )
        return None
    if isinstance(entry, kinds.Choice) or entry.step is not None:
        values = [float(value) for value in entry.values]
        kept = _choose(entry.name, values, bounds)
        if isinstance(entry, kinds.Choice):
            # BayesianOptimization looks finished values up in the list of choices
            kept += [value for value in values if value in held and value not in kept]
        if len(kept) == len(values):
            return None
        config["default"] = min(kept, key=lambda value: decades_off(value, bounds.suggestion))
        if isinstance(entry, kinds.Choice) or entry.sampling == "reverse_log":
            listed = {key: config[key] for key in ("name", "default", "conditions")}
            values = [value for value in values if value in kept]
            return {"class_name": "Choice", "config": {**listed, "values": values, "ordered": True}}
        slack = 1e-9 * entry.step if entry.sampling == "linear" else 0.0
        config["min_value"] = min(kept)
        config["max_value"] = min(max(kept) + slack, entry.max_value)
        return {"class_name": "Float", "config": config}

    low, high = max(bounds.low, entry.min_value), min(bounds.high, entry.max_value)
    if low > high:
        own = f"[{entry.min_value:g}, {entry.max_value:g}]"
        _warn_disjoint(entry.name, own, entry.max_value, bounds)
        return None
    if entry.sampling == "linear" and low < high:
        warnings.warn(
            f"`{entry.name}` is sampled linearly, so it is drawn uniformly inside the bounds; "
            'a rate is better asked for with sampling="log".',
            stacklevel=5,
        )
    if entry.sampling == "reverse_log":  # its inverse is undefined far above the range
        low, high = min(low, *held, low), max(high, *held, high)
    if (low, high) == (entry.min_value, entry.max_value):
        return None
    config.update(min_value=low, max_value=high, default=min(max(bounds.suggestion, low), high))
    return {"class_name": "Float", "config": config}


def _choose(name: str, values: list[float], bounds: LearningRateBounds) -> list[float]:
    kept = kept_choices(values, bounds.low, bounds.high)
    if not kept:
        _warn_disjoint(name, f"{values}", max(values), bounds)
        return values
    if not bounds.low <= kept[0] <= bounds.high:
        warnings.warn(
            f"`{name}`: none of {values} lies in [{bounds.low:g}, {bounds.high:g}]; "
            f"the neighbours {kept} are kept.",
            stacklevel=6,
        )
    return kept


def _held_values(oracle: Any, name: str) -> list[float]:
    """Return a hyperparameter's values in trials that the oracle still looks up in the space."""
    if not isinstance(oracle, (keras_tuner.oracles.BayesianOptimizationOracle, OptunaOracle)):
        return []
    held = [trial.hyperparameters.values.get(name) for trial in oracle.trials.values()]
    if isinstance(oracle, OptunaOracle):
        held += [trial.params.get(name) for trial in oracle.study.get_trials(deepcopy=False)]
    return [value for value in held if value is not None]


def _warn_disjoint(name: str, own: str, own_high: float, bounds: LearningRateBounds) -> None:
    low, high = bounds.low, bounds.high
    warnings.warn(
        f"`{name}`: the bounds [{low:g}, {high:g}] do not meet the tuner's own {own}, which is "
        f"kept as it is; {missing_side(low, high, own_high)} where the model is built.",
        stacklevel=6,
    )


def describe(config: dict[str, Any]) -> str:
    """Return the range of a serialized entry in a few words."""
    if "values" in config:
        return str(config["values"])
    return f"[{config['min_value']:.4g}, {config['max_value']:.4g}]"


def allows(entry: Any, rate: float) -> bool:
    """Return whether a rate lies in an entry's range."""
    if isinstance(entry, keras_tuner.engine.hyperparameters.Choice):
        return rate in entry.values
    return bool(entry.min_value <= rate <= entry.max_value)
