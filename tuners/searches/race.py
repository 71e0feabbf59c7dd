"""LearningRateRace: which rate to train next on which split, by ask and tell, for any framework."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from search_spaces._input import (
    InputError,
    check_declared,
    check_pair,
    check_rate,
    check_whole,
    is_number,
)
from search_spaces.learning_rate import LearningRateBounds, bounds_of
from tuners.curves.bounds import read_bounds
from tuners.curves.sweep import LARGEST_SHARE, SHARE, sweep_rates
from tuners.searches.stages import Course, leaders, next_trainings, spent, tidy
from tuners.training.records import lowest_mean, score_window


class RaceTraining(NamedTuple):
    """One training that a race asks for.

    Args:
        learning_rate: Its rate; of a schedule the peak.
        split: Which division of the rows: equal numbers mean equal rows and equal weights.
        share: Of the steps of a full training, above 0 and up to 1.
    """

    learning_rate: float
    split: int
    share: float = 1.0


class LearningRateRace:
    """A search for a learning rate that somebody else trains for: ask, train, tell.

    `ask()` gives trainings as (rate, split, share of a training); equal splits mean equal rows and
    equal initial weights, so that rates differ in nothing else. `tell()` takes the validation loss
    of each of their epochs. Nothing is drawn: the same losses give the same race. Its stages stand
    in `tuners.searches.stages`.

    Without `bounds` it begins with a range test: short trainings at constant rates, half a decade
    apart over the declared range (see `tuners.curves.sweep`). Of a training with a schedule the
    rate is the peak, and a short training is its beginning.

    Args:
        declared: The range `(low, high)` of rates that may be tried, `0 < low < high`.
        budget: Trainings of full length that it may spend at most, its range test among them, 2 or
            more.
        bounds: Where to begin, `LearningRateBounds` or a pair `(low, high)`; None measures.
        baseline: The rate to beat, which is tried too; None for none.
        epochs: Of a full training: a short one lasts one epoch at least, where that is no more
            than a tenth; None where there are no epochs.
        seed: Number of the first split; the others follow it, 0 or more.

    Raises:
        InputError: An argument breaks its rule.

    Example:
        >>> race = LearningRateRace((1e-5, 1.0), budget=12)
        >>> def train(rate, split, share):  # the losses of four epochs
        ...     return [2 - share + math.log10(rate / 3e-3) ** 2 + 0.01 * split] * 4
        >>> while not race.done:
        ...     race.tell([train(*training) for training in race.ask()])
        >>> race.choice, race.cost <= 12
        (0.0031623, True)
    """

    def __init__(
        self,
        declared: tuple[float, float] = (1e-5, 1.0),
        *,
        budget: float = 12,
        bounds: LearningRateBounds | tuple[float, float] | None = None,
        baseline: float | None = None,
        epochs: int | None = None,
        seed: int = 0,
    ) -> None:
        self.declared = check_declared(declared)
        self.budget, self.seed = check_budget(budget), check_whole(seed, "seed", least=0)
        self.epochs = None if epochs is None else check_whole(epochs, "epochs")
        self.baseline = None if baseline is None else check_rate(baseline, "baseline")
        self._given = given_bounds(bounds)
        if self._given is not None:
            replace(self._given, declared=self.declared)  # which must hold them
        self._measured: LearningRateBounds | None = None
        self._short: dict[float, float] = {}
        self._scores: dict[float, dict[int, float]] = {}

    @property
    def share(self) -> float:
        """Share of a training that a short one is."""
        return SHARE if self.epochs is None else min(max(SHARE, 1 / self.epochs), LARGEST_SHARE)

    @property
    def cost(self) -> float:
        """What was told of so far, in trainings of full length."""
        return len(self._short) * self.share + spent(self._scores)

    @property
    def bounds(self) -> LearningRateBounds:
        """Where it begins: what was given or measured; the declared range before that."""
        if self._given is not None:
            return self._given
        if len(self._short) < len(self._test()):
            why = "The range test is not done yet."
            return replace(bounds_of(self.declared), status="too_few_points", reason=why)
        if self._measured is None:
            rates = np.array(sorted(self._short))
            losses = np.array([self._short[rate] for rate in rates])
            self._measured = read_bounds(rates, losses[:, None], self.declared, "sweep")
        return self._measured

    @property
    def choice(self) -> float | None:
        """The rate that it would name now: of those trained, else where it begins, else None."""
        if named := leaders(self._scores, self.course):
            return named[0]
        measured = self._given is not None or len(self._short) == len(self._test())
        if measured:
            return self.bounds.suggestion
        low, high = self.declared
        return self.baseline if low <= (self.baseline or 0.0) <= high else None

    @property
    def done(self) -> bool:
        """Whether it asks for no more."""
        return not self.ask()

    def ask(self) -> list[RaceTraining]:
        """Return the trainings of the next round that were not told of; none where it is over."""
        if self._given is None and (wanted := [r for r in self._test() if r not in self._short]):
            return [RaceTraining(rate, self.seed, self.share) for rate in wanted]
        wanted_next = next_trainings(self._scores, self.course)
        return [RaceTraining(rate, self.seed + split) for rate, split in wanted_next]

    def tell(self, losses: Sequence[ArrayLike]) -> None:
        """Take what the trainings of `ask()` gave.

        Args:
            losses: For each training, in the order of `ask()`, the validation loss of each of its
                epochs, `(epochs,)`, or one number; lower is better. A training with one that is
                not finite has diverged. Where there are fewer than were asked for, they are the
                first ones, and the others are asked for again.

        Raises:
            InputError: There are more losses than trainings, or what was told is no number.
        """
        asked = self.ask()
        if len(losses) > len(asked):
            raise InputError(
                f"`losses` must be of the {len(asked)} trainings of `ask()`, but got {len(losses)}."
            )
        for training, told in zip(asked, losses, strict=False):
            values = _row(told)
            if training.share < 1:
                finite = np.isfinite(values).all()
                self._short[training.learning_rate] = float(values[-1]) if finite else math.nan
            else:
                split = training.split - self.seed
                self._scores.setdefault(training.learning_rate, {})[split] = score_of(values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists: its settings and all that was told."""
        return {
            "declared": list(self.declared),
            "budget": self.budget,
            "bounds": None if self._given is None else self._given.to_dict(),
            "baseline": self.baseline,
            "epochs": self.epochs,
            "seed": self.seed,
            "short": [[rate, _plain(loss)] for rate, loss in self._short.items()],
            "scores": [
                [rate, split, _plain(score)]
                for rate, known in self._scores.items()
                for split, score in known.items()
            ],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LearningRateRace:
        """Return the race that `to_dict` wrote; it asks for what the stored one would ask for."""
        bounds = stored["bounds"]
        race = cls(
            tuple(stored["declared"]),
            budget=stored["budget"],
            bounds=None if bounds is None else LearningRateBounds.from_dict(bounds),
            baseline=stored["baseline"],
            epochs=stored["epochs"],
            seed=stored["seed"],
        )
        for rate, loss in stored["short"]:
            race._short[rate] = math.nan if loss is None else loss
        for rate, split, score in stored["scores"]:
            race._scores.setdefault(rate, {})[split] = math.inf if score is None else score
        return race

    def __repr__(self) -> str:
        named = "nothing yet" if self.choice is None else f"{self.choice:.4g}"
        return f"LearningRateRace({named} after {self.cost:.1f} of {self.budget:g} trainings)"

    def _test(self) -> list[float]:
        low, high = self.declared
        paid = int((self.budget - 1) / self.share + 1e-9)  # so that a full training is left
        swept = sweep_rates(self.declared, most=paid)
        rates = [min(max(tidy(rate), low), high) for rate in swept]
        return list(dict.fromkeys(rates))

    @property
    def course(self) -> Course:
        """What its stages are read from: where it begins and what it may spend."""
        short = 0.0 if self._given is not None else len(self._test()) * self.share
        most = max(int(self.budget - short + 1e-9), 1)
        return Course(*self.declared, self.bounds, self.baseline, most)


def check_budget(budget: Any) -> float:
    """Return a budget of trainings, 2 or more.

    Raises:
        InputError: It is none.
    """
    if not is_number(budget) or not 2 <= budget < math.inf:
        raise InputError(
            f"`budget` must be a number of trainings, 2 or more, but got {budget!r}; pass e.g. 12."
        )
    return float(budget)


def given_bounds(
    bounds: LearningRateBounds | tuple[float, float] | None,
) -> LearningRateBounds | None:
    """Return where a race is to begin as bounds, from bounds or a pair; None for nothing."""
    if bounds is None or isinstance(bounds, LearningRateBounds):
        return bounds
    return bounds_of(check_pair(bounds, "bounds"))


def score_of(losses: np.ndarray) -> float:
    """Return the score of a training: the lowest mean of half of its epochs in a row.

    One epoch alone favours noisy, that is high, rates: see `TrainingRecord.scores`. Infinite where
    a loss is not finite.

    Example:
        >>> score_of(np.array([4.0, 2.0, 1.0, 3.0]))
        1.5
    """
    if not np.isfinite(losses).all():
        return math.inf
    return float(lowest_mean(losses[None], score_window(len(losses)))[0])


def _row(told: ArrayLike) -> np.ndarray:
    try:
        row = np.atleast_1d(np.asarray(told, dtype=float))
    except (TypeError, ValueError):
        row = np.empty((0,))
    if row.ndim != 1 or not row.size:
        raise InputError(
            f"`losses` must hold one number or one row of numbers a training, but got {told!r}."
        )
    return row


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
