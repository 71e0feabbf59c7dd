"""How lanes are run: in chunks of one compiled program, or one at a time with `model.fit`."""

from __future__ import annotations

import contextlib
import logging
import re
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from search_spaces.task import Data, TuningTask, check_data, map_arrays
from tuners import sequential
from tuners.lanes import (
    Rows,
    built_model,
    epoch_order,
    initial_variables,
    model_variables,
    rows_of,
    schedule_shape,
)
from tuners.population import (
    CannotStack,
    LaneProgram,
    agrees_with_keras,
    refuse_if_unstackable,
)
from tuners.training import How, StepRecord, TrainingRecord, direction

log = logging.getLogger("tuners")

CACHE_BYTES = 16 * 2**20  # weights, gradients and slots of a chunk should stay in the cache
STACKED_ROWS_BYTES = 256 * 2**20  # a chunk's own copies of the rows, at most
MAX_LANES = 64


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


@dataclass(eq=False)
class Programs:
    """The compiled programs of one task, and why they can or cannot be used."""

    refusal: str | None = None
    vectorized: bool = True
    why: str = ""
    lane_bytes: int = 0
    compiled: dict[Any, LaneProgram] | None = None


_programs: weakref.WeakKeyDictionary[TuningTask, Programs] = weakref.WeakKeyDictionary()


def chunk_size(lane_bytes: int, lanes: int) -> int:
    """Return how many lanes to stack: a power of two that fits the cache, 64 at most.

    It is reckoned from sizes alone, never timed, so that results do not depend on load.

    Args:
        lane_bytes: Bytes of one lane's weights, gradients and optimizer slots.
        lanes: Lanes wanted, 1 or more.

    Example:
        >>> chunk_size(1_600_000, 24), chunk_size(1_600_000, 3), chunk_size(10**9, 24)
        (8, 4, 1)
    """
    fitting = min(MAX_LANES, max(1, CACHE_BYTES // max(1, lane_bytes)))
    wanted = 1 << (lanes - 1).bit_length()
    return min(1 << (int(fitting).bit_length() - 1), wanted)


def program_for(task: TuningTask, lanes: int, *, resplit: bool) -> LaneProgram:
    """Return the compiled program for so many lanes of a task, trying it once against Keras.

    Raises:
        CannotStack: The model cannot run as lanes, with the reason.
    """
    known = _programs.get(task)
    if known is None:
        known = _programs[task] = Programs(compiled={})
        try:
            _probe(task, known)
        except CannotStack as refusal:
            known.refusal = str(refusal)
    if known.refusal is not None:
        raise CannotStack(known.refusal)
    assert known.compiled is not None
    size = chunk_size(known.lane_bytes, lanes)
    shared = not (resplit or _rows_fit(task, size))
    key = (size, shared)
    if key not in known.compiled:
        program = LaneProgram(task, size, vectorized=known.vectorized, shared_rows=shared)
        if not known.why:
            program = _tried(task, known, program)
        known.compiled[key] = program
    program = known.compiled[key]
    rows = rows_of(task.train, task.class_weight).count
    batch = min(task.batch_size, rows)
    program.set_segment(batch, rows // batch)
    return program


def _rows_fit(task: TuningTask, size: int) -> bool:
    """Whether lanes get their own rows even unasked, so that a comparison meets no new shape."""
    return task.resplit is not None and rows_of(task.train).bytes * size <= STACKED_ROWS_BYTES


def _probe(task: TuningTask, known: Programs) -> None:
    if task.streams:
        raise CannotStack("the data are a tf.data.Dataset, which streams through model.fit")
    model = built_model(task, 0)
    refuse_if_unstackable(model, task)
    model.optimizer.build(model.trainable_variables)
    weights = sum(_bytes(variable) for variable in model.trainable_variables)
    slots = sum(_bytes(variable) for variable in model.optimizer.variables)
    known.lane_bytes = 2 * weights + slots


def _bytes(variable: Any) -> int:
    return int(np.prod(variable.shape, dtype=int)) * variable.numpy().dtype.itemsize


def _tried(task: TuningTask, known: Programs, program: LaneProgram) -> LaneProgram:
    rows = rows_of(task.train, task.class_weight)
    batch = min(task.batch_size, rows.count)
    program.set_segment(batch, rows.count // batch)
    reason = ""
    try:
        try:
            with _tensorflow_quiet():
                difference = agrees_with_keras(task, program, rows, batch)
        except Exception as error:  # no vectorized form, or none under XLA: try lane after lane
            reason = _no_vectorized_form(error)
            log.debug("not vectorized: %s", error)
            program = LaneProgram(
                task, program.lanes, vectorized=False, shared_rows=program.shared_rows
            )
            program.set_segment(batch, rows.count // batch)
            difference = agrees_with_keras(task, program, rows, batch)
    except CannotStack as refusal:
        known.refusal = str(refusal)
    except Exception as error:
        log.debug("not compiled: %s", error)
        known.refusal = f"it does not compile as one program ({_first_line(error)})"
    else:
        if difference is not None:
            known.refusal = f"it does not agree with Keras: {difference}"
    if known.refusal is not None:
        raise CannotStack(known.refusal)
    known.vectorized = program.vectorized
    known.why = (
        "three steps of two lanes agree with train_on_batch"
        if program.vectorized
        else f"lane after lane in one program ({reason}); "
        "three steps of two lanes agree with train_on_batch"
    )
    return program


@contextlib.contextmanager
def _tensorflow_quiet() -> Iterator[None]:
    """Keep TensorFlow from logging the graph of an operation that has no vectorized form."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _no_vectorized_form(error: Exception) -> str:
    named = re.search(r'(?:op: "|vectorization defined for )(\w+)', str(error))
    return f"{named[1]} has no vectorized form" if named else _first_line(error)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:160]


def _choose(task: TuningTask, lanes: int, how: How | None, *, resplit: bool) -> LaneProgram | str:
    """Return the program, or the reason to run the lanes one at a time."""
    if how == "sequential":
        return 'asked for by how="sequential"'
    try:
        return program_for(task, lanes, resplit=resplit)
    except CannotStack as refusal:
        if how == "population":
            raise ValueError(
                f'`how="population"` cannot be done for task {task.name!r}: {refusal}; '
                "leave `how` unset to train one lane at a time."
            ) from None
        if task not in _told:
            _told.add(task)
            log.warning("Training one lane at a time with model.fit: %s.", refusal)
        return str(refusal)


_told: weakref.WeakSet[TuningTask] = weakref.WeakSet()


# -- whole epochs ---------------------------------------------------------------------------------


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

    def curve(self, name: str) -> np.ndarray:
        """Return a curve by name, (lanes, epochs).

        Raises:
            ValueError: There is no such curve.
        """
        curves = {"loss": self.loss, "val_loss": self.val_loss, **self.metrics}
        if name not in curves:
            raise ValueError(
                f"`objective` must be one of {', '.join(sorted(curves))}, but got {name!r}; "
                "a metric must be compiled into the model."
            )
        return curves[name]


def run_epochs(task: TuningTask, plan: Plan, how: How | None) -> TrainingRecord:
    """Train a plan's lanes and return their record; see `tuners.train`."""
    started = time.perf_counter()
    lanes = len(plan.rates)
    if plan.callbacks and how is None:
        chosen: LaneProgram | str = "Keras callbacks were given"
    else:
        chosen = _choose(task, lanes, how, resplit=plan.resplit)
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
    how_done: How = "sequential" if isinstance(chosen, str) else "population"
    why = chosen if isinstance(chosen, str) else _programs[task].why
    best = (
        best_epochs(curves.curve(plan.objective), plan.objective)
        if (not interrupted or plan.objective in {"loss", "val_loss", *curves.metrics})
        else np.full(lanes, -1)
    )
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
        _run_with_stops(task, plan, program, curves, progress)


class _Chunk:
    """A program's worth of lanes on its way through the epochs."""

    def __init__(
        self, task: TuningTask, plan: Plan, program: LaneProgram, lanes: np.ndarray
    ) -> None:
        self.task, self.plan, self.program, self.lanes = task, plan, program, lanes
        padded = np.concatenate([lanes, np.repeat(lanes[:1], program.lanes - len(lanes))])
        self.padded = padded
        self.seeds = plan.seeds[padded]
        self.train, self.validation = _chunk_rows(task, plan, program, self.seeds)
        self.count = tf.nest.flatten(self.train)[0].shape[0 if program.shared_rows else 1]
        self.batch = min(task.batch_size, self.count)
        steps = -(-self.count // self.batch)
        self.shape = schedule_shape(program.model, steps * plan.epochs)
        self.best = np.full(len(padded), np.inf)
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
        values = {name: np.where(dead, np.nan, value) for name, value in values.items()}
        kept = {name: value[: len(self.lanes)] for name, value in values.items()}
        curves.add(self.lanes, epoch, kept)
        bad = dead | ~np.isfinite(values["val_loss"])
        new = bad[: len(self.lanes)] & (curves.diverged_epoch[self.lanes] < 0)
        curves.diverged_epoch[self.lanes[new]] = epoch
        if plan.keep_weights == "best":
            self._keep_best(curves, epoch)

    def _keep_best(self, curves: Curves, epoch: int) -> None:
        sign = -1.0 if direction(self.plan.objective) == "maximize" else 1.0
        score = sign * curves.curve(self.plan.objective)[self.lanes, epoch]
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
    task: TuningTask, plan: Plan, program: LaneProgram, curves: Curves, progress: Progress
) -> None:
    """Run all lanes epoch by epoch; stopped lanes leave, and the others close ranks.

    Lanes are trained anew in fewer chunks only where whole chunks fall free; the state of each
    lane is carried over, so its numbers stay its own.
    """
    assert plan.stop_lanes is not None
    chunks = [
        np.arange(start, min(start + program.lanes, curves.lanes))
        for start in range(0, curves.lanes, program.lanes)
    ]
    running = [_Chunk(task, plan, program, chunk) for chunk in chunks]
    states: list[Any] = []
    for chunk in running:
        program.load([initial_variables(task, int(seed)) for seed in chunk.seeds])
        chunk.initial(curves)
        states.append(program.snapshot())
    stopped = np.zeros(curves.lanes, bool)
    for epoch in range(plan.epochs):
        for number, chunk in enumerate(running):
            gone = stopped[chunk.lanes] | (curves.diverged_epoch[chunk.lanes] >= 0)
            if not gone.all():
                program.restore(states[number])
                chunk.run_epoch(epoch, curves)
                states[number] = program.snapshot()
                for values in [curves.loss, curves.val_loss, *curves.metrics.values()]:
                    values[chunk.lanes[stopped[chunk.lanes]], epoch] = np.nan
            progress.add(len(chunk.lanes))
        scores = curves.curve(plan.objective)[:, epoch]
        stopped |= np.asarray(plan.stop_lanes(epoch, scores), bool)
    for number, chunk in enumerate(running):
        program.restore(states[number])
        chunk.finish(curves)


def _chunk_rows(
    task: TuningTask, plan: Plan, program: LaneProgram, seeds: np.ndarray
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the training and validation parts of a chunk as tensors."""
    if program.shared_rows:
        return (
            _tensors(rows_of(task.train, task.class_weight)),
            _tensors(rows_of(task.validation)),
        )
    if not plan.resplit:
        return (
            _repeated(rows_of(task.train, task.class_weight), program.lanes),
            _repeated(rows_of(task.validation), program.lanes),
        )
    splits = {int(seed): task.split(int(seed)) for seed in dict.fromkeys(seeds.tolist())}
    train = [rows_of(splits[int(seed)][0], task.class_weight) for seed in seeds]
    validation = [rows_of(splits[int(seed)][1]) for seed in seeds]
    return _stacked(train, "train"), _stacked(validation, "validation")


def _tensors(rows: Rows) -> dict[str, Any]:
    return {name: map_arrays(tf.constant, part) for name, part in rows.parts().items()}


def _repeated(rows: Rows, lanes: int) -> dict[str, Any]:
    return {
        name: map_arrays(lambda array: tf.repeat(array[None], lanes, axis=0), part)
        for name, part in rows.parts().items()
    }


def _stacked(rows: list[Rows], name: str) -> dict[str, Any]:
    counts = {row.count for row in rows}
    if len(counts) > 1:
        raise ValueError(
            f"`resplit` must give every seed the same number of {name} rows, "
            f"but got {sorted(counts)}; split by a fixed number of rows."
        )
    parts = [row.parts() for row in rows]
    return {
        key: tf.nest.map_structure(
            lambda *arrays: tf.constant(np.stack(arrays)), *[part[key] for part in parts]
        )
        for key in parts[0]
    }


def as_weights(model: Any, variables: list[np.ndarray]) -> list[np.ndarray]:
    """Return values in the order of `model_variables` as `model.get_weights()` orders them."""
    by_id = {id(v): value for v, value in zip(model_variables(model), variables, strict=True)}
    return [np.array(by_id[id(weight)]) for weight in model.weights]


# -- single steps ---------------------------------------------------------------------------------


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
    chosen = _choose(task, lanes, how, resplit=False)
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
        for start in range(0, lanes, size):
            chunk = np.arange(start, min(start + size, lanes))
            _chunk_steps(
                task, chosen, chunk, rates, seeds, order_seeds, at, loss, val_loss, progress
            )
    return StepRecord(
        learning_rates=rates,
        seeds=seeds,
        loss=loss,
        val_loss=val_loss if evaluate_every else None,
        evaluated_at=at,
        seconds=time.perf_counter() - started,
        how="sequential" if isinstance(chosen, str) else "population",
        why=chosen if isinstance(chosen, str) else _programs[task].why,
        chunk_size=size,
    )


def _chunk_steps(
    task: TuningTask,
    program: LaneProgram,
    lanes: np.ndarray,
    rates: np.ndarray,
    seeds: np.ndarray,
    order_seeds: np.ndarray,
    at: np.ndarray,
    loss: np.ndarray,
    val_loss: np.ndarray,
    progress: Progress,
) -> None:
    padded = np.concatenate([lanes, np.repeat(lanes[:1], program.lanes - len(lanes))])
    train, validation = _step_rows(task, program)
    count = rows_of(task.train).count
    batch = min(task.batch_size, count)
    program.load([initial_variables(task, int(seed)) for seed in seeds[padded]])
    orders = {
        int(seed): step_order(int(seed), len(rates), count, batch)
        for seed in np.unique(order_seeds[padded])
    }
    order = np.stack([orders[int(seed)] for seed in order_seeds[padded]], axis=1)
    stops = sorted({*at.tolist(), len(rates)})
    done = 0
    for stop in stops:
        part = program.train(train, order[done:stop], rates[done:stop][:, padded])
        loss[done:stop, lanes] = part[:, : len(lanes)]
        if stop in at:
            values = program.evaluate(validation, shared=program.shared_rows, batch=batch)["loss"]
            row = int(np.searchsorted(at, stop))
            dead = ~np.isfinite(part[-1])
            val_loss[row, lanes] = np.where(dead, np.nan, values)[: len(lanes)]
        progress.add((stop - done) * len(lanes))
        done = stop


def step_order(seed: int, steps: int, rows: int, batch: int) -> np.ndarray:
    """Return the rows of each batch, (steps, batch), passing round the data in fresh orders."""
    per_pass = rows // batch
    passes = -(-steps // per_pass)
    orders = [epoch_order(seed, number, rows)[: per_pass * batch] for number in range(passes)]
    return np.concatenate(orders).reshape(-1, batch)[:steps]


def _step_rows(task: TuningTask, program: LaneProgram) -> tuple[dict[str, Any], dict[str, Any]]:
    train, validation = rows_of(task.train, task.class_weight), rows_of(task.validation)
    if program.shared_rows:
        return _tensors(train), _tensors(validation)
    return _repeated(train, program.lanes), _repeated(validation, program.lanes)


# -- kept weights ---------------------------------------------------------------------------------


def evaluate_weights(
    task: TuningTask, weights: list[list[np.ndarray]], data: Data | list[Data]
) -> dict[str, np.ndarray]:
    """Return loss and compiled metrics of kept weights, (lanes,) each; see `tuners.evaluate`."""
    datas = _one_each(data, len(weights))
    chosen = _choose(task, len(weights), None, resplit=True)
    if isinstance(chosen, str):
        return sequential.evaluate_weights(task, weights, datas)
    batch = task.batch_size
    found: list[dict[str, np.ndarray]] = []
    for lanes in _load_weights(task, chosen, weights):
        rows = _stacked([rows_of(datas[lane]) for lane in lanes], "evaluated")
        values = chosen.evaluate(rows, shared=False, batch=batch)
        found.append({name: value[: _distinct(lanes)] for name, value in values.items()})
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def predict_weights(
    task: TuningTask, weights: list[list[np.ndarray]], data: Data | list[Data]
) -> Any:
    """Return the outputs of kept weights, (lanes, rows, ...); see `tuners.predict`."""
    datas = _one_each(data, len(weights))
    chosen = _choose(task, len(weights), None, resplit=True)
    if isinstance(chosen, str):
        return sequential.predict_weights(task, weights, datas)
    pieces = []
    for lanes in _load_weights(task, chosen, weights):
        rows = _stacked([rows_of(datas[lane]) for lane in lanes], "evaluated")
        outputs = chosen.predict(rows["x"], shared=False, batch=1024)
        pieces.append(tf.nest.map_structure(lambda out: out[: _distinct(lanes)], outputs))  # noqa: B023
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *pieces)


def _distinct(lanes: list[int]) -> int:
    return len(dict.fromkeys(lanes))


def _load_weights(task: TuningTask, program: LaneProgram, weights: list[list[np.ndarray]]) -> Any:
    """Load chunk after chunk of kept weights, yielding its lanes, padded with the first."""
    model = program.model
    position = {id(weight): index for index, weight in enumerate(model.weights)}
    start_values = initial_variables(task, 0)
    for start in range(0, len(weights), program.lanes):
        lanes = list(range(start, min(start + program.lanes, len(weights))))
        lanes += [start] * (program.lanes - len(lanes))
        program.load(
            [
                [
                    weights[lane][position[id(v)]] if id(v) in position else value
                    for v, value in zip(model_variables(model), start_values, strict=True)
                ]
                for lane in lanes
            ]
        )
        yield lanes


def _one_each(data: Data | list[Data], lanes: int) -> list[Data]:
    if isinstance(data, list):
        if len(data) != lanes:
            raise ValueError(
                f"`data` must be one (x, y), or a list of one for each of the {lanes} lanes, "
                f"but got a list of {len(data)}."
            )
        return [check_data(one, "data") for one in data]
    return [check_data(data, "data")] * lanes
