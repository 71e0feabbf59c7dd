"""Whether stacked lanes train as Keras does: the trial that makes it a fact."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from search_spaces.task import TuningTask
from tuners.training.models import (
    built_model,
    initial_variables,
    leaf_optimizers,
    model_variables,
    rows_of,
)
from tuners.training.population.batches import lane_rows
from tuners.training.population.program import LaneProgram
from tuners.training.schedules import VariableRate


def agrees_with_keras(task: TuningTask, program: LaneProgram) -> str | None:
    """Train three steps of two lanes and of two Keras models; return the difference, or None.

    Losses must agree to 1 part in 1,000 and weights, in mean, to 1 % of how far they moved. Keras
    trains one batch at a time with `train_on_batch`, eagerly, or compiled where dropout draws.

    Args:
        task: The task.
        program: A program of two or more lanes (or one).
    """
    lanes, rows = min(2, program.lanes), rows_of(task.train, task.class_weight)
    batch = min(task.batch_size, rows.count)
    rng = np.random.default_rng(0)
    models = [built_model(task, seed) for seed in range(lanes)]
    base = min(_plain_rate(models[0]), 1.0)
    rates = [base, base / 2][:lanes]
    order = np.stack([rng.permutation(rows.count)[:batch] for _ in range(3 * lanes)])
    order = order.reshape(3, lanes, batch)
    spread = np.arange(program.lanes) % lanes
    program.load([initial_variables(task, int(seed)) for seed in spread])
    data = lane_rows(rows, program)
    losses = program.train(data, order[:, spread], np.tile(np.array(rates)[spread], (3, 1)))
    after = program.read()
    for lane, model in enumerate(models):
        before = initial_variables(task, lane)
        leaf_optimizers(model.optimizer)[0].learning_rate = VariableRate(
            keras.Variable(rates[lane], trainable=False)
        )
        if _draws_random_numbers(model):  # these differ between eager and compiled programs
            model.jit_compile = True
        else:
            model.run_eagerly = True
        for step in range(3):
            part = rows.take(order[step, lane])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                logs = model.train_on_batch(**part, return_dict=True)
            expected, got = float(logs["loss"]), float(losses[step, lane])
            if not np.isclose(expected, got, rtol=1e-3, atol=1e-5, equal_nan=True):
                return f"loss {got:.6g} at step {step + 1} where train_on_batch has {expected:.6g}"
        moved = differs = 0.0
        for start, stacked_value, variable in zip(
            before, after, model_variables(model), strict=True
        ):
            if start.dtype.kind == "f":
                moved += float(np.abs(variable.numpy() - start).sum())
                differs += float(np.abs(variable.numpy() - stacked_value[lane]).sum())
        if differs > 0.01 * moved + 1e-6:
            return f"weights part by {differs / max(moved, 1e-30):.1%} of how far they moved"
    return None


def _draws_random_numbers(model: Any) -> bool:
    return any("seed_generator" in variable.path for variable in model.non_trainable_variables)


def _plain_rate(model: Any) -> float:
    rate = float(leaf_optimizers(model.optimizer)[0].learning_rate)
    return rate if np.isfinite(rate) and rate > 0 else 1e-3
