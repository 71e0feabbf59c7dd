"""NarrowedSampler: any Optuna sampler, kept inside bounds that the objective knows nothing of."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GridSampler
from optuna.trial import FrozenTrial, TrialState

from search_spaces.learning_rate import LearningRateBounds
from tuners._checks import InputError, check_pair
from tuners.study.recording import recorded_bounds

UNUSED = "bounds_not_used"
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class NarrowedSampler(BaseSampler):
    """Wrap a sampler so that named float parameters are drawn inside narrower bounds.

    The objective keeps its own `suggest_float("learning_rate", 1e-6, 1.0, log=True)`, and that
    wide distribution is what the study stores; the base sampler is handed the part of it that
    lies inside the bounds. Trials that were queued with a value of their own are not changed.

    - A parameter that is not a float is left alone. One without `log=True` is narrowed and drawn
      uniformly, with one warning.
    - A declared range that does not meet the bounds is kept, with one warning. Bounds of a single
      value give that value. A `step` keeps its grid; the bounds are rounded inwards to it.
    - A parameter that no trial asks for gives one warning after the first finished trial. What
      could not be narrowed is listed in the study's user attribute `bounds_not_used`.
    - Trials that fail teach, although Optuna's samplers ignore them: see `ceiling`. CMA-ES, whose
      stored state is in parts of its range, keeps that range, and its draws are cut instead.

    Args:
        bounds: Parameter name to `LearningRateBounds` or to a pair `(low, high)`, both ends
            included, `0 < low <= high < inf`.
        base_sampler: Any sampler but `GridSampler`, which ignores the ranges that it is given.

    Raises:
        ValueError: No bounds, or bounds that break their rule.
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
    ) -> None:
        if not isinstance(bounds, Mapping) or not bounds:
            raise InputError(
                "`bounds` must map parameter names to bounds, but got "
                f'{bounds!r}; pass e.g. {{"learning_rate": (1e-4, 1e-2)}}.'
            )
        _refuse_grid(base_sampler)
        self._bounds = {str(name): _as_pair(entry, str(name)) for name, entry in bounds.items()}
        self._base_sampler = base_sampler
        self._fixed = any(isinstance(inner, CmaEsSampler) for inner in _nested(base_sampler))
        self._warned: set[tuple[str, str]] = set()

    @classmethod
    def from_study(
        cls, study: optuna.Study, base_sampler: BaseSampler | None = None
    ) -> NarrowedSampler:
        """Return a sampler narrowed to the bounds recorded on a study, as after loading it.

        Args:
            study: A study that `narrow`, `record` or `search` wrote bounds onto.
            base_sampler: What to wrap; None wraps the study's own sampler.

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
        return cls(bounds, base.base_sampler if isinstance(base, NarrowedSampler) else base)

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Parameter name to `(low, high)`, both included."""
        return dict(self._bounds)

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
        """Pass on to the base sampler."""
        self._base_sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the base sampler's joint search space with the narrowed ranges in it."""
        space = self._base_sampler.infer_relative_search_space(study, trial)
        narrowed = {
            name: self._narrow(study, name, wide, fixed=self._fixed) for name, wide in space.items()
        }
        # some samplers divide by the width of a range: single values go the independent way
        return {name: d for name, d in narrowed.items() if not d.single() or space[name].single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the base sampler's joint draw without the values that left the bounds."""
        drawn = self._base_sampler.sample_relative(study, trial, search_space)
        # TPE with group=True draws from ranges of its own; Optuna then asks `sample_independent`
        kept = {
            name: value
            for name, value in drawn.items()
            if name not in self._bounds or _holds(search_space.get(name), value)
        }
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
        if narrowed is param_distribution:
            return self._base_sampler.sample_independent(study, trial, param_name, narrowed)
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
        if state in _FINISHED:
            self._note_unused(study, trial)

    def ceiling(self, study: optuna.Study, name: str) -> float:
        """Return the highest value worth drawing, given which trials failed; at most `high`.

        Optuna's samplers ignore failed trials, so they propose a diverging rate again and again.
        Here the upper end is halved back: with `f` the lowest rate that failed above every rate
        `r` that completed, it is `sqrt(f r)`, with `low` for `r` where none did. As trials between
        complete, `r` and with it the upper end climb back towards `f`. A pruned trial says nothing.

        Optuna does not keep whether a trial failed by NaN or by an exception. A failure
        therefore counts at once where the trial says that it diverged (user attribute `diverged`,
        or a value told or reported that is not finite), never where it says that it did not
        (`diverged=False`), and else from the second such failure on. A trial that another one
        replaces, since its process was lost (Optuna's `RetryHeartbeatStaleTrialCallback`), does
        not count.

        Args:
            study: The study whose trials are read.
            name: A parameter of these bounds.
        """
        low, high = self._bounds[name]
        proven, unexplained, finished = [], [], 0.0
        trials = _whole(study).get_trials(deepcopy=False)
        replaced = {n for trial in trials for n in trial.system_attrs.get("retry_history", ())}
        for trial in trials:
            rate = trial.params.get(name)
            if not isinstance(rate, (int, float)) or not trial.state.is_finished():
                continue
            if trial.state == TrialState.FAIL and trial.number in replaced:
                continue
            diverged = _diverged(trial)
            if diverged:
                proven.append(float(rate))
            elif trial.state == TrialState.COMPLETE:
                finished = max(finished, float(rate))
            elif diverged is None:
                unexplained.append(float(rate))
        failed = [rate for rate in proven if rate > finished]
        # the lowest one may be an accident, so it is the second lowest that counts
        failed += sorted(rate for rate in unexplained if rate > finished)[1:2]
        edge = min(failed, default=math.inf)
        return high if edge <= low else min(high, math.sqrt(edge * max(finished, low)))

    def _narrow(
        self, study: optuna.Study, name: str, wide: BaseDistribution, *, fixed: bool = False
    ) -> BaseDistribution:
        if name not in self._bounds:
            return wide
        if not isinstance(wide, FloatDistribution):
            _set_unused(study, name, f"suggested as {type(wide).__name__}, which is left alone")
            return wide
        low, high = self._bounds[name]
        if high < wide.low or wide.high < low:
            reason = f"[{low:g}, {high:g}] does not meet the declared [{wide.low:g}, {wide.high:g}]"
            self._warn(name, "disjoint", f"{reason}, which is kept as it is.")
            _set_unused(study, name, reason)
            return wide
        if not wide.log and not wide.single():
            self._warn(
                name,
                "linear",
                "is suggested without log=True, so it is drawn uniformly inside the bounds; "
                "a rate is better suggested with log=True.",
            )
        low, high = max(low, wide.low), min(high, wide.high)
        if not fixed:
            high = max(low, min(self.ceiling(study, name), high))
        if wide.step is None:
            return FloatDistribution(low, high, log=wide.log)
        return self._narrow_grid(study, name, wide, low, high)

    def _narrow_grid(
        self, study: optuna.Study, name: str, wide: FloatDistribution, low: float, high: float
    ) -> FloatDistribution:
        # decimals, as in Optuna's own distributions: 0.1 + 0.2 must be the grid's 0.3
        start, step = Decimal(str(wide.low)), Decimal(str(wide.step))
        first = math.ceil((Decimal(str(low)) - start) / step)
        last = math.floor((Decimal(str(high)) - start) / step)
        if first > last:
            reason = f"no multiple of the step {wide.step:g} lies in [{low:g}, {high:g}]"
            self._warn(name, "grid", f"{reason}; the declared range is kept.")
            _set_unused(study, name, reason)
            return wide
        return FloatDistribution(
            float(start + first * step), float(start + last * step), step=wide.step
        )

    def _note_unused(self, study: optuna.Study, trial: FrozenTrial) -> None:
        study = _whole(study)
        listed = study.user_attrs.get(UNUSED, {})
        came_up = {name for name in self._bounds if name in trial.params}
        unseen = set(self._bounds) - came_up - set(listed)
        for other in study.get_trials(deepcopy=False) if unseen else ():
            unseen -= set(other.params)
        for name in sorted(unseen):
            _set_unused(study, name, "no trial suggested it")
            self._warn(
                name,
                "unused",
                "came up in no trial so far, so nothing was narrowed; the objective suggests "
                f"{sorted(trial.params)}: pass one of these as the name.",
            )
        for name in came_up & set(listed):
            if listed[name] == "no trial suggested it":
                _set_unused(study, name, None)

    def _warn(self, name: str, kind: str, message: str) -> None:
        if (name, kind) not in self._warned:
            self._warned.add((name, kind))
            warnings.warn(f"`{name}`: {message}", stacklevel=2)


def _diverged(trial: FrozenTrial) -> bool | None:
    """Return whether a trial diverged, None where a failed trial does not say."""
    marked = trial.user_attrs.get("diverged")
    if marked is not None:
        return bool(marked)
    complete = trial.state == TrialState.COMPLETE
    told = trial.values if complete else trial.intermediate_values.values()
    if any(not math.isfinite(value) for value in told or ()):
        return True
    return None if trial.state == TrialState.FAIL else False


def _whole(study: optuna.Study) -> optuna.Study:
    # HyperbandPruner hands samplers a view of one bracket, without user attributes
    whole: optuna.Study = getattr(study, "_study", study)
    return whole


def _holds(distribution: BaseDistribution | None, value: Any) -> bool:
    if not isinstance(distribution, FloatDistribution):
        return distribution is not None
    return bool(distribution.low <= value <= distribution.high)


def _set_unused(study: optuna.Study, name: str, reason: str | None) -> None:
    study = _whole(study)
    listed = dict(study.user_attrs.get(UNUSED, {}))
    if listed.get(name) == reason:
        return
    if reason is None:
        listed.pop(name)
    else:
        listed[name] = reason
    study.set_user_attr(UNUSED, listed)


def _as_pair(entry: Any, name: str) -> tuple[float, float]:
    if isinstance(entry, LearningRateBounds):
        return entry.low, entry.high
    kinds = "LearningRateBounds or a pair (low, high)"
    return check_pair(entry, f"bounds[{name!r}]", kinds=kinds, example="(1e-4, 1e-2)")


def _refuse_grid(sampler: BaseSampler) -> None:
    if not isinstance(sampler, BaseSampler):
        raise TypeError(
            f"`base_sampler` must be an optuna sampler, but got {type(sampler).__name__}; "
            "pass e.g. optuna.samplers.TPESampler()."
        )
    if any(isinstance(inner, GridSampler) for inner in _nested(sampler)):
        raise TypeError(
            "`base_sampler` must draw inside the range it is given, but GridSampler draws "
            "from its own grid only; give GridSampler a grid inside the bounds, or use "
            "another sampler."
        )


def _nested(sampler: Any) -> Iterator[Any]:
    """Give a sampler and those that it wraps."""
    while sampler is not None:
        yield sampler
        sampler = getattr(sampler, "_base_sampler", None)
