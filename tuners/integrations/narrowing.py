"""narrow(): bounds onto what the user already has, an Optuna study or a KerasTuner tuner."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import optuna

from search_spaces.learning_rate import LearningRateBounds, bounds_of
from tuners._checks import InputError, check_pair, check_rate, is_from
from tuners.integrations.optuna_sampler import QUEUED, narrow_sampler
from tuners.study.recording import record
from tuners.study.tuner_study import as_study

if TYPE_CHECKING:
    from tuners.curves.loss_curve import LossCurve

Target = TypeVar("Target")


def narrow(
    target: Target,
    bounds: LearningRateBounds | LossCurve | tuple[float, float],
    name: str = "learning_rate",
    *,
    baseline: float | None = None,
    widen: bool = True,
    add_missing: bool = False,
    transform: Callable[[Any], float] | None = None,
) -> Target:
    """Let an existing study or tuner search a parameter inside bounds first, and return it.

    The user's `objective` or `build_model` stays as it is.

    The bounds are where the search begins, and no wall. Before each trial: where three or more
    have finished inside them, and the best of these lies in the outermost tenth of the bounds,
    that side moves outwards by half a decade, never out of the range that the user's own code
    declares, and never back. It is logged once. A failed or pruned trial does not count. Choices
    and steps widen likewise, at least to the next value. `widen=False` keeps the bounds as they
    are; bounds of a single value, a grid search of KerasTuner and a study of several objectives
    do not widen.

    An `optuna.Study` gets its sampler wrapped in `NarrowedSampler` (narrowing again replaces the
    bounds) and the bounds recorded, with the curve they came from. The suggestion is queued as a
    trial, and so is the baseline where one is given: once each, also when it is called again or
    after the study was loaded from its storage. Their trials carry the user attribute `role`,
    "suggestion" or "baseline". What is queued is fitted to what the objective asks for: the
    suggestion becomes the nearest value that it takes, a choice or a step of its grid; a baseline
    that it does not take is not tried, with one warning, and its trial is an ordinary one
    ("search"). If `name` came up in no trial by the end of the first, there is one warning, and
    the study says so in its user attribute `bounds_not_used`.

    A `keras_tuner.Tuner` gets the hyperparameter narrowed wherever it comes up, also where only
    some value of a choice leads to it; what first comes up while the search runs is narrowed from
    the next trial on. A warning says
    where the range test was for trainings of other lengths than the tuner's `max_epochs`, or cost
    more of them than the search has trials. Another one says where the tuner has a choice of
    optimizers that share the rate: a range test tells of one optimizer, of a tuner the default
    one. Give each a rate of its own name, and narrow each by its own test.

    Args:
        target: An `optuna.Study` or any `keras_tuner.Tuner`.
        bounds: The bounds; a `LossCurve` (its `bounds()` are used); or a pair `(low, high)`.
        name: The parameter or hyperparameter to narrow.
        baseline: A rate to be tried as it is, inside the bounds or not, above 0.
        widen: Whether the bounds may widen where the best trial lies at their edge.
        add_missing: For a tuner whose model has no such hyperparameter: give it one. Where
            `HyperModel.fit` or one's own `run_trial` asks for it by that name, outside of scopes,
            it gets a rate inside the bounds.
        transform: For a tuner whose hyperparameter is not the rate itself: makes the rate of its
            value, e.g. `transform=lambda value: 10**value` of the exponent `name="lr_exp"`. It
            may rise or fall. Such bounds are not recorded for a report, which reads rates.

    Returns:
        `target` itself.

    Raises:
        TypeError: `target` is neither; or the study's sampler is a `GridSampler`.
        ValueError: The bounds, the baseline or `widen` break their rule; or nothing could be
            narrowed.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = narrow(optuna.create_study(), (1e-4, 1e-2))
        >>> study.optimize(lambda t: t.suggest_float("learning_rate", 1e-6, 1, log=True), 3)
        >>> all(1e-4 <= trial.params["learning_rate"] <= 1e-2 for trial in study.trials)
        True
    """
    found, curve = as_bounds(bounds)
    if not isinstance(name, str) or not name:
        raise InputError(f"`name` must be the parameter's name, but got {name!r}.")
    if baseline is not None:
        baseline = check_rate(baseline, "baseline")
    if not isinstance(widen, bool):
        raise InputError(
            f"`widen` must be True or False, but got {widen!r}; pass False to keep the bounds."
        )
    if isinstance(target, optuna.Study):
        if add_missing:
            raise InputError(
                "`add_missing` is for a KerasTuner tuner; an Optuna objective has to suggest "
                f'the rate itself: trial.suggest_float("{name}", ...).'
            )
        if transform is not None:
            raise InputError(
                "`transform` is for a KerasTuner tuner; let an Optuna objective suggest the rate "
                f'itself: trial.suggest_float("{name}", 1e-5, 1.0, log=True).'
            )
        narrow_sampler(target, name, (found.low, found.high), widen=widen)
        record(target, bounds=found, curve=curve, name=name)
        queue_once(target, name, found.suggestion, "suggestion")
        if baseline is not None:
            queue_once(target, name, baseline, "baseline")
        return target
    if is_from(target, "keras_tuner"):
        from tuners.integrations.keras_tuner_space import (
            narrow_tuner,
            narrowed_entries,
            shared_optimizers,
        )

        options: Any = {"add_missing": add_missing, "transform": transform, "widen": widen}
        narrow_tuner(target, found, name, baseline=baseline, **options)
        tuner: Any = target
        for entry in narrowed_entries(tuner, name) if transform is None else ():
            record(as_study(tuner), bounds=found, curve=curve, name=entry)
        _compare_trainings(target, curve)
        if curve is not None or isinstance(bounds, LearningRateBounds):
            _compare_optimizers(shared_optimizers(target, name), name)
        return target
    raise TypeError(
        f"`target` must be an optuna.Study or a keras_tuner.Tuner, but got {type(target).__name__}."
    )


def _compare_trainings(tuner: Any, curve: LossCurve | None) -> None:
    """Warn where a range test was for other trainings than a tuner's, or cost more than they do."""
    if curve is None:
        return
    oracle = getattr(tuner, "oracle", None)
    longest, trials = (getattr(oracle, name, None) for name in ("max_epochs", "max_trials"))
    if longest and curve.epochs and longest != curve.epochs:
        warnings.warn(
            f"The range test was for trainings of {curve.epochs} epochs, but the tuner trains for "
            f"{longest} at most, and short trainings want higher rates; pass "
            f"range_test(..., epochs={longest}).",
            stacklevel=3,
        )
    if trials and (curve.trainings or 0) > trials:
        warnings.warn(
            f"The range test cost the steps of {curve.trainings:.1f} trainings, but the search has "
            f"only {trials} trials to spend; leave the range test out, or search more.",
            stacklevel=3,
        )


def _compare_optimizers(shared: tuple[str, list[Any], Any] | None, name: str) -> None:
    """Warn where bounds of one optimizer are put on several."""
    if shared is None:
        return
    choice, optimizers, default = shared
    other = next(each for each in optimizers if each != default)
    warnings.warn(
        f"`{name}` is shared by the optimizers {optimizers} of `{choice}`, but the bounds hold for "
        f"the tested one, {default!r} where the tuner was tested; give each a rate of its own, "
        f'e.g. hp.Float("{other}_lr", ...), and narrow it by its own test.',
        stacklevel=3,
    )


def as_bounds(bounds: Any) -> tuple[LearningRateBounds, LossCurve | None]:
    """Return bounds, and the curve they came from, of what a user may pass for bounds.

    Args:
        bounds: `LearningRateBounds`, a `LossCurve`, or a pair `(low, high)`.

    Raises:
        ValueError: It is none of them, or the pair breaks its rule.

    Example:
        >>> as_bounds((1e-4, 1e-2))[0].suggestion
        0.001
    """
    if isinstance(bounds, LearningRateBounds):
        return bounds, None
    if callable(getattr(bounds, "bounds", None)):
        return bounds.bounds(), bounds
    kinds = "LearningRateBounds, a LossCurve or a pair (low, high)"
    return bounds_of(check_pair(bounds, "bounds", kinds=kinds, example="(1e-4, 1e-2)")), None


def queue_once(study: optuna.Study, name: str, rate: float, role: str) -> None:
    """Queue a trial with a rate and a role, unless the study has one.

    Args:
        study: The study.
        name: The parameter's name.
        rate: Its value.
        role: The trial's user attribute `role`.
    """
    for trial in study.get_trials(deepcopy=False):
        queued = {**trial.params, **trial.user_attrs.get(QUEUED, {})}
        # "search": it was queued, but is nothing that the objective takes
        known = (role, "search") if QUEUED in trial.user_attrs else (role,)
        if trial.user_attrs.get("role") in known and queued.get(name) == rate:
            return
    study.enqueue_trial({name: rate}, user_attrs={"role": role, QUEUED: {name: rate}})
