"""Work that the trials of a study stand for, shared by any number of processes.

A unit of work is a trial, made in the state RUNNING by the worker that will do it, so that making
it is the claim. Trials have their numbers from the storage, one after the other, and that decides
everything: a unit's rank is how many units of the same work have lower numbers, and what has a
rank of `total` or more is one too many and is failed at once.

Units are made in batches. What a worker leaves unfinished when it dies is taken up again under the
same numbers by the first who notices; telling a trial twice is refused by Optuna, so that nothing
counts twice even where a worker was only thought dead.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuners.study.heartbeat import SETTLE, is_alive
from tuners.study.schema import STALE

EXTRA = "queued"  # role of a trial that somebody queued on the study, beyond the total
WAIT = 0.5  # seconds between two looks at what other workers have left to do

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, eq=False)
class Work:
    """What is shared.

    Args:
        study: Whose trials are the units.
        worker: The name that `worker_signs.at_work` gave.
        total: Units in all.
        batch: Units that a worker takes at once.
        attributes: User attributes of every unit.
        kind: Tells the units of this work from others of the study; None where there is one.
        alone: Whether no second worker can be there, so that nobody need be waited for.
    """

    study: optuna.Study
    worker: str
    total: int
    batch: int
    attributes: Mapping[str, Any]
    kind: str | None = None
    alone: bool = False

    def units(self, trials: Sequence[FrozenTrial] | None = None) -> list[FrozenTrial]:
        """Return the units that are made, by number; among them those beyond the total.

        Args:
            trials: All trials where they are read already, which takes long where there are many.
        """
        return [
            trial
            for trial in (self.study.get_trials(deepcopy=False) if trials is None else trials)
            if "batch" in trial.user_attrs
            and trial.user_attrs.get("kind") == self.kind
            and trial.user_attrs.get("role") != STALE
        ]

    def counted(self, trials: Sequence[FrozenTrial] | None = None) -> list[FrozenTrial]:
        """Return the units that count towards the total, by rank; see `units`."""
        extras = (EXTRA, "baseline")
        return [unit for unit in self.units(trials) if unit.user_attrs.get("role") not in extras]


def take_batch(work: Work, draw: Callable[[FrozenTrial, int], Drawn]) -> list[Drawn]:
    """Take up what a dead worker left, or else make a batch of units.

    Args:
        work: The work.
        draw: Called with each unit and its rank, one after the other, before the next is made.

    Returns:
        What `draw` returned; nothing where all that is left is in the hands of others, or done.
    """
    trials = work.study.get_trials(deepcopy=False)
    _fail_stale(work, trials)
    units = work.units(trials)
    lost = [unit for unit in units if not unit.state.is_finished() and _is_lost(work, unit)]
    if lost:
        return _take_up(work, lost, draw)
    return _make(work, len(work.counted(trials)), work.worker, range(work.batch), draw)


def claimed(
    study: optuna.Study,
    name: str,
    worker: str,
    is_done: Callable[[], bool],
    *,
    alone: bool,
    on_wait: Callable[[], None],
) -> bool:
    """Wait until something is done, or is this worker's to do; return whether it is.

    Args:
        study: The study, which keeps the name of whoever does it.
        name: Of what is done.
        worker: The name that `worker_signs.at_work` gave.
        is_done: Whether it is done.
        alone: Whether no second worker can be there.
        on_wait: Called once, before another worker is waited for.
    """
    waits = False
    while not is_done():
        holder = study.user_attrs.get(name)
        if holder == worker:
            return True
        if not is_alive(study, holder):
            study.set_user_attr(name, worker)
            time.sleep(0 if alone else SETTLE)  # the last of several at once has it
            continue
        if not waits:
            on_wait()
            waits = True
        time.sleep(WAIT)
    return False


def wait(work: Work) -> bool:
    """Wait for other workers a moment; return whether any work is still to be done."""
    trials = work.study.get_trials(deepcopy=False)
    finished = all(unit.state.is_finished() for unit in work.units(trials))
    if finished and len(work.counted(trials)) >= work.total:
        return False
    time.sleep(WAIT)
    return True


def open_trial(
    study: optuna.Study, frozen: FrozenTrial, sampler: BaseSampler | None = None
) -> optuna.Trial:
    """Return a stored trial as one that can be drawn, reported and told.

    Args:
        study: The study.
        frozen: The stored trial, unfinished.
        sampler: What draws its parameters; None where they are drawn already.
    """
    fresh = copy.copy(study)  # without the trials that Optuna has cached for an earlier draw
    fresh.sampler = optuna.samplers.RandomSampler() if sampler is None else sampler
    return optuna.Trial(fresh, frozen._trial_id)


def tell(
    study: optuna.Study,
    frozen: FrozenTrial,
    attributes: Mapping[str, Any],
    value: float | None = None,
    state: TrialState | None = None,
) -> FrozenTrial | None:
    """Tell a unit's outcome; return it as it is then, None where another worker was first.

    Args:
        study: The study.
        frozen: The unit.
        attributes: User attributes that are set before.
        value: Its value, where it has one.
        state: Its state, None for that which the value says.
    """
    trial = open_trial(study, frozen)
    try:
        for name, attribute in attributes.items():
            trial.set_user_attr(name, attribute)
        return study.tell(trial, value, state=state)
    except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
        if study.get_trials(deepcopy=False)[frozen.number].state.is_finished():
            return None
        raise


def replace(work: Work, frozen: FrozenTrial) -> FrozenTrial:
    """Fail a unit that cannot be gone on with, and return a new one with the same parameters."""
    attributes = dict(frozen.user_attrs)
    tell(work.study, frozen, {"role": STALE, "diverged": False}, state=TrialState.FAIL)
    work.study.add_trial(
        create_trial(
            state=TrialState.RUNNING,
            params=frozen.params,
            distributions=frozen.distributions,
            user_attrs={**attributes, "rescuer": work.worker},
        )
    )
    trials = work.study.get_trials(deepcopy=False)
    return _mine(trials, attributes["worker"], attributes["batch"], attributes["place"])


def _is_lost(work: Work, unit: FrozenTrial) -> bool:
    holder = unit.user_attrs.get("rescuer", unit.user_attrs.get("worker"))
    return holder == work.worker or not is_alive(work.study, holder)


def _fail_stale(work: Work, trials: Sequence[FrozenTrial]) -> None:
    for trial in trials:
        stale = trial.user_attrs.get("role") == STALE and not trial.state.is_finished()
        if stale and trial.user_attrs.get("kind") == work.kind and _is_lost(work, trial):
            tell(work.study, trial, {}, state=TrialState.FAIL)


def _take_up(
    work: Work, lost: list[FrozenTrial], draw: Callable[[FrozenTrial, int], Drawn]
) -> list[Drawn]:
    def batch(unit: FrozenTrial) -> tuple[Any, Any]:
        return unit.user_attrs["worker"], unit.user_attrs["batch"]

    creator, label = batch(lost[0])
    for unit in lost:
        if batch(unit) == batch(lost[0]):
            open_trial(work.study, unit).set_user_attr("rescuer", work.worker)
    if not work.alone:
        time.sleep(SETTLE)  # the last of several who claim it at once has it
    trials = work.study.get_trials(deepcopy=False)
    whole = [unit for unit in work.units(trials) if batch(unit) == (creator, label)]
    ranks = {unit.number: rank for rank, unit in enumerate(work.counted(trials))}
    drawn = [
        draw(unit, ranks.get(unit.number, work.total))
        for unit in whole
        if unit.user_attrs.get("rescuer") == work.worker and not unit.state.is_finished()
    ]
    if any(unit.state.is_finished() for unit in whole):
        return drawn  # none is told before all are drawn, so the batch was whole
    taken = {unit.user_attrs["place"] for unit in whole}
    missing = [place for place in range(work.batch) if place not in taken]
    return drawn + _make(work, label, creator, missing, draw)


def _make(
    work: Work,
    label: int,
    creator: str,
    places: Iterable[int],
    draw: Callable[[FrozenTrial, int], Drawn],
) -> list[Drawn]:
    drawn: list[Drawn] = []
    made = len(work.counted())
    for place in places:
        if made >= work.total:
            break
        attributes = {**work.attributes, "worker": creator, "batch": label, "place": place}
        if work.kind is not None:
            attributes["kind"] = work.kind
        if creator != work.worker:
            attributes["rescuer"] = work.worker
        work.study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs=attributes))
        trials = work.study.get_trials(deepcopy=False)
        mine, counted = _mine(trials, creator, label, place), work.counted(trials)
        made, rank = len(counted), [unit.number for unit in counted].index(mine.number)
        if rank >= work.total:  # another worker made the last one at the same moment
            tell(work.study, mine, {"role": STALE, "diverged": False}, state=TrialState.FAIL)
            break
        drawn.append(draw(mine, rank))
    return drawn


def _mine(trials: Sequence[FrozenTrial], creator: str, label: int, place: int) -> FrozenTrial:
    wanted = (creator, label, place)
    for trial in reversed(trials):
        found = tuple(trial.user_attrs.get(name) for name in ("worker", "batch", "place"))
        if found == wanted and not trial.state.is_finished():
            return trial
    raise RuntimeError(f"the storage lost the trial of worker, batch and place {wanted}")
