"""What builds a model for a range test: a function, a hypermodel, a tuner; each without arguments.

Hyperparameters and trials are at their defaults, and the rate does not matter: the test sets its
own on the optimizer.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler

from tuners._checks import InputError, is_from, is_number, needed_arguments
from tuners.study.tuner_study import optuna_silenced
from tuners.training.models import random_state_kept

Builder = Callable[[], Any]
_HP_NAMES = ("hp", "hps", "hparams", "hyperparameters", "hyper_parameters")
_KINDS = (
    "a TuningTask, a compiled keras.Model, a function that builds one (without arguments, of `hp` "
    "or of `trial`), a keras_tuner.HyperModel or a built keras_tuner.Tuner"
)

_RATE = re.compile(r"(.*[/_])?(learning_rate|lr)", re.IGNORECASE)


@dataclass(frozen=True)
class SpaceBuilder:
    """What builds a model of a search space at its defaults, and knows the space.

    Args:
        build: Builds the model from KerasTuner's `hp` or Optuna's `trial`.
        fill: Makes one that stands at its defaults.
        discovered: Whether that one holds the whole space before anything is built.
    """

    build: Callable[[Any], Any]
    fill: Callable[[], Any]
    discovered: bool = False

    def __call__(self) -> Any:
        return self.build(self.fill())

    def rate_range(self) -> tuple[str, float, float] | None:
        """Return the learning rate's name in the space, and its range; None where it has none.

        Any name that ends in `learning_rate` or `lr` counts; of several, their whole range.
        """
        space = self.fill()
        if not self.discovered:
            with random_state_kept():
                self.build(space)
        ranges = {name: ends for name, ends in _ranges(space).items() if _RATE.fullmatch(name)}
        low = min((low for low, _ in ranges.values()), default=0.0)
        high = max((high for _, high in ranges.values()), default=0.0)
        return (", ".join(ranges), low, high) if 0 < low < high else None


def as_builder(source: Any) -> Builder:
    """Return a function without arguments that builds the model of a source.

    Args:
        source: A function without arguments; one of KerasTuner's `hp`, which gets the defaults;
            one of Optuna's `trial`, which gets the middle of each range (in its logarithm where
            it is sampled so) and the first of each choice; a `keras_tuner.HyperModel`; or a built
            `keras_tuner.Tuner`, whose hypermodel is built at the defaults of its space.

    Raises:
        ValueError: It is none of these; the message says what to pass instead.
    """
    if is_from(source, "keras_tuner"):
        return _keras_tuner_builder(source)
    if inspect.isclass(source):
        raise InputError(
            f"`source` must be {_KINDS}, but got the class {source.__name__} itself; "
            f"pass an object of it, {source.__name__}(), or a function that makes one."
        )
    if not callable(source):
        raise InputError(f"`source` must be {_KINDS}, but got {type(source).__name__}.")
    owner = getattr(source, "__self__", None)
    if is_from(owner, "keras"):
        raise InputError(
            f"`source` must be {_KINDS}, but got a method of a {type(owner).__name__}; pass the "
            "model itself."
        )
    name = getattr(source, "__qualname__", type(source).__name__).rsplit(".", 1)[-1]
    needed = needed_arguments(source)
    if not needed:
        return lambda: _checked(source(), f"{name}()")
    fill = _filler(needed[0]) if len(needed) == 1 else None
    if fill is None:
        listed = ", ".join(each.name for each in needed)
        values = ", ".join(f"{each.name}=..." for each in needed)
        raise InputError(
            "`source` must be a function without arguments, or one of `hp` or of `trial`, but "
            f"{name}({listed}) needs more; pass lambda: {name}({values})."
        )
    return SpaceBuilder(lambda space: _checked(source(space), f"{name}({needed[0].name})"), fill)


def _keras_tuner_builder(source: Any) -> Builder:
    import keras_tuner

    if isinstance(source, keras_tuner.HyperModel):
        return SpaceBuilder(source.build, keras_tuner.HyperParameters)
    if isinstance(source, keras_tuner.engine.base_tuner.BaseTuner):
        if source.hypermodel is None:
            raise InputError(
                "`source` must be a tuner with a hypermodel, but this one builds its models in a "
                "`run_trial` of its own; pass the function that builds a model instead."
            )
        # its own way sets what the tuner was given as optimizer, loss and metrics
        build = getattr(source, "_build_hypermodel", source.hypermodel.build)
        return SpaceBuilder(build, source.oracle.get_space, discovered=True)
    given = source.__name__ if inspect.isclass(source) else type(source).__name__
    cure = f"pass an object of it, {given}()" if inspect.isclass(source) else "pass the tuner"
    raise InputError(f"`source` must be {_KINDS}, but got {given}; {cure}.")


def _ranges(space: Any) -> dict[str, tuple[float, float]]:
    """Return the ranges of the floats, and of the choices of floats, that a space was asked for."""
    entries = getattr(space, "distributions", None)
    if entries is None:  # KerasTuner's
        entries = {entry.name: entry for entry in space.space}
    ranges = {}
    for name, entry in entries.items():
        values = getattr(entry, "choices", getattr(entry, "values", None))
        low = getattr(entry, "low", getattr(entry, "min_value", None))
        high = getattr(entry, "high", getattr(entry, "max_value", None))
        if low is None and values and all(map(is_number, values)):
            low, high = min(values), max(values)
        if isinstance(low, float) and isinstance(high, float):
            ranges[name] = (low, high)
    return ranges


def _filler(parameter: inspect.Parameter) -> Callable[[], Any] | None:
    """Return what makes the argument of a builder, None where its name and type do not tell."""
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return None
    name, kind = parameter.name.lower(), str(parameter.annotation)
    if name in _HP_NAMES or "HyperParameters" in kind:
        return _default_hyperparameters
    if name == "trial" or "Trial" in kind:
        return _middle_trial
    return None


def _default_hyperparameters() -> Any:
    import keras_tuner

    return keras_tuner.HyperParameters()


class _Middle(BaseSampler):
    """The middle of each range and the first of each choice, as a builder's defaults."""

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Any, trial: Any, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if isinstance(param_distribution, CategoricalDistribution):
            return param_distribution.choices[0]
        low, high = float(param_distribution.low), float(param_distribution.high)  # type: ignore
        log, step = (getattr(param_distribution, name, None) for name in ("log", "step"))
        middle = (low * high) ** 0.5 if log else (low + high) / 2
        if step:
            middle = low + round((middle - low) / step) * step
        return round(middle) if isinstance(param_distribution.low, int) else middle  # type: ignore


def _middle_trial() -> optuna.Trial:
    with optuna_silenced():
        return optuna.create_study(sampler=_Middle()).ask()


def _checked(model: Any, call: str) -> Any:
    import keras

    if isinstance(model, keras.Model):
        return model
    cure = "return the compiled model"
    if isinstance(model, (int, float)):
        cure = "pass the function that builds the model, not the objective that trains it"
    elif is_from(model, "keras_tuner"):
        cure = "pass what it returns"
    elif model is None:
        cure = "did it forget to `return model`?"
    raise InputError(
        f"`source` must build a compiled keras.Model, but {call} returned "
        f"{type(model).__name__}; {cure}{'' if cure.endswith('?') else '.'}"
    )
