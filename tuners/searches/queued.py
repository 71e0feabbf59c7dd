"""Rates that somebody queued on the study of a race: further places, or left out with a warning."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces._input import is_number
from tuners.searches.plan import Branch, SearchPlan
from tuners.searches.stages import same
from tuners.study.optuna_private import fixed_values, running_trial, take_waiting_trial
from tuners.study.schema import EXTRA, STALE


@dataclass(frozen=True)
class Entry:
    """One training of a round.

    Args:
        branch: Whose task.
        rate: Its rate.
        split: Which split, from 0.
        queued: The trial that somebody queued for it, None for none.
    """

    branch: Branch
    rate: float
    split: int
    queued: FrozenTrial | None = None


def queued_entries(study: optuna.Study, plan: SearchPlan) -> list[Entry]:
    """Return the rates that somebody queued on the study, as entries of the first split."""
    found: list[Entry] = []
    for trial in study.get_trials(deepcopy=False):
        values = fixed_values(trial)
        if not values or trial.state.is_finished() or trial.intermediate_values:
            continue
        entry = _entry_of(plan, trial, values)
        if isinstance(entry, Entry) and any(
            each.branch is entry.branch and same(each.rate, entry.rate)
            for each in [*found, *_begun(study, plan, trial)]
        ):
            entry = f"{entry.rate:g} is a trial already"
        if isinstance(entry, Entry):
            found.append(entry)
            continue
        warnings.warn(
            f"Trial {trial.number}, which was queued, is left out: {entry}.", stacklevel=5
        )
        take_waiting_trial(study, trial)
        leave_out(study, trial)
    return found


def _entry_of(plan: SearchPlan, trial: FrozenTrial, values: dict[str, Any]) -> Entry | str:
    """Return what a queued trial asks for, or why it cannot be raced."""
    for branch in plan.branches:
        rate: Any = values.get(branch.parameter)
        if not is_number(rate) or values.get("optimizer") != branch.label:
            continue
        low, high = branch.declared
        if not low <= rate <= high:
            return f"{rate:g} lies outside of the declared range, {low:g} to {high:g}"
        return Entry(branch, float(rate), 0, trial)
    names = "" if plan.branches[0].label is None else "optimizer and "
    return f"it must hold {names}{' or '.join(each.parameter for each in plan.branches)}"


def _begun(study: optuna.Study, plan: SearchPlan, but: FrozenTrial) -> list[Entry]:
    trials = study.get_trials(deepcopy=False)
    return [
        Entry(branch, each.params[branch.parameter], 0)
        for branch in plan.branches
        for each in trials
        if branch.owns(each) and each.number != but.number
    ]


def leave_out(study: optuna.Study, trial: FrozenTrial) -> None:
    """Let a running trial fail, as one that counts for nothing."""
    running = running_trial(study, trial)
    running.set_user_attr("role", STALE)
    study.tell(running, state=TrialState.FAIL)


def take_queued(
    study: optuna.Study, plan: SearchPlan, entry: Entry, queued: FrozenTrial
) -> FrozenTrial:
    """Begin a queued trial, which then has its rate, and return it."""
    take_waiting_trial(study, queued)
    trial = running_trial(study, queued)
    trial.set_user_attr("role", EXTRA)
    low, high = entry.branch.declared
    if entry.branch.label is not None:
        trial.suggest_categorical("optimizer", [branch.label for branch in plan.branches])
    trial.suggest_float(entry.branch.parameter, low, high, log=True)
    return study.get_trials(deepcopy=False)[queued.number]
