"""A pruner at work on a batch, in a copy of the study in memory.

A storage cannot take back what a trial reported. Were each epoch reported to it, a trial that a
kill cut off could not begin anew under its number, by which some pruners decide. So the storage
is told what a trial reported when the trial is told. Of trials of one batch that were told before
a kill, the pruner sees again what they reported, epoch by epoch, as it did then. What other
processes tell meanwhile it sees with the next batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from tuners.study import work_queue
from tuners.study.optuna_private import forget_sampler_attributes, sampler_attributes
from tuners.study.schema import PLACE
from tuners.study.tuner_study import optuna_silenced
from tuners.study.work_queue import Work

RUNG = "completed_rung_"  # what successive halving and Hyperband write on a trial begins so


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """The trials of a batch in the copy.

    Args:
        study: The copy.
        trials: Those that are trained, by number.
        told: Those that were told before, with the values by epoch that they reported.
    """

    study: optuna.Study
    trials: Mapping[int, optuna.Trial]
    told: tuple[tuple[optuna.Trial, Mapping[int, float]], ...]

    def reported(self, number: int) -> tuple[dict[int, float], dict[str, Any]]:
        """Return what a trial reported, by epoch, and what the pruner wrote on it."""
        frozen = self.study.get_trials(deepcopy=False)[number]
        return dict(frozen.intermediate_values), sampler_attributes(frozen, RUNG)


def rehearse(work: Work, pruner: BasePruner, numbers: Iterable[int]) -> Rehearsal:
    """Return a batch in a copy of its study, in which none of its trials has begun.

    Args:
        work: The trials of the search.
        pruner: What judges them.
        numbers: Of the trials that are trained.
    """
    held, study = set(numbers), work.study
    stored = study.get_trials()
    places = [stored[number].user_attrs.get(PLACE) for number in held]
    blocks = {place // work.batch for place in places if place is not None}
    done = [unit for unit in work.done(stored) if unit.user_attrs[PLACE] // work.batch in blocks]
    reported = {unit.number: dict(unit.intermediate_values) for unit in done}
    with optuna_silenced():
        copied = optuna.create_study(
            study_name=study.study_name, direction=study.direction, pruner=pruner
        )
    copied.add_trials(
        [_begun(trial) if trial.number in held | reported.keys() else trial for trial in stored]
    )
    trials = {
        trial.number: work_queue.open_trial(copied, trial)
        for trial in copied.get_trials(deepcopy=False)
        if trial.number in held | reported.keys()
    }
    return Rehearsal(
        copied,
        {number: trials[number] for number in sorted(held)},
        tuple((trials[number], reported[number]) for number in sorted(reported)),
    )


def _begun(trial: FrozenTrial) -> FrozenTrial:
    trial.state, trial.values, trial.datetime_complete = TrialState.RUNNING, None, None
    trial.intermediate_values = {}
    forget_sampler_attributes(trial, RUNG)
    return trial


class Pruning:
    """Reports each epoch of some trials to the pruner, and stops the lanes of pruned ones.

    Args:
        rehearsal: The trials of the batch.
        numbers: Of those whose lanes are trained, in the order of the lanes.
        seeds: Lanes of each.
    """

    def __init__(self, rehearsal: Rehearsal, numbers: list[int], seeds: int) -> None:
        self._told, self._seeds = rehearsal.told, seeds
        self._trials = [rehearsal.trials[number] for number in numbers]
        self.stopped = np.zeros(len(numbers) * seeds, bool)
        self._reported: set[tuple[int, int]] = set()

    def __call__(self, epoch: int, values: np.ndarray) -> np.ndarray:
        """Return which lanes (lanes,) are stopped, after an epoch with these values (lanes,)."""
        for trial, known in self._told:
            if epoch in known:
                self._judge(trial, epoch, known[epoch])
        for index, trial in enumerate(self._trials):
            lanes = slice(index * self._seeds, (index + 1) * self._seeds)
            value = float(np.mean(values[lanes]))
            if self.stopped[lanes].any() or not np.isfinite(value):
                continue
            self.stopped[lanes] = self._judge(trial, epoch, value)
        return self.stopped

    def _judge(self, trial: optuna.Trial, epoch: int, value: float) -> bool:
        if (trial.number, epoch) in self._reported:  # lanes run one at a time call once each
            return False
        self._reported.add((trial.number, epoch))
        trial.report(value, epoch)
        return trial.should_prune()
