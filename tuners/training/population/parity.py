"""Whether stacked lanes train as Keras does: the trial that makes it a fact."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from search_spaces.task import TuningTask
from tuners.training.models import (
    Rows,
    first_rows,
    initial_variables,
    leaf_optimizers,
    model_variables,
    rows_of,
)
from tuners.training.population.batches import lane_rows
from tuners.training.population.program import LaneProgram
from tuners.training.schedules import VariableRate
from tuners.training.sequential import evaluate_rows, lane_models, scalars

WATCHED_ROWS = 4096  # of the validation rows, at most: some ten batches each way


def agrees_with_keras(task: TuningTask, program: LaneProgram) -> str | None:
    """Evaluate and train two lanes and two Keras models; return the difference, or None.

    Both evaluate the validation rows, train three steps and evaluate again. Losses must agree to
    1 part in 1,000, metrics to 1 part in 100 and two rows (a row may fall on the other side of a
    threshold), and weights, in mean, to 1 % of how far they moved. Keras trains one batch at a
    time with `train_on_batch`, eagerly, or compiled where dropout draws.

    Args:
        task: The task.
        program: A program of two or more lanes (or one).
    """
    lanes, rows = min(2, program.lanes), rows_of(task.train, task.class_weight)
    batch = min(task.batch_size, rows.count)
    rng = np.random.default_rng(0)
    base = min(_plain_rate(program.model), 1.0)
    rates = [base, base / 2][:lanes]
    order = np.stack([rng.permutation(rows.count)[:batch] for _ in range(3 * lanes)])
    order = order.reshape(3, lanes, batch)
    watched = Rows(*first_rows(tuple(rows_of(task.validation).parts().values()), WATCHED_ROWS))
    spread = np.arange(program.lanes) % lanes
    program.load([initial_variables(task, int(seed)) for seed in spread])
    data, watched_data = lane_rows(rows, program), lane_rows(watched, program)

    def evaluate() -> dict[str, np.ndarray]:
        return program.evaluate(watched_data, shared=program.shared_rows, batch=batch)

    def train(steps: slice) -> dict[str, np.ndarray]:
        lane_rates = np.tile(np.array(rates)[spread], (len(order[steps]), 1))
        loss = program.train(data, order[steps][:, spread], lane_rates)
        return {"loss": loss[-1], **program.metrics()}

    untrained = evaluate()
    trained = []
    for step in range(3):
        program.reset_metrics()
        trained.append(train(slice(step, step + 1)))
    after, evaluated = program.read(), evaluate()
    held = keras.Variable(base, trainable=False)

    def hold_rate(model: Any) -> None:
        leaf_optimizers(model.optimizer)[0].learning_rate = VariableRate(held)

    for lane, model in enumerate(lane_models(task, np.arange(lanes), hold_rate)):
        before = initial_variables(task, lane)
        held.assign(rates[lane])
        model.jit_compile = False  # to evaluate; a program for a few batches is dear
        expected = evaluate_rows(model, watched, batch)
        differs = _difference("evaluate, before any update,", untrained, expected, lane, watched)
        if differs:
            return differs
        if _draws_random_numbers(model):  # these differ between eager and compiled programs
            model.jit_compile = True
        else:
            model.run_eagerly = True
        for step, got in enumerate(trained):
            part = rows.take(order[step, lane])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = model.train_on_batch(**part, return_dict=True)
            where = f"train_on_batch, at step {step + 1},"
            differs = _difference(where, got, expected, lane, Rows(**part))
            if differs:
                return differs
        differs = _weights_part(before, [value[lane] for value in after], model)
        if differs:
            return differs
        expected = evaluate_rows(model, watched, batch)
        differs = _difference("evaluate", evaluated, expected, lane, watched)
        if differs:
            return differs
    return None


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
