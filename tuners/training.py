"""One way to train K (rate, seed) lanes and get their curves back as a TrainingRecord.

`train` runs whole epochs with validation, `train_steps` single steps with a rate for each; both
run the lanes stacked in one compiled program where the model allows it (`tuners.population`), and
one at a time with `model.fit` where it does not (`tuners.sequential`). `evaluate` and `predict`
use the weights that `train` kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from search_spaces.task import TuningTask

How = Literal["population", "sequential"]
MAXIMIZED = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "iou", "similarity")


def direction(objective: str) -> Literal["minimize", "maximize"]:
    """Return whether an objective is better low or high, judged by its name.

    Example:
        >>> direction("val_loss"), direction("val_accuracy")
        ('minimize', 'maximize')
    """
    name = objective.removeprefix("val_").lower()
    return "maximize" if any(word in name for word in MAXIMIZED) else "minimize"


def named_curve(curves: Any, name: str) -> np.ndarray:
    """Return a curve by its name in `model.fit`'s history, (lanes, epochs).

    Args:
        curves: Anything with `loss`, `val_loss` and `metrics`, such as a `TrainingRecord`.
        name: "loss", "val_loss" or the name of a metric.

    Raises:
        ValueError: There is no such curve.
    """
    known = {"loss": curves.loss, "val_loss": curves.val_loss, **curves.metrics}
    if name not in known:
        raise ValueError(
            f"`objective` must be one of {', '.join(sorted(known))}, but got {name!r}; "
            "a metric must be compiled into the model."
        )
    return known[name]


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """The curves of all lanes, and how they were trained.

    Curves are NaN from the epoch in which a lane turned non-finite, was stopped, or where the
    training was interrupted.

    Args:
        learning_rates: Highest rate of each lane, (lanes,).
        seeds: Seed of each lane, (lanes,).
        loss: Mean training loss of each epoch, as `model.fit` logs it, (lanes, epochs).
        val_loss: Validation loss after each epoch, (lanes, epochs).
        metrics: Compiled metrics by name, "val_" before those on the validation rows, each
            (lanes, epochs).
        best_epoch: 0-based epoch with the best objective, -1 where no value is finite, (lanes,).
        diverged: Whether the loss turned non-finite, or neither training nor validation loss ever
            came below the validation loss of the untrained model, (lanes,).
        diverged_epoch: 0-based epoch in which it turned non-finite, -1 where it did not, (lanes,).
        initial_val_loss: Validation loss of the untrained model, (lanes,).
        objective: The value that decided the best epoch, for example "val_loss".
        seconds: Time of the whole call, compilation included.
        how: "population" or "sequential".
        why: The reason for `how`, in words.
        chunk_size: Lanes that ran stacked at a time, 1 where they ran one at a time.
        weights: Weights of each lane in the order of `model.get_weights()`, or None.
        interrupted: Whether Ctrl-C ended it; the curves so far are kept.

    Example:
        >>> curves = np.array([[0.9, 0.5, 0.6], [0.9, np.nan, np.nan]])
        >>> record = TrainingRecord(
        ...     learning_rates=np.array([0.01, 10.0]), seeds=np.array([0, 0]), loss=curves,
        ...     val_loss=curves, metrics={}, best_epoch=np.array([1, 0]),
        ...     diverged=np.array([False, True]), diverged_epoch=np.array([-1, 1]),
        ...     initial_val_loss=np.array([1.0, 1.0]), objective="val_loss", seconds=0.1,
        ...     how="population", why="by hand", chunk_size=2,
        ... )
        >>> record.best()
        array([0.5, 0.9])
    """

    learning_rates: np.ndarray
    seeds: np.ndarray
    loss: np.ndarray
    val_loss: np.ndarray
    metrics: dict[str, np.ndarray]
    best_epoch: np.ndarray
    diverged: np.ndarray
    diverged_epoch: np.ndarray
    initial_val_loss: np.ndarray
    objective: str
    seconds: float
    how: How
    why: str
    chunk_size: int
    weights: list[list[np.ndarray]] | None = None
    interrupted: bool = False

    def curve(self, name: str) -> np.ndarray:
        """Return a curve by its name in `model.fit`'s history, (lanes, epochs).

        Raises:
            ValueError: There is no such curve.
        """
        return named_curve(self, name)

    def best(self, name: str | None = None) -> np.ndarray:
        """Return a curve's value at each lane's best epoch, NaN where there is none, (lanes,).

        Args:
            name: The curve; None for the objective.
        """
        curve = self.curve(name or self.objective)
        found = curve[np.arange(len(curve)), np.maximum(self.best_epoch, 0)]
        return np.where(self.best_epoch >= 0, found, np.nan)


@dataclass(frozen=True, eq=False)
class StepRecord:
    """The loss of every step of every lane, and how they were trained.

    Args:
        learning_rates: The rate of each lane at each step, (steps, lanes).
        seeds: Seed of each lane, (lanes,).
        loss: True loss of each batch before its update, NaN once non-finite, (steps, lanes).
        val_loss: Validation loss at each evaluation, (evaluations, lanes), or None.
        evaluated_at: Steps done at each evaluation, (evaluations,).
        seconds: Time of the whole call, compilation included.
        how: "population" or "sequential".
        why: The reason for `how`, in words.
        chunk_size: Lanes that ran stacked at a time, 1 where they ran one at a time.
    """

    learning_rates: np.ndarray
    seeds: np.ndarray
    loss: np.ndarray
    val_loss: np.ndarray | None
    evaluated_at: np.ndarray
    seconds: float
    how: How
    why: str
    chunk_size: int


def train(
    task: TuningTask,
    learning_rates: Sequence[float] | np.ndarray,
    seeds: Sequence[int] | np.ndarray,
    *,
    epochs: int,
    how: How | None = None,
    objective: str = "val_loss",
    resplit: bool = False,
    same_batches: bool = False,
    keep_weights: Literal["best", "final"] | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
    stop_lanes: Callable[[int, np.ndarray], np.ndarray] | None = None,
    callbacks: Sequence[Any] | None = None,
    width: int = 1,
) -> TrainingRecord:
    """Train one lane for each (rate, seed) pair and return their curves.

    A lane's initial weights, dropout and order of batches come from its seed alone, whatever its
    rate. A schedule compiled into the model is kept in shape:
    `rate(t) = schedule(t) / max(schedule over the run) * learning_rate`.

    Args:
        task: The model and its data.
        learning_rates: Rates (lanes,), above 0 and finite.
        seeds: Seeds (lanes,), 0 or more.
        epochs: Passes over the training rows, 1 or more; a short last batch is trained on.
        how: Force "population" or "sequential"; None tries the first and falls back.
        objective: The value that decides the best epoch: "val_loss" or a metric's name.
        resplit: Train each lane on the rows of `task.resplit(seed)`, where the task has one.
        same_batches: Give every lane the batch order of the first (common random numbers).
        keep_weights: Keep each lane's weights at its best or its final epoch.
        on_epoch: Called with (lane-epochs done, lane-epochs in all).
        stop_lanes: Called after each epoch with its 0-based number and the objective (lanes,);
            returns a mask (lanes,) of the lanes to stop there. Stopped lanes are not diverged.
        callbacks: Keras callbacks for `model.fit`; they make the lanes run one at a time.
        width: Use the compiled program that this many lanes would get, even where there are
            fewer. The last bits of a sum depend on a program's size, so that calls of one
            `width` give a lane the same numbers whoever trains beside it.

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
    from tuners import epoch_running

    rates, lane_seeds = _check_lanes(learning_rates, seeds)
    _check_whole(epochs, "epochs")
    _check_whole(width, "width")
    if keep_weights not in (None, "best", "final"):
        raise ValueError(
            f'`keep_weights` must be "best", "final" or None, but got {keep_weights!r}.'
        )
    plan = epoch_running.Plan(
        rates=rates,
        seeds=lane_seeds,
        epochs=int(epochs),
        objective=objective,
        resplit=bool(resplit and task.resplit),
        same_batches=same_batches,
        keep_weights=keep_weights,
        on_epoch=on_epoch,
        stop_lanes=stop_lanes,
        callbacks=tuple(callbacks or ()),
        width=int(width),
    )
    return epoch_running.run_epochs(task, plan, _check_how(how))


def train_steps(
    task: TuningTask,
    learning_rates: np.ndarray,
    seeds: Sequence[int] | np.ndarray,
    *,
    how: How | None = None,
    same_batches: bool = False,
    evaluate_every: int | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> StepRecord:
    """Train lanes step by step, each at its own rate in each step; the range test's engine.

    Batches go round the training rows in a fresh order each pass; a short last batch is left out
    unless the data have fewer rows than a batch. A schedule compiled into the model is ignored:
    the rates given are the rates used.

    Args:
        task: The model and its data.
        learning_rates: Rates (steps, lanes), above 0 and finite. Geometric columns are a ramp,
            constant ones a sweep.
        seeds: Seeds (lanes,), 0 or more.
        how: Force "population" or "sequential"; None tries the first and falls back.
        same_batches: Give every lane the batch order of the first (common random numbers).
        evaluate_every: Evaluate on the validation rows after every so many steps.
        on_step: Called with (lane-steps done, lane-steps in all).

    Returns:
        The loss of each batch before its update, and validation losses where asked for.

    Raises:
        ValueError: An argument breaks its rule; or `how="population"` cannot be done.
    """
    from tuners.step_running import run_steps

    rates = np.asarray(learning_rates, dtype=float)
    if rates.ndim != 2 or not rates.size:
        raise ValueError(
            f"`learning_rates` must have shape (steps, lanes), but got shape {rates.shape}."
        )
    _, lane_seeds = _check_lanes(rates.max(axis=0), seeds)
    _check_lanes(rates.min(axis=0), seeds)
    if evaluate_every is not None:
        _check_whole(evaluate_every, "evaluate_every")
    return run_steps(
        task, rates, lane_seeds, _check_how(how), same_batches, evaluate_every, on_step
    )


def evaluate(task: TuningTask, weights: list[list[np.ndarray]], data: Any) -> dict[str, np.ndarray]:
    """Return loss and compiled metrics of kept weights on some data, (lanes,) each.

    Args:
        task: The task whose model the weights belong to.
        weights: Weights of each lane, as `TrainingRecord.weights` keeps them.
        data: One `(x, y)` or `(x, y, sample_weight)` for all lanes, or a list of one each.
    """
    from tuners.kept_weights import evaluate_weights

    return evaluate_weights(task, weights, data)


def predict(task: TuningTask, weights: list[list[np.ndarray]], data: Any) -> Any:
    """Return the model's outputs with kept weights, (lanes, rows, ...) or a nest of them.

    Args:
        task: The task whose model the weights belong to.
        weights: Weights of each lane, as `TrainingRecord.weights` keeps them.
        data: One `(x, y)` for all lanes, or a list of one each; only x is used.
    """
    from tuners.kept_weights import predict_weights

    return predict_weights(task, weights, data)


def compiled_learning_rate(task: TuningTask, epochs: int = 1) -> float:
    """Return the rate the task's model was compiled with; of a schedule, its maximum.

    Args:
        task: The task.
        epochs: Length of the run over which a schedule's maximum is taken, 1 or more.
    """
    from tuners import lanes

    return lanes.compiled_learning_rate(task, epochs)


def _check_lanes(rates: Any, seeds: Any) -> tuple[np.ndarray, np.ndarray]:
    rates, seeds = np.asarray(rates, dtype=float), np.asarray(seeds)
    if rates.ndim != 1 or rates.shape != seeds.shape or not rates.size:
        raise ValueError(
            "`learning_rates` and `seeds` must be two lists of the same length, 1 or more, "
            f"but got shapes {rates.shape} and {seeds.shape}; repeat one to match the other."
        )
    bad = rates[~(np.isfinite(rates) & (rates > 0))]
    if bad.size:
        raise ValueError(f"`learning_rates` must be positive and finite, but got {bad[0]:g}.")
    if seeds.dtype.kind not in "iu" or seeds.min() < 0:
        raise ValueError(f"`seeds` must be whole numbers of 0 or more, but got {seeds.tolist()}.")
    return rates, seeds.astype(np.int64)


def _check_whole(value: int, name: str) -> None:
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"`{name}` must be a whole number of 1 or more, but got {value!r}.")


def _check_how(how: How | None) -> How | None:
    if how not in (None, "population", "sequential"):
        raise ValueError(f'`how` must be "population", "sequential" or None, but got {how!r}.')
    return how
