"""The loop of a race: propose, train what the study lacks, store, tell.

What comes next is a function of what the study holds, so that a process that was killed loses at
most the trainings that were running, and the same call resumes. A trial is a rate; what it reached
on each split is kept on it as soon as it is known, and it ends when it can no longer be chosen.
A rate that somebody queued on the study is a further place, over and above the budget.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from search_spaces._input import InputError
from tuners.searches.costs import write_cost
from tuners.searches.plan import Branch, SearchPlan
from tuners.searches.queued import Entry, leave_out, queued_entries, take_queued
from tuners.searches.sampler import SPLIT, RacePruner, RaceSampler, course_of, race_scores
from tuners.searches.stages import Course, leaders, next_trainings, same, spent
from tuners.study.heartbeat import at_work
from tuners.study.optuna_private import (
    running_trial,
    storage_of,
    study_id,
    write_report,
)
from tuners.study.recording import record_facts
from tuners.study.schema import (
    CONTINUES,
    EXTRA,
    continued,
    merged_attributes,
    trial_attributes,
)
from tuners.training.records import TrainingRecord
from tuners.training.rows import batches_of
from tuners.training.runner import train

ALONE = "a race has one process that decides"
# Lanes of a program. A round has three or four trainings, a walk one: with one width there is one
# compilation, and a walk of one pays for four lanes, which takes less time than compiling another.
WIDTH = 4


def run(study: optuna.Study, plan: SearchPlan) -> None:
    """Race until the budget is spent, or more would not change the answer.

    Raises:
        KeyboardInterrupt: Ctrl-C came during training; the next call does those trainings again.
        InputError: Another process is at work on the study.
    """
    if len(plan.branches) == 1:  # so that an objective of the user's own goes on with the race
        only = plan.branches[0]
        where: Any = {"name": only.parameter, "baseline": only.baseline, "seed": plan.seed}
        study.sampler = RaceSampler(only.bounds, budget=plan.budget or 2.0, **where)
        study.pruner = RacePruner()
    with at_work(study, ALONE):
        while True:
            wanted = next_round(study, plan)
            _end_trials(study, plan, wanted)
            if not wanted:
                _record_cost(study, plan)  # a killed process may have been about to
                return
            entries = [(entry, _trial_of(study, plan, entry)) for entry in wanted]
            for start in range(0, len(entries), WIDTH):
                _train(study, plan, entries[start : start + WIDTH])


def check_paid(plan: SearchPlan) -> None:
    """Refuse a budget that leaves no training for a task.

    Raises:
        InputError: Range tests have spent too much of it, or the tasks are too many.
    """
    least = len(plan.branches)
    if (plan.budget or 0.0) - plan.tested < least:
        raise InputError(
            f"`budget` must leave a training for each task, {least} in all, but got "
            f"{plan.budget:g}, of which range tests have spent {plan.tested:.3g}; pass more."
        )


def next_round(study: optuna.Study, plan: SearchPlan) -> list[Entry]:
    """Return what is trained next; none where the race is over.

    Several tasks share the budget. Each races on two splits with its part of it; then one that is
    worse than the leader on both leaves, and what it did not spend is the others'.
    """
    if queued := queued_entries(study, plan):
        return queued
    branches = plan.branches
    if len(branches) == 1:
        return _asked(study, branches[0], _left(study, plan))
    part = _left(study, plan) / len(branches)
    wanted = [e for branch in branches for e in _asked(study, branch, part) if e.split < 2]
    if not wanted:
        alive = _alive(study, plan)
        lost = sum(_spent(study, branch) for branch in branches if branch not in alive)
        share = (_left(study, plan) - lost) / len(alive)
        wanted = [entry for branch in alive for entry in _asked(study, branch, share)]
    left = int(_left(study, plan) + 1e-9) - sum(_spent(study, branch) for branch in branches)
    return wanted[: max(left, 0)]


def _left(study: optuna.Study, plan: SearchPlan) -> float:
    """Return the budget without what the range tests spent of it, and with what was queued."""
    trials = study.get_trials(deepcopy=False)
    again = continued(trials)
    extra = sum(t.user_attrs.get("role") == EXTRA and t.number not in again for t in trials)
    return (plan.budget or 0.0) - plan.tested + extra


def _course(branch: Branch, budget: float) -> Course:
    return course_of(branch.declared, branch.bounds, branch.baseline, budget)


def _asked(study: optuna.Study, branch: Branch, budget: float) -> list[Entry]:
    asked = next_trainings(_scores(study, branch), _course(branch, budget))
    return [Entry(branch, rate, split) for rate, split in asked]


def _scores(study: optuna.Study, branch: Branch) -> dict[float, dict[int, float]]:
    trials = [each for each in study.get_trials(deepcopy=False) if branch.owns(each)]
    return race_scores(trials, branch.parameter, study.direction)


def _spent(study: optuna.Study, branch: Branch) -> int:
    return spent(_scores(study, branch))


def _alive(study: optuna.Study, plan: SearchPlan) -> list[Branch]:
    """Return the tasks that can still win: not worse than the leader on both first splits."""
    best: dict[Branch, tuple[float, ...]] = {}
    for branch in plan.branches:
        scores = _scores(study, branch)
        rows = [row for row in scores.values() if {0, 1} <= row.keys()]
        best[branch] = min(((row[0], row[1]) for row in rows), key=sum, default=(math.inf,) * 2)
    leader = min(best.values(), key=sum)
    return [
        branch
        for branch, scores in best.items()
        if scores == leader or not all(own > its for own, its in zip(scores, leader, strict=True))
    ]


def _trial_of(study: optuna.Study, plan: SearchPlan, entry: Entry) -> FrozenTrial:
    """Return the running trial of a rate: it is there, or begins now."""
    if entry.queued is not None:
        return take_queued(study, plan, entry, entry.queued)
    own = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if entry.branch.owns(trial) and trial.params[entry.branch.parameter] == entry.rate
    ]
    if running := [each for each in own if each.state == TrialState.RUNNING]:
        return running[0]
    begun = _template(plan, entry, own[-1] if own else None, TrialState.RUNNING)
    number = storage_of(study).create_new_trial(study_id(study), template_trial=begun)
    return storage_of(study).get_trial(number)


def _template(
    plan: SearchPlan, entry: Entry, ended: FrozenTrial | None, state: TrialState
) -> FrozenTrial:
    """Return a trial of a rate; with all that an ended one has, where it takes that up again."""
    branch, (low, high) = entry.branch, entry.branch.declared
    params: dict[str, Any] = {branch.parameter: entry.rate}
    distributions: dict[str, Any] = {branch.parameter: FloatDistribution(low, high, log=True)}
    if branch.label is not None:
        params["optimizer"] = branch.label
        labels = [str(each.label) for each in plan.branches]
        distributions["optimizer"] = CategoricalDistribution(labels)
    attributes: dict[str, Any] = {"role": _role(branch, entry.rate), "seed": plan.seed}
    if ended is not None:
        attributes = {**ended.user_attrs, CONTINUES: ended.number}
    known = {} if ended is None else ended.intermediate_values
    pruned = state == TrialState.PRUNED
    return optuna.create_trial(
        state=state,
        value=known[max(known)] if pruned else None,  # as Optuna does where it prunes
        params=params,
        distributions=distributions,
        user_attrs=attributes,
        intermediate_values=known,
    )


def _role(branch: Branch, rate: float) -> str:
    if same(rate, branch.baseline):
        return "baseline"
    return "suggestion" if same(rate, branch.bounds.suggestion) else "search"


def _train(
    study: optuna.Study, plan: SearchPlan, entries: Sequence[tuple[Entry, FrozenTrial]]
) -> None:
    """Train some entries, lanes of one program for each task, and store what they reached."""
    trainer: Any = train if plan.pool is None else plan.pool.train
    total = int(_left(study, plan) * plan.epochs)
    for branch in plan.branches:
        group = [(entry, trial) for entry, trial in entries if entry.branch is branch]
        if not group:
            continue
        before = sum(_spent(study, each) for each in plan.branches) * plan.epochs
        record: TrainingRecord = trainer(
            branch.task,
            np.array([trial.params[branch.parameter] for _, trial in group]),
            np.array([plan.seed + entry.split for entry, _ in group]),
            epochs=plan.epochs,
            how=plan.how,
            objective=plan.objective,
            direction=plan.direction,
            on_epoch=plan.progress(before, total),
            width=WIDTH,
        )
        if record.interrupted:
            raise KeyboardInterrupt
        for lane, (entry, trial) in enumerate(group):
            kept = trial_attributes(record, np.array([lane]), record.seconds / len(group))
            running_trial(study, trial).set_user_attr(f"{SPLIT} {entry.split}", kept)
            score = kept["scores"][0]
            write_report(study, trial, entry.split, math.nan if score is None else score)
        record_facts(study, how=record.how, why=record.why, chunk_size=record.chunk_size)
        _record_cost(study, plan)


def _end_trials(study: optuna.Study, plan: SearchPlan, wanted: Collection[Entry]) -> None:
    """Tell the trials that can no longer be chosen; all of them where nothing more is wanted.

    A finished trial of an earlier, smaller budget that can no longer be chosen either is taken up
    by one that is pruned, so that the finished ones have always seen the same splits.
    """
    over = not wanted
    alive = plan.branches if len(plan.branches) == 1 or not over else _alive(study, plan)
    for branch in plan.branches:
        scores = _scores(study, branch)
        named = leaders(scores, _course(branch, _left(study, plan))) if branch in alive else []
        going = {entry.rate for entry in wanted if entry.branch is branch}
        stage = max((split for row in scores.values() for split in row), default=0)
        trials = [each for each in study.get_trials(deepcopy=False) if branch.owns(each)]
        again = continued(trials)
        for trial in trials:
            rate = trial.params[branch.parameter]
            if trial.state == TrialState.RUNNING and rate not in going:
                last = max(trial.intermediate_values, default=-1)
                if over or last < min(stage, 2):
                    _end(study, plan, trial, over and rate in named)
            done = trial.state == TrialState.COMPLETE and trial.number not in again
            if over and done and rate not in named:
                lost = _template(plan, Entry(branch, rate, 0), trial, TrialState.PRUNED)
                study.add_trial(lost)


def _end(study: optuna.Study, plan: SearchPlan, frozen: FrozenTrial, won: bool) -> None:
    splits = sorted(frozen.intermediate_values)
    if not splits:  # another budget has no use for it
        leave_out(study, frozen)
        return
    attributes = merged_attributes([frozen.user_attrs[f"{SPLIT} {each}"] for each in splits])
    trial = running_trial(study, frozen)
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    trial.set_user_attr("splits", splits)
    values = [frozen.intermediate_values[split] for split in splits]
    if attributes.get("diverged", True) or not np.isfinite(values).all():
        told = study.tell(trial, state=TrialState.FAIL)
    elif not won:
        told = study.tell(trial, state=TrialState.PRUNED)
    else:  # finalists by what they reached on the splits that all of them have
        last = [value for split, value in zip(splits, values, strict=True) if split >= 2]
        told = study.tell(trial, float(np.mean(last or values)))
    if plan.on_trial is not None:
        plan.on_trial(study, told)


def _record_cost(study: optuna.Study, plan: SearchPlan) -> None:
    """Write epochs, gradient steps and seconds of all trainings onto the study."""
    epochs = steps = 0
    seconds = 0.0
    trials = study.get_trials(deepcopy=False)
    again = continued(trials)
    for branch in plan.branches:
        for trial in trials:
            if not branch.owns(trial) or trial.number in again:
                continue
            for name, kept in trial.user_attrs.items():
                if name.startswith(f"{SPLIT} "):
                    epochs += kept["epochs"]
                    steps += kept["epochs"] * batches_of(branch.task)
                    seconds += kept["seconds"]
    write_cost(study, epochs, steps, seconds)
