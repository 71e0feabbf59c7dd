"""range_test: what the loss does at each learning rate, for a task, a model or a builder."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tuners._checks import InputError, check_choice, check_pair, check_range, check_whole
from tuners.curves.loss_curve import LossCurve
from tuners.range_tests.sources import as_task
from tuners.training.models import batches_of
from tuners.training.records import How
from tuners.training.runner import train_steps

BEYOND = 100.0  # how far past the declared range a ramp looks: two decades
# Of the steps of a training to come. The margins of `tuners.curves.ramp` were measured with it;
# ramps of a sixteenth and of a quarter need nearly the same.
SHARE = 1 / 8
FEWEST_STEPS = 20  # under two to the decade a ramp shows no shape
MOST_TRAININGS = 2  # what a test may cost at most, in steps of trainings to come
UNKNOWN_STEPS = 200  # of a ramp on a dataset of unknown length

Trainer = Callable[..., Any]


def range_test(
    source: Any,
    x: Any = None,
    y: Any = None,
    *,
    validation: Any = None,
    declared: tuple[float, float] = (1e-5, 1.0),
    mode: str = "ramp",
    steps: int | None = None,
    seeds: int = 8,
    seed: int = 0,
    batch_size: int = 32,
    how: How | None = None,
    epochs: int = 30,
    progress: Callable[[int, int], None] | None = None,
) -> LossCurve:
    """Measure the loss at each learning rate; `.bounds()` of the result says where to search.

    A ramp raises the rate from step to step, in several seeds at once, each with weights, an order
    of batches and, where the task has splits, training rows of its own. It takes an eighth of the
    steps of a training to come, so that eight seeds cost one training at most; where they cannot
    decide, eight more are measured. Without `steps`, the test never costs more gradient steps than
    two trainings.

    Args:
        source: A `TuningTask`; a compiled `keras.Model`, whose seeds vary the order of the
            batches only and whose whole state is as it was afterwards; or a function without
            arguments that builds one.
        x: Training inputs, arrays of one row an example or a nest of them, or a
            `tf.data.Dataset`; None for a task.
        y: Training targets; None for a task or a dataset.
        validation: `(x, y)` that are not trained on; None leaves out a tenth of the rows of `x`,
            other ones for each seed.
        declared: The range `(low, high)` that would be searched without the test, with
            `low < high`. The ramp looks two decades further on both sides; bounds stay inside.
        mode: `"ramp"`; or `"per_epoch"`, which holds each rate for an epoch.
        steps: Gradient steps of a ramp, 2 or more; None for an eighth of a training to come.
        seeds: Seeds of the ramp, 1 or more; twice as many where these cannot decide, and fewer
            where trainings are too short to pay for two steps of each.
        seed: The first of them, 0 or more.
        batch_size: Rows to a step, 1 or more; a task brings its own.
        how: "population" or "sequential" forces how lanes are trained; None chooses.
        epochs: Epochs of the trainings to come, 1 or more.
        progress: Called with (steps done, steps in all) of the part that is running.

    Returns:
        A curve of kind `"ramp"`, or `"per_epoch"` where its mode asks for it.

    Raises:
        ValueError: An argument breaks its rule, the model is not compiled, or its loss is not
            finite before any update; the message says what to do.

    Example:
        >>> from search_spaces import wine_task
        >>> curve = range_test(wine_task())  # doctest: +SKIP
        >>> curve.bounds().status  # doctest: +SKIP
        'ok'
    """
    check_choice(mode, ("ramp", "per_epoch"), "mode")
    low, high = check_pair(declared, "declared")
    if low == high:
        raise InputError(
            f"`declared` must hold low < high, but both are {low:g}; pass e.g. (1e-5, 1.0)."
        )
    if steps is not None:
        check_whole(steps, "steps", 2)
    check_whole(seeds, "seeds")
    check_whole(seed, "seed", 0)
    check_whole(epochs, "epochs")
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="Two seeds build the same initial weights")
        task = as_task(source, x, y, validation, batch_size, stack)
        step = partial(train_steps, task, how=how, on_step=progress)
        batches = batches_of(task)
        if mode == "per_epoch":
            return _per_epoch(step, (low, high), epochs, batches or UNKNOWN_STEPS, seeds, seed)
        length = steps or ramp_steps(epochs, batches, seeds)
        budget = MOST_TRAININGS * epochs * batches if batches else math.inf
        if steps is None and seeds * length > budget:  # of trainings of a few steps
            seeds = max(int(budget // length), 1)
        ramp = _ramp(step, np.arange(seed, seed + seeds), (low, high), length)
        decided = ramp.bounds().status not in ("no_descent", "too_noisy")
        if decided or (steps is None and 2 * seeds * length > budget):
            return ramp
        more = _ramp(step, np.arange(seed + seeds, seed + 2 * seeds), (low, high), length)
        return _together(ramp, more)


def ramp_steps(epochs: int, batches: int, seeds: int) -> int:
    """Return the steps of a ramp: an eighth of a training's, more where that would be too few.

    Args:
        epochs: Epochs of a training to come.
        batches: Steps of an epoch; 0 where they are unknown.
        seeds: Seeds of the ramp.

    Example:
        >>> ramp_steps(30, 130, 8), ramp_steps(5, 10, 8), ramp_steps(5, 10, 32)
        (487, 12, 3)
    """
    if not batches:
        return UNKNOWN_STEPS
    training = epochs * batches
    most = max(MOST_TRAININGS * training // seeds, 2)
    return min(max(int(SHARE * training), FEWEST_STEPS), most)


def _ramp(
    step: Trainer, seeds: np.ndarray, declared: tuple[float, float], length: int
) -> LossCurve:
    low, high = declared[0] / BEYOND, declared[1] * BEYOND
    rates = np.geomspace(*check_range(max(low, 1e-30), min(high, 1e30), "declared"), length)
    loss = step(np.tile(rates[:, None], (1, len(seeds))), seeds).loss
    if not np.isfinite(loss[0]).any():
        raise InputError(
            "`source` must give a finite loss before any update, but got nan; check the data "
            "for missing values, the loss function and the targets."
        )
    spent = int(np.isfinite(loss).sum())
    return LossCurve(rates, loss, declared=declared, gradient_steps=spent)


def _together(one: LossCurve, other: LossCurve) -> LossCurve:
    """Return one ramp of the seeds of two."""
    return LossCurve(
        one.learning_rates,
        np.column_stack([one.table, other.table]),
        declared=one.declared,
        gradient_steps=(one.gradient_steps or 0) + (other.gradient_steps or 0),
    )


def _per_epoch(
    step: Trainer,
    declared: tuple[float, float],
    epochs: int,
    batches: int,
    seeds: int,
    seed: int,
) -> LossCurve:
    """Return a curve of epochs, in as many rates and seeds as two trainings have epochs for."""
    count = min(20, MOST_TRAININGS * epochs)
    lanes = np.arange(seed, seed + max(1, min(seeds, MOST_TRAININGS * epochs // count)))
    rates = np.geomspace(*declared, count)
    loss = step(np.tile(np.repeat(rates, batches)[:, None], (1, len(lanes))), lanes).loss
    means = loss.reshape(count, batches, len(lanes)).mean(axis=1)
    spent = int(np.isfinite(loss).sum())
    return LossCurve(rates, means, kind="per_epoch", declared=declared, gradient_steps=spent)
