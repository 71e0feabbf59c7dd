"""NarrowedSampler: any Optuna sampler, begun inside bounds that the objective knows nothing of."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.trial import FrozenTrial, TrialState

from search_spaces.learning_rate import LearningRateBounds
from tuners._checks import InputError
from tuners.integrations.ceilings import ceiling_of
from tuners.integrations.notes import UNUSED, note_widened, set_unused
from tuners.integrations.ranges import cut, is_rates, nearest
from tuners.integrations.sampler_checks import as_pair, names_of, nested, refuse_grid
from tuners.integrations.widening import finished, widened
from tuners.study.optuna_private import release_fixed, set_trial_attribute, whole_study
from tuners.study.recording import recorded_bounds

QUEUED = "queued_rate"  # a trial's attribute: the rate that it is to try, by parameter
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class NarrowedSampler(BaseSampler):
    """Wrap a sampler so that named float parameters are drawn inside narrower bounds.

    The objective keeps its own `suggest_float("learning_rate", 1e-6, 1.0, log=True)`, and that
    wide distribution is what the study stores; the base sampler is handed the part of it that
    lies inside the bounds. Trials that you queued with a value of their own are not changed.

    Bounds are where the search begins. Where the best complete trial inside them, of three or more,
    lies in their outermost tenth, that side moves outwards by half a decade, never out of the range
    that the objective declares, and never back; `widen=False` keeps the bounds. They follow from
    the study's trials in the order in which these ended, so processes on one storage agree, and so
    does a resumed study. It is logged once, and kept in the study's user attribute
    `bounds_widened`. A study of several objectives does not widen.

    - `suggest_categorical` of numbers gives those inside the bounds, or the two next to them. Any
      other parameter that is not a float is left alone, with one warning. A float without
      `log=True` is narrowed and drawn uniformly, with one warning.
    - A declared range that does not meet the bounds is kept, with one warning. Bounds of a single
      value give that value. A `step` keeps its grid; the bounds are rounded inwards to it. On a
      grid, and on choices, a side widens at least to the next value.
    - What `narrow` queued is fitted to what the objective asks for: the suggestion becomes the
      nearest value that it takes; a baseline that it does not take is not tried, with one warning.
    - A parameter that no trial asks for gives one warning after the first finished trial. What
      could not be narrowed is listed in the study's user attribute `bounds_not_used`.
    - Trials that fail teach, although Optuna's samplers ignore them: see `ceiling`. CMA-ES, whose
      stored state is in parts of its range, is not handed a lower range then, its draws are cut
      instead. Where the bounds widen, that state stretches with them.

    Args:
        bounds: Parameter name to `LearningRateBounds` or to a pair `(low, high)`, both ends
            included, `0 < low <= high < inf`.
        base_sampler: Any sampler but `GridSampler`, which ignores the ranges that it is given.
        widen: Whether bounds may widen; or the names of those that may.

    Raises:
        ValueError: No bounds, or bounds that break their rule; or `widen` is something else.
        TypeError: `base_sampler` is not a sampler, or is or wraps a `GridSampler`.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> base = optuna.samplers.TPESampler(seed=0)
        >>> study = optuna.create_study(sampler=NarrowedSampler({"rate": (1e-3, 1e-2)}, base))
        >>> study.optimize(lambda trial: trial.suggest_float("rate", 1e-6, 1, log=True), 5)
        >>> all(1e-3 <= trial.params["rate"] <= 1e-2 for trial in study.trials)
        True
    """

    def __init__(
        self,
        bounds: Mapping[str, LearningRateBounds | tuple[float, float]],
        base_sampler: BaseSampler,
        widen: bool | Collection[str] = True,
    ) -> None:
        if not isinstance(bounds, Mapping) or not bounds:
            raise InputError(
                "`bounds` must map parameter names to bounds, but got "
                f'{bounds!r}; pass e.g. {{"learning_rate": (1e-4, 1e-2)}}.'
            )
        refuse_grid(base_sampler)
        self._bounds = {str(name): as_pair(entry, str(name)) for name, entry in bounds.items()}
        self._widens = names_of(widen, self._bounds)
        self._base_sampler = base_sampler
        self._fixed = any(isinstance(inner, CmaEsSampler) for inner in nested(base_sampler))
        self._noted = dict(self._bounds)  # as they last were
        self._warned: set[tuple[str, str]] = set()

    @classmethod
    def from_study(
        cls,
        study: optuna.Study,
        base_sampler: BaseSampler | None = None,
        widen: bool | Collection[str] = True,
    ) -> NarrowedSampler:
        """Return a sampler narrowed to the bounds recorded on a study, as after loading it.

        Args:
            study: A study that `narrow`, `record` or `search` wrote bounds onto.
            base_sampler: What to wrap; None wraps the study's own sampler.
            widen: Whether bounds may widen; or the names of those that may.

        Raises:
            ValueError: The study carries no bounds.
        """
        bounds = recorded_bounds(study)
        if not bounds:
            raise InputError(
                f"`study` must carry recorded bounds, but {study.study_name!r} has none; "
                "call `narrow(study, bounds)` once first."
            )
        base = study.sampler if base_sampler is None else base_sampler
        return cls(bounds, base.base_sampler if isinstance(base, NarrowedSampler) else base, widen)

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Parameter name to `(low, high)`, both included, as they were given."""
        return dict(self._bounds)

    @property
    def widens(self) -> frozenset[str]:
        """The names of the bounds that may widen."""
        return self._widens

    def bounds_now(self, study: optuna.Study, name: str) -> tuple[float, float]:
        """Return bounds as they are after the study's complete trials.

        Args:
            study: The study whose trials are read, see `tuners.integrations.widening`.
            name: A parameter of these bounds.
        """
        seen = finished(whole_study(study), name) if name in self._widens else ()
        return widened(seen, *self._bounds[name])

    @property
    def base_sampler(self) -> BaseSampler:
        """The sampler that draws inside the bounds."""
        return self._base_sampler

    def __str__(self) -> str:
        return f"NarrowedSampler({self._base_sampler})"

    def reseed_rng(self) -> None:
        """Reseed the base sampler, as Optuna does for each thread."""
        self._base_sampler.reseed_rng()

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Pass on to the base sampler; what `narrow` queued is fitted once its range is known."""
        release_fixed(trial, set(self._queued(trial)))
        self._base_sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the base sampler's joint search space with the narrowed ranges in it."""
        space = self._base_sampler.infer_relative_search_space(study, trial)
        narrowed = {  # past values outside narrowed choices would be unknown to the base sampler
            name: wide
            if isinstance(wide, CategoricalDistribution)
            else self._narrow(study, name, wide, fixed=self._fixed)
            for name, wide in space.items()
        }
        # some samplers divide by the width of a range: single values go the independent way
        return {name: d for name, d in narrowed.items() if not d.single() or space[name].single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the base sampler's joint draw without the values that left the bounds."""
        drawn = self._base_sampler.sample_relative(study, trial, search_space)
        # TPE with group=True draws from ranges of its own; Optuna then asks `sample_independent`
        kept = {}
        for name, value in drawn.items():
            wide = search_space.get(name)
            if name in self._queued(trial):
                continue
            if name in self._bounds and isinstance(wide, CategoricalDistribution):
                wide = self._narrow(study, name, wide)
            if name not in self._bounds or _holds(wide, value):
                kept[name] = value
        for name in kept.keys() & self._bounds.keys() if self._fixed else ():
            allowed = self._narrow(study, name, search_space[name])
            if isinstance(allowed, FloatDistribution):
                kept[name] = min(max(kept[name], allowed.low), allowed.high)
        return kept

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the base sampler's draw for one parameter, inside its narrowed range."""
        narrowed = self._narrow(study, param_name, param_distribution)
        if param_name in self._queued(trial):
            value = self._fitted(trial, param_name, param_distribution, narrowed)
            if value is not None:
                return value
        if narrowed is param_distribution:
            return self._base_sampler.sample_independent(study, trial, param_name, narrowed)
        if isinstance(narrowed, CategoricalDistribution):
            value = self._base_sampler.sample_independent(
                study, trial, param_name, param_distribution
            )
            if _holds(narrowed, value):
                return value
            place = np.random.default_rng(trial.number).integers(len(narrowed.choices))
            return narrowed.choices[place]
        assert isinstance(narrowed, FloatDistribution)
        if narrowed.single():
            return narrowed.low
        value = self._base_sampler.sample_independent(study, trial, param_name, narrowed)
        # a user's own sampler may ignore the range it is given
        return min(max(value, narrowed.low), narrowed.high)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Pass on to the base sampler, then see whether the bounds' names ever came up."""
        self._base_sampler.after_trial(study, trial, state, values)
        for name, rate in self._queued(trial).items():
            came, wide = trial.params.get(name), trial.distributions.get(name)
            suggestion = trial.user_attrs.get("role") == "suggestion"
            if not is_rates(wide) or not (suggestion or _is_close(came, rate)):
                set_trial_attribute(whole_study(study), trial, "role", "search")
        if state in _FINISHED:
            self._note_unused(study, trial)

    def ceiling(self, study: optuna.Study, name: str) -> float:
        """Return the highest value worth drawing, given which failed; at most the bounds' high.

        Args:
            study: The study whose trials are read, see `tuners.integrations.ceilings`.
            name: A parameter of these bounds.
        """
        trials = whole_study(study).get_trials(deepcopy=False)
        return ceiling_of(trials, name, *self.bounds_now(study, name))

    def _queued(self, trial: FrozenTrial) -> dict[str, float]:
        queued = trial.user_attrs.get(QUEUED, {})
        return {name: rate for name, rate in queued.items() if name in self._bounds}

    def _fitted(
        self, trial: FrozenTrial, name: str, wide: BaseDistribution, narrowed: BaseDistribution
    ) -> float | None:
        """Return what of a queued rate the objective takes, None for nothing."""
        rate = self._queued(trial)[name]
        if trial.user_attrs.get("role") == "suggestion":
            return nearest(narrowed, rate)
        value = nearest(wide, rate)
        if _is_close(value, rate):
            return value
        takes = "no rates" if value is None else f"{value:g} at the nearest"
        self._warn(name, "baseline", f"the baseline {rate:g} is not tried; the objective {takes}.")
        return None

    def _narrow(
        self, study: optuna.Study, name: str, wide: BaseDistribution, *, fixed: bool = False
    ) -> BaseDistribution:
        if name not in self._bounds:
            return wide
        low, high = self.bounds_now(study, name) if is_rates(wide) else self._bounds[name]
        if (low, high) != self._noted[name]:
            note_widened(study, name, self._bounds[name], (low, high))
            self._noted[name] = low, high
        ceiling = math.inf
        if is_rates(wide) and not fixed:
            ceiling = ceiling_of(whole_study(study).get_trials(deepcopy=False), name, low, high)
        narrowed, reason = cut(wide, low, high, ceiling)
        if reason:
            self._warn(name, "kept", f"{reason}.")
            set_unused(study, name, reason)
        elif isinstance(wide, FloatDistribution) and not wide.log and not wide.single():
            self._warn(
                name,
                "linear",
                "is suggested without log=True, so it is drawn uniformly inside the bounds; "
                "a rate is better suggested with log=True.",
            )
        return narrowed

    def _note_unused(self, study: optuna.Study, trial: FrozenTrial) -> None:
        study = whole_study(study)
        listed = study.user_attrs.get(UNUSED, {})
        came_up = {name for name in self._bounds if name in trial.params}
        unseen = set(self._bounds) - came_up - set(listed)
        for other in study.get_trials(deepcopy=False) if unseen else ():
            unseen -= set(other.params)
        for name in sorted(unseen):
            set_unused(study, name, "no trial suggested it")
            self._warn(
                name,
                "unused",
                "came up in no trial so far, so nothing was narrowed; the objective suggests "
                f"{sorted(trial.params)}: pass one of these as the name.",
            )
        for name in came_up & set(listed):
            if listed[name] == "no trial suggested it":
                set_unused(study, name, None)

    def _warn(self, name: str, kind: str, message: str) -> None:
        if (name, kind) not in self._warned:
            self._warned.add((name, kind))
            warnings.warn(f"`{name}`: {message}", stacklevel=2)


def _is_close(value: float | None, rate: float) -> bool:
    return value is not None and math.isclose(value, rate, rel_tol=1e-9)


def _holds(distribution: BaseDistribution | None, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if not isinstance(distribution, FloatDistribution):
        return distribution is not None
    return bool(distribution.low <= value <= distribution.high)


def narrow_sampler(
    study: optuna.Study, name: str, bounds: tuple[float, float], *, widen: bool
) -> None:
    """Wrap a study's sampler, or add bounds to those that it has.

    Args:
        study: The study.
        name: The parameter.
        bounds: Its bounds, in place of those that it may have had.
        widen: Whether they may widen.
    """
    base = study.sampler
    others: dict[str, tuple[float, float]] = {}
    widens = {name} if widen else set()
    if isinstance(base, NarrowedSampler):
        others, widens = base.bounds, widens | (base.widens - {name})
        base = base.base_sampler
    study.sampler = NarrowedSampler({**others, name: bounds}, base, widens)
