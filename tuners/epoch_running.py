"""Whole epochs of lanes: in chunks of one compiled program, or one at a time with `model.fit`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from search_spaces.task import TuningTask
from tuners import sequential
from tuners.lane_programs import choose, reason
from tuners.lane_rows import chunk_rows
from tuners.lanes import epoch_order, initial_variables, model_variables, schedule_shape
from tuners.population import LaneProgram
from tuners.training import How, TrainingRecord, direction, named_curve


@dataclass(frozen=True, eq=False)
class Plan:
    """What to train: the checked arguments of `tuners.train`."""

    rates: np.ndarray
    seeds: np.ndarray
    epochs: int
    objective: str
    resplit: bool
    same_batches: bool
    keep_weights: str | None
    on_epoch: Callable[[int, int], None] | None
    stop_lanes: Callable[[int, np.ndarray], np.ndarray] | None
    callbacks: tuple[Any, ...]
    width: int


@dataclass(eq=False)
class Curves:
    """The curves while they grow; lanes write their rows."""

    lanes: int
    epochs: int
    loss: np.ndarray
    val_loss: np.ndarray
    metrics: dict[str, np.ndarray]
    initial_val_loss: np.ndarray
    diverged_epoch: np.ndarray
    weights: list[list[np.ndarray] | None]

    @classmethod
    def empty(cls, lanes: int, epochs: int) -> Curves:
        """Return curves full of NaN."""
        nan = np.full((lanes, epochs), np.nan)
        return cls(
            lanes,
            epochs,
            nan.copy(),
            nan.copy(),
            {},
            np.full(lanes, np.nan),
            np.full(lanes, -1),
            [None] * lanes,
        )

    def add(self, lanes: np.ndarray, epoch: int, values: dict[str, np.ndarray]) -> None:
        """Write one epoch of some lanes: "loss", "val_loss" and metrics, (len(lanes),) each."""
        for name, value in values.items():
            if name in ("loss", "val_loss"):
                getattr(self, name)[lanes, epoch] = value
            else:
                empty = np.full((self.lanes, self.epochs), np.nan)
                self.metrics.setdefault(name, empty)[lanes, epoch] = value


def run_epochs(task: TuningTask, plan: Plan, how: How | None) -> TrainingRecord:
    """Train a plan's lanes and return their record; see `tuners.train`."""
    started = time.perf_counter()
    lanes = len(plan.rates)
    if plan.callbacks and how is None:
        chosen: LaneProgram | str = "Keras callbacks were given"
    else:
        chosen = choose(task, max(lanes, plan.width), how, resplit=plan.resplit)
    curves, size, interrupted = Curves.empty(lanes, plan.epochs), 1, False
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
        best = best_epochs(named_curve(curves, plan.objective), plan.objective)
    return TrainingRecord(
        learning_rates=plan.rates,
        seeds=plan.seeds,
        loss=curves.loss,
        val_loss=curves.val_loss,
        metrics=curves.metrics,
        best_epoch=best,
        diverged=_diverged(curves),
        diverged_epoch=curves.diverged_epoch,
        initial_val_loss=curves.initial_val_loss,
        objective=plan.objective,
        seconds=time.perf_counter() - started,
        how=how_done,
        why=why,
        chunk_size=size,
        weights=[w if w is not None else [] for w in curves.weights] if plan.keep_weights else None,
        interrupted=interrupted,
    )


def best_epochs(curve: np.ndarray, objective: str) -> np.ndarray:
    """Return the 0-based epoch (lanes,) with the best value of a curve, -1 where all are NaN."""
    sign = -1.0 if direction(objective) == "maximize" else 1.0
    filled = np.where(np.isfinite(curve), sign * curve, np.inf)
    return np.where(np.isfinite(filled).any(axis=1), filled.argmin(axis=1), -1)


def _diverged(curves: Curves) -> np.ndarray:
    never_below = np.ones(curves.lanes, bool)
    for curve in (curves.loss, curves.val_loss):
        lowest = np.where(np.isfinite(curve), curve, np.inf).min(axis=1)
        never_below &= np.isfinite(lowest) & (lowest > curves.initial_val_loss)
    return (curves.diverged_epoch >= 0) | never_below


class Progress:
    """Counts lane-epochs or lane-steps and tells them on."""

    def __init__(self, tell: Callable[[int, int], None] | None, total: int) -> None:
        self.tell, self.total, self.done = tell, total, 0

    def add(self, count: int) -> None:
        """Count some more as done."""
        self.done = min(self.done + count, self.total)
        if self.tell is not None:
            self.tell(self.done, self.total)


def _run_chunks(
    task: TuningTask, plan: Plan, program: LaneProgram, curves: Curves, progress: Progress
) -> None:
    chunks = [
        np.arange(start, min(start + program.lanes, curves.lanes))
        for start in range(0, curves.lanes, program.lanes)
    ]
    if plan.stop_lanes is None:
        for chunk in chunks:
            _Chunk(task, plan, program, chunk).run(curves, progress)
    else:
        _run_with_stops(task, plan, program, chunks, curves, progress)


class _Chunk:
    """A program's worth of lanes on its way through the epochs."""

    def __init__(
        self, task: TuningTask, plan: Plan, program: LaneProgram, lanes: np.ndarray
    ) -> None:
        self.task, self.plan, self.program, self.lanes = task, plan, program, lanes
        padded = np.concatenate([lanes, np.repeat(lanes[:1], program.lanes - len(lanes))])
        self.padded = padded
        self.seeds = plan.seeds[padded]
        self.train, self.validation = chunk_rows(task, program, self.seeds, resplit=plan.resplit)
        self.count = tf.nest.flatten(self.train)[0].shape[0 if program.shared_rows else 1]
        self.batch = min(task.batch_size, self.count)
        steps = -(-self.count // self.batch)
        self.shape = schedule_shape(program.model, steps * plan.epochs)
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
        full, tail = divmod(self.count, batch)
        first = epoch * (full + bool(tail))
        rates = self.shape[first : first + full + bool(tail), None] * plan.rates[self.padded]
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
        dead = ~np.isfinite(values["loss"])
        hidden = dead | self.stopped
        values = {name: np.where(hidden, np.nan, value) for name, value in values.items()}
        kept = {name: value[: len(self.lanes)] for name, value in values.items()}
        curves.add(self.lanes, epoch, kept)
        bad = (dead | ~np.isfinite(values["val_loss"])) & ~self.stopped
        new = bad[: len(self.lanes)] & (curves.diverged_epoch[self.lanes] < 0)
        curves.diverged_epoch[self.lanes[new]] = epoch
        if plan.keep_weights == "best":
            self._keep_best(curves, epoch)

    def _keep_best(self, curves: Curves, epoch: int) -> None:
        sign = -1.0 if direction(self.plan.objective) == "maximize" else 1.0
        score = sign * named_curve(curves, self.plan.objective)[self.lanes, epoch]
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
    chunks: list[np.ndarray],
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
    for lanes in chunks:
        running.append(_Chunk(task, plan, program, lanes))
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
