"""One entry of a KerasTuner space: whether it is a rate, and what of it lies inside bounds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras_tuner
from scipy.optimize import brentq

from search_spaces.learning_rate import LearningRateBounds
from tuners._checks import InputError, is_number
from tuners.integrations.keras_tuner_oracle import OptunaOracle
from tuners.integrations.ranges import decades_off, kept_choices, missing_side


@dataclass(frozen=True)
class Scale:
    """What rate a hyperparameter's value stands for.

    Args:
        transform: Makes the rate of a value, and rises or falls all along; None where the value
            is the rate.

    Example:
        >>> Scale(lambda value: 10**value).rate(-3)
        0.001
    """

    transform: Callable[[Any], float] | None = None

    def __post_init__(self) -> None:
        if self.transform is not None and not callable(self.transform):
            raise InputError(
                "`transform` must be a function from the hyperparameter's value to the rate, but "
                f"got {self.transform!r}; pass e.g. transform=lambda value: 10**value."
            )

    def fits(self, entry: Any) -> bool:
        """Return whether an entry can be narrowed: a `Float` or a `Choice` of floats; no negatives.

        With a transform, also an `Int`, a `Choice` of whole numbers, and what is negative.
        """
        kinds = keras_tuner.engine.hyperparameters
        if isinstance(entry, kinds.Choice):
            kept = is_number if self.transform else lambda value: isinstance(value, float)
            return all(kept(value) and (self.transform or value >= 0) for value in entry.values)
        if self.transform:
            return isinstance(entry, (kinds.Float, kinds.Int))
        return isinstance(entry, kinds.Float) and entry.min_value >= 0

    def rate(self, value: Any) -> float:
        """Return the rate of a value.

        Raises:
            InputError: The transform makes no rate of it.
        """
        if self.transform is None:
            return float(value)
        made: Any = None
        try:
            made = self.transform(value)
            if 0 < made < math.inf:
                return float(made)
        except (TypeError, ValueError, ArithmeticError) as error:
            made = error
        raise InputError(
            f"`transform` must make a rate above 0 of each value, but made {made!r} of {value!r}; "
            "pass e.g. transform=lambda value: 10**value."
        )

    def value(self, entry: Any, rate: float) -> float:
        """Return the value in a continuous entry's range whose rate is nearest to a rate."""
        low, high = entry.min_value, entry.max_value
        if self.transform is None:
            return float(min(max(rate, low), high))

        def above(value: float) -> float:
            return math.log10(self.rate(value) / rate)

        if above(low) * above(high) >= 0:
            return float(min((low, high), key=lambda value: abs(above(value))))
        return float(brentq(above, low, high))


def listed_values(entry: Any) -> list[Any] | None:
    """Return the values of a choice, a grid or an `Int`; None for a continuous range."""
    kinds = keras_tuner.engine.hyperparameters
    if isinstance(entry, kinds.Int) and entry.step is None:
        return list(range(entry.min_value, entry.max_value + 1))
    if isinstance(entry, kinds.Choice) or entry.step is not None:
        kind = int if isinstance(entry, kinds.Int) else lambda value: value
        return [kind(value) for value in entry.values]
    return None


def value_for(entry: Any, rate: float, scale: Scale) -> Any:
    """Return an entry's value that stands for a rate, None where it has none."""
    listed = listed_values(entry)
    if listed is None:
        listed = [scale.value(entry, rate)]
    same = (value for value in listed if math.isclose(scale.rate(value), rate, rel_tol=1e-9))
    return next(same, None)


def narrow_entry(
    oracle: Any,
    entry: Any,
    serialized: dict[str, Any],
    bounds: LearningRateBounds,
    scale: Scale,
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
    values = listed_values(entry)
    if values is not None:
        inside = _choose(entry.name, [scale.rate(value) for value in values], bounds)
        kept = [value for value in values if scale.rate(value) in inside]
        if isinstance(entry, kinds.Choice):
            # BayesianOptimization looks finished values up in the list of choices
            kept = [value for value in values if value in kept or value in held]
        if len(kept) == len(values):
            return None
        config["default"] = min(
            (value for value in kept if scale.rate(value) in inside),
            key=lambda value: decades_off(scale.rate(value), bounds.suggestion),
        )
        if isinstance(entry, kinds.Choice) or entry.sampling == "reverse_log":
            listed = {key: config[key] for key in ("name", "default", "conditions")}
            return {"class_name": "Choice", "config": {**listed, "values": kept, "ordered": True}}
        grid = isinstance(entry, kinds.Float) and entry.sampling == "linear"
        slack = 1e-9 * entry.step if grid else 0  # KerasTuner divides by the step and cuts off
        config["min_value"] = min(kept)
        config["max_value"] = min(max(kept) + slack, entry.max_value)
        return {"class_name": type(entry).__name__, "config": config}

    own = sorted(scale.rate(end) for end in (entry.min_value, entry.max_value))
    if bounds.low > own[1] or bounds.high < own[0]:
        _warn_disjoint(entry.name, f"[{own[0]:g}, {own[1]:g}]", own[1], bounds)
        return None
    low, high = sorted(scale.value(entry, end) for end in (bounds.low, bounds.high))
    if scale.transform is None and entry.sampling == "linear" and low < high:
        warnings.warn(
            f"`{entry.name}` is sampled linearly, so it is drawn uniformly inside the bounds; "
            'a rate is better asked for with sampling="log".',
            stacklevel=5,
        )
    if entry.sampling == "reverse_log":  # its inverse is undefined far above the range
        low, high = min(low, *held, low), max(high, *held, high)
    if (low, high) == (entry.min_value, entry.max_value):
        return None
    suggested = scale.value(entry, bounds.suggestion)
    config.update(min_value=low, max_value=high, default=min(max(suggested, low), high))
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
