"""Single steps of lanes, each at its own rate: what the range test runs on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from search_spaces.task import TuningTask
from tuners.training import sequential
from tuners.training.models import initial_variables
from tuners.training.population.batches import chunk_rows, chunks
from tuners.training.population.cache import choose, reason
from tuners.training.population.program import LaneProgram
from tuners.training.records import How, Progress, StepRecord
from tuners.training.rows import step_order

log = logging.getLogger("tuners")


def run_steps(
    task: TuningTask,
    rates: np.ndarray,
    seeds: np.ndarray,
    how: How | None,
    same_batches: bool,
    on_step: Callable[[int, int], None] | None,
) -> StepRecord:
    """Train lanes step by step and return their record; see `tuners.train_steps`."""
    started = time.perf_counter()
    steps, lanes = rates.shape
    chosen = choose(task, lanes, how, resplit=task.resplit is not None, evaluates=False)
    progress = Progress(on_step, steps * lanes)
    order_seeds = np.repeat(seeds[:1], lanes) if same_batches else seeds
    if isinstance(chosen, str):
        size = 1
        if how is None:
            log.warning("It takes %d lanes of %d steps, one after another.", lanes, steps)
        loss = sequential.run_lane_steps(task, rates, seeds, order_seeds, progress.add)
    else:
        size, loss = chosen.lanes, np.full((steps, lanes), np.nan)
        for chunk, padded in chunks(lanes, size):
            own = (rates[:, padded], seeds[padded], order_seeds[padded])
            found = _chunk_steps(task, chosen, *own, progress.each(len(chunk)))
            loss[:, chunk] = found[:, : len(chunk)]
    how_done, why = reason(task, chosen)
    return StepRecord(
        learning_rates=rates,
        seeds=seeds,
        loss=loss,
        seconds=time.perf_counter() - started,
        how=how_done,
        why=why,
        chunk_size=size,
    )


def _chunk_steps(
    task: TuningTask,
    program: LaneProgram,
    rates: np.ndarray,
    seeds: np.ndarray,
    order_seeds: np.ndarray,
    tell: Callable[[int], None],
) -> np.ndarray:
    """Return the losses of a chunk, (steps, lanes)."""
    train, _ = chunk_rows(task, program, seeds, resplit=task.resplit is not None)
    count = tf.nest.flatten(train)[0].shape[0 if program.shared_rows else 1]
    batch = min(task.batch_size, count)
    program.load([initial_variables(task, int(seed)) for seed in seeds])
    orders = {
        seed: step_order(seed, len(rates), count, batch) for seed in set(order_seeds.tolist())
    }
    order = np.stack([orders[seed] for seed in order_seeds.tolist()], axis=1)
    return program.train(train, order, rates, tell)
