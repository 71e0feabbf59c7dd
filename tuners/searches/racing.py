"""The loop of a race: propose, train what the study lacks, store, tell.

What comes next is a function of what the study holds, so that a process that was killed loses at
most the trainings that were running, and the same call resumes. A trial is a rate; what it reached
on each split is kept on it as soon as it is known, and it ends when it can no longer be chosen.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from tuners.searches.plan import Branch, SearchPlan
from tuners.searches.race import LearningRateRace, leaders, same
from tuners.searches.sampler import SPLIT, RaceSampler, course_of, race_scores
from tuners.study.heartbeat import at_work
from tuners.study.optuna_private import running_trial, write_report
from tuners.study.recording import record_facts
from tuners.study.schema import (
    CONTINUES,
    GRADIENT_STEPS,
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


@dataclass(frozen=True)
class Entry:
    """One training of a round.

    Args:
        branch: Whose task.
        rate: Its rate.
        split: Which split, from 0.
    """

    branch: Branch
    rate: float
    split: int


def run(study: optuna.Study, plan: SearchPlan) -> None:
    """Race until the budget is spent, or more would not change the answer.

    Raises:
        KeyboardInterrupt: Ctrl-C came during training; the next call does those trainings again.
        InputError: Another process is at work on the study.
    """
    with at_work(study, ALONE):
        while wanted := next_round(study, plan):
            entries = [(entry, _trial_of(study, plan, entry)) for entry in wanted]
            for start in range(0, len(entries), WIDTH):
                _train(study, plan, entries[start : start + WIDTH])
            _end_trials(study, plan, over=False)
        _end_trials(study, plan, over=True)


def next_round(study: optuna.Study, plan: SearchPlan) -> list[Entry]:
    """Return what is trained next; none where the race is over.

    Several tasks share the budget. Each races on two splits with its part of it; then one that is
    worse than the leader on both leaves, and what it did not spend is the others'.
    """
    branches = plan.branches
    if len(branches) == 1:
        return _asked(study, branches[0], _left(plan))
    part = _left(plan) / len(branches)
    opening = [
        entry for branch in branches for entry in _asked(study, branch, part) if entry.split < 2
    ]
    if opening:
        return opening
    alive = _alive(study, plan)
    spent = sum(_spent(study, branch) for branch in branches if branch not in alive)
    share = (_left(plan) - spent) / len(alive)
    return [entry for branch in alive for entry in _asked(study, branch, share)]


def _left(plan: SearchPlan) -> float:
    """Return the budget without what the range tests spent of it."""
    spent = sum((branch.curve.trainings or 0.0) for branch in plan.branches if branch.curve)
    return max((plan.budget or 0.0) - spent, 2.0)


def _race(study: optuna.Study, branch: Branch, budget: float) -> LearningRateRace:
    scores = _scores(study, branch)
    course = course_of(branch.declared, branch.bounds, branch.baseline, budget)
    return LearningRateRace.from_dict(
        {
            "declared": list(branch.declared),
            "budget": max(budget, 2.0),
            "bounds": course.bounds.to_dict(),
            "baseline": branch.baseline,
            "epochs": None,
            "seed": 0,
            "short": [],
            "scores": [
                [rate, split, score] for rate, row in scores.items() for split, score in row.items()
            ],
        }
    )


def _asked(study: optuna.Study, branch: Branch, budget: float) -> list[Entry]:
    asked = _race(study, branch, budget).ask()
    return [Entry(branch, each.learning_rate, each.split) for each in asked]


def _scores(study: optuna.Study, branch: Branch) -> dict[float, dict[int, float]]:
    trials = [each for each in study.get_trials(deepcopy=False) if _belongs(each, branch)]
    return race_scores(trials, branch.parameter, study.direction)


def _belongs(trial: FrozenTrial, branch: Branch) -> bool:
    return branch.parameter in trial.params


def _spent(study: optuna.Study, branch: Branch) -> int:
    return sum(map(len, _scores(study, branch).values()))


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
    """Return the running trial of a rate: it is there, or is asked for now."""
    trials = study.get_trials(deepcopy=False)
    own = [
        trial
        for trial in trials
        if _belongs(trial, entry.branch) and same(trial.params[entry.branch.parameter], entry.rate)
    ]
    if running := [each for each in own if each.state == TrialState.RUNNING]:
        return running[0]
    begun = [each for each in trials if each.state == TrialState.RUNNING and not each.params]
    study.sampler = _sampler(plan, entry)
    trial = running_trial(study, begun[0]) if begun else study.ask()
    low, high = entry.branch.declared
    if entry.branch.label is not None:
        trial.suggest_categorical("optimizer", [branch.label for branch in plan.branches])
    rate = trial.suggest_float(entry.branch.parameter, low, high, log=True)
    trial.set_user_attr("role", _role(entry.branch, rate))
    if own:  # it had ended, and a larger budget takes it up again
        last = own[-1]
        trial.set_user_attr(CONTINUES, last.number)
        for step, value in last.intermediate_values.items():
            trial.set_user_attr(f"{SPLIT} {step}", last.user_attrs[f"{SPLIT} {step}"])
            trial.report(value, step)
    return study.get_trials(deepcopy=False)[trial.number]


def _sampler(plan: SearchPlan, entry: Entry) -> BaseSampler:
    fixed: dict[str, Any] = {entry.branch.parameter: entry.rate}
    if entry.branch.label is not None:
        fixed["optimizer"] = entry.branch.label
    with warnings.catch_warnings():
        # marked experimental since Optuna 2.4; what it fixes is checked in our tests
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.PartialFixedSampler(
            fixed, RaceSampler(entry.branch.bounds, entry.branch.parameter, seed=plan.seed)
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
    for branch in plan.branches:
        group = [(entry, trial) for entry, trial in entries if entry.branch is branch]
        if not group:
            continue
        record: TrainingRecord = trainer(
            branch.task,
            np.array([trial.params[branch.parameter] for _, trial in group]),
            np.array([plan.seed + entry.split for entry, _ in group]),
            epochs=plan.epochs,
            how=plan.how,
            objective=plan.objective,
            direction=plan.direction,
            on_epoch=_progress(study, plan),
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


def _progress(study: optuna.Study, plan: SearchPlan) -> Any:
    if plan.on_epoch is None:
        return None
    tell, total = plan.on_epoch, int(_left(plan) * plan.epochs)
    before = sum(_spent(study, branch) for branch in plan.branches) * plan.epochs
    return lambda done, _: tell(min(before + done, total), total)


def _end_trials(study: optuna.Study, plan: SearchPlan, *, over: bool) -> None:
    """Tell the trials that can no longer be chosen, and all of them where the race is over."""
    alive = plan.branches if len(plan.branches) == 1 or not over else _alive(study, plan)
    for branch in plan.branches:
        scores = _scores(study, branch)
        race = _race(study, branch, _left(plan))
        named = leaders(scores, race.course) if branch in alive else []
        stage = max((split for row in scores.values() for split in row), default=0)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not _belongs(trial, branch):
                continue
            last = max(trial.intermediate_values, default=-1)
            if over or last < min(stage, 2):
                won = over and any(same(trial.params[branch.parameter], rate) for rate in named)
                _end(study, plan, trial, won)


def _end(study: optuna.Study, plan: SearchPlan, frozen: FrozenTrial, won: bool) -> None:
    splits = sorted(frozen.intermediate_values)
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
            if not _belongs(trial, branch) or trial.number in again:
                continue
            for name, kept in trial.user_attrs.items():
                if name.startswith(f"{SPLIT} "):
                    epochs += kept["epochs"]
                    steps += kept["epochs"] * batches_of(branch.task)
                    seconds += kept["seconds"]
    facts = {"epochs_search": epochs, "steps_search": steps, "seconds_search": round(seconds, 3)}
    record_facts(study, **facts)
    study.set_user_attr(GRADIENT_STEPS, steps)
