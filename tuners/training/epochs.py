"""Whole epochs of lanes: in chunks of one compiled program, or one at a time with `model.fit`."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from search_spaces._data import Data, check_data
from search_spaces.task import TuningTask
from tuners._checks import InputError
from tuners.training import sequential
from tuners.training.models import initial_variables, model_variables
from tuners.training.population.batches import chunk_rows, chunks, stacked
from tuners.training.population.cache import choose, reason
from tuners.training.population.program import LaneProgram
from tuners.training.rates import schedule_shape
from tuners.training.records import (
    Curves,
    How,
    Plan,
    Progress,
    TrainingRecord,
    best_epochs,
    has_diverged,
    named_curve,
)
from tuners.training.rows import epoch_order, rows_of


def run_epochs(task: TuningTask, plan: Plan, how: How | None) -> TrainingRecord:
    """Train a plan's lanes and return their record; see `tuners.train`."""
    started = time.perf_counter()
    lanes = len(plan.rates)
    if plan.callbacks and how is None:
        chosen: LaneProgram | str = "Keras callbacks were given"
    else:
        chosen = choose(task, max(lanes, plan.width), how, resplit=plan.resplit)
    curves, size, interrupted = Curves(lanes, plan.epochs), 1, False
    progress = Progress(plan.on_epoch, lanes * plan.epochs)
    try:
        if isinstance(chosen, str):
            sequential.run_epochs(task, plan, curves, progress)
        else:
            size = chosen.lanes
            _run_chunks(task, plan, chosen, curves, progress)
    except KeyboardInterrupt:
        interrupted = True
    how_done, why = reason(task, chosen)
    known = {"loss", "val_loss", *curves.metrics}
    if interrupted and plan.objective not in known:  # stopped before the first metric came
        best = np.full(lanes, -1)
    else:
        best = best_epochs(plan.score(curves))
    return TrainingRecord(
        learning_rates=plan.rates,
        seeds=plan.seeds,
        loss=curves.loss,
        val_loss=curves.val_loss,
        metrics=curves.metrics,
        best_epoch=best,
        diverged=has_diverged(curves),
        diverged_epoch=curves.diverged_epoch,
        initial_val_loss=curves.initial_val_loss,
        objective=plan.objective,
        direction=plan.direction,
        seconds=time.perf_counter() - started,
        how=how_done,
        why=why,
        chunk_size=size,
        weights=[w if w is not None else [] for w in curves.weights] if plan.keep_weights else None,
        interrupted=interrupted,
    )


def _run_chunks(
    task: TuningTask, plan: Plan, program: LaneProgram, curves: Curves, progress: Progress
) -> None:
    if plan.stop_lanes is not None:
        _run_with_stops(task, plan, program, curves, progress)
        return
    for lanes, padded in chunks(curves.lanes, program.lanes):
        _Chunk(task, plan, program, lanes, padded).run(curves, progress)


class _Chunk:
    """A program's worth of lanes on its way through the epochs."""

    def __init__(
        self,
        task: TuningTask,
        plan: Plan,
        program: LaneProgram,
        lanes: np.ndarray,
        padded: np.ndarray,
    ) -> None:
        self.plan, self.program, self.lanes, self.padded = plan, program, lanes, padded
        self.seeds = plan.seeds[padded]
        self.train, self.validation = chunk_rows(task, program, self.seeds, resplit=plan.resplit)
        self.test: dict[str, Any] | None = None
        if plan.test_curves:
            tests: dict[int, Any] = {
                seed: task.split(seed if plan.resplit else None)[2]
                for seed in dict.fromkeys(self.seeds.tolist())
            }
            self.test = stacked([rows_of(tests[seed]) for seed in self.seeds.tolist()], "test")
        self.count = tf.nest.flatten(self.train)[0].shape[0 if program.shared_rows else 1]
        self.batch = min(task.batch_size, self.count)
        steps = -(-self.count // self.batch)
        self.steps = plan.trained_batches(steps)
        self.shape = schedule_shape(program.model, steps * (plan.schedule_epochs or plan.epochs))
        self.best = np.full(len(padded), np.inf)
        self.stopped = np.zeros(len(padded), bool)
        program.load([initial_variables(task, int(seed)) for seed in self.seeds])

    def initial(self, curves: Curves) -> None:
        """Evaluate the untrained lanes."""
        values = self.evaluate()["val_loss"]
        curves.initial_val_loss[self.lanes] = values[: len(self.lanes)]

    def evaluate(self) -> dict[str, np.ndarray]:
        """Return validation loss and metrics of all lanes of the chunk, padding included."""
        found = self.program.evaluate(
            self.validation, shared=self.program.shared_rows, batch=self.batch
        )
        return {f"val_{name}": value for name, value in found.items()}

    def run_epoch(self, epoch: int, curves: Curves) -> None:
        """Train and evaluate one epoch, and write it into the curves."""
        program, plan, batch = self.program, self.plan, self.batch
        order_seeds = [plan.seeds[0]] * len(self.padded) if plan.same_batches else self.seeds
        orders = np.stack([epoch_order(int(seed), epoch, self.count) for seed in order_seeds])
        full = min(self.count // batch, self.steps)
        tail = self.count % batch if self.steps > full else 0
        first = epoch * self.steps
        rates = self.shape[first : first + self.steps, None] * plan.rates[self.padded]
        program.reset_metrics()
        losses = program.train(
            self.train,
            orders[:, : full * batch].reshape(len(orders), full, batch).swapaxes(0, 1),
            rates[:full],
        )
        rows = np.full(full, batch)
        if tail:
            last = program.train(self.train, orders[None, :, full * batch :], rates[full:])
            losses, rows = np.concatenate([losses, last]), np.append(rows, tail)
        values = {"loss": np.average(losses, axis=0, weights=rows), **program.metrics()}
        values |= self.evaluate()
        if self.test is not None:
            found = program.evaluate(self.test, shared=False, batch=batch)
            values |= {f"test_{name}": value for name, value in found.items()}
        dead = ~(np.isfinite(values["loss"]) & np.isfinite(values["val_loss"]))
        program.alive.assign(program.alive.numpy() & ~dead)
        real = slice(len(self.lanes))
        hidden = dead | self.stopped
        kept = {name: np.where(hidden, np.nan, value)[real] for name, value in values.items()}
        curves.add(self.lanes, epoch, kept)
        new = (dead & ~self.stopped)[real] & (curves.diverged_epoch[self.lanes] < 0)
        curves.diverged_epoch[self.lanes[new]] = epoch
        if plan.keep_weights == "best":
            self._keep_best(curves, epoch)

    def _keep_best(self, curves: Curves, epoch: int) -> None:
        score = self.plan.score(curves)[self.lanes, epoch]
        better = np.flatnonzero(np.isfinite(score) & (score < self.best[: len(self.lanes)]))
        if len(better):
            self.best[better] = score[better]
            self.keep(curves, better)

    def keep(self, curves: Curves, which: np.ndarray) -> None:
        """Copy the present weights of some lanes of the chunk into the curves."""
        values = self.program.read()
        for index in which:
            lane = self.lanes[index]
            curves.weights[lane] = as_weights(
                self.program.model, [value[index] for value in values]
            )

    def run(self, curves: Curves, progress: Progress) -> None:
        """Run all epochs; a chunk whose lanes have all diverged ends early."""
        self.initial(curves)
        for epoch in range(self.plan.epochs):
            self.run_epoch(epoch, curves)
            progress.add(len(self.lanes))
            if (curves.diverged_epoch[self.lanes] >= 0).all():
                progress.add(len(self.lanes) * (self.plan.epochs - epoch - 1))
                break
        self.finish(curves)

    def finish(self, curves: Curves) -> None:
        """Do what `fit` does at its end, and keep the final weights where asked for."""
        self.program.finalize()
        if self.plan.keep_weights == "final":
            self.keep(curves, np.arange(len(self.lanes)))


def _run_with_stops(
    task: TuningTask,
    plan: Plan,
    program: LaneProgram,
    curves: Curves,
    progress: Progress,
) -> None:
    """Run all chunks epoch by epoch; stopped lanes have no later values.

    A chunk whose lanes have all stopped is left out. Where some go on, the whole chunk trains,
    since its program has a fixed number of lanes.
    """
    assert plan.stop_lanes is not None
    running: list[_Chunk] = []
    states: list[Any] = []
    for lanes, padded in chunks(curves.lanes, program.lanes):
        running.append(_Chunk(task, plan, program, lanes, padded))
        running[-1].initial(curves)
        states.append(program.snapshot())
    stopped = np.zeros(curves.lanes, bool)
    for epoch in range(plan.epochs):
        for number, chunk in enumerate(running):
            gone = stopped[chunk.lanes] | (curves.diverged_epoch[chunk.lanes] >= 0)
            if not gone.all():
                program.restore(states[number])
                chunk.stopped = stopped[chunk.padded]
                chunk.run_epoch(epoch, curves)
                states[number] = program.snapshot()
            progress.add(len(chunk.lanes))
        scores = named_curve(curves, plan.objective)[:, epoch]
        stopped |= np.asarray(plan.stop_lanes(epoch, scores), bool)
    for number, chunk in enumerate(running):
        program.restore(states[number])
        chunk.finish(curves)


def as_weights(model: Any, variables: list[np.ndarray]) -> list[np.ndarray]:
    """Return values in the order of `model_variables` as `model.get_weights()` orders them."""
    by_id = {id(v): value for v, value in zip(model_variables(model), variables, strict=True)}
    return [np.array(by_id[id(weight)]) for weight in model.weights]


def with_weights(
    task: TuningTask, weights: list[list[np.ndarray]], data: Data | list[Data], *, predicts: bool
) -> Any:
    """Return what `evaluate`, or `predict`, of `tuners.training.runner` says of kept weights."""
    datas = _one_each(data, len(weights))
    _check_kept(weights)
    program = choose(task, len(weights), None, resplit=True)
    if isinstance(program, str):
        alone = sequential.predict_weights if predicts else sequential.evaluate_weights
        return alone(task, weights, datas)
    model = program.model
    place = {id(weight): index for index, weight in enumerate(model.weights)}
    start_values = list(zip(model_variables(model), initial_variables(task, 0), strict=True))
    pieces = []
    for lanes, padded in chunks(len(weights), program.lanes):
        program.load(
            [
                [weights[lane][place[id(v)]] if id(v) in place else s for v, s in start_values]
                for lane in padded
            ]
        )
        rows = stacked([rows_of(datas[lane]) for lane in padded], "evaluated")
        found = (
            program.predict(rows["x"], shared=False, batch=1024)
            if predicts
            else program.evaluate(rows, shared=False, batch=task.batch_size)
        )
        pieces.append(tf.nest.map_structure(partial(_first, len(lanes)), found))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *pieces)


def _first(count: int, values: Any) -> Any:
    return values[:count]


def _check_kept(weights: list[list[np.ndarray]]) -> None:
    empty = [lane for lane, kept in enumerate(weights) if not kept]
    if empty or not weights:
        raise InputError(
            f"`weights` must hold the weights of every lane, but those of lanes {empty} are empty "
            "(a lane that was never finite keeps none); leave them out."
        )


def _one_each(data: Data | list[Data], lanes: int) -> list[Data]:
    if isinstance(data, list):
        if len(data) != lanes:
            raise InputError(
                f"`data` must be one (x, y), or a list of one for each of the {lanes} lanes, "
                f"but got a list of {len(data)}."
            )
        return [check_data(one, "data") for one in data]
    return [check_data(data, "data")] * lanes
