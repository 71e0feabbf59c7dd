"""Which program runs a task's lanes: how many at a time, tried once against Keras, then kept."""

from __future__ import annotations

import logging
import re
import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search_spaces._data import count_rows
from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.training.models import built_model
from tuners.training.population.convolutions import patch_bytes
from tuners.training.population.parity import evaluates_like_keras, trains_like_keras
from tuners.training.population.program import LaneProgram
from tuners.training.population.stackable import (
    CannotStack,
    first_line,
    refuse_if_unstackable,
    refusing_shapes,
)
from tuners.training.records import How
from tuners.training.rows import first_rows, rows_of

log = logging.getLogger("tuners")

CACHE_BYTES = 16 * 2**20  # what a chunk works on should stay in the cache
STACKED_ROWS_BYTES = 256 * 2**20  # a chunk's own copies of the rows, at most
MAX_LANES = 64
TASKS_KEPT = 16  # whose programs stay compiled; one job compares Keras's 12 optimizers at most


@dataclass(eq=False)
class Programs:
    """The compiled programs of one task, and why they can or cannot be used."""

    refusal: str | None = None
    vectorized: bool = True
    why: str = ""
    evaluates: bool = False
    lane_bytes: int = 0
    compiled: dict[Any, LaneProgram] = field(default_factory=dict)


_programs: weakref.WeakKeyDictionary[TuningTask, Programs] = weakref.WeakKeyDictionary()


def chunk_size(lane_bytes: int, lanes: int) -> int:
    """Return how many lanes to stack: a power of two that fits the cache, 64 at most.

    It is reckoned from sizes alone, never timed, so that results do not depend on load.

    Args:
        lane_bytes: Bytes of one lane's weights, gradients, optimizer slots and patches.
        lanes: Lanes wanted, 1 or more.

    Example:
        >>> chunk_size(1_600_000, 24), chunk_size(1_600_000, 3), chunk_size(10**9, 24)
        (8, 4, 1)
    """
    fitting = min(MAX_LANES, max(1, CACHE_BYTES // max(1, lane_bytes)))
    wanted = 1 << (lanes - 1).bit_length()
    return min(1 << (int(fitting).bit_length() - 1), wanted)


def program_for(
    task: TuningTask, lanes: int, *, resplit: bool, evaluates: bool = True
) -> LaneProgram:
    """Return the compiled program for so many lanes of a task, trying it once against Keras.

    Args:
        task: The task.
        lanes: Lanes wanted, 1 or more.
        resplit: Whether each lane trains on the rows of its own seed's split.
        evaluates: Whether it evaluates too, which is then tried.

    Raises:
        CannotStack: The model cannot run as lanes, with the reason.
    """
    known = _programs.pop(task, None)
    new = known is None
    _programs[task] = known = Programs() if known is None else known  # the last one used is last
    for left in list(_programs.values())[:-TASKS_KEPT]:
        left.compiled.clear()
    if new:
        try:
            _probe(task, known)
        except CannotStack as refusal:
            known.refusal = str(refusal)
    if known.refusal is not None:
        raise CannotStack(known.refusal)
    size = chunk_size(known.lane_bytes, lanes)
    if not known.why:  # a step that mixes lanes shows with two of them only
        _program_of(task, known, max(size, 2), resplit)
    program = _program_of(task, known, size, resplit)
    if evaluates and not known.evaluates:
        _try_evaluation(task, known, program)
    return program


def _try_evaluation(task: TuningTask, known: Programs, program: LaneProgram) -> None:
    try:
        difference = evaluates_like_keras(task, program)
        known.refusal = difference and f"it does not agree with Keras: {difference}"
    except Exception as error:
        log.debug("not compiled: %s", error)
        known.refusal = f"its evaluation does not compile as one program ({first_line(error)})"
    if known.refusal is not None:
        known.compiled.clear()
        raise CannotStack(known.refusal)
    known.evaluates = True


def _program_of(task: TuningTask, known: Programs, size: int, resplit: bool) -> LaneProgram:
    shared = not (resplit or _rows_fit(task, size))
    key = (size, shared)
    if key not in known.compiled:
        program = LaneProgram(task, size, vectorized=known.vectorized, shared_rows=shared)
        if not known.why:
            program = _tried(task, known, program)
        known.compiled[key] = program
    return known.compiled[key]


def _rows_fit(task: TuningTask, size: int) -> bool:
    """Whether lanes get their own rows even unasked, so that a comparison meets no new shape."""
    return task.resplit is not None and rows_of(task.train).bytes * size <= STACKED_ROWS_BYTES


def _probe(task: TuningTask, known: Programs) -> None:
    if task.streams:
        raise CannotStack("the data are a tf.data.Dataset, which streams through model.fit")
    model = built_model(task, 0)
    refuse_if_unstackable(model)
    model.optimizer.build(model.trainable_variables)
    weights = sum(_bytes(variable) for variable in model.trainable_variables)
    slots = sum(_bytes(variable) for variable in model.optimizer.variables)
    one, batch = rows_of(first_rows(task.train, 1)), min(task.batch_size, count_rows(task.train))
    with refusing_shapes(task):
        patches = batch * patch_bytes(model, one.x)
    known.lane_bytes = 2 * weights + slots + patches
    if patches and chunk_size(known.lane_bytes, 2) < 2:  # measured: half as quick as `model.fit`
        raise CannotStack("its convolutions are too large for two lanes in the cache")


def _bytes(variable: Any) -> int:
    return int(np.prod(variable.shape, dtype=int)) * variable.numpy().dtype.itemsize


def _tried(task: TuningTask, known: Programs, program: LaneProgram) -> LaneProgram:
    why = ""
    try:
        try:
            difference = trains_like_keras(task, program)
        except Exception as error:  # as with loops: XLA has no form of theirs for several lanes
            log.debug("not vectorized: %s", error)
            why = f"lane after lane in one program ({_no_form(error)}); "
            program = LaneProgram(
                task, program.lanes, vectorized=False, shared_rows=program.shared_rows
            )
            difference = trains_like_keras(task, program)
        known.refusal = difference and f"it does not agree with Keras: {difference}"
    except CannotStack as refusal:
        known.refusal = str(refusal)
    except Exception as error:
        log.debug("not compiled: %s", error)
        known.refusal = f"it does not compile as one program ({first_line(error)})"
    if known.refusal is not None:
        raise CannotStack(known.refusal)
    known.vectorized = program.vectorized
    known.why = f"{why}three steps of two lanes agree with train_on_batch"
    return program


def _no_form(error: Exception) -> str:
    named = re.search(r"XLA_\w+: (\w+)", str(error))
    return f"{named[1]} has no form for several lanes" if named else first_line(error)


def choose(
    task: TuningTask, lanes: int, how: How | None, *, resplit: bool, evaluates: bool = True
) -> LaneProgram | str:
    """Return the program, or the reason to run the lanes one at a time.

    Args:
        task: The task.
        lanes: Lanes wanted, 1 or more.
        how: What the user forces, or None.
        resplit: Whether each lane trains on the rows of its own seed's split.
        evaluates: Whether lanes are evaluated too.

    Raises:
        ValueError: `how="population"` is forced and cannot be done.
    """
    if how == "sequential":
        return 'asked for by how="sequential"'
    try:
        return program_for(task, lanes, resplit=resplit, evaluates=evaluates)
    except CannotStack as refusal:
        if how == "population":
            raise InputError(
                f'`how="population"` cannot be done for task {task.name!r}: {refusal}; '
                "leave `how` unset to train one lane at a time."
            ) from None
        if task not in _told:
            _told.add(task)
            log.warning("Training one lane at a time with model.fit: %s.", refusal)
        return str(refusal)


_told: weakref.WeakSet[TuningTask] = weakref.WeakSet()


def reason(task: TuningTask, chosen: LaneProgram | str) -> tuple[How, str]:
    """Return how a choice runs the lanes, and why."""
    if isinstance(chosen, str):
        return "sequential", chosen
    return "population", _programs[task].why
