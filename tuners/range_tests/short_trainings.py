"""A sweep: short trainings at constant rates, as lanes of one training, as a LossCurve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from search_spaces.task import TuningTask
from tuners._checks import InputError
from tuners.curves.loss_curve import LossCurve
from tuners.curves.sweep import short_training, sweep_rates
from tuners.training.records import How
from tuners.training.rows import batches_of
from tuners.training.runner import train

MOST_TRAININGS = 2  # what a test may cost at most, in steps of trainings to come
MOST_FOR_RATES = 1.5  # of these, for one seed: then the rates lie further apart
UNKNOWN_STEPS = 200  # of a short training, or a ramp, on a dataset of unknown length


def sweep_size(
    epochs: int, batches: int, declared: tuple[float, float], seeds: int
) -> tuple[np.ndarray, int, int, int]:
    """Return the rates of a sweep, its seeds, and the epochs and batches of a short training.

    Fewer rates and seeds are taken where they would cost too much, but five rates at least: where
    a training has under three gradient steps, these cost more than two of them.

    Args:
        epochs: Epochs of a training to come.
        batches: Steps of an epoch; 0 where they are unknown.
        declared: The range of the rates, `(low, high)` with `low < high`.
        seeds: Seeds that were asked for.

    Example:
        >>> rates, *size = sweep_size(30, 130, (1e-5, 1.0), 4)
        >>> len(rates), size
        (11, [2, 2, 130])
    """
    if not batches:
        return sweep_rates(declared), seeds, 1, UNKNOWN_STEPS
    training = epochs * batches
    length, trained = short_training(epochs, batches)
    rates = sweep_rates(declared, most=int(MOST_FOR_RATES * training / (length * trained)))
    paid = int(MOST_TRAININGS * training / (len(rates) * length * trained))
    return rates, max(1, min(seeds, paid)), length, trained


def sweep(
    task: TuningTask,
    declared: tuple[float, float],
    epochs: int,
    seeds: int,
    seed: int,
    how: How | None,
    tell: Callable[[int, int], None],
) -> LossCurve:
    """Return the sweep of a task; one seed more where these cannot decide and it can be paid for.

    Args:
        task: The task.
        declared: The range of the rates.
        epochs: Of a training to come: a schedule has its peak over all of them.
        seeds: Seeds of each rate; fewer where they cost too much.
        seed: The first of them.
        how: How lanes are trained, None to choose.
        tell: Called with (epochs of lanes done, in all).
    """
    batches = batches_of(task)
    rates, count, length, trained = sweep_size(epochs, batches, declared, seeds)
    shape: dict[str, Any] = {"epochs": length, "schedule_epochs": epochs, "batches": trained}

    def measure(first: int, number: int) -> tuple[np.ndarray, int]:
        lanes = np.tile(rates, number), np.repeat(np.arange(first, first + number), len(rates))
        record = train(task, *lanes, how=how, on_epoch=tell, **shape)
        if record.interrupted:
            raise KeyboardInterrupt  # a part of it would read as if the rest had diverged
        if not np.isfinite(record.initial_val_loss).any():
            raise InputError(
                "`source` must give a finite loss before any update, but got nan; check the data "
                "for missing values, the loss function and the targets."
            )
        run = np.where(record.diverged_epoch < 0, length, record.diverged_epoch + 1)
        return record.val_loss[:, -1].reshape(number, -1).T, int(run.sum()) * trained

    losses, spent = measure(seed, count)
    curve = LossCurve(rates, losses, kind="sweep", declared=declared)
    dear = (count + 1) * len(rates) * length * trained > MOST_TRAININGS * epochs * batches
    if curve.bounds().status == "no_descent" and not dear:
        more, spent_more = measure(seed + count, 1)
        losses, spent = np.column_stack([losses, more]), spent + spent_more
    return LossCurve(
        rates,
        losses,
        kind="sweep",
        declared=declared,
        gradient_steps=spent if batches else None,
    )
