"""The Optuna engine: batches of trials, asked together, trained as lanes, told together.

Optuna stores no sampler state, so each trial is drawn by a fresh sampler, seeded by the search's
seed, the batch and the place in it. A batch is queued with these numbers before it is asked for.
After a kill its trials are found in the storage, queued or running: they are asked where they
were not, all are trained again, and those not told are told. The study then equals that of an
uninterrupted run, down to the numbers of its trials.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState

from tuners.narrowed_sampler import NarrowedSampler
from tuners.samplers import make_sampler
from tuners.searching import Branch, SearchPlan
from tuners.study_record import record_facts
from tuners.training import TrainingRecord, train
from tuners.trial_attributes import trial_attributes

COUNTED = ("search", "suggestion")
STALE = "stale"


@dataclass(frozen=True, eq=False)
class Member:
    """A trial of a batch: where it belongs, and how to tell it unless that is done."""

    number: int
    branch: Branch
    rate: float
    trial: optuna.Trial | None  # None once the trial is finished


def run(study: optuna.Study, plan: SearchPlan) -> None:
    """Run batches until the study holds `plan.trials` trials.

    Raises:
        KeyboardInterrupt: Ctrl-C came during training; the batch is done again on the next call.
    """
    while True:
        first, members = take_batch(study, plan)
        if not members:
            return
        _train_batch(study, plan, first, members)


def take_batch(study: optuna.Study, plan: SearchPlan) -> tuple[int, list[Member]]:
    """Return the next batch, or the one that an earlier process left unfinished.

    Args:
        study: The study.
        plan: What to search.

    Returns:
        How many trials came before it, and its trials; none when there are `plan.trials`.
    """
    own = _own_trials(study)
    unfinished = [trial for trial in own if not trial.state.is_finished()]
    counted = [trial for trial in own if trial.user_attrs.get("role") in COUNTED]
    first = unfinished[0].user_attrs["batch"] if unfinished else len(counted)
    if not unfinished and first >= plan.trials:
        return first, []
    taken = {trial.user_attrs["place"] for trial in own if trial.user_attrs["batch"] == first}
    for place in range(min(plan.batch, plan.trials - first)):
        if place not in taken:
            _queue(study, plan, first, place)
    members: list[Member] = []
    for frozen in sorted(_own_trials(study), key=lambda trial: trial.number):
        if frozen.user_attrs["batch"] == first:
            members += _ask(study, plan, first, frozen)
    return first, members


def _own_trials(study: optuna.Study) -> list[FrozenTrial]:
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if "batch" in trial.user_attrs and trial.user_attrs.get("role") != STALE
    ]


def _queue(study: optuna.Study, plan: SearchPlan, first: int, place: int) -> None:
    suggested = first == 0 and place < len(plan.branches)
    params = _suggestion(plan.branches[place]) if suggested else {}
    role = "suggestion" if suggested else "search"
    # queued with its place, so that no kill can leave a trial of which nothing is known
    attributes = {"role": role, "batch": first, "place": place, "seed": plan.seed}
    study.enqueue_trial(params, user_attrs=attributes)


def _suggestion(branch: Branch) -> dict[str, Any]:
    params: dict[str, Any] = {branch.parameter: branch.bounds.suggestion}
    return params if branch.label is None else {"optimizer": branch.label, **params}


def _ask(study: optuna.Study, plan: SearchPlan, first: int, frozen: FrozenTrial) -> list[Member]:
    """Return the members that asking for one trial of the batch gives, mostly one."""
    if frozen.state.is_finished():
        return [_member(plan, frozen.number, frozen.params, None)]
    place = frozen.user_attrs["place"]
    study.sampler = NarrowedSampler(
        {branch.parameter: (branch.bounds.low, branch.bounds.high) for branch in plan.branches},
        make_sampler(plan.sampler, plan.seed, first, place),
    )
    if frozen.state == TrialState.RUNNING and frozen.intermediate_values:
        # values already reported to the pruner cannot be taken back
        _replace(study, frozen)
        return _ask_queued(study, plan, first, None)
    if frozen.state == TrialState.RUNNING:
        trial = optuna.trial.Trial(study, frozen._trial_id)
        return [_member(plan, trial.number, _suggest(trial, plan), trial)]
    return _ask_queued(study, plan, first, frozen.number)


def _ask_queued(
    study: optuna.Study, plan: SearchPlan, first: int, number: int | None
) -> list[Member]:
    members = []
    while True:
        trial = study.ask()
        if "batch" not in trial.user_attrs:  # somebody queued it on our study
            for key, value in {"batch": first, "place": plan.batch, "seed": plan.seed}.items():
                trial.set_user_attr(key, value)
            if "role" not in trial.user_attrs:
                trial.set_user_attr("role", "queued")
            members.append(_member(plan, trial.number, _suggest(trial, plan), trial))
            continue
        members.append(_member(plan, trial.number, _suggest(trial, plan), trial))
        if number is None or trial.number == number:
            return members


def _replace(study: optuna.Study, frozen: FrozenTrial) -> None:
    attributes = {key: frozen.user_attrs[key] for key in ("role", "batch", "place", "seed")}
    stale = optuna.trial.Trial(study, frozen._trial_id)
    stale.set_user_attr("role", STALE)
    stale.set_user_attr("diverged", False)
    study.tell(stale, state=TrialState.FAIL)
    study.enqueue_trial(frozen.params, user_attrs=attributes)


def _suggest(trial: optuna.Trial, plan: SearchPlan) -> dict[str, Any]:
    branch = plan.branches[0]
    if branch.label is not None:
        labels = [each.label for each in plan.branches]
        chosen = trial.suggest_categorical("optimizer", labels)
        branch = next(each for each in plan.branches if each.label == chosen)
    low, high = branch.declared
    trial.suggest_float(branch.parameter, low, high, log=True)
    return trial.params


def _member(
    plan: SearchPlan, number: int, params: dict[str, Any], trial: optuna.Trial | None
) -> Member:
    label = params.get("optimizer")
    branch = next(branch for branch in plan.branches if branch.label == label)
    return Member(number, branch, float(params[branch.parameter]), trial)


def _train_batch(study: optuna.Study, plan: SearchPlan, first: int, members: list[Member]) -> None:
    seeds = [plan.seed + offset for offset in range(plan.seeds_per_trial)]
    groups = [[member for member in members if member.branch is branch] for branch in plan.branches]
    groups = [group for group in groups if any(member.trial for member in group)]
    results: dict[int, tuple[TrainingRecord, np.ndarray, bool]] = {}
    done = first * plan.seeds_per_trial * plan.epochs
    for group in groups:
        pruning = None if isinstance(plan.pruner, NopPruner) else _Pruning(group, len(seeds))
        record = train(
            group[0].branch.task,
            np.repeat([member.rate for member in group], len(seeds)),
            np.tile(seeds, len(group)),
            epochs=plan.epochs,
            how=plan.how,
            objective=plan.objective,
            on_epoch=_progress(plan, done),
            stop_lanes=pruning,
        )
        if record.interrupted:
            raise KeyboardInterrupt
        done += len(group) * len(seeds) * plan.epochs
        for index, member in enumerate(group):
            lanes = np.arange(index * len(seeds), (index + 1) * len(seeds))
            pruned = pruning is not None and bool(pruning.stopped[lanes[0]])
            results[member.number] = (record, lanes, pruned)
        record_facts(study, how=record.how, why=record.why, chunk_size=record.chunk_size)
    for member in members:
        if member.trial is not None:
            _tell(study, plan, member.trial, *results[member.number])
    _record_cost(study, plan)


def _progress(plan: SearchPlan, before: int) -> Callable[[int, int], None] | None:
    if plan.on_epoch is None:
        return None
    tell, total = plan.on_epoch, plan.trials * plan.seeds_per_trial * plan.epochs
    return lambda done, _: tell(min(before + done, total), total)


class _Pruning:
    """Reports each epoch of each trial to the pruner, and stops the lanes of pruned trials."""

    def __init__(self, group: list[Member], seeds: int) -> None:
        self.group, self.seeds = group, seeds
        self.stopped = np.zeros(len(group) * seeds, bool)
        self.reported: set[tuple[int, int]] = set()

    def __call__(self, epoch: int, values: np.ndarray) -> np.ndarray:
        for index, member in enumerate(self.group):
            lanes = slice(index * self.seeds, (index + 1) * self.seeds)
            value = float(np.mean(values[lanes]))
            if member.trial is None or self.stopped[lanes].any() or not np.isfinite(value):
                continue
            if (index, epoch) not in self.reported:  # lanes run one at a time call once each
                self.reported.add((index, epoch))
                member.trial.report(value, epoch)
                self.stopped[lanes] = member.trial.should_prune()
        return self.stopped


def _tell(
    study: optuna.Study,
    plan: SearchPlan,
    trial: optuna.Trial,
    record: TrainingRecord,
    lanes: np.ndarray,
    pruned: bool,
) -> None:
    seconds = record.seconds * len(lanes) / len(record.seeds)
    attributes = trial_attributes(record, lanes, seconds)
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    score = float(record.best()[lanes].mean())
    if attributes["diverged"] or not np.isfinite(score):
        study.tell(trial, state=TrialState.FAIL)
    elif pruned:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, score)
    if plan.on_trial is not None:
        plan.on_trial(study, study.get_trials(deepcopy=False)[trial.number])


def _record_cost(study: optuna.Study, plan: SearchPlan) -> None:
    finished = [trial for trial in _own_trials(study) if trial.state.is_finished()]
    record_facts(
        study,
        epochs_search=sum(trial.user_attrs["epochs"] for trial in finished) * plan.seeds_per_trial,
        seconds_search=round(sum(trial.user_attrs["seconds"] for trial in finished), 3),
    )
