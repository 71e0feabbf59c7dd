"""Work that the trials of a study stand for, shared by any number of processes.

A unit of work is a trial that runs and bears its worker's name from the first moment. Trials have
their numbers from the storage, one after the other, and that decides the place of a unit: how many
units of the same work have lower numbers. What has a place of `total` or more is one too many and
is failed at once.

A unit whose process died is failed and queued again, as Optuna does after a lost heartbeat: its
copy keeps rate and place under a number of its own (`retry_history` among its system attributes
names the earlier ones). Copies are taken by place. Where a kill would leave an earlier place the
higher number, what waits behind it is queued again too: samplers read trials by number, and shall
see the order of an undisturbed study. Only one process can take or fail a trial, and telling a
finished one is refused, so nothing is told twice, even where a process was only thought dead.
Where one process alone may work, it opens again what is left running, under the same numbers.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from tuners.study.heartbeat import WORKER, at_work, is_alive, sign
from tuners.study.optuna_private import (
    backend,
    begin_trial,
    fail_trial,
    fixed_values,
    retry_history,
    running_trial,
    storage_of,
    take_waiting_trial,
    write_report,
    write_sampler_attribute,
)
from tuners.study.schema import EXTRA, PLACE, STALE, UNIT, superseded
from tuners.study.storage import open_part

WAIT = 0.5  # seconds between two looks at what other workers have left to do
LOST = "diverged"  # attribute of every unit that was told: true where it failed by itself

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, eq=False)
class Work:
    """What is shared.

    Args:
        study: Whose trials are the units.
        worker: The name that `heartbeat.at_work` gave.
        total: Units in all.
        batch: Units that a worker takes at once; a batch ends at a multiple of it.
        attributes: User attributes of every unit.
        kind: Tells the units of this work from others of the study.
        alone: Whether no second process can be there.
    """

    study: optuna.Study
    worker: str
    total: int
    batch: int
    attributes: Mapping[str, Any]
    kind: str = "search"
    alone: bool = False

    def units(self, trials: Sequence[FrozenTrial] | None = None) -> dict[int, FrozenTrial]:
        """Return the trial that stands for each place so far, by place.

        Args:
            trials: All trials where they are read already, which takes long where there are many.
        """
        trials = self.study.get_trials(deepcopy=False) if trials is None else trials
        own = [trial for trial in trials if self._is_own(trial)]
        originals = [trial.number for trial in own if not retry_history(trial)]
        places = {number: place for place, number in enumerate(originals)}
        found: dict[int, FrozenTrial] = {}
        replaced = superseded(own)
        for trial in own:
            place = places.get(_original(trial))
            if trial.number not in replaced and place is not None:
                found.setdefault(place, trial)  # of two copies the earlier one counts
        return found

    def done(self, trials: Sequence[FrozenTrial] | None = None) -> list[FrozenTrial]:
        """Return the units that were told and count towards the total, by place."""
        units = self.units(trials)
        return [units[place] for place in sorted(units) if self._is_done(place, units[place])]

    def _is_done(self, place: int, unit: FrozenTrial) -> bool:
        return place < self.total and unit.state.is_finished() and not _is_orphan(unit)

    def _is_own(self, trial: FrozenTrial) -> bool:
        return trial.user_attrs.get(UNIT) == self.kind and trial.user_attrs.get("role") != STALE


def take_batch(work: Work, draw: Callable[[FrozenTrial, int | None], Drawn]) -> list[Drawn]:
    """Take what dead processes left and what is queued, or else new units, up to a batch.

    Args:
        work: The work.
        draw: Called with each unit and its place, one after the other, before the next is taken;
            the place is None for a trial that somebody queued on the study.

    Returns:
        What `draw` returned; nothing where all that is left is in the hands of others, or done.
    """
    _recover(work)
    drawn: list[Drawn] = []
    taken: set[int] = set()
    end = work.total
    while len(drawn) < work.batch:
        found = _take(work, taken, end)
        if found is None:
            break
        unit, place = found
        taken.add(unit.number)
        try:
            drawn.append(draw(unit, place))
        except UpdateFinishedTrialError:  # this process slept, and another took it for dead
            continue
        if place is not None:
            end = min(end, (place // work.batch + 1) * work.batch)
    return drawn


@contextlib.contextmanager
def handing_back(work: Work) -> Iterator[None]:
    """Queue again, for other processes, what this one holds when the block ends, as by Ctrl-C."""
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # the storage may be what ended the block
            for trial in [] if work.alone else _running(work.study):
                if trial.user_attrs.get(WORKER) == work.worker:
                    _queue_again(work.study, trial)


def wait(work: Work) -> bool:
    """Wait for other workers a moment; return whether any work is still to be done."""
    _recover(work)  # a process that died at the end leaves nothing that runs for ever
    trials = work.study.get_trials(deepcopy=False)
    queued = any(trial.state == TrialState.WAITING and work._is_own(trial) for trial in trials)
    if not queued and len(work.done(trials)) >= work.total:
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
    fresh.sampler = RandomSampler() if sampler is None else sampler
    return running_trial(fresh, frozen)


def tell(
    study: optuna.Study,
    frozen: FrozenTrial,
    attributes: Mapping[str, Any],
    value: float | None = None,
    state: TrialState | None = None,
    reported: tuple[Mapping[int, float], Mapping[str, Any]] | None = None,
) -> FrozenTrial | None:
    """Tell a unit's outcome; return it as it is then, None where another worker was first.

    Args:
        study: The study.
        frozen: The unit.
        attributes: User attributes that are set before, `LOST` among them, which is set last: what
            fails with it had all of them.
        value: Its value, where it has one.
        state: Its state, None for that which the value says.
        reported: What it reported to a pruner, by step, and what the pruner wrote on it.
    """
    trial = open_trial(study, frozen)
    values, written = reported or ({}, {})
    try:
        for step, reported_value in values.items():  # those that a kill left are written over
            write_report(study, frozen, step, reported_value)
        for name in written:
            write_sampler_attribute(study, frozen, name, written[name])
        for name in sorted(attributes, key=lambda name: name == LOST):
            trial.set_user_attr(name, attributes[name])
        return study.tell(trial, value, state=state)
    except (UpdateFinishedTrialError, ValueError):
        if study.get_trials(deepcopy=False)[frozen.number].state.is_finished():
            return None
        raise


def _take(work: Work, taken: set[int], end: int) -> tuple[FrozenTrial, int | None] | None:
    """Return the next unit, which this worker holds from now on, and its place, below `end`."""
    while True:
        trials = work.study.get_trials(deepcopy=False)
        units = work.units(trials)
        later = {unit.number for place, unit in units.items() if end <= place < work.total}
        left = [trial for trial in trials if _is_left(work, trial, {*taken, *later})]
        if left:
            unit = min(left, key=_original)
            if unit.state == TrialState.WAITING and not take_waiting_trial(work.study, unit):
                continue  # others were quicker
        elif len(units) >= end:
            return None
        else:
            own = {UNIT: work.kind, WORKER: work.worker}
            unit = begin_trial(work.study, {**work.attributes, **own})
        trials = work.study.get_trials(deepcopy=False)
        standing = work.units(trials).items()
        place = next((place for place, each in standing if each.number == unit.number), None)
        held = _hold(work, trials[unit.number], place)
        if held is not None:
            return held


def _hold(
    work: Work, unit: FrozenTrial, place: int | None
) -> tuple[FrozenTrial, int | None] | None:
    """Sign for a unit that was taken, or fail it where it is nothing to be done."""
    queued = UNIT not in unit.user_attrs and bool(fixed_values(unit))
    if not queued and (place is None or place >= work.total):
        _fail_surplus(work, unit)
        return None
    trial = open_trial(work.study, unit)
    attributes: dict[str, Any] = {}
    if queued:
        attributes = {"role": EXTRA, **work.attributes, **unit.user_attrs}
    elif unit.user_attrs.get(PLACE) != place:
        attributes = {PLACE: place}
    attributes.pop(WORKER, None)  # who held it before
    try:
        if unit.user_attrs.get(WORKER) != work.worker:  # what was begun here bears the name already
            trial.set_user_attr(WORKER, work.worker)
        sign(work.study, unit)
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
    except UpdateFinishedTrialError:  # another took this one for dead and queued it again
        return None
    return work.study.get_trials(deepcopy=False)[unit.number], place


def _recover(work: Work) -> None:
    """Queue again what dead processes left; where one alone can be there, it opens it again."""
    dead: dict[int, FrozenTrial] = {}
    if not work.alone:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            fail_stale_trials(work.study)  # of other machines
        dead = {each.number: each for each in _running(work.study) if _is_dead(work, each)}
    last = -1  # samplers read trials by number, so numbers are kept in the order of the places
    for unit in _wanted(work):
        if _is_orphan(unit):  # whoever failed it died before it was queued again
            _copy(work.study, unit)
        elif unit.number in dead or (unit.state == TrialState.WAITING and unit.number < last):
            dead.pop(unit.number, None)
            _queue_again(work.study, unit)
        else:
            last = max(last, unit.number)
            continue
        last = sys.maxsize
    for trial in dead.values():
        if work._is_own(trial):
            _fail_surplus(work, trial)
        else:
            _queue_again(work.study, trial)


def _wanted(work: Work) -> list[FrozenTrial]:
    return [unit for place, unit in sorted(work.units().items()) if place < work.total]


def _fail_surplus(work: Work, unit: FrozenTrial) -> None:
    foreign = unit.user_attrs.get(UNIT, work.kind) != work.kind
    attributes = {} if foreign else {"role": STALE, LOST: False}
    tell(work.study, unit, attributes, state=TrialState.FAIL)


def _running(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _is_left(work: Work, trial: FrozenTrial, others: set[int]) -> bool:
    if trial.number in others:
        return False
    if trial.state == TrialState.WAITING:
        return True
    extra = UNIT not in trial.user_attrs and WORKER in trial.user_attrs
    running = work.alone and trial.state == TrialState.RUNNING
    return running and (extra or work._is_own(trial))


def _original(trial: FrozenTrial) -> int:
    """Return the number of the trial that was there before all copies."""
    return next(iter(retry_history(trial)), trial.number)


def _is_dead(work: Work, trial: FrozenTrial) -> bool:
    if WORKER not in trial.user_attrs:  # somebody else's
        return False
    if trial.user_attrs[WORKER] == work.worker and work._is_own(trial):
        return True  # queued here, taken by one that died before it signed: none is held here now
    alive = is_alive(trial.user_attrs[WORKER])
    if alive is None:  # of another machine: heartbeats tell, where there are any
        return not isinstance(backend(storage_of(work.study)), RDBStorage)
    return not alive


def _is_orphan(unit: FrozenTrial) -> bool:
    return unit.state == TrialState.FAIL and not unit.user_attrs.get(LOST)


def _queue_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Fail a running trial and queue its copy, unless another process has just done so."""
    try:
        if fail_trial(study, trial):
            _copy(study, trial)
    except UpdateFinishedTrialError:
        pass


def _copy(study: optuna.Study, trial: FrozenTrial) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        RetryHeartbeatStaleTrialCallback()(study, copy.deepcopy(trial))


def do_once(
    study: optuna.Study,
    what: str,
    job: Callable[[], None],
    is_done: Callable[[], bool],
    *,
    alone: bool,
    on_wait: Callable[[], None] = lambda: None,
) -> None:
    """Do something once, whichever of several processes does it, and wait until it is done.

    Args:
        study: The study that it is done for; another one beside it holds the unit of work.
        what: Of the work, for example "range test".
        job: Does it, and records on the study that it is done.
        is_done: Whether it is done.
        alone: Whether no second process can be there; then nothing is claimed.
        on_wait: Called once, before another process is waited for.
    """
    if is_done():
        return
    if alone:
        job()
        return
    part, waits = open_part(study, what), False
    with at_work(part) as worker:
        work = Work(part, worker, total=1, batch=1, attributes={}, kind=what)
        while True:
            units = take_batch(work, lambda unit, _: unit)
            if units and not is_done():  # another may have died between its record and its end
                job()
            for unit in units:
                tell(part, unit, {LOST: False}, 0.0)
            if not units and not wait(work):
                return
            if not units and not waits:
                waits = True
                on_wait()
