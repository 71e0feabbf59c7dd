"""search(): a study of trials inside the bounds, with Optuna's or KerasTuner's engine."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage

from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners._checks import check_choice, check_whole
from tuners.curves.loss_curve import LossCurve
from tuners.engines import optuna_engine
from tuners.engines.plan import ENGINES, SETTINGS, TUNERS, Branch, SearchPlan
from tuners.engines.samplers import check_sampler, make_pruner, pruner_name
from tuners.integrations.narrowing import as_bounds
from tuners.study.metadata import check_objective, machine_facts, task_facts
from tuners.study.recording import record, record_facts, recorded_facts
from tuners.study.storage import hide_password, one_process_only, open_storage
from tuners.training.pool import TrainingPool
from tuners.training.records import How, direction


def search(
    task: TuningTask | Mapping[str, TuningTask],
    bounds: Any,
    *,
    engine: str = "optuna",
    sampler: str = "tpe",
    tuner: str = "bayesian",
    trials: int = 24,
    epochs: int = 30,
    seeds_per_trial: int = 1,
    storage: str | BaseStorage | None = None,
    study_name: str | None = None,
    seed: int = 0,
    pruner: str | BasePruner | None = None,
    objective: str = "val_loss",
    curve: LossCurve | Mapping[str, LossCurve] | None = None,
    batch: int = 8,
    how: How | None = None,
    on_trial: Callable[[optuna.Study, optuna.trial.FrozenTrial], None] | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
    pool: TrainingPool | None = None,
) -> optuna.Study:
    """Search the learning rate inside its bounds, and return the study that records it all.

    The first trial is the bounds' suggestion. Every trial trains with the same seeds, so that
    trials differ in the rate alone; its score is the objective at its best epoch, the mean over
    its seeds. A trial that diverges is stored as failed, with its curves. With a storage the
    same call goes on where an earlier one stopped, and `trials` may grow; with one process
    the study is the same as without the stop. With a journal file or PostgreSQL several
    processes may make the same call: they share the trials, and what one leaves when it dies
    is taken up by the others (see `tuners.study.work_queue`).

    Several tasks by name (one optimizer each) are searched in one study: a trial picks
    "optimizer" and then the rate `learning_rate_<name>` inside that one's own bounds.

    Args:
        task: The task, or several by name.
        bounds: `LearningRateBounds`, a `LossCurve` or a pair `(low, high)`; by name for several.
        engine: "optuna" or "keras-tuner".
        sampler: For Optuna: "tpe", "gp", "random", "qmc" or "cmaes".
        tuner: For KerasTuner: "bayesian", "random", "hyperband" or "grid".
        trials: Trials of the study in all, the suggestion among them, 1 or more.
        epochs: Epochs of a trial, 1 or more.
        seeds_per_trial: Lanes of a trial, with seeds `seed`, `seed + 1`, ...; 1 or more.
        storage: None (memory), an address such as "sqlite:///study.db" (one process),
            "journal:///study.journal" (several on one machine), a PostgreSQL one (several
            machines), or Optuna's storage.
        study_name: Name in the storage; None is the task's name.
        seed: Decides the trials, their weights and the order of their batches, 0 or more.
        pruner: None never prunes, since pruners drop slow starters, which biases best-epoch
            scores against low rates. Else "median", "percentile", "successive_halving",
            "hyperband" or one of Optuna's; for the Optuna engine.
        objective: "val_loss" or the name of a compiled metric, with "val_" on validation rows.
        curve: The range test's curve, recorded on the study; by name for several tasks.
        batch: Trials that are asked for, trained as lanes and told together, 1 or more.
        how: Force "population" or "sequential" training; None lets the model decide.
        on_trial: Called with the study and each finished trial.
        on_epoch: Called with (lane-epochs done, lane-epochs of the search in all).
        pool: Processes that train, which know the tasks by name; None trains here.

    Returns:
        The study: trials with their curves, bounds, curve and facts (see `study_record`).

    Raises:
        ValueError: An argument breaks its rule; the storage cannot be opened; another process is
            at work on a study that one alone can work on; or the storage
            holds a study of that name made with other settings, which are listed.

    Example:
        >>> from search_spaces import wine_task
        >>> study = search(wine_task(), (1e-4, 1e-2), trials=8, epochs=5)  # doctest: +SKIP
        >>> study.best_params  # doctest: +SKIP
        {'learning_rate': 0.001}
    """
    check_choice(engine, ENGINES, "engine")
    if engine == "optuna":
        check_sampler(sampler)
    else:
        check_choice(tuner, TUNERS, "tuner")
        if pruner_name(pruner) != "none":
            raise InputError(
                "`pruner` is for the Optuna engine; with engine='keras-tuner' "
                'use tuner="hyperband" instead.'
            )
        if isinstance(task, Mapping):
            raise InputError("`task` may be several tasks by name with engine='optuna' only.")
    if how is not None:
        check_choice(how, ("population", "sequential"), "how")
    opened = open_storage(storage)
    plan = SearchPlan(
        branches=_branches(task, bounds, curve),
        engine=engine,
        sampler=sampler,
        tuner=tuner,
        trials=check_whole(trials, "trials"),
        epochs=check_whole(epochs, "epochs"),
        seeds_per_trial=check_whole(seeds_per_trial, "seeds_per_trial"),
        batch=check_whole(batch, "batch"),
        objective=objective,
        pruner=make_pruner(pruner, int(epochs)),
        pruner_name=pruner_name(pruner),
        how=how,
        seed=check_whole(seed, "seed", least=0),
        alone=_alone(engine, opened),
        on_trial=on_trial,
        on_epoch=on_epoch,
        pool=pool,
    )
    for branch in plan.branches:
        check_objective(branch.task, objective)
    where = f" in {hide_password(storage)}" if isinstance(storage, str) else ""
    study = _open_study(plan, opened, study_name, where)
    if engine == "optuna":
        optuna_engine.run(study, plan)
    else:
        from tuners.engines import keras_tuner_engine

        keras_tuner_engine.run(study, plan)
    return study


def _alone(engine: str, storage: BaseStorage) -> str:
    if engine == "keras-tuner":
        return "`engine` 'keras-tuner' works with one process on a study"
    return one_process_only(storage)


def _branches(task: Any, bounds: Any, curve: Any) -> tuple[Branch, ...]:
    if isinstance(task, TuningTask):
        found, own = as_bounds(bounds)
        return (Branch(None, task, found, curve or own, "learning_rate"),)
    if not isinstance(task, Mapping) or not task:
        raise InputError(
            f"`task` must be a TuningTask, or several by name, but got {type(task).__name__}."
        )
    if not isinstance(bounds, Mapping) or set(bounds) != set(task):
        given = sorted(bounds) if isinstance(bounds, Mapping) else type(bounds).__name__
        raise InputError(
            f"`bounds` must have the names of `task`, {sorted(task)}, but got {given}."
        )
    branches = []
    for label, each in task.items():
        if not isinstance(each, TuningTask):
            raise InputError(
                f"`task[{label!r}]` must be a TuningTask, but got {type(each).__name__}."
            )
        found, own = as_bounds(bounds[label])
        chosen = (curve or {}).get(label, own)
        branches.append(Branch(str(label), each, found, chosen, f"learning_rate_{label}"))
    return tuple(branches)


def _open_study(
    plan: SearchPlan, opened: BaseStorage, study_name: str | None, where: str
) -> optuna.Study:
    name = study_name or "-".join(dict.fromkeys(branch.task.name for branch in plan.branches))
    study = optuna.create_study(
        storage=opened,
        study_name=name,
        direction=direction(plan.objective),
        pruner=plan.pruner,
        load_if_exists=True,
    )
    facts = _facts(plan)
    settings = plan.settings(facts)
    trials = study.get_trials(deepcopy=False)
    known = study.user_attrs.get(SETTINGS)  # after the trials, which another process may make now
    if known is None and trials:
        raise InputError(
            f"`study_name` {name!r} names a study whose trials `search` did not make; "
            "choose another name, or use `narrow(study, bounds)` with your own objective."
        )
    differing = [] if known is None else ["they cannot be read"]
    if isinstance(known, Mapping):
        differing = _differences(known, settings)
    if differing:
        raise InputError(
            f"`study_name` {name!r}{where} was made with other settings: {'; '.join(differing)}. "
            "Use the same settings, or another name."
        )
    _record_start(study, plan, facts)
    if known is None:
        study.set_user_attr(SETTINGS, settings)
    return study


def _differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*wanted, *known])
    return [
        f"{name} was {known.get(name)}, now {wanted.get(name)}"
        for name in names
        if known.get(name) != wanted.get(name)
    ]


def _facts(plan: SearchPlan) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for branch in reversed(plan.branches):  # the first task's facts win
        facts |= task_facts(branch.task, plan.epochs)
    if len(plan.branches) > 1:
        facts["optimizer"] = ", ".join(str(branch.label) for branch in plan.branches)
    return facts


def _record_start(study: optuna.Study, plan: SearchPlan, facts: Mapping[str, Any]) -> None:
    for branch in plan.branches:
        record(study, bounds=branch.bounds, curve=branch.curve, name=branch.parameter)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    earlier = recorded_facts(study)
    record_facts(
        study,
        **{
            **facts,
            **machine_facts(),
            "objective": plan.objective,
            "direction": direction(plan.objective),
            "epochs": plan.epochs,
            "engine": plan.engine,
            "sampler": plan.sampler if plan.engine == "optuna" else plan.tuner,
            "pruner": plan.pruner_name,
            "seed": plan.seed,
            "seeds_per_trial": plan.seeds_per_trial,
            "trials": plan.trials,
            "started": earlier.get("started", now),
        },
    )
