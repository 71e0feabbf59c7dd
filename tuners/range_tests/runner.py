"""range_test: what the loss does at each learning rate, for a task, a model or a builder."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from search_spaces._data import is_dataset
from search_spaces.task import TuningTask
from tuners._checks import (
    InputError,
    check_choice,
    check_declared,
    check_range,
    check_whole,
    require_keras,
)
from tuners._progress import progress_bar
from tuners.curves.loss_curve import LossCurve
from tuners.range_tests.builders import SpaceBuilder
from tuners.range_tests.short_trainings import MOST_TRAININGS, UNKNOWN_STEPS, sweep
from tuners.range_tests.sources import BATCH_SIZE, as_task
from tuners.training.records import How
from tuners.training.rows import batches_of
from tuners.training.runner import train_steps

DECLARED = (1e-5, 1.0)
BEYOND = 100.0  # how far past the declared range a ramp looks: two decades
# Of the steps of a training to come. The margins of `tuners.curves.ramp` were measured with it;
# ramps of a sixteenth and of a quarter need nearly the same.
SHARE = 1 / 8
FEWEST_STEPS = 20  # under two to the decade a ramp shows no shape
EPOCHS = 30  # of the trainings to come, where they are not given; as `search` trains
SEEDS = {"sweep": 1, "ramp": 8, "per_epoch": 8}  # where they are not given

Trainer = Callable[..., Any]


def range_test(
    source: Any,
    x: Any = None,
    y: Any = None,
    *,
    validation: Any = None,
    declared: tuple[float, float] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    mode: str = "sweep",
    steps: int | None = None,
    seeds: int | None = None,
    seed: int = 0,
    how: How | None = None,
    materialise: bool | None = None,
    verbose: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> LossCurve:
    """Measure the loss at each learning rate; `.bounds()` of the result says where to search.

    Rates half a decade apart, from one end of the declared range to the other, are each trained
    for a short while: from the same weights, on the same rows, for a twentieth of the epochs of a
    training to come, one at least. The validation losses at their ends are the curve. Where one
    epoch is more than a tenth of a training (under 10 epochs), it is a tenth of its gradient steps
    instead, on so many batches of rows that the seed draws. Where a tenth of a training is a few
    steps only, the answer is a rough one: read `.bounds().status`, or take more epochs.

    A schedule compiled into the model is kept: the rate is its peak over a whole training, and a
    short training is the beginning of it. The test costs no more gradient steps than 1.5 trainings
    with one seed and two with more, unless a training has under three.

    `epochs` and `batch_size` change the answer: short trainings want higher rates than long ones,
    and so do large batches. Give those of the trainings that you are going to do.

    `mode="ramp"` raises the rate from step to step instead, which is all that a single `fit` can
    do, in several seeds at once. It takes an eighth of the steps of a training to come, so that
    eight seeds cost one training at most; where they cannot decide, eight more are measured. It
    ignores schedules, and tells less well where the best rate lies, so that its bounds are wider.

    Args:
        source: What is to be trained: a compiled `keras.Model`, whose seeds vary the order of the
            batches only and whose whole state is as it was afterwards; a function that builds
            one, without arguments, of KerasTuner's `hp` or of Optuna's `trial` (which get
            defaults, see `tuners.range_tests.builders`); a `keras_tuner.HyperModel`; a built
            `keras_tuner.Tuner`; or a `TuningTask`.
        x: Training inputs, arrays of one row an example or a nest of them, or a
            `tf.data.Dataset` that ends; None for a task.
        y: Training targets; None for a task or a dataset.
        validation: `(x, y)` that are not trained on; None leaves out a tenth of the rows of `x`,
            other ones for each seed, or the first tenth of the batches of a dataset that streams
            (give `validation` where it shuffles its rows anew on each pass).
        declared: The range `(low, high)` that would be searched without the test, with
            `low < high`. Bounds stay inside, and so do the rates; but a ramp looks two decades
            further on both sides.
            None takes the range that a tuner, or what builds from `hp` or `trial`, itself has of
            a hyperparameter whose name ends in `learning_rate` or `lr`, and says so; else
            `(1e-5, 1.0)`.
        epochs: Epochs of the trainings to come, 1 or more; None assumes 30, and says so.
        batch_size: Rows to a step of the trainings to come, 1 or more; None assumes 32, and says
            so. A task and a dataset bring their own.
        mode: `"sweep"`: short trainings. `"ramp"`: the rate rises with every step. `"per_epoch"`:
            it rises with every epoch.
        steps: Gradient steps of a ramp, 2 or more; None for an eighth of a training to come. A
            warning says where more steps cost more than two trainings. Of a ramp only.
        seeds: Seeds, 1 or more, each with weights, an order of batches and, where the task has
            splits, rows of its own; None for 1, and 8 of a ramp. Fewer where they cost more than
            two trainings. Where they cannot decide, a sweep takes one more and a ramp twice as
            many, as far as two trainings pay for them.
        seed: The first of them, 0 or more.
        how: "population" or "sequential" forces how lanes are trained; None chooses.
        materialise: Whether a dataset is read into arrays once, which freezes its random `map`
            functions and is quicker by far; None where it has at most 1 GiB, with a warning.
        verbose: 1 prints the answer in one line, with a progress bar on work over two seconds; 0
            is silent.
        progress: Called with (done, in all) of the part that is running: epochs of all short
            trainings, or steps of all ramps.

    Returns:
        A curve whose `kind` is `mode`.

    Raises:
        ValueError: An argument breaks its rule, the model is not compiled, or its loss is not
            finite before any update; the message says what to do.

    Example:
        >>> from search_spaces import wine_task
        >>> curve = range_test(wine_task(), epochs=30)  # doctest: +SKIP
        learning rate 1.78e-5 to 0.001, try 1e-4 (11 rates, 0.7 trainings' steps, 8.4 s)
        >>> curve.bounds().status  # doctest: +SKIP
        'ok'
    """
    require_keras("range_test")
    check_choice(mode, tuple(SEEDS), "mode")
    if declared is not None:
        declared = check_declared(declared)
    if steps is not None:
        check_whole(steps, "steps", 2)
        if mode != "ramp":
            raise InputError(
                f"`steps` must be left out of mode={mode!r}, whose length follows from `epochs`, "
                f"but got {steps}; pass mode='ramp' for a ramp of {steps} steps."
            )
    seeds = SEEDS[mode] if seeds is None else check_whole(seeds, "seeds")
    check_whole(seed, "seed", 0)
    length = EPOCHS if epochs is None else check_whole(epochs, "epochs")
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="Two seeds build the same initial weights")
        # as Keras says where it did not know the length of a dataset
        warnings.filterwarnings("ignore", message="Your input ran out of data")
        task = as_task(source, x, y, validation, batch_size, stack, materialise)
        own = task.build_model.rate_range() if isinstance(task.build_model, SpaceBuilder) else None
        declared, told = (declared, "") if declared else _own_range(own)
        shown = bool(verbose) and progress is None
        tell = stack.enter_context(progress_bar("range test", shown))
        if mode == "sweep":
            curve = sweep(task, declared, length, seeds, seed, how, progress or tell)
        else:
            step = partial(train_steps, task, how=how, on_step=progress or tell)
            measure = _per_epoch if mode == "per_epoch" else partial(_ramps, steps=steps)
            curve = measure(step, declared, length, batches_of(task), seeds, seed)
    assumed = _assumed(isinstance(source, TuningTask) or is_dataset(x), epochs, batch_size)
    curve = replace(
        curve,
        epochs=length,
        training_steps=length * batches_of(task) or None,
        note=" ".join(filter(None, (told, assumed))),
        seconds=time.perf_counter() - started,
    )
    if steps is not None and (curve.trainings or 0) > MOST_TRAININGS:
        warnings.warn(
            f"The range test cost the steps of {curve.trainings:.1f} trainings, which is more "
            f"than a search of {curve.trainings:.0f} trials spends; leave out `steps`={steps} for "
            f"{MOST_TRAININGS} at most.",
            stacklevel=2,
        )
    if verbose:
        print(curve.describe())
    return curve


def ramp_size(epochs: int, batches: int, seeds: int) -> tuple[int, int]:
    """Return the steps of a ramp and its seeds.

    The steps are an eighth of a training's, more where that would be too few. Where trainings
    have so few steps that two for each seed cost more than two trainings, there are fewer seeds.

    Args:
        epochs: Epochs of a training to come.
        batches: Steps of an epoch; 0 where they are unknown.
        seeds: Seeds that were asked for.

    Example:
        >>> ramp_size(30, 130, 8), ramp_size(5, 10, 8), ramp_size(1, 2, 8)
        ((487, 8), (12, 8), (2, 2))
    """
    if not batches:
        return UNKNOWN_STEPS, seeds
    training = epochs * batches
    most = max(MOST_TRAININGS * training // seeds, 2)
    steps = min(max(int(SHARE * training), FEWEST_STEPS), most)
    return steps, max(min(seeds, MOST_TRAININGS * training // steps), 1)


def _own_range(own: tuple[str, float, float] | None) -> tuple[tuple[float, float], str]:
    """Return the range to search where none was declared, and a sentence where it isn't ours."""
    if own is None or own[1:] == DECLARED:
        return DECLARED, ""
    name, low, high = own
    return (low, high), f"Declared {low:g} to {high:g}, the range of `{name}`."


def _assumed(has_batches: bool, epochs: int | None, batch_size: int | None) -> str:
    """Return what was assumed of the trainings to come, "" where all of it was given."""
    assumed = [] if epochs is not None else [f"epochs={EPOCHS}"]
    if batch_size is None and not has_batches:
        assumed.append(f"batch_size={BATCH_SIZE}")
    return f"Assumed {' and '.join(assumed)}." if assumed else ""


def _ramps(
    step: Trainer,
    declared: tuple[float, float],
    epochs: int,
    batches: int,
    seeds: int,
    seed: int,
    *,
    steps: int | None,
) -> LossCurve:
    """Return a ramp of some seeds, of twice as many where these do not decide."""
    length, count = (steps, seeds) if steps else ramp_size(epochs, batches, seeds)
    ramp = _ramp(step, np.arange(seed, seed + count), declared, length)
    decided = ramp.bounds().status not in ("no_descent", "too_noisy")
    dear = steps is None and batches and 2 * count * length > MOST_TRAININGS * epochs * batches
    if decided or dear:
        return ramp
    more = _ramp(step, np.arange(seed + count, seed + 2 * count), declared, length)
    return LossCurve(
        ramp.learning_rates,
        np.column_stack([ramp.table, more.table]),
        declared=declared,
        gradient_steps=(ramp.gradient_steps or 0) + (more.gradient_steps or 0),
    )


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


def _per_epoch(
    step: Trainer,
    declared: tuple[float, float],
    epochs: int,
    batches: int,
    seeds: int,
    seed: int,
) -> LossCurve:
    """Return a curve of epochs, in as many rates and seeds as two trainings have epochs for."""
    batches = batches or UNKNOWN_STEPS
    count = min(20, MOST_TRAININGS * epochs)
    lanes = np.arange(seed, seed + max(1, min(seeds, MOST_TRAININGS * epochs // count)))
    rates = np.geomspace(*declared, count)
    loss = step(np.tile(np.repeat(rates, batches)[:, None], (1, len(lanes))), lanes).loss
    means = loss.reshape(count, batches, len(lanes)).mean(axis=1)
    spent = int(np.isfinite(loss).sum())
    return LossCurve(rates, means, kind="per_epoch", declared=declared, gradient_steps=spent)
