"""Whether stacked lanes train as Keras does: the trial that makes it a fact."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from search_spaces._data import count_rows
from search_spaces.task import TuningTask
from tuners.training.models import (
    assign,
    built_model,
    initial_variables,
    leaf_optimizers,
    model_variables,
)
from tuners.training.population.batches import lane_rows
from tuners.training.population.program import LaneProgram
from tuners.training.rows import Rows, first_rows, rows_of
from tuners.training.schedules import VariableRate
from tuners.training.sequential import evaluate_rows, lane_models, scalars

WATCHED_ROWS = 4096  # of the validation rows, at most: some ten batches each way


def trains_like_keras(task: TuningTask, program: LaneProgram) -> str | None:
    """Train three steps of two lanes and of Keras's model; return the difference, or None.

    Losses must agree to 1 part in 1,000, metrics to 1 part in 100 and two rows (a row may fall on
    the other side of a threshold), and weights and states, in mean, to 1 % of how far they moved.
    Keras trains with `train_on_batch`, eagerly, or compiled where dropout draws.

    Args:
        task: The task.
        program: A program of two or more lanes (or one).
    """
    rows = rows_of(task.train, task.class_weight)
    order, rates = _three_steps(task, program)
    trained, after = _trained(task, program, order, rates)
    held = keras.Variable(1.0, trainable=False)

    def hold_rate(model: Any) -> None:
        leaf_optimizers(model.optimizer)[0].learning_rate = VariableRate(held)
        if _draws_random_numbers(model):  # these differ between eager and compiled programs
            model.jit_compile = True
        else:
            model.run_eagerly = True

    for lane, model in enumerate(lane_models(task, np.arange(len(rates)), hold_rate)):
        held.assign(rates[lane])
        for step, got in enumerate(trained):
            part = rows.take(order[step, lane])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = model.train_on_batch(**part, return_dict=True)
            where = f"train_on_batch, at step {step + 1},"
            if differs := _difference(where, got, expected, lane, Rows(**part)):
                return differs
        before, lane_after = initial_variables(task, lane), [value[lane] for value in after]
        if differs := _weights_part(before, lane_after, model):
            return differs
    return None


def evaluates_like_keras(task: TuningTask, program: LaneProgram) -> str | None:
    """Evaluate two lanes, untrained and after three steps, and Keras's model with their weights.

    Args:
        task: The task.
        program: A program whose training agrees with Keras's.

    Returns:
        The difference in validation loss or metrics, by the measure of `trains_like_keras`, or
        None.
    """
    watched = Rows(*first_rows(tuple(rows_of(task.validation).parts().values()), WATCHED_ROWS))
    batch = min(task.batch_size, count_rows(task.train))
    order, rates = _three_steps(task, program)
    rows = lane_rows(watched, program)
    model = built_model(task, 0)
    model.jit_compile = False  # a compiled program for a few batches is dear
    for trains in (False, True):
        _, weights = _trained(task, program, order[: 3 * trains], rates)
        got = program.evaluate(rows, shared=program.shared_rows, batch=batch)
        where = f"evaluate, {'after three steps' if trains else 'before any update'},"
        for lane in range(len(rates)):
            assign(model_variables(model), [value[lane] for value in weights])
            expected = evaluate_rows(model, watched, batch)
            if differs := _difference(where, got, expected, lane, watched):
                return differs
    return None


def _three_steps(task: TuningTask, program: LaneProgram) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of three batches of each lane, (3, lanes, batch), and the lanes' rates."""
    lanes, count = min(2, program.lanes), count_rows(task.train)
    batch = min(task.batch_size, count)
    rng = np.random.default_rng(0)
    order = np.stack([rng.permutation(count)[:batch] for _ in range(3 * lanes)])
    rates = min(_plain_rate(program.model), 1.0) / 2 ** np.arange(lanes)
    return order.reshape(3, lanes, batch), rates


def _trained(
    task: TuningTask, program: LaneProgram, order: np.ndarray, rates: np.ndarray
) -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
    """Train lanes of the program; return loss and metrics of each step, and all variables."""
    spread = np.arange(program.lanes) % len(rates)
    program.load([initial_variables(task, int(seed)) for seed in spread])
    data = lane_rows(rows_of(task.train, task.class_weight), program)
    logs = []
    for step in range(len(order)):
        program.reset_metrics()
        loss = program.train(data, order[step : step + 1, spread], rates[None, spread])
        logs.append({"loss": loss[0], **program.metrics()})
    return logs, program.read()


def _difference(
    where: str, got: dict[str, np.ndarray], keras_logs: dict[str, Any], lane: int, rows: Rows
) -> str | None:
    """Return where a lane's loss and metrics are others than Keras's, None where they are equal."""
    expected = scalars(keras_logs)
    if set(got) != set(expected):
        names = (" and ".join(sorted(logs)) for logs in (got, expected))
        return f"{next(names)} where {where} has {next(names)}"
    for name, value in expected.items():
        close = {"rtol": 1e-3, "atol": 1e-5}
        if name != "loss":
            close = {"rtol": 1e-2, "atol": 2 / rows.count}
        if not np.isclose(value, got[name][lane], equal_nan=True, **close):
            return f"{name} {got[name][lane]:.6g} where {where} has {value:.6g}"
    return None


def _weights_part(before: list[Any], after: list[Any], model: Any) -> str | None:
    moved = parted = 0.0
    for start, stacked, variable in zip(before, after, model_variables(model), strict=True):
        if start.dtype.kind == "f":
            moved += float(np.abs(variable.numpy() - start).sum())
            parted += float(np.abs(variable.numpy() - stacked).sum())
    if parted > 0.01 * moved + 1e-6:
        return f"weights part by {parted / max(moved, 1e-30):.1%} of how far they moved"
    return None


def _draws_random_numbers(model: Any) -> bool:
    return any("seed_generator" in variable.path for variable in model.non_trainable_variables)


def _plain_rate(model: Any) -> float:
    rate = float(leaf_optimizers(model.optimizer)[0].learning_rate)
    return rate if np.isfinite(rate) and rate > 0 else 1e-3
