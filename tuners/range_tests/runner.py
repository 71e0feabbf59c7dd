"""range_test: what the loss does at each learning rate, for a task, a model or a builder."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from search_spaces.task import TuningTask, count_rows, is_dataset
from tuners._checks import InputError, check_choice, check_pair, check_range, check_whole
from tuners.curves.loss_curve import LossCurve
from tuners.curves.sweep import Placement, open_ends, place_sweep
from tuners.range_tests.sources import as_task
from tuners.training.records import How
from tuners.training.runner import train, train_steps

BEYOND = 100.0  # how far past the declared range a ramp looks: two decades
PER_DECADE = 4  # rates of a sweep to the decade
SHARE = 1 / 15  # of the gradient steps of a search of 24 trainings that a range test may take
TRIALS = 24
FEWEST_SEEDS, MOST_SEEDS = 4, 8  # of a sweep, whose rates share their seeds
FEWEST_STEPS = 60
SHORT_EPOCH = 50  # batches below which an epoch is so quick that a sweep may take `SHORT_STEPS`
SHORT_STEPS = 20_000  # of all rates and seeds of a sweep
EXTENSIONS = 2  # of a sweep at each end, by half a decade
LENGTHENED = 3  # times that a ramp without descent is doubled

Trainer = Callable[..., Any]


def range_test(
    source: Any,
    x: Any = None,
    y: Any = None,
    *,
    validation: Any = None,
    declared: tuple[float, float] = (1e-5, 1.0),
    mode: str = "sweep",
    steps: int = 200,
    seeds: int = 8,
    seed: int = 0,
    batch_size: int = 32,
    how: How | None = None,
    epochs: int = 30,
    progress: Callable[[int, int], None] | None = None,
) -> LossCurve:
    """Measure the loss at each learning rate; `.bounds()` of the result says where to search.

    A ramp raises the rate from step to step, in several seeds at once, and finds where the loss
    starts to fall and where it turns. Since a ramp confounds the rate with the time already
    trained, a sweep follows: about eight constant rates across that zone, each trained for a short
    while from the same weights and scored by the lowest validation loss it reached, which is what
    a search compares. The sweep has fewer seeds and steps where its cost would pass a fifteenth of
    a search of 24 trainings of `epochs`; where an epoch has under 50 batches it trains
    for whole epochs and has 4 to 8 seeds, which can cost as many steps as such a search, or more.

    Args:
        source: A `TuningTask`; a compiled `keras.Model`, whose seeds vary the order of the
            batches only and whose whole state is as it was afterwards; or a function without
            arguments that builds one.
        x: Training inputs, arrays of one row an example or a nest of them, or a
            `tf.data.Dataset`; None for a task.
        y: Training targets; None for a task or a dataset.
        validation: `(x, y)` that scores the sweep; None takes a tenth of the rows of `x`.
        declared: The range `(low, high)` that would be searched without the test, with
            `low < high`. The ramp looks two decades further on both sides; bounds stay inside.
        mode: `"sweep"`; `"ramp"` stops after the ramp; `"per_epoch"` holds each rate for an epoch.
        steps: Gradient steps of a ramp in `"ramp"` mode, and of each rate of a sweep, 2 or more;
            see `sweep_size` for what a sweep makes of them.
        seeds: Seeds of the ramp, 1 or more.
        seed: The first of them, 0 or more.
        batch_size: Rows to a step, 1 or more; a task brings its own.
        how: "population" or "sequential" forces how lanes are trained; None chooses.
        epochs: The budget of the trainings to come, 1 or more: it bounds the cost of the test,
            and longer trainings favour somewhat lower rates.
        progress: Called with (steps done, steps in all) of the part that is running.

    Returns:
        A curve of kind `"sweep"` with the ramp in `coarse`, or the ramp alone where its mode asks
        for it or its loss never fell.

    Raises:
        ValueError: An argument breaks its rule, the model is not compiled, or its loss is not
            finite before any update; the message says what to do.

    Example:
        >>> from search_spaces import wine_task
        >>> curve = range_test(wine_task())  # doctest: +SKIP
        >>> curve.bounds().status  # doctest: +SKIP
        'ok'
    """
    check_choice(mode, ("sweep", "ramp", "per_epoch"), "mode")
    low, high = check_pair(declared, "declared")
    if low == high:
        raise InputError(
            f"`declared` must hold low < high, but both are {low:g}; pass e.g. (1e-5, 1.0)."
        )
    check_whole(steps, "steps", 2)
    check_whole(seeds, "seeds")
    check_whole(seed, "seed", 0)
    check_whole(epochs, "epochs")
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="Two seeds build the same initial weights")
        task = as_task(source, x, y, validation, batch_size, stack, mode == "sweep")
        step = partial(train_steps, task, how=how, on_step=progress)
        lanes = np.arange(seed, seed + seeds)
        if mode == "per_epoch":
            return _per_epoch(task, step, lanes, (low, high), steps)
        length = steps if mode == "ramp" else max(steps // 2, FEWEST_STEPS)
        ramp = _ramp(step, lanes, (low, high), length)
        if mode == "ramp":
            return ramp
        placement = place_sweep(ramp.learning_rates, ramp.table)
        if placement is None:
            return ramp
        return _sweep(task, step, ramp, placement, steps, epochs, seed, how, progress)


def _ramp(
    step: Trainer, seeds: np.ndarray, declared: tuple[float, float], length: int
) -> LossCurve:
    low, high = declared[0] / BEYOND, declared[1] * BEYOND
    low, high = check_range(max(low, 1e-30), min(high, 1e30), "declared")
    spent = 0
    for _ in range(LENGTHENED + 1):
        rates = np.geomspace(low, high, length)
        loss = step(np.tile(rates[:, None], (1, len(seeds))), seeds).loss
        if not np.isfinite(loss[0]).any():
            raise InputError(
                "`source` must give a finite loss before any update, but got nan; check the data "
                "for missing values, the loss function and the targets."
            )
        spent += int(np.isfinite(loss).sum())
        ramp = LossCurve(rates, loss, declared=declared, gradient_steps=spent)
        if place_sweep(rates, ramp.table) is not None or length > 1000:
            break
        length *= 2
    return ramp


def _per_epoch(
    task: TuningTask,
    step: Trainer,
    seeds: np.ndarray,
    declared: tuple[float, float],
    steps: int,
) -> LossCurve:
    epochs, batches = max(steps // 5, 20), _whole_batches(task)
    rates = np.geomspace(*declared, epochs)
    loss = step(np.tile(np.repeat(rates, batches)[:, None], (1, len(seeds))), seeds).loss
    means = loss.reshape(epochs, batches, len(seeds)).mean(axis=1)
    spent = int(np.isfinite(loss).sum())
    return LossCurve(rates, means, kind="per_epoch", declared=declared, gradient_steps=spent)


def _sweep(
    task: TuningTask,
    step: Trainer,
    ramp: LossCurve,
    placement: Placement,
    steps: int,
    epochs: int,
    seed: int,
    how: Any,
    progress: Any,
) -> LossCurve:
    rates = 10 ** np.arange(placement.low, placement.high + 1e-9, 1 / PER_DECADE)
    batches = _batches(task)
    spent = ramp.gradient_steps or 0
    length, repeats = sweep_size(len(rates), steps, batches, epochs, spent)
    if is_dataset(task.train):
        length = max(length, FEWEST_STEPS)  # how many batches it has may be unknown
    seeds = np.arange(seed, seed + repeats)

    def score(some: np.ndarray) -> tuple[np.ndarray, int]:
        if batches < SHORT_EPOCH and not is_dataset(task.train):
            return _epoch_scores(task, how, progress, some, seeds, length // batches)
        return _scores(step, some, seeds, length)

    scores, done = score(rates)
    spent += done
    horizon = epochs * batches / length
    for below in (True, False):
        for _ in range(EXTENSIONS):
            read = LossCurve(rates, scores, kind="sweep", coarse=ramp, horizon=horizon)
            if not open_ends(rates, read.table, read.as_sweep())[0 if below else 1]:
                break
            beyond = 10 ** (np.arange(1, 3) / PER_DECADE)
            further = rates[0] / beyond if below else rates[-1] * beyond
            more, done = score(further)
            rates, scores = np.append(rates, further), np.append(scores, more, axis=0)
            order = np.argsort(rates)
            rates, scores = rates[order], scores[order]
            spent += done
    return LossCurve(
        rates,
        scores,
        kind="sweep",
        declared=ramp.declared,
        coarse=ramp,
        horizon=horizon,
        gradient_steps=spent,
    )


def sweep_size(rates: int, steps: int, batches: int, epochs: int, spent: int) -> tuple[int, int]:
    """Return the steps of each rate of a sweep, and its seeds.

    Where an epoch has `SHORT_EPOCH` batches or more, ramp and sweep together stay within `SHARE`
    of the gradient steps of a search. Shorter epochs, of small data, are quick, but their seeds
    differ and overfitting decides which rate is best: there the sweep trains for whole epochs,
    half as many steps again as wanted or the budget, with as many seeds as `SHORT_STEPS` allow.

    Args:
        rates: How many rates the sweep has.
        steps: Steps wanted for each; an epoch's where that is more.
        batches: Steps in an epoch.
        epochs: The budget of the trainings to come.
        spent: Steps that the ramp took.

    Example:
        >>> sweep_size(8, 200, 20, 30, 700), sweep_size(8, 200, 60, 30, 700)
        ((300, 8), (121, 2))
    """
    if batches < SHORT_EPOCH:
        length = batches * max(min(round(1.5 * steps / batches), epochs), 1)
        return length, int(np.clip(SHORT_STEPS // (rates * length), FEWEST_SEEDS, MOST_SEEDS))
    # one rate more, in case the sweep is extended
    each = max((SHARE * TRIALS * epochs * batches - spent) / (rates + 1), 2 * FEWEST_STEPS)
    length = int(min(max(steps, batches), each / 2))
    return length, int(min(max(each // length, 1), MOST_SEEDS))


def _scores(
    step: Trainer, rates: np.ndarray, seeds: np.ndarray, length: int
) -> tuple[np.ndarray, int]:
    # lowest validation loss of each rate and seed in so many steps, and the steps done
    lane_rates = np.repeat(rates, len(seeds))
    record = step(
        np.tile(lane_rates[None], (length, 1)),
        np.tile(seeds, len(rates)),
        evaluate_every=max(length // 10, 1),
    )
    values = np.where(np.isfinite(record.val_loss), record.val_loss, np.inf).min(axis=0)
    values = np.where(np.isfinite(values), values, np.nan)
    return values.reshape(len(rates), len(seeds)), int(np.isfinite(record.loss).sum())


def _epoch_scores(
    task: TuningTask, how: Any, progress: Any, rates: np.ndarray, seeds: np.ndarray, epochs: int
) -> tuple[np.ndarray, int]:
    # the same in whole epochs, with their short last batch and scored at their ends, as the
    # trainings to come are: on small data that moves the best rate
    batches = _batches(task)

    def on_epoch(done: int, in_all: int) -> None:
        if progress is not None:
            progress(done * batches, in_all * batches)

    record = train(
        task,
        np.repeat(rates, len(seeds)),
        np.tile(seeds, len(rates)),
        epochs=epochs,
        how=how,
        on_epoch=on_epoch,
    )
    done = int(np.isfinite(record.loss).sum()) * batches
    return record.best("val_loss").reshape(len(rates), len(seeds)), done


def _batches(task: TuningTask) -> int:
    if is_dataset(task.train):
        return max(int(task.train.cardinality()), 1)  # 1 where the length is unknown or endless
    return -(-count_rows(task.train) // task.batch_size)


def _whole_batches(task: TuningTask) -> int:
    if is_dataset(task.train):
        return _batches(task)
    return max(count_rows(task.train) // task.batch_size, 1)
