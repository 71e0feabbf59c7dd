"""Opening a study: a new one keeps its settings, a stored one must have been made with the same.

`--trials` and `--pairs` may grow; `--baseline` changes the comparison, and the baseline's trial of
a new study; how many workers train in which way changes no result. None of them is a setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage

from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.study.metadata import task_facts, task_fingerprint, task_hash
from tuners.study.tuner_study import optuna_silenced
from tuners.training.records import direction

SETTINGS = "settings"  # the study's attribute


def open_study(
    storage: BaseStorage,
    name: str,
    settings: Mapping[str, Any],
    *,
    pruner: BasePruner | None = None,
    where: str = "",
    other: str = "another name",
) -> optuna.Study:
    """Return a stored study once its settings are these, or a new one that carries them.

    Settings may be added as long as there is no trial: the bounds, which a range test finds.

    Args:
        storage: Where it is kept.
        name: Of the study.
        settings: What decides the numbers of all trials, as plain values; "direction" among them.
        pruner: What stops trials early.
        where: The storage as an error calls it; "" for none.
        other: What an error advises to use instead.

    Raises:
        InputError: It was made with other settings, which are listed, or by something else.
    """
    with optuna_silenced():
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction=settings["direction"],
            pruner=pruner,
            load_if_exists=True,
        )
    trials = study.get_trials(deepcopy=False)
    known = study.user_attrs.get(SETTINGS)  # after the trials, which another process may make now
    place = f" in {where}" if where else ""
    if known is None and trials:
        raise InputError(
            f"`study_name` {name!r} names a study whose trials `search` did not make; "
            f"use {other}, or `narrow(study, bounds)` with your own objective."
        )
    differing = [] if known is None else ["they cannot be read"]
    if isinstance(known, Mapping):
        told = {name: value for name, value in known.items() if name in settings}
        wanted = settings if trials else {name: settings[name] for name in told}
        differing = differences(told, wanted)
    if differing:
        raise InputError(
            f"`study_name` {name!r}{place} was made with other settings: "
            f"{'; '.join(differing)}; use the same settings, or {other}."
        )
    if known is None or not settings.keys() <= known.keys():
        study.set_user_attr(SETTINGS, {**(known or {}), **settings})
    return study


def asked_settings(tasks: Sequence[TuningTask], asked: Any) -> dict[str, Any]:
    """Return the settings of a search that are known without its models and bounds.

    Args:
        tasks: What is searched, one for each optimizer.
        asked: A `SearchPlan`, or the command's options, which have the same names.
    """
    proposer = "tuner" if asked.engine == "keras-tuner" else "sampler"
    race = asked.algorithm == "race"
    names = ("epochs", "objective", "seed") if race else ("epochs", "objective", "splits", "seed")
    return {
        "task": ",".join(task.name for task in tasks),
        "data_hash": _each(task_hash(task) for task in tasks),
        "batch_size": _each(task.batch_size for task in tasks),
        "engine": asked.engine,
        proposer: asked.algorithm,
        "pruner": asked.pruner_name,
        "direction": asked.direction or direction(asked.objective),
        **{name: getattr(asked, name) for name in names},
    }


def model_settings(tasks: Sequence[TuningTask], epochs: int) -> dict[str, Any]:
    """Return the settings that only built models tell: optimizer, size and fingerprint.

    Args:
        tasks: What is searched, one for each optimizer.
        epochs: Epochs of a trial.
    """
    facts = [task_facts(task, epochs) for task in tasks]
    prints = [task_fingerprint(task, epochs) for task in tasks]
    return {
        "optimizer": ",".join(str(each["optimizer"]) for each in facts),
        "model_parameters": _each(each["model_parameters"] for each in facts),
        **{part: ",".join(each[part] for each in prints) for part in prints[0]},
    }


def differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return what differs, a phrase each.

    Example:
        >>> differences({"epochs": 40, "seed": 0}, {"epochs": 30, "seed": 0})
        ['epochs was 40, now 30']
    """
    return [
        f"{name} was {known.get(name)}, now {wanted.get(name)}"
        for name in dict.fromkeys([*wanted, *known])
        if known.get(name) != wanted.get(name)
    ]


def _each(values: Iterable[Any]) -> str:
    return ",".join(dict.fromkeys(str(value) for value in values))
