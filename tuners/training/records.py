"""What a training is given and what it gives: plan, growing curves, records; without TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from search_spaces._words import count
from tuners._checks import InputError, check_choice

How = Literal["population", "sequential"]

# A training loss that ends above so many times its start has diverged. Measured on 12 small tasks
# and on wine, new and pretrained, with and without dropout: sane rates end at 0.01 to 1.5 times the
# start, rates ten times too high at 9 at most; a blow-up grows by a factor with each step, so that
# it passes 100 soon after 10. Higher is safer: a bad run that is not caught has a bad score.
FAR_ABOVE = 10.0

# Of the epochs, whose best mean in a row is a lane's score. On 95 tasks of 43 data sets the lowest
# of 21 rates on 4 splits had a mean excess test loss, for who keeps the best epoch (and the last
# one), of 6.8 % (11.9) by the best single epoch, 5.1 (9.5) by a tenth of them, 4.0 (6.3) by a
# quarter, 3.2 (4.9) by half, 3.3 (5.1) by 70 %, 4.6 (8.2) by all, 3.8 (4.4) by the last epoch; the
# test losses of those 4 splits had 3.5 %.
SCORED_SHARE = 0.5

Direction = Literal["minimize", "maximize"]

# Keras's metrics that are better high: their default names, and the usual short ones, without "_"
MAXIMIZED = re.compile(
    "acc|(binary|(sparse)?(topk)?categorical)?accuracy|auc|f1(score)?|fbetascore|r2(score)?"
    "|precision(atrecall)?|recall(atprecision)?|sensitivityatspecificity|specificityatsensitivity"
    "|true(positives|negatives)|cosinesimilarity|(concordance|pearson)correlation"
    "|(binary|mean|onehot|onehotmean)?iou"
)


def direction(objective: str, given: str | None = None) -> Direction:
    """Return whether an objective is better low or high: as given, or as Keras's metrics are.

    Judged are whole names, without "val_", the number that Keras adds to a second metric of one
    name (`auc_1`), and the name of an output before it (`head_accuracy`).

    Args:
        objective: "val_loss" or the name of a metric in `model.fit`'s history.
        given: "minimize" or "maximize", for a metric of one's own; None judges by the name, and
            takes an unknown one as better low.

    Raises:
        ValueError: `given` is neither.

    Example:
        >>> direction("val_loss"), direction("val_auc_1"), direction("val_error2")
        ('minimize', 'maximize', 'minimize')
        >>> direction("val_profit", "maximize")
        'maximize'
    """
    if given is not None:
        check_choice(given, ("minimize", "maximize"), "direction")
        return "maximize" if given == "maximize" else "minimize"
    words = re.sub(r"_\d+$", "", objective.removeprefix("val_").lower()).split("_")
    names = ("".join(words[start:]) for start in range(len(words)))
    return "maximize" if any(map(MAXIMIZED.fullmatch, names)) else "minimize"


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
        raise InputError(
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
        diverged: Whether training or validation loss turned non-finite, or the training loss
            ended more than `FAR_ABOVE` times above where it started, (lanes,).
        diverged_epoch: 0-based epoch in which it turned non-finite, -1 where it did not, (lanes,).
        initial_val_loss: Validation loss before any training, (lanes,): where the loss started.
        objective: The value that decided the best epoch, for example "val_loss".
        direction: "minimize" or "maximize", of the objective.
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
    direction: Direction = "minimize"
    weights: list[list[np.ndarray]] | None = None
    interrupted: bool = False

    def __repr__(self) -> str:
        lanes, epochs = self.loss.shape
        words = f"{count(lanes, 'lane')} of {count(epochs, 'epoch')}, {self.objective}"
        if self.diverged.any():
            words += f", {int(self.diverged.sum())} diverged"
        return f"TrainingRecord({words}, {self.how})"

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

    def scores(self) -> np.ndarray:
        """Return the score of each lane, (lanes,): the objective's best mean over nearby epochs.

        The best single epoch favours noisy, that is high, rates: the lowest of many noisy values
        lies far below their mean. So a score is the best mean of `score_window(epochs)` epochs
        in a row. A lane that diverged has no lucky epoch before it: it scores the worst finite
        value that it had, its untrained loss among them; NaN where it had none.
        """
        sign = 1.0 if self.direction == "minimize" else -1.0
        values = sign * self.curve(self.objective)
        seen = values
        if self.objective == "val_loss":
            seen = np.column_stack([self.initial_val_loss, values])
        worst = np.where(np.isfinite(seen), seen, -np.inf).max(axis=1)
        steady = lowest_mean(values, score_window(values.shape[1]))
        found = np.where(self.diverged, worst, steady)
        return sign * np.where(np.isfinite(found), found, np.nan)


def score_window(epochs: int) -> int:
    """Return how many epochs in a row a score is the mean of: a share of them, 1 or more."""
    return max(1, round(SCORED_SHARE * epochs))


def lowest_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the lowest mean of so many values in a row, (lanes,); what is shorter is its mean."""
    rows = []
    for row in values:
        finite = row[np.isfinite(row)]
        size = min(window, len(finite))
        windows = np.lib.stride_tricks.sliding_window_view(finite, size) if size else finite
        rows.append(windows.mean(axis=-1).min() if size else np.nan)
    return np.array(rows)


@dataclass(frozen=True, eq=False)
class StepRecord:
    """The loss of every step of every lane, and how they were trained.

    Args:
        learning_rates: The rate of each lane at each step, (steps, lanes).
        seeds: Seed of each lane, (lanes,).
        loss: True loss of each batch before its update, NaN once non-finite, (steps, lanes).
        seconds: Time of the whole call, compilation included.
        how: "population" or "sequential".
        why: The reason for `how`, in words.
        chunk_size: Lanes that ran stacked at a time, 1 where they ran one at a time.
    """

    learning_rates: np.ndarray
    seeds: np.ndarray
    loss: np.ndarray
    seconds: float
    how: How
    why: str
    chunk_size: int


@dataclass(frozen=True, eq=False)
class Plan:
    """What to train: the checked arguments of `tuners.train`."""

    rates: np.ndarray
    seeds: np.ndarray
    epochs: int
    objective: str
    direction: Direction
    resplit: bool
    same_batches: bool
    keep_weights: str | None
    on_epoch: Callable[[int, int], None] | None
    stop_lanes: Callable[[int, np.ndarray], np.ndarray] | None
    callbacks: tuple[Any, ...]
    width: int
    test_curves: bool = False
    schedule_epochs: int | None = None
    batches: int | None = None

    def trained_batches(self, epoch: int) -> int:
        """Return how many of an epoch's batches are trained on."""
        return epoch if self.batches is None else min(self.batches, epoch)

    def score(self, curves: Curves) -> np.ndarray:
        """Return the objective's curves (lanes, epochs), turned so that lower is better."""
        curve = named_curve(curves, self.objective)
        return -curve if self.direction == "maximize" else curve


@dataclass(eq=False)
class Curves:
    """The curves while they grow; lanes write their rows."""

    lanes: int
    epochs: int
    metrics: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loss, self.val_loss = self._empty(), self._empty()
        self.initial_val_loss = np.full(self.lanes, np.nan)
        self.diverged_epoch = np.full(self.lanes, -1)
        self.weights: list[list[np.ndarray] | None] = [None] * self.lanes

    def _empty(self) -> np.ndarray:
        return np.full((self.lanes, self.epochs), np.nan)

    def add(self, lanes: np.ndarray, epoch: int, values: dict[str, np.ndarray]) -> None:
        """Write one epoch of some lanes: "loss", "val_loss" and metrics, (len(lanes),) each."""
        for name, value in values.items():
            if name in ("loss", "val_loss"):
                getattr(self, name)[lanes, epoch] = value
            else:
                self.metrics.setdefault(name, self._empty())[lanes, epoch] = value


def has_diverged(curves: Curves) -> np.ndarray:
    """Return which lanes (lanes,) turned non-finite, or ended far above where they started."""
    start = curves.initial_val_loss
    filled = np.where(np.isfinite(curves.loss), curves.loss, -np.inf)
    last = filled.shape[1] - 1 - np.isfinite(curves.loss)[:, ::-1].argmax(axis=1)
    rise = filled[np.arange(curves.lanes), last] - start
    far = (start != 0) & (rise > (FAR_ABOVE - 1) * np.abs(start))  # a loss may be negative
    return (curves.diverged_epoch >= 0) | far


def best_epochs(score: np.ndarray) -> np.ndarray:
    """Return the 0-based epoch (lanes,) of the lowest score (lanes, epochs), -1 where all NaN."""
    filled = np.where(np.isfinite(score), score, np.inf)
    return np.where(np.isfinite(filled).any(axis=1), filled.argmin(axis=1), -1)


class Progress:
    """Counts lane-epochs or lane-steps and tells them on."""

    def __init__(self, tell: Callable[[int, int], None] | None, total: int) -> None:
        self.tell, self.total, self.done = tell, total, 0

    def each(self, lanes: int) -> Callable[[int], None]:
        """Return what counts some more done in each of so many lanes."""
        return lambda count: self.add(count * lanes)

    def add(self, count: int) -> None:
        """Count some more as done."""
        self.done = min(self.done + count, self.total)
        if self.tell is not None:
            self.tell(self.done, self.total)


def join_records(records: Sequence[TrainingRecord], seconds: float) -> TrainingRecord:
    """Return one record of the lanes of several, in their order.

    Args:
        records: Records of one call's lanes, one or more, trained alike.
        seconds: Time of the whole.
    """
    first = records[0]

    kept = [record.weights for record in records if record.weights is not None]
    metrics = {
        name: np.concatenate([record.metrics[name] for record in records]) for name in first.metrics
    }
    arrays = {
        field.name: np.concatenate([getattr(record, field.name) for record in records])
        for field in fields(first)
        if isinstance(getattr(first, field.name), np.ndarray)
    }
    changes: dict[str, Any] = {**arrays, "metrics": metrics, "seconds": seconds}
    changes["weights"] = [lane for lanes in kept for lane in lanes] if kept else None
    changes["interrupted"] = any(record.interrupted for record in records)
    return replace(first, **changes)
