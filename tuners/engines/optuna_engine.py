"""The Optuna engine: batches of trials, made together, trained as lanes, told together.

Optuna stores no sampler state, so each trial is drawn by a fresh sampler, seeded by the search's
seed and the trial's place. The trials of a batch are shared among processes and resumed after a
kill as `tuners.study.work_queue` says: those that were drawn keep their rates, those that were told
are not trained again. With one process the study then equals that of an uninterrupted run.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from tuners.engines.pruning import Pruning, Rehearsal, rehearse
from tuners.engines.samplers import make_sampler
from tuners.integrations.optuna_sampler import NarrowedSampler
from tuners.searches.costs import record_search_cost
from tuners.searches.plan import Branch, SearchPlan
from tuners.study import work_queue
from tuners.study.heartbeat import at_work
from tuners.study.recording import record_facts
from tuners.study.schema import trial_attributes
from tuners.study.work_queue import Work
from tuners.training.records import TrainingRecord
from tuners.training.runner import train


@dataclass(frozen=True, eq=False)
class Member:
    """A trial of a batch, and where it belongs."""

    frozen: FrozenTrial
    branch: Branch
    rate: float


def run(study: optuna.Study, plan: SearchPlan) -> None:
    """Run batches until the study holds `plan.trials` finished trials, whoever ran them.

    Raises:
        KeyboardInterrupt: Ctrl-C came during training; the batch is done again on the next call.
        ValueError: Another process is at work on a study that one alone can work on.
    """
    with at_work(study, plan.alone) as worker:
        alone = bool(plan.alone)
        work = Work(study, worker, plan.trials, plan.batch, {"seed": plan.seed}, alone=alone)
        with work_queue.handing_back(work):
            while True:
                if members := take_batch(work, plan):
                    _train_batch(work, plan, members)
                elif not work_queue.wait(work):
                    return


def take_batch(work: Work, plan: SearchPlan) -> list[Member]:
    """Return the next batch, or what a dead process left unfinished.

    Args:
        work: The trials of the search.
        plan: What to search.

    Returns:
        Its trials, drawn; none when there is nothing left to begin.
    """
    return work_queue.take_batch(work, lambda frozen, place: _draw(work, plan, frozen, place))


def _draw(work: Work, plan: SearchPlan, frozen: FrozenTrial, place: int | None) -> Member:
    """Draw a trial's rate, unless it has one; the first places are suggestions and baselines."""
    drawn = any(branch.parameter in frozen.params for branch in plan.branches)
    given = plan.given[place] if place is not None and place < len(plan.given) else None
    seed = frozen.number if place is None else place
    sampler = None if drawn else _sampler(plan, seed, given)
    trial = work_queue.open_trial(work.study, frozen, sampler)
    if "role" not in frozen.user_attrs:
        trial.set_user_attr("role", "search" if given is None else given[1])
    return _member(plan, frozen, _suggest(trial, plan))


def _sampler(plan: SearchPlan, place: int, given: tuple[Branch, str, float] | None) -> BaseSampler:
    sampler: BaseSampler = NarrowedSampler(
        {branch.parameter: (branch.bounds.low, branch.bounds.high) for branch in plan.branches},
        make_sampler(plan.sampler, plan.seed, place, position=max(0, place - len(plan.given))),
    )
    if given is None:
        return sampler
    branch, _, rate = given
    fixed: dict[str, Any] = {branch.parameter: rate}
    if branch.label is not None:
        fixed["optimizer"] = branch.label
    with warnings.catch_warnings():
        # marked experimental since Optuna 2.4; what it fixes is checked in our tests
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.PartialFixedSampler(fixed, sampler)


def _suggest(trial: optuna.Trial, plan: SearchPlan) -> dict[str, Any]:
    branch = plan.branches[0]
    if branch.label is not None:
        labels = [each.label for each in plan.branches]
        chosen = trial.suggest_categorical("optimizer", labels)
        branch = next(each for each in plan.branches if each.label == chosen)
    low, high = branch.declared
    trial.suggest_float(branch.parameter, low, high, log=True)
    return trial.params


def _member(plan: SearchPlan, frozen: FrozenTrial, params: dict[str, Any]) -> Member:
    label = params.get("optimizer")
    branch = next(branch for branch in plan.branches if branch.label == label)
    return Member(frozen, branch, float(params[branch.parameter]))


def _train_batch(work: Work, plan: SearchPlan, members: list[Member]) -> None:
    seeds = plan.seeds
    groups = [[member for member in members if member.branch is branch] for branch in plan.branches]
    done = len(work.done()) * plan.splits * plan.epochs
    results: list[tuple[Member, TrainingRecord, np.ndarray, bool]] = []
    rehearsal = None
    if not isinstance(plan.pruner, NopPruner):
        rehearsal = rehearse(work, plan.pruner, [member.frozen.number for member in members])
    for group in groups:
        if not group:
            continue
        pruning = None
        if rehearsal is not None:
            pruning = Pruning(rehearsal, [member.frozen.number for member in group], len(seeds))
        # a pruner looks at each epoch, which a pool of processes cannot show it
        trainer: Any = train if plan.pool is None or pruning is not None else plan.pool.train
        record = trainer(
            group[0].branch.task,
            np.repeat([member.rate for member in group], len(seeds)),
            np.tile(seeds, len(group)),
            epochs=plan.epochs,
            how=plan.how,
            objective=plan.objective,
            direction=plan.direction,
            on_epoch=plan.progress(done, plan.trials * plan.splits * plan.epochs),
            stop_lanes=pruning,
            width=min(plan.batch, plan.trials) * len(seeds),
        )
        if record.interrupted:
            raise KeyboardInterrupt
        done += len(group) * len(seeds) * plan.epochs
        for index, member in enumerate(group):
            lanes = np.arange(index * len(seeds), (index + 1) * len(seeds))
            pruned = pruning is not None and bool(pruning.stopped[lanes[0]])
            results.append((member, record, lanes, pruned))
        record_facts(work.study, how=record.how, why=record.why, chunk_size=record.chunk_size)
    for result in sorted(results, key=lambda result: result[0].frozen.number):
        _tell(work.study, plan, rehearsal, *result)
    _record_cost(work, plan)


def _tell(
    study: optuna.Study,
    plan: SearchPlan,
    rehearsal: Rehearsal | None,
    member: Member,
    record: TrainingRecord,
    lanes: np.ndarray,
    pruned: bool,
) -> None:
    seconds = record.seconds * len(lanes) / len(record.seeds)
    attributes = trial_attributes(record, lanes, seconds)
    score = float(np.mean(record.scores()[lanes]))
    state = TrialState.PRUNED if pruned else None
    if attributes["diverged"] or not np.isfinite(score):
        attributes["diverged"], state = True, TrialState.FAIL
    value = score if state is None else None
    reported = None if rehearsal is None else rehearsal.reported(member.frozen.number)
    told = work_queue.tell(study, member.frozen, attributes, value, state, reported)
    if told is not None and plan.on_trial is not None:
        plan.on_trial(study, told)


def _record_cost(work: Work, plan: SearchPlan) -> None:
    finished = [
        trial.user_attrs
        for trial in work.study.get_trials(deepcopy=False)
        if trial.state.is_finished() and "epochs" in trial.user_attrs
    ]
    record_search_cost(work.study, plan, finished)
