"""What can train as lanes: KerasTuner trials that differ in the rate alone, and plain arrays."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from search_spaces._arrays import map_arrays
from search_spaces._data import count_rows
from tuners.integrations.keras_tuner_hypermodel import RateHyperModel, matches
from tuners.training.rates import config_without_rate
from tuners.training.rows import first_rows

PLAIN_ARGUMENTS = {"x", "y", "batch_size", "epochs", "verbose", "callbacks", "shuffle"}
PLAIN_ARGUMENTS |= {"validation_split", "validation_data", "class_weight", "sample_weight"}


class OneAtATime(Exception):
    """Why trials cannot train as lanes."""


def shared_values(trial: Any, name: str) -> tuple[tuple[str, str], ...]:
    """Return a trial's values but for the rate and KerasTuner's own notes, as a key.

    Args:
        trial: A KerasTuner trial.
        name: Name of the rate hyperparameter, or its last part after scopes.
    """
    values = trial.hyperparameters.values.items()
    return tuple(
        sorted(
            (key, repr(value))
            for key, value in values
            if not matches(key, name) and not key.startswith("tuner/")
        )
    )


def group_trials(trials: Sequence[Any], name: str) -> list[list[Any]]:
    """Return trials in groups that differ in the rate alone and train as long, in their order.

    Args:
        trials: KerasTuner trials.
        name: Name of the rate hyperparameter, or its last part after scopes.
    """
    groups: dict[Any, list[Any]] = {}
    for trial in trials:
        epochs = trial.hyperparameters.values.get("tuner/epochs")
        groups.setdefault((shared_values(trial, name), epochs), []).append(trial)
    return list(groups.values())


def rate_name(trial: Any, name: str) -> str:
    """Return the full name of a trial's one active rate.

    Raises:
        OneAtATime: The trial has none or several.
    """
    active = [key for key in trial.hyperparameters.values if matches(key, name)]
    if len(active) != 1:
        raise OneAtATime(f"the trials have {len(active)} hyperparameters named {name!r}, not one")
    return active[0]


def refuse_own_training(tuner: Any, base: type) -> None:
    """Raise where a tuner or its hypermodel trains in a way of its own.

    Args:
        tuner: The tuner.
        base: The class whose hooks count as nobody's own.

    Raises:
        OneAtATime: With the reason.
    """
    hypermodel = tuner.hypermodel
    while isinstance(hypermodel, RateHyperModel):
        hypermodel = hypermodel.inner
    if hypermodel is None or type(hypermodel).fit is not keras_tuner.HyperModel.fit:
        raise OneAtATime("the hypermodel has a `fit` of its own")
    hooks = ("run_trial", "on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")
    for hook in hooks:
        if getattr(type(tuner), hook) is not getattr(base, hook):
            raise OneAtATime(f"the tuner has a `{hook}` of its own")
    if tuner.optimizer:
        raise OneAtATime("the tuner's `optimizer=` replaces the model's, and with it the rate")
    if tuner.distribution_strategy is not None:
        raise OneAtATime("the tuner has a distribution strategy")
    if tuner.max_model_size is not None:
        raise OneAtATime("the tuner limits the model's size")
    if type(tuner.oracle.objective) is not keras_tuner.Objective:
        raise OneAtATime("the objective is not one named value")


def fit_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `search` by their names in `model.fit`, data as two sets.

    Args:
        args: Positional arguments of `search`.
        kwargs: Keyword arguments of `search`.

    Returns:
        `train`, `validation` (tuples as a `TuningTask` takes them), `batch_size`, `epochs` and
        `class_weight`.

    Raises:
        OneAtATime: An argument says more than lanes can do.
    """
    try:
        bound = inspect.signature(keras.Model.fit).bind(None, *args, **kwargs)
    except TypeError as error:
        raise OneAtATime(f"`model.fit` does not take these arguments ({error})") from error
    given = dict(list(bound.arguments.items())[1:])
    more = sorted(name for name in given if name not in PLAIN_ARGUMENTS and given[name])
    if more:
        raise OneAtATime(f"`search` was given {', '.join(more)}")
    if given.get("callbacks"):
        raise OneAtATime("`search` was given callbacks")
    if given.get("shuffle", True) is not True:
        raise OneAtATime("`search` was given another `shuffle` than True")
    x, y, weights = given.get("x"), given.get("y"), given.get("sample_weight")
    if y is None or not _is_arrays(x) or not _is_arrays(y):
        raise OneAtATime("the data are not arrays x and y")
    train = (x, y) if weights is None else (x, y, weights)
    validation = given.get("validation_data")
    split = float(given.get("validation_split") or 0.0)
    if validation is None and split:
        train, validation = _split_off(train, split)
    if not isinstance(validation, (tuple, list)) or not all(map(_is_arrays, validation)):
        raise OneAtATime("there is no validation data in arrays")
    return {
        "train": train,
        "validation": tuple(validation),
        "batch_size": int(given.get("batch_size") or 32),
        "epochs": int(given.get("epochs", 1)),
        "class_weight": given.get("class_weight"),
    }


def refuse_other_use(models: Sequence[Any], rates: Sequence[float]) -> None:
    """Raise unless each model's optimizer holds its trial's rate, and differs in nothing else.

    Args:
        models: Compiled models, built from trials that differ in the rate.
        rates: The trials' rates.

    Raises:
        OneAtATime: The hyperparameter is not, or not only, the optimizer's rate.
    """
    configs = []
    for model, rate in zip(models, rates, strict=True):
        config = config_without_rate(model.optimizer, rate)
        if config is None:
            raise OneAtATime("the optimizer's rate is not the hyperparameter's value")
        size = model.count_params() if model.built else None
        configs.append((type(model.optimizer), config, size))
    if any(config != configs[0] for config in configs[1:]):
        raise OneAtATime("the rate hyperparameter changes more than the optimizer's rate")


def _is_arrays(data: Any) -> bool:
    if isinstance(data, Mapping):
        return all(map(_is_arrays, data.values()))
    if isinstance(data, (list, tuple)):
        return bool(data) and all(map(_is_arrays, data))
    return hasattr(data, "__array__") and hasattr(data, "shape")


def _split_off(train: tuple[Any, ...], fraction: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return training and validation rows as `model.fit(validation_split=...)` parts them."""
    arrays = tuple(map_arrays(np.asarray, part) for part in train)
    rows = int(np.floor(count_rows(arrays) * (1.0 - fraction)))
    return first_rows(arrays, rows), map_arrays(lambda array: array[rows:], arrays)
