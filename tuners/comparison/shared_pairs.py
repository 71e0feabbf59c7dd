"""Pairs of a comparison as trials of a study of their own, shared by any number of processes.

Each pair is a unit of `tuners.study.work_queue`; its rank is its place among the seeds. What was
told is read back and never trained again, so that a stopped comparison goes on, and one with more
pairs trains the further ones only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.comparison.pairs import PAIRS_AT_ONCE, Pair, PairedDesign, train_pairs
from tuners.study import work_queue
from tuners.study.heartbeat import at_work
from tuners.study.metadata import task_hash
from tuners.study.storage import one_process_only
from tuners.study.work_queue import Work

PAIRS_OF = "pairs_of"  # attribute of a study of pairs: the name of the study that it belongs to
ALONE = "alone"  # attribute that says why one process only may be at work, "" where several may


def open_pairs_study(storage: optuna.storages.BaseStorage, study: optuna.Study) -> optuna.Study:
    """Return the study of a study's pairs, made where there is none.

    Args:
        storage: The storage that holds the study.
        study: The study whose chosen rate is compared.

    Raises:
        ValueError: A study of that name is there, and is something else.
    """
    name = f"{study.study_name} pairs"
    pairs = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True
    )
    trials = pairs.get_trials(deepcopy=False)
    attributes = pairs.user_attrs  # once, and after the trials: others may be making it just now
    if not attributes and not trials:
        pairs.set_user_attr(PAIRS_OF, study.study_name)
    elif attributes.get(PAIRS_OF) != study.study_name:
        raise InputError(
            f"`study_name` {study.study_name!r} needs the name {name!r} for its pairs, but the "
            "storage has another study of that name; choose another name."
        )
    pairs.set_user_attr(ALONE, one_process_only(storage))
    return pairs


def train_shared(
    study: optuna.Study,
    design: PairedDesign,
    first_seed: int,
    pairs: int,
    on_epoch: Callable[[int], None] | None = None,
) -> list[Pair]:
    """Train what is missing of some pairs, wait for what others train, and return all.

    Args:
        study: The study of the pairs.
        design: What is compared, and how.
        first_seed: Seed of the first pair; pair i has `first_seed + i`.
        pairs: How many.
        on_epoch: Called with the lane-epochs done in all.

    Raises:
        KeyboardInterrupt: Ctrl-C came during training; what was told is kept.
        ValueError: Another process is at work on a study that one alone can work on.
    """
    alone = study.user_attrs.get(ALONE, "")
    with at_work(study, alone) as worker:
        kind = _kind(design, first_seed)
        work = Work(study, worker, pairs, PAIRS_AT_ONCE, {}, kind, alone=bool(alone))
        while True:
            units = work_queue.take_batch(work, lambda unit, rank: (unit, first_seed + rank))
            if units:
                done = 2 * design.epochs * sum(u.state.is_finished() for u in work.counted())
                tell = None if on_epoch is None else _further(on_epoch, done)
                seeds = np.array([seed for _, seed in units])
                trained = train_pairs(design, seeds, tell)
                for (unit, _), pair in zip(units, trained, strict=True):
                    _tell(study, unit, pair)
            elif not work_queue.wait(work):
                break
        found = [unit.user_attrs.get("pair") for unit in work.counted()[:pairs]]
        return [Pair.from_dict(entry) for entry in found if entry is not None]


def _further(on_epoch: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: on_epoch(before + done)


def _tell(study: optuna.Study, unit: FrozenTrial, pair: Pair) -> None:
    chosen, baseline = pair.chosen.value, pair.baseline.value
    lost = chosen is None or baseline is None
    # for whoever looks at the study; the comparison itself reads the attribute
    value = None if lost else float(chosen) - float(baseline)  # type: ignore[arg-type]
    attributes = {"pair": pair.to_dict()}
    work_queue.tell(study, unit, attributes, value, TrialState.FAIL if lost else None)


def _kind(design: PairedDesign, first_seed: int) -> str:
    def describe(task: TuningTask, rate: float) -> tuple[Any, ...]:
        return task.name, task_hash(task), task.batch_size, f"{rate:.12g}"

    sides = [describe(task, rate) for task, rate in zip(design.tasks, design.rates, strict=True)]
    same = design.tasks[0] is design.tasks[1]
    told = (sides, same, design.epochs, design.objective, first_seed)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
