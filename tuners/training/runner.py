"""One way to train K (rate, seed) lanes and get their curves back as a TrainingRecord.

`train` runs whole epochs with validation, `train_steps` single steps with a rate for each; both
run the lanes stacked in one compiled program where the model allows it, and one at a time with
`model.fit` where it does not. `evaluate` and `predict` use the weights that `train` kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from search_spaces.task import TuningTask
from tuners._checks import InputError, check_choice, check_whole, require_keras
from tuners.training import records
from tuners.training.records import How, Plan, StepRecord, TrainingRecord


def train(
    task: TuningTask,
    learning_rates: Sequence[float] | np.ndarray,
    seeds: Sequence[int] | np.ndarray,
    *,
    epochs: int,
    how: How | None = None,
    objective: str = "val_loss",
    direction: str | None = None,
    resplit: bool = True,
    same_batches: bool = False,
    keep_weights: Literal["best", "final"] | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
    stop_lanes: Callable[[int, np.ndarray], np.ndarray] | None = None,
    callbacks: Sequence[Any] | None = None,
    width: int = 1,
    test_curves: bool = False,
    schedule_epochs: int | None = None,
    batches: int | None = None,
) -> TrainingRecord:
    """Train one lane for each (rate, seed) pair and return their curves.

    A lane's initial weights, dropout and order of batches come from its seed alone, whatever its
    rate. A schedule compiled into the model is kept in shape:
    `rate(t) = schedule(t) / max(schedule over the run) * learning_rate`. Under weight averages
    (`use_ema`) each epoch is evaluated as `model.fit` does it: with the averages only once
    `ema_overwrite_frequency` has put them in place.

    Args:
        task: The model and its data.
        learning_rates: Rates (lanes,), above 0 and finite.
        seeds: Seeds (lanes,), 0 or more.
        epochs: Passes over the training rows, 1 or more; a short last batch is trained on.
        how: Force "population" or "sequential"; None tries the first and falls back.
        objective: The value that decides the best epoch: "val_loss" or a metric's name.
        direction: "minimize" or "maximize"; None judges by the objective's name.
        resplit: Train each lane on the rows of `task.resplit(seed)`, where the task has one;
            False trains all on the task's own rows.
        same_batches: Give every lane the batch order of the first (common random numbers).
        keep_weights: Keep each lane's weights at its best or its final epoch.
        on_epoch: Called with (lane-epochs done, lane-epochs in all).
        stop_lanes: Called after each epoch with its 0-based number and the objective (lanes,);
            returns a mask (lanes,) of the lanes to stop there. Stopped lanes are not diverged.
        callbacks: Keras callbacks for `model.fit`; they make the lanes run one at a time.
        width: Use the compiled program that this many lanes would get, even where there are
            fewer. The last bits of a sum depend on a program's size, so that calls of one
            `width` give a lane the same numbers whoever trains beside it.
        test_curves: Evaluate each lane's test rows after each epoch too, as metrics "test_loss"
            and so on: for benchmarks. What chooses must not read them.
        schedule_epochs: Epochs of the whole training that this is the beginning of, `epochs` or
            more: a schedule then has its maximum over all of them. None for `epochs`.
        batches: Batches of each epoch to train on, 1 or more, the first in the order of the lane's
            seed; None for all. Where an epoch has fewer, all.

    Returns:
        The curves, best epochs, divergence, and how it was run and why.

    Raises:
        ValueError: An argument breaks its rule; or `how="population"` cannot be done.

    Example:
        >>> from search_spaces import wine_task
        >>> record = train(wine_task(), [1e-4, 1e-3], [0, 0], epochs=1)  # doctest: +SKIP
        >>> record.val_loss.shape  # doctest: +SKIP
        (2, 1)
    """
    require_keras("train")
    if not isinstance(task, TuningTask):
        raise InputError(
            f"`task` must be a TuningTask, but got {type(task).__name__}; pass "
            "TuningTask(name, build_model, train, validation)."
        )
    from tuners.training import epochs as epoch_training

    rates, lane_seeds = _check_lanes(learning_rates, seeds)
    _check_choices(how, keep_weights)
    plan = Plan(
        rates=rates,
        seeds=lane_seeds,
        epochs=check_whole(epochs, "epochs"),
        objective=objective,
        direction=records.direction(objective, direction),
        resplit=bool(resplit and task.resplit),
        same_batches=same_batches,
        keep_weights=keep_weights,
        on_epoch=on_epoch,
        stop_lanes=stop_lanes,
        callbacks=tuple(callbacks or ()),
        width=check_whole(width, "width"),
        test_curves=test_curves,
        schedule_epochs=_check_schedule_epochs(schedule_epochs, epochs),
        batches=None if batches is None else check_whole(batches, "batches"),
    )
    if test_curves and task.test is None:
        raise InputError("`test_curves` needs test rows, but `task` has none; pass test=(x, y).")
    return epoch_training.run_epochs(task, plan, how)


def train_steps(
    task: TuningTask,
    learning_rates: np.ndarray,
    seeds: Sequence[int] | np.ndarray,
    *,
    how: How | None = None,
    same_batches: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> StepRecord:
    """Train lanes step by step, each at its own rate in each step; the range test's engine.

    Each lane trains on the rows of its seed's split, where the task has splits. Batches go round
    them in a fresh order each pass; a short last batch is left out unless the data have fewer rows
    than a batch. A schedule compiled into the model is ignored: the rates given are the rates used.

    Args:
        task: The model and its data.
        learning_rates: Rates (steps, lanes), above 0 and finite. Geometric columns are a ramp.
        seeds: Seeds (lanes,), 0 or more.
        how: Force "population" or "sequential"; None tries the first and falls back.
        same_batches: Give every lane the batch order of the first (common random numbers).
        on_step: Called with (lane-steps done, lane-steps in all).

    Returns:
        The loss of each batch before its update.

    Raises:
        ValueError: An argument breaks its rule; or `how="population"` cannot be done.
    """
    from tuners.training.steps import run_steps

    rates = np.asarray(learning_rates, dtype=float)
    if rates.ndim != 2 or not rates.size:
        raise InputError(
            f"`learning_rates` must have shape (steps, lanes), but got shape {rates.shape}."
        )
    _, lane_seeds = _check_lanes(rates.max(axis=0), seeds)
    _check_lanes(rates.min(axis=0), seeds)
    _check_choices(how)
    return run_steps(task, rates, lane_seeds, how, same_batches, on_step)


def evaluate(task: TuningTask, weights: list[list[np.ndarray]], data: Any) -> dict[str, np.ndarray]:
    """Return loss and compiled metrics of kept weights on some data, (lanes,) each.

    Args:
        task: The task whose model the weights belong to.
        weights: Weights of each lane, as `TrainingRecord.weights` keeps them.
        data: One `(x, y)` or `(x, y, sample_weight)` for all lanes, or a list of one each.
    """
    from tuners.training.epochs import with_weights

    return with_weights(task, weights, data, predicts=False)


def predict(task: TuningTask, weights: list[list[np.ndarray]], data: Any) -> Any:
    """Return the model's outputs with kept weights, (lanes, rows, ...) or a nest of them.

    Args:
        task: The task whose model the weights belong to.
        weights: Weights of each lane, as `TrainingRecord.weights` keeps them.
        data: One `(x, y)` for all lanes, or a list of one each; only x is used.
    """
    from tuners.training.epochs import with_weights

    return with_weights(task, weights, data, predicts=True)


def _check_lanes(rates: Any, seeds: Any) -> tuple[np.ndarray, np.ndarray]:
    rates, seeds = np.asarray(rates, dtype=float), np.asarray(seeds)
    if rates.ndim != 1 or rates.shape != seeds.shape or not rates.size:
        raise InputError(
            "`learning_rates` and `seeds` must be two lists of the same length, 1 or more, "
            f"but got shapes {rates.shape} and {seeds.shape}; repeat one to match the other."
        )
    bad = rates[~(np.isfinite(rates) & (rates > 0))]
    if bad.size:
        raise InputError(f"`learning_rates` must be positive and finite, but got {bad[0]:g}.")
    if seeds.dtype.kind not in "iu" or seeds.min() < 0:
        raise InputError(f"`seeds` must be whole numbers of 0 or more, but got {seeds.tolist()}.")
    return rates, seeds.astype(np.int64)


def _check_schedule_epochs(schedule_epochs: int | None, epochs: int) -> int | None:
    if schedule_epochs is None:
        return None
    if check_whole(schedule_epochs, "schedule_epochs") < epochs:
        raise InputError(
            f"`schedule_epochs` must be at least `epochs`={epochs}, which are the beginning of "
            f"them, but got {schedule_epochs}; pass the epochs of the whole training."
        )
    return schedule_epochs


def _check_choices(how: Any, keep_weights: Any = None) -> None:
    if how is not None:
        check_choice(how, ("population", "sequential"), "how", cure="pass None to choose by model")
    if keep_weights is not None:
        check_choice(keep_weights, ("best", "final"), "keep_weights", cure="pass None for none")
