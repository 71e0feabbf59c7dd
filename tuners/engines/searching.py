"""search(): a study of trials inside the bounds, with Optuna's or KerasTuner's engine."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners._checks import check_choice, check_rate, check_whole, require_keras
from tuners._progress import progress_bar
from tuners.curves.loss_curve import LossCurve
from tuners.engines import optuna_engine
from tuners.engines.names import (
    DEFAULT_TRIALS,
    DIRECTIONS,
    ENGINES,
    TUNERS,
    Direction,
    default_budget,
    default_sampler,
    races,
)
from tuners.engines.opening import asked_settings, model_settings, open_study
from tuners.engines.samplers import check_sampler, make_pruner, pruner_name
from tuners.figures.words import count, rate
from tuners.integrations.narrowing import as_bounds
from tuners.searches import racing
from tuners.searches.plan import Branch, SearchPlan, rate_parameter
from tuners.searches.race import check_budget
from tuners.study.metadata import check_objective, machine_facts, task_facts
from tuners.study.parameters import rate_of
from tuners.study.passwords import hide_passwords
from tuners.study.recording import record, record_facts, recorded_facts
from tuners.study.schema import continued
from tuners.study.storage import one_process_only, open_storage
from tuners.training.pool import TrainingPool, training_pool
from tuners.training.records import How
from tuners.training.records import direction as direction_of
from tuners.training.rows import batches_of


def search(
    task: TuningTask | Mapping[str, TuningTask],
    bounds: Any,
    *,
    budget: float | None = None,
    epochs: int = 30,
    trials: int | None = None,
    engine: str = "optuna",
    sampler: str | None = None,
    tuner: str = "bayesian",
    splits: int = 4,
    storage: str | BaseStorage | None = None,
    study_name: str | None = None,
    seed: int = 0,
    pruner: str | BasePruner | None = None,
    objective: str = "val_loss",
    direction: Direction | None = None,
    curve: LossCurve | Mapping[str, LossCurve] | None = None,
    batch: int = 4,
    how: How | None = None,
    verbose: int = 1,
    on_trial: Callable[[optuna.Study, optuna.trial.FrozenTrial], None] | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
    baseline: float | None = None,
    workers: int = 1,
    pool: TrainingPool | None = None,
) -> optuna.Study:
    """Search the learning rate from its bounds on, and return the study that records it all.

    Without `trials` it is a race (see `tuners.searches.race`): a few rates across the bounds on one
    split, further ones while the outermost is the lowest, also outside the bounds and inside the
    declared range, then the best ones and finer ones on further splits. It ends where the budget is
    spent, or where more would not change the answer. A trial is a rate, its score on each split an
    intermediate value; a rate that lost is pruned, and the finished ones have seen the same splits.
    Several tasks by name (optimizers, schedules, widths) share one budget, and one that cannot win
    any more gets none of it.

    With `trials`, a `sampler` or KerasTuner it is a fixed design: so many rates, each on all
    `splits`, suggestion and baseline first. A trial's value is the mean over its splits of
    `TrainingRecord.scores`; the best single epochs stand beside it. A trial of which most lanes
    diverge is stored as failed, with its curves.

    A rate that you queue on the study (`study.enqueue_trial`) is tried by the next call, as one
    more place of a race, over and above its budget.

    `choose(study)` names a rate. With a storage the same call resumes an earlier one that stopped;
    `budget` and `trials` may grow, and only what is new is trained. A race has one process that
    decides. Several processes may share a fixed design in a journal file or PostgreSQL (see
    `tuners.study.work_queue`).

    Of several tasks a trial has "optimizer", the name of its task, and the rate
    `learning_rate_<name>`.

    Args:
        task: The task, or several by name.
        bounds: `LearningRateBounds`, a `LossCurve` or a pair `(low, high)`; by name for several.
        engine: "optuna" or "keras-tuner".
        sampler: For a fixed design with Optuna: "tpe", "gp", "random", "qmc" or "cmaes"; None for
            "qmc", whose few rates are evenly spread, or "tpe" between several tasks.
        tuner: For KerasTuner: "bayesian", "random", "hyperband" or "grid".
        budget: Trainings of full length that a race may spend at most, what the range test of
            `curve` spent among them, 2 or more; None for 12, and 7 more for each further task.
        epochs: Epochs of a training, 1 or more.
        trials: Trials of a fixed design in all, suggestion and baseline among them, 1 or more;
            None races, or is 8 with a sampler, a pruner or KerasTuner.
        splits: Of a fixed design: lanes of a trial, 1 or more, with the seeds and splits `seed`,
            `seed + 1`, ...; where the task has no splits, they differ in weights and order only.
        storage: None (memory), an address such as "sqlite:///study.db" (one process),
            "journal:///study.journal" (several on one machine), a PostgreSQL one (several
            machines), or Optuna's storage.
        study_name: Name in the storage; None is the task's name.
        seed: Decides the trials, their weights and the order of their batches, 0 or more.
        pruner: None never prunes, since pruners drop slow starters, which biases best-epoch
            scores against low rates. Else "median", "percentile", "successive_halving",
            "hyperband" or one of Optuna's; for the Optuna engine.
        objective: "val_loss" or the name of a compiled metric, with "val_" on validation rows.
        direction: "minimize" or "maximize" the objective; None decides by its name.
        curve: The range test's curve, recorded on the study; by name for several tasks.
        batch: Trials that are asked for, trained as lanes and told together, 1 or more.
        how: Force "population" or "sequential" training; None lets the model decide.
        verbose: 1 prints what was found in one line, with a progress bar on work over two seconds;
            0 is silent.
        on_trial: Called with the study and each finished trial.
        on_epoch: Called with (lane-epochs done, lane-epochs of the search in all).
        baseline: The rate to beat; None for the task's, or what the model was compiled with.
        workers: Processes that train, each with its share of the cores, 1 or more; with 1 this
            one does. The study is the same. A script needs `if __name__ == "__main__":` for more.
        pool: Such processes where they are there already, in place of `workers`.

    Returns:
        The study: trials with their curves, bounds, curve and facts (see `study.schema`).

    Raises:
        InputError: An argument breaks its rule; the storage cannot be opened; another process is
            at work on a study that one alone can work on; or the storage holds a study of that
            name made with other settings or of an edited model: what differs is listed.

    Example:
        >>> from search_spaces import wine_task
        >>> study = search(wine_task(), (1e-4, 1e-2), epochs=5)  # doctest: +SKIP
        >>> study.best_params  # doctest: +SKIP
        {'learning_rate': 0.001}
    """
    require_keras("search")
    check_choice(engine, ENGINES, "engine")
    arms = len(task) if isinstance(task, Mapping) else 1
    spend = None
    if races(trials, engine, sampler, pruner_name(pruner)):
        spend = float(check_budget(default_budget(arms) if budget is None else budget))
    elif budget is not None:
        raise InputError(
            f"`budget` is for a race, but got {budget!r} with `trials`, a sampler, a pruner or "
            "KerasTuner; leave one of the two out."
        )
    if sampler is None:
        sampler = default_sampler(arms)
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
    if direction is not None:
        check_choice(direction, DIRECTIONS, "direction")
    workers = check_whole(workers, "workers")
    opened = open_storage(storage)
    plan = SearchPlan(
        branches=_branches(task, bounds, curve, baseline, check_whole(epochs, "epochs")),
        engine=engine,
        sampler=sampler,
        tuner=tuner,
        trials=DEFAULT_TRIALS if trials is None else check_whole(trials, "trials"),
        epochs=check_whole(epochs, "epochs"),
        splits=check_whole(splits, "splits"),
        batch=check_whole(batch, "batch"),
        objective=objective,
        direction=direction or direction_of(objective),
        pruner=make_pruner(pruner, int(epochs)),
        pruner_name=pruner_name(pruner),
        how=how,
        seed=check_whole(seed, "seed", least=0),
        alone=_alone(engine, opened),
        budget=spend,
        on_trial=on_trial,
        on_epoch=on_epoch,
    )
    if plan.budget is not None:
        racing.check_paid(plan)
    for branch in plan.branches:
        check_objective(branch.task, objective)
        _warn_of_dear_test(branch, plan)
    study = open_study(
        opened,
        study_name or "-".join(dict.fromkeys(each.name for each in plan.tasks)),
        {
            **asked_settings(plan.tasks, plan),
            **model_settings(plan.tasks, plan.epochs),
            **plan.settings(),
        },
        pruner=plan.pruner,
        where=hide_passwords(storage) if isinstance(storage, str) else "",
    )
    _record_start(study, plan)
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress_bar("search", bool(verbose) and on_epoch is None))
        pool = pool or stack.enter_context(training_pool(workers))
        plan = replace(plan, on_epoch=on_epoch or bar, pool=pool)
        if plan.budget is not None:
            racing.run(study, plan)
        elif engine == "optuna":
            optuna_engine.run(study, plan)
        else:
            from tuners.engines import keras_tuner_engine

            keras_tuner_engine.run(study, plan)
    if verbose:
        print(_found(study, plan))
    return study


def _warn_of_dear_test(branch: Branch, plan: SearchPlan) -> None:
    """Warn where a range test spent more gradient steps than the search is going to."""
    spent = branch.curve.gradient_steps if branch.curve else None
    trainings = plan.trials * plan.splits if plan.budget is None else plan.budget
    steps = int(trainings * plan.epochs * batches_of(branch.task))
    if spent and steps and spent > steps:
        warnings.warn(
            f"The range test took {spent:,} gradient steps, but {trainings:g} trainings of "
            f"{plan.epochs} epochs take only {steps:,}; leave the range test out, or search "
            "more.",
            stacklevel=3,
        )


def _found(study: optuna.Study, plan: SearchPlan) -> str:
    """Return how many trials there are and which is best, in one line."""
    every = study.get_trials(deepcopy=False)
    again = continued(every)
    ended = [each for each in every if each.state == TrialState.COMPLETE]
    trials = [each for each in ended if each.number not in again]
    if plan.budget is not None:
        spent = plan.tested + recorded_facts(study).get("epochs_search", 0) / plan.epochs
        rates = {tuple(each.params.items()) for each in every if each.intermediate_values}
        words = f"{count(len(rates), 'rate')}, {spent:.3g} of {plan.budget:g} trainings"
    else:
        words = f"{count(len(trials), 'finished trial')} on {count(plan.splits, 'split')}"
    if not trials:
        return words
    sign = 1 if plan.direction == "minimize" else -1
    best = min(trials, key=lambda each: sign * float(each.value or 0.0))
    name = rate_of(best.params, plan.branches[0].parameter)
    at = rate(best.params[name]) if name else "?"
    return f"{words}, the best at {at} with {plan.objective} {best.value:.4g} (a selection score)"


def _alone(engine: str, storage: BaseStorage) -> str:
    if engine == "keras-tuner":
        return "`engine` 'keras-tuner' works with one process on a study"
    return one_process_only(storage)


def _branches(
    task: Any, bounds: Any, curve: Any, baseline: float | None, epochs: int
) -> tuple[Branch, ...]:
    def rival(each: TuningTask) -> float:
        known = task_facts(each, epochs)["baseline_learning_rate"] if baseline is None else baseline
        return check_rate(known, "baseline")

    if isinstance(task, TuningTask):
        found, own = as_bounds(bounds)
        return (Branch(None, task, found, curve or own, rate_parameter(None), rival(task)),)
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
        name = rate_parameter(label)
        branches.append(Branch(str(label), each, found, chosen, name, rival(each)))
    return tuple(branches)


def _record_start(study: optuna.Study, plan: SearchPlan) -> None:
    facts: dict[str, Any] = {}
    for branch in reversed(plan.branches):  # the first task's facts win
        facts |= task_facts(branch.task, plan.epochs)
    for branch in plan.branches:
        record(study, bounds=branch.bounds, curve=branch.curve, name=branch.parameter)
    if len(plan.branches) > 1:
        facts["optimizer"] = ", ".join(str(branch.label) for branch in plan.branches)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    record_facts(
        study,
        **{
            **facts,
            **machine_facts(),
            "objective": plan.objective,
            "direction": plan.direction,
            "epochs": plan.epochs,
            "engine": plan.engine,
            "sampler": plan.algorithm,
            "pruner": plan.pruner_name,
            "seed": plan.seed,
            "splits": None if plan.budget else plan.splits,
            "budget": plan.budget,
            "resplit": all(branch.task.resplit is not None for branch in plan.branches),
            "trials": None if plan.budget else plan.trials,
            "started": recorded_facts(study).get("started", now),
        },
    )
