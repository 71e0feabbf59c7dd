"""Single steps of lanes, each at its own rate: what the range test runs on."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from search_spaces.task import TuningTask
from tuners.training import sequential
from tuners.training.models import initial_variables, rows_of, step_order
from tuners.training.population.batches import chunk_rows, chunks
from tuners.training.population.cache import choose, reason
from tuners.training.population.program import LaneProgram
from tuners.training.records import How, Progress, StepRecord


def run_steps(
    task: TuningTask,
    rates: np.ndarray,
    seeds: np.ndarray,
    how: How | None,
    same_batches: bool,
    evaluate_every: int | None,
    on_step: Callable[[int, int], None] | None,
) -> StepRecord:
    """Train lanes step by step and return their record; see `tuners.train_steps`."""
    started = time.perf_counter()
    steps, lanes = rates.shape
    chosen = choose(task, lanes, how, resplit=False)
    at = (
        np.arange(evaluate_every, steps + 1, evaluate_every)
        if evaluate_every
        else np.array([], int)
    )
    loss = np.full((steps, lanes), np.nan)
    val_loss = np.full((len(at), lanes), np.nan)
    progress = Progress(on_step, steps * lanes)
    order_seeds = np.repeat(seeds[:1], lanes) if same_batches else seeds
    if isinstance(chosen, str):
        size = 1
        for lane in range(lanes):
            loss[:, lane], val_loss[:, lane] = sequential.run_lane_steps(
                task, rates[:, lane], int(seeds[lane]), int(order_seeds[lane]), at
            )
            progress.add(steps)
    else:
        size = chosen.lanes
        for chunk, padded in chunks(lanes, size):
            found = _chunk_steps(
                task,
                chosen,
                rates[:, padded],
                seeds[padded],
                order_seeds[padded],
                at,
                progress,
                len(chunk),
            )
            loss[:, chunk], val_loss[:, chunk] = found
    how_done, why = reason(task, chosen)
    return StepRecord(
        learning_rates=rates,
        seeds=seeds,
        loss=loss,
        val_loss=val_loss if evaluate_every else None,
        evaluated_at=at,
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
    at: np.ndarray,
    progress: Progress,
    wanted: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return losses (steps, wanted) and validation losses (evaluations, wanted) of a chunk."""
    train, validation = chunk_rows(task, program, seeds, resplit=False)
    count = rows_of(task.train).count
    batch = min(task.batch_size, count)
    program.load([initial_variables(task, int(seed)) for seed in seeds])
    orders = {
        seed: step_order(seed, len(rates), count, batch) for seed in set(order_seeds.tolist())
    }
    order = np.stack([orders[seed] for seed in order_seeds.tolist()], axis=1)
    losses, val_losses, done = [], np.full((len(at), program.lanes), np.nan), 0
    for stop in sorted({*at.tolist(), len(rates)}):
        losses.append(program.train(train, order[done:stop], rates[done:stop]))
        if stop in at:
            values = program.evaluate(validation, shared=program.shared_rows, batch=batch)["loss"]
            val_losses[at == stop] = np.where(np.isfinite(losses[-1][-1]), values, np.nan)
        progress.add((stop - done) * wanted)
        done = stop
    return np.concatenate(losses)[:, :wanted], val_losses[:, :wanted]
