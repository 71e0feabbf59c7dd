"""Pairs of a comparison as trials of a study beside it, shared by any number of processes.

Each pair is a unit of `tuners.study.work_queue`; its place is that of its seed. What was told is
read back and never trained again, so that a stopped comparison is resumed, and one with
more pairs trains the further pairs only.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces.task import TuningTask
from tuners.comparison.looks import looks
from tuners.comparison.pairs import PAIRS_AT_ONCE, Pair, PairedDesign, train_pairs
from tuners.study import work_queue
from tuners.study.heartbeat import at_work
from tuners.study.metadata import task_hash
from tuners.study.optuna_private import storage_of
from tuners.study.schema import PLACE
from tuners.study.storage import one_process_only, open_part
from tuners.study.work_queue import Work
from tuners.training.pool import TrainingPool


def train_shared(
    study: optuna.Study,
    design: PairedDesign,
    first_seed: int,
    pairs: int,
    on_epoch: Callable[[int], None] | None = None,
    pool: TrainingPool | None = None,
    enough: Callable[[list[Pair]], bool] | None = None,
) -> list[Pair]:
    """Train what is missing of some pairs, wait for what others train, and return all.

    With `enough` it ends with the first look at which it holds, whoever trained the pairs and
    however many more there are: all processes decide alike.

    Args:
        study: The study whose chosen rate is compared; the pairs are in "NAME pairs" beside it.
        design: What is compared, and how.
        first_seed: Seed of the first pair; pair i has `first_seed + i`.
        pairs: How many.
        on_epoch: Called with the lane-epochs done in all.
        pool: Processes that train; None trains here.
        enough: Says whether a look at some first pairs ends it; None wants all.

    Raises:
        KeyboardInterrupt: Ctrl-C came during training; what was told is kept.
        InputError: Another process is at work on a study that one alone can work on.
    """
    alone = one_process_only(storage_of(study))
    part = open_part(study, "pairs")
    batch = PAIRS_AT_ONCE * (1 if pool is None else pool.processes)
    with at_work(part, alone) as worker:
        kind = _kind(design, first_seed)
        work = Work(part, worker, pairs, batch, {}, kind, alone=bool(alone))
        with work_queue.handing_back(work):
            while True:
                if enough is not None and (first := _first_enough(work, enough)):
                    return first
                units = work_queue.take_batch(work, lambda unit, place: (unit, place))
                own = [(unit, first_seed + place) for unit, place in units if place is not None]
                if own:
                    done = 2 * design.epochs * len(work.done())
                    tell = None if on_epoch is None else _further(on_epoch, done)
                    trained = train_in(pool, design, np.array([seed for _, seed in own]), tell)
                    for (unit, _), pair in zip(own, trained, strict=True):
                        _tell(part, unit, pair)
                elif not work_queue.wait(work):
                    break
        return _pairs(work.done())


def _pairs(units: Iterable[FrozenTrial]) -> list[Pair]:
    return [Pair.from_dict(unit.user_attrs["pair"]) for unit in units]


def _first_enough(work: Work, enough: Callable[[list[Pair]], bool]) -> list[Pair]:
    """Return the pairs of the first look that ends it, none where there is none yet."""
    done = {unit.user_attrs[PLACE]: unit for unit in work.done()}
    for count in looks(work.total):
        if not all(place in done for place in range(count)):
            break
        first = _pairs(done[place] for place in range(count))
        if enough(first):
            return first
    return []


def train_in(
    pool: TrainingPool | None,
    design: PairedDesign,
    seeds: np.ndarray,
    on_epoch: Callable[[int], None] | None = None,
) -> list[Pair]:
    """Train pairs as `train_pairs` does, in the processes of a pool where there is one."""
    if pool is None:
        return train_pairs(design, seeds, on_epoch)
    names = [pool.name_of(task) for task in design.tasks]
    settings = {name: getattr(design, name) for name in _SETTINGS}
    shares = pool.shares(seeds)
    found: list[Pair] = []
    started = time.perf_counter()
    for trained in pool.map(_train_share, [(names, settings, part) for part in shares]):
        found += trained
        if on_epoch is not None:
            on_epoch(2 * design.epochs * len(found))
    seconds = round((time.perf_counter() - started) / len(found), 4)  # by the wall, not summed
    return [replace(pair, seconds=seconds) for pair in found]


_SETTINGS = ("rates", "epochs", "objective", "metric", "direction", "how")


def _train_share(
    tasks: dict[str, TuningTask], names: list[str], settings: dict[str, Any], seeds: np.ndarray
) -> list[Pair]:
    one, other = (tasks[name] for name in names)
    return train_pairs(PairedDesign((one, other), **settings), seeds)


def _further(on_epoch: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: on_epoch(before + done)


def _tell(study: optuna.Study, unit: FrozenTrial, pair: Pair) -> None:
    chosen, baseline = pair.chosen.value, pair.baseline.value
    lost = chosen is None or baseline is None
    # for whoever looks at the study; the comparison itself reads the attribute
    value = None if lost else float(chosen) - float(baseline)  # type: ignore[arg-type]
    attributes = {"pair": pair.to_dict(), work_queue.LOST: lost}
    work_queue.tell(study, unit, attributes, value, TrialState.FAIL if lost else None)


def _kind(design: PairedDesign, first_seed: int) -> str:
    def describe(task: TuningTask, rate: float) -> tuple[Any, ...]:
        return task.name, task_hash(task), task.batch_size, f"{rate:.12g}"

    sides = [describe(task, rate) for task, rate in zip(design.tasks, design.rates, strict=True)]
    same = design.tasks[0] is design.tasks[1]
    told = (sides, same, design.epochs, design.objective, first_seed)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
