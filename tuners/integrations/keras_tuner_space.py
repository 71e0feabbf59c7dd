"""Keep an existing KerasTuner tuner inside bounds, without touching its `build_model`."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras_tuner

from search_spaces.learning_rate import LearningRateBounds
from tuners._checks import InputError, check_rate
from tuners.integrations.keras_tuner_entries import Scale, describe, narrow_entry, value_for
from tuners.integrations.keras_tuner_hypermodel import (
    add_rate,
    asked_for,
    lacks_rate,
    matches,
)
from tuners.integrations.keras_tuner_oracle import OptunaOracle
from tuners.integrations.keras_tuner_widening import by_sampler, keep_bounds, let_widen
from tuners.integrations.optuna_sampler import narrow_sampler

logger = logging.getLogger(__name__)


def narrow_tuner(
    tuner: Any,
    bounds: LearningRateBounds,
    name: str = "learning_rate",
    *,
    add_missing: bool = False,
    baseline: float | None = None,
    transform: Callable[[Any], float] | None = None,
    widen: bool = True,
) -> Any:
    """Narrow the learning rate of any built tuner, and return the tuner.

    The tuner found its search space when it was built, conditional scopes included; the entries
    of that space are narrowed in place of their wide twins, so that neither name scopes nor
    conditions are guessed. A rate that comes up only behind an `if`, with other than the default
    values, is looked for there, added to the space and logged; what comes up yet later is narrowed
    once a trial has found it. Call it between building the tuner and `search`, on resume too,
    where KerasTuner would drop a new `hyperparameters=` argument.

    - `Float`: its range is cut to the bounds; a `step` keeps the user's own grid.
    - `Choice` of numbers: the values inside stay. If none is inside, those next to the bounds on
      either side stay, with a warning.
    - A range that does not meet the bounds at all is kept as the user wrote it, with a warning.
    - `Fixed`, `Boolean` and text choices are left alone; so are an `Int` and what is negative,
      unless `transform` says what rate their values stand for.

    The default of a narrowed entry becomes the suggestion, or the value nearest to it; grid
    search begins with it. Trials that finished earlier keep their values, and Hyperband may
    promote one of them. In a distributed run the chief narrows, since it holds the space; a
    worker's tuner is returned as it is, logged.

    Args:
        tuner: A `keras_tuner.Tuner` of any kind, also one with an `OptunaOracle`.
        bounds: Where to search.
        name: Name of the hyperparameter; the last part of a scoped name `scope/name` matches.
        add_missing: Where the hypermodel asks for no such hyperparameter, give it one: the rate
            is set on the compiled model's optimizer after each build. Where `HyperModel.fit` or a
            `run_trial` asks for it, its `hp.Float(name, ...)` gets a rate inside the bounds.
        baseline: A rate for the first trial of a search that has not begun, all other values as
            the oracle draws them. It must lie in the user's own range. Grid search can begin only
            with a value inside the bounds; an `OptunaOracle` queues it on its study.
        transform: Where the hyperparameter is not the rate itself: makes the rate of its value,
            e.g. `lambda value: 10**value` of an exponent.
        widen: Whether the bounds may widen while the search goes on, see `let_widen`.

    Returns:
        The tuner.

    Raises:
        TypeError: `tuner` is not a KerasTuner tuner.
        ValueError: No entry could be narrowed (the message lists the names seen); the tuner or
            the model would discard an added rate; a grid search has begun on other values; or
            `baseline` is not positive and finite.

    Example:
        >>> import tempfile
        >>> space = lambda hp: hp.Float("learning_rate", 1e-5, 1.0, sampling="log")
        >>> tuner = keras_tuner.RandomSearch(space, "val_loss", directory=tempfile.mkdtemp())
        >>> bounds = LearningRateBounds(1e-3, 1e-2, 3e-3, "ok", "by hand")
        >>> (entry,) = narrow_tuner(tuner, bounds).oracle.hyperparameters.space
        >>> entry.min_value, entry.max_value
        (0.001, 0.01)
    """
    if not isinstance(tuner, keras_tuner.engine.base_tuner.BaseTuner):
        raise TypeError(
            f"`tuner` must be a built keras_tuner.Tuner, but got {type(tuner).__name__}; "
            "pass e.g. keras_tuner.RandomSearch(build_model, objective=...)."
        )
    if baseline is not None:
        baseline = check_rate(baseline, "baseline")
    is_worker = not isinstance(tuner.oracle, keras_tuner.Oracle)
    scale = Scale(transform)
    if add_missing and transform is not None:
        raise InputError(
            "`add_missing` gives the tuner a rate itself, so `transform` must be left out; pass "
            "one of them."
        )
    if add_missing and lacks_rate(tuner, name, is_worker):
        add_rate(tuner, bounds, name, is_worker)
    if is_worker:
        logger.info("%s: nothing to narrow on a worker; the chief holds the space.", tuner.tuner_id)
        return tuner

    oracle = tuner.oracle
    found = [entry for entry in oracle.hyperparameters.space if matches(entry.name, name)]
    found = found or _find_behind_choices(tuner, name)
    usable = [entry for entry in found if scale.fits(entry)]
    if not usable:
        raise InputError(_not_found(name, oracle.hyperparameters.space, found))
    _narrow_space(oracle, usable, bounds, scale, widen)
    _narrow_later(oracle, name, bounds, scale, widen)
    if baseline is not None:
        _queue_baseline(oracle, usable, baseline, scale)
    return tuner


def narrowed_entries(tuner: Any, name: str) -> list[str]:
    """Return the full names of a tuner's rate hyperparameters; none on a worker without a space."""
    if not isinstance(tuner.oracle, keras_tuner.Oracle):
        return []
    space = tuner.oracle.hyperparameters.space
    return [entry.name for entry in space if matches(entry.name, name) and Scale().fits(entry)]


def shared_optimizers(tuner: Any, name: str) -> tuple[str, list[Any], Any] | None:
    """Return the choice of an optimizer whose values share one rate; None where each has its own.

    A rate that stands under a condition on the choice, or has an optimizer's name in its own,
    holds for that one.

    Args:
        tuner: The tuner.
        name: Name of the rate hyperparameter, or its last part after scopes.

    Returns:
        The choice's name, the values that share the rate, and the default among them.
    """
    if not isinstance(tuner.oracle, keras_tuner.Oracle):
        return None
    space = tuner.oracle.hyperparameters.space
    rates = [entry for entry in space if matches(entry.name, name)]
    for choice in space:
        last = choice.name.rsplit("/", 1)[-1].lower()
        if type(choice).__name__ != "Choice" or not ("optim" in last or last == "opt"):
            continue
        shared: set[Any] = set()
        for rate in rates:
            held = [each.values for each in rate.conditions if each.name == choice.name]
            words = re.split("[^a-z0-9]", rate.name.lower())
            named = [value for value in choice.values if str(value).lower() in words]
            shared |= set(held[0] if held else named or choice.values)
        if len(shared) > 1:
            return choice.name, [each for each in choice.values if each in shared], choice.default
    return None


def begin_with(oracle: Any, names: Sequence[str], rates: Sequence[float]) -> None:
    """Give the first new trials of an oracle these rates, all other values as it draws them.

    KerasTuner has no queue of its own; `populate_space` is what its oracles override to choose
    values, and it is wrapped here. A promoted Hyperband trial is not touched.

    Args:
        oracle: The oracle of a search that has not begun.
        names: Full names of the rate hyperparameters; those active in a trial are set.
        rates: One rate for each of the first trials.
    """
    waiting, populate = list(rates), oracle.populate_space

    def populate_space(trial_id: str) -> dict[str, Any]:
        response = populate(trial_id)
        values = response.get("values") or {}
        active = [name for name in names if name in values]
        if waiting and active and "tuner/trial_id" not in values:
            response = {**response, "values": {**values, **dict.fromkeys(active, waiting.pop(0))}}
        return response

    oracle.populate_space = populate_space


def _not_found(name: str, space: Sequence[Any], found: Sequence[Any]) -> str:
    if found:
        kinds = ", ".join(f"{entry.name} ({type(entry).__name__})" for entry in found)
        return (
            f"`name` must be a Float or a Choice of floats to be narrowed, but got {kinds}; where "
            "it is an exponent of the rate, pass transform=lambda value: 10**value."
        )
    seen = ", ".join(sorted({entry.name for entry in space}))
    named = "" if name == "learning_rate" else f'"{name}", '
    return (
        f"`name` must be a hyperparameter of the tuner, but {name!r} is none of: {seen or 'none'}; "
        f'pass one of these, e.g. name="lr". Where the model has no such hyperparameter, or `fit` '
        f"or `run_trial` asks for it, give the tuner one: narrow(tuner, bounds, {named}"
        "add_missing=True)."
    )


def _find_behind_choices(tuner: Any, name: str) -> list[Any]:
    """Add what only other values of a choice ask for to the tuner's space, and return it."""
    oracle = tuner.oracle
    if tuner.hypermodel is None or not (oracle.allow_new_entries and oracle.tune_new_entries):
        return []
    found, given = asked_for(tuner, name)
    if not found:
        return []
    oracle.hyperparameters.merge(found)
    logger.warning(
        "%s: comes up only with %s, which the default values don't have; it is in the tuner's "
        "space from now on, narrowed.",
        *(", ".join(entry.name for entry in found), given),
    )
    return [entry for entry in oracle.hyperparameters.space if matches(entry.name, name)]


def _narrow_later(
    oracle: Any, name: str, bounds: LearningRateBounds, scale: Scale, widen: bool
) -> None:
    """Narrow what comes up by that name while the search runs, as builds find it."""
    if isinstance(oracle, keras_tuner.oracles.GridSearchOracle):
        return  # a grid that has begun must stay as it is
    update = oracle.update_space

    def update_space(hyperparameters: Any) -> None:
        known = len(oracle.hyperparameters.space)
        update(hyperparameters)
        late = oracle.hyperparameters.space[known:]
        late = [entry for entry in late if matches(entry.name, name) and scale.fits(entry)]
        if late:
            _narrow_space(oracle, late, bounds, scale, widen)

    oracle.update_space = update_space


def _narrow_space(
    oracle: Any, usable: Sequence[Any], bounds: LearningRateBounds, scale: Scale, widen: bool
) -> None:
    config = oracle.hyperparameters.get_config()
    changed = False
    for position, entry in enumerate(oracle.hyperparameters.space):
        if not any(entry is wanted for wanted in usable):
            continue
        if widen and by_sampler(oracle, entry, scale):
            ends = bounds.low, bounds.high
            narrow_sampler(oracle.study, entry.name, ends, widen=True)
            logger.info("%s: begun in [%.4g, %.4g]", entry.name, *ends)
            continue
        if widen:
            let_widen(oracle, entry, config["space"][position], bounds, scale)
        else:
            keep_bounds(oracle, config["space"][position])
        narrowed = narrow_entry(oracle, entry, config["space"][position], bounds, scale)
        if narrowed is None:
            continue
        config["space"][position], changed = narrowed, True
        if entry.name in config["values"]:
            config["values"][entry.name] = narrowed["config"]["default"]
        logger.info("%s: narrowed to %s", entry.name, describe(narrowed["config"]))
    if not changed:
        return
    if isinstance(oracle, keras_tuner.oracles.GridSearchOracle) and oracle.trials:
        raise InputError(
            f"A grid search that has begun must keep its grid, but {len(oracle.trials)} trials "
            "stand on another one; use a new `project_name`, or overwrite=True."
        )
    oracle.hyperparameters = keras_tuner.HyperParameters.from_config(config)


def _queue_baseline(oracle: Any, usable: Sequence[Any], baseline: float, scale: Scale) -> None:
    if oracle.trials:
        logger.info("baseline %g: the search has begun, so it is not queued again.", baseline)
        return
    values = {entry.name: value_for(entry, baseline, scale) for entry in usable}
    values = {name: value for name, value in values.items() if value is not None}
    if not values:
        warnings.warn(
            f"`baseline` = {baseline:g} is outside the tuner's own range of "
            f"{', '.join(entry.name for entry in usable)}, so it is not queued.",
            stacklevel=4,
        )
        return
    grid = isinstance(oracle, keras_tuner.oracles.GridSearchOracle)
    kinds = keras_tuner.engine.hyperparameters
    allowed = {  # a continuous range takes what lies outside it, grids and choices do not
        entry.name: values[entry.name]
        for entry in oracle.hyperparameters.space
        if entry.name in values
        and (
            value_for(entry, baseline, scale) is not None
            or not (grid or isinstance(entry, kinds.Choice))
        )
    }
    if not allowed:
        where = "outside the narrowed grid" if grid else "not among the narrowed choices"
        logger.warning("baseline %g is %s: not queued.", baseline, where)
    elif isinstance(oracle, OptunaOracle):
        attributes = {"role": "baseline"}
        oracle.study.enqueue_trial(allowed, user_attrs=attributes, skip_if_exists=True)
    elif grid:  # it begins with the defaults
        config = oracle.hyperparameters.get_config()
        for entry in config["space"]:
            if entry["config"]["name"] in allowed:
                entry["config"]["default"] = allowed[entry["config"]["name"]]
        oracle.hyperparameters = keras_tuner.HyperParameters.from_config(config)
    else:
        begin_with(oracle, list(allowed), [next(iter(allowed.values()))])
