"""LearningRateRace: which rate to train next on which split, by ask and tell, for any framework.

A race has four stages, each of which is a function of the scores that are known so far:

1. *Places*: half a decade apart inside the bounds, and the baseline, all on the first split. While
   the lowest of them is the outermost, the next one beyond it follows, inside the declared range:
   bounds are where a race begins, and no wall.
2. The best `SURVIVORS` of them on a second split. The lowest mean of both names the centre.
3. The centre and its neighbours a quarter of a decade away, on a split that chose none of them.
4. The same on further splits, while the budget pays for them and they cannot be told apart.

The choice is the lowest mean over the splits of stages 3 and 4: whoever was lucky on the splits
that made it a finalist meets fresh ones there. In sketches on the 95 tasks that the benchmarks
develop on, a mean that counts the first splits too chose rates 5.2 % above the best at 10
trainings, fresh ones 4.2 %; the test losses of four splits choose 3.5 %. What the race itself does
stands in docs/benchmarks.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from search_spaces._input import InputError, check_pair, check_rate, check_whole, is_number
from search_spaces.learning_rate import LearningRateBounds
from tuners.curves.bounds import read_bounds
from tuners.curves.sweep import LARGEST_SHARE, SHARE, sweep_rates
from tuners.training.records import lowest_mean, score_window

# Decades between the places. Replayed on the tasks developed on: quarters cost two trainings more
# for the same quality (5.3 % at 12 trainings), and the third stage looks at them anyway.
PLACES = 0.5
# Decades from the centre to its neighbours: half of the distance of the places, whose gaps it fills
FINEST = PLACES / 2
SURVIVORS = 3  # in the sketches: two of them 4.8 % at 9.5 trainings, three 4.2 % at 10.5
EQUAL = 0.01  # share of the loss below which two rates are one
SAME = 0.02  # decades below which two rates are one


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


Scores = Mapping[float, Mapping[int, float]]  # rate -> stage's split, from 0 -> score, inf for none


@dataclass(frozen=True)
class Course:
    """What a race knows before its first full training.

    Args:
        low: Lower end of what may be tried.
        high: Upper end.
        bounds: Where it begins; None until a range test has found them.
        baseline: The rate to beat, tried too where it may be; None for none.
        most: Full trainings that it may spend, 1 or more.
    """

    low: float
    high: float
    bounds: LearningRateBounds
    baseline: float | None
    most: int

    def places(self) -> list[float]:
        """Return the rates of the first stage, rising: the suggestion among them.

        A place stands for half of a gap on both sides, so none lies nearer to an end of the bounds.
        Where half of the budget cannot pay for all, they lie further apart.
        """
        middle = math.log10(self.bounds.suggestion)
        below = middle - math.log10(self.bounds.low)
        above = math.log10(self.bounds.high) - middle
        step = PLACES
        while True:
            down, up = (int(max(side / step - 0.5, 0) + 1e-6) for side in (below, above))
            if down + up + 1 <= max(self.most / 2, 1):
                break
            step *= 2
        rates = [self.cut(10 ** (middle + step * place)) for place in range(-down, up + 1)]
        if self.baseline and self.low <= self.baseline <= self.high and self.most > 1:
            rates = [each for each in rates if not same(each, self.baseline)]
            rates.append(float(self.baseline))
        return sorted(rates)

    def cut(self, rate: float) -> float:
        """Return a rate with five significant digits, inside what may be tried."""
        return min(max(tidy(rate), self.low), self.high)


def tidy(rate: float) -> float:
    """Return a rate with five significant digits, as a report shows it."""
    return float(f"{rate:.5g}")


def same(one: float, other: float) -> bool:
    """Whether two rates are one."""
    return abs(math.log10(one / other)) < SAME


def next_trainings(scores: Scores, course: Course) -> list[tuple[float, int]]:
    """Return what is trained next, as (rate, split); none where the race is over."""
    for wanted in (_places(scores, course), _second(scores, course)):
        if wanted:
            return wanted
    finalists = _finalists(scores, course)
    others = sum(len(_final_splits(scores, rate)) for rate in scores if rate not in finalists)
    left = course.most - len(_on(scores, 0)) - len(_on(scores, 1)) - others
    for split in count(2):
        if len(finalists) < 2 or left < 2:
            return []
        finalists = finalists[:left]
        if wanted := _missing(scores, finalists, split):
            return wanted
        left -= len(finalists)
        finalists = _still_open(scores, finalists, split)
    raise AssertionError("unreachable")


def next_rates(scores: Scores, course: Course) -> list[float]:
    """Return new rates where those that were left cannot be trained on: one after the other.

    Places, the walk, then the neighbours of the rate with the lowest mean over the most splits.
    """
    middle = course.bounds.suggestion
    if wanted := [rate for rate, _ in _places(scores, course)]:
        return sorted(wanted, key=lambda rate: abs(math.log10(rate / middle)))
    known = [rate for rate in scores if all(map(math.isfinite, scores[rate].values()))]
    if not known:
        return []
    most = max(len(scores[rate]) for rate in known)
    longest = [rate for rate in known if len(scores[rate]) == most]
    centre = min(longest, key=lambda rate: float(np.mean(list(scores[rate].values()))))
    sides = (tidy(centre / 10**FINEST), tidy(centre * 10**FINEST))
    return [
        rate
        for rate in sides
        if course.low <= rate <= course.high and not any(same(rate, each) for each in scores)
    ]


def leaders(scores: Scores, course: Course) -> list[float]:
    """Return the rates that can still be named, the best first; none before any was trained."""
    final = [
        rate
        for rate in _on(scores, 2)
        if all(math.isfinite(scores[rate][split]) for split in _final_splits(scores, rate))
    ]
    if len(final) > 1:
        own = [rate for rate in final if rate in _finalists(scores, course)]
        final = own if len(own) > 1 else final  # else of an earlier centre
        most = max(len(_final_splits(scores, rate)) for rate in final)
        final = [rate for rate in final if len(_final_splits(scores, rate)) == most]
        return _ranked({r: _mean(scores, r, _final_splits(scores, r)) for r in final}, course)
    if second := _survivors(scores):
        return _ranked({rate: _mean(scores, rate, (0, 1)) for rate in second}, course)
    first = {rate: scores[rate][0] for rate in _on(scores, 0) if math.isfinite(scores[rate][0])}
    stable = {r: score for r, score in first.items() if max(scores[r].values()) < math.inf}
    return _ranked(stable or first, course)


def _ranked(values: Mapping[float, float], course: Course) -> list[float]:
    """Return rates by value, the lowest first; of equal ones the nearest to the suggestion."""
    middle = course.bounds.suggestion
    return sorted(values, key=lambda rate: (values[rate], abs(math.log10(rate / middle))))


def spent(scores: Scores) -> int:
    """Return how many full trainings were told of."""
    return sum(map(len, scores.values()))


def _on(scores: Scores, split: int) -> list[float]:
    return sorted(rate for rate in scores if split in scores[rate])


def _mean(scores: Scores, rate: float, splits: Sequence[int]) -> float:
    return float(np.mean([scores[rate][split] for split in splits]))


def _survivors(scores: Scores) -> list[float]:
    """Return the rates that have been on both first splits and diverged on none."""
    both = [rate for rate in _on(scores, 1) if 0 in scores[rate]]
    return [rate for rate in both if math.isfinite(_mean(scores, rate, (0, 1)))]


def _known(scores: Scores, rate: float) -> float:
    """Return a rate, as it is written where it was trained before: by hand, or as a baseline."""
    alike = [each for each in scores if same(each, rate)]
    return min(alike, key=lambda each: abs(math.log10(each / rate)), default=rate)


def _final_splits(scores: Scores, rate: float) -> list[int]:
    return sorted(split for split in scores[rate] if split >= 2)


def _missing(scores: Scores, rates: Sequence[float], split: int) -> list[tuple[float, int]]:
    return [(rate, split) for rate in rates if split not in scores.get(rate, {})]


def _places(scores: Scores, course: Course) -> list[tuple[float, int]]:
    """Return what the first split lacks: places, then the next one beyond the outermost."""
    tried = _on(scores, 0)
    left = max(course.most - spent(scores), 0)
    places = [_known(scores, rate) for rate in course.places()]
    if wanted := _missing(scores, list(dict.fromkeys(places)), 0):
        return wanted[:left]
    if not left:
        return []

    def lowest(end: float) -> bool:
        return scores[end][0] < min((scores[r][0] for r in tried if r != end), default=math.inf)

    beyond = []
    if lowest(tried[0]) or all(scores[rate][0] == math.inf for rate in tried):
        beyond.append(course.cut(tried[0] / 10**PLACES))
    if lowest(tried[-1]):
        beyond.append(course.cut(tried[-1] * 10**PLACES))
    return [(rate, 0) for rate in beyond if not any(same(rate, each) for each in tried)][:1]


def _second(scores: Scores, course: Course) -> list[tuple[float, int]]:
    tried = {rate: scores[rate][0] for rate in _on(scores, 0) if math.isfinite(scores[rate][0])}
    best = _ranked(tried, course)[:SURVIVORS]
    wanted = _missing(scores, best, 1)
    left = max(course.most - spent(scores), 0)
    return wanted[:left] if left + len(best) - len(wanted) > 1 else []  # one alone says nothing


def _finalists(scores: Scores, course: Course) -> list[float]:
    """Return the centre and its neighbours, the nearer to what did well the earlier."""
    survivors = _survivors(scores)
    if not survivors:
        return []
    centre = _ranked({rate: _mean(scores, rate, (0, 1)) for rate in survivors}, course)[0]
    tried = {rate: scores[rate][0] for rate in _on(scores, 0)}
    sides = {
        side: [value for rate, value in tried.items() if (rate - centre) * side > 0]
        for side in (-1, 1)
    }
    order = sorted((-1, 1), key=lambda side: min(sides[side], default=math.inf))
    found = [centre]
    for side in order:
        rate = tidy(centre * 10 ** (side * FINEST))
        if course.low <= rate <= course.high:
            found.append(_known(scores, rate))
    return found


def _still_open(scores: Scores, finalists: list[float], split: int) -> list[float]:
    """Return the finalists that more splits could still choose, the best first.

    After the third fresh split a rate leaves where it lies above the best by more than two
    standard errors of their paired difference; and all do where none lies `EQUAL` apart.
    """
    splits = list(range(2, split + 1))
    stable = [rate for rate in finalists if math.isfinite(_mean(scores, rate, splits))]
    ranked = sorted(stable, key=lambda rate: _mean(scores, rate, splits))
    if len(splits) < 3 or not ranked:
        return ranked
    table = np.array([[scores[rate][each] for each in splits] for rate in ranked])
    apart = table - table[0]
    error = apart.std(axis=1, ddof=1) / math.sqrt(len(splits))
    kept = apart.mean(axis=1) <= 2 * error
    kept[0] = True
    limit = EQUAL * abs(float(table[0].mean()))
    if (np.abs(apart.mean(axis=1)) + 2 * error)[kept].max() <= limit:
        return ranked[:1]
    return [rate for rate, keep in zip(ranked, kept, strict=True) if keep]


class LearningRateRace:
    """A search for a learning rate that somebody else trains for: ask, train, tell.

    `ask()` gives trainings as (rate, split, share of a training); equal splits mean equal rows and
    equal initial weights, so that rates differ in nothing else. `tell()` takes the validation loss
    of each of their epochs. Nothing is drawn: the same losses give the same race.

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
        low, high = self.declared = check_pair(declared, "declared")
        if low == high:
            raise InputError(
                f"`declared` must hold low < high, but both are {low:g}; pass e.g. (1e-5, 1.0)."
            )
        self.budget, self.seed = check_budget(budget), check_whole(seed, "seed", least=0)
        self.epochs = None if epochs is None else check_whole(epochs, "epochs")
        self.baseline = None if baseline is None else check_rate(baseline, "baseline")
        self._given = as_course_bounds(bounds)
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
        low, high = self.declared
        if len(self._short) < len(self._test()):
            why = "The range test is not done yet."
            return LearningRateBounds(low, high, math.sqrt(low * high), "too_few_points", why)
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


def as_course_bounds(
    bounds: LearningRateBounds | tuple[float, float] | None,
) -> LearningRateBounds | None:
    """Return bounds from a pair, around its middle on the log scale."""
    if bounds is None or isinstance(bounds, LearningRateBounds):
        return bounds
    low, high = check_pair(bounds, "bounds")
    middle = min(max(math.sqrt(low) * math.sqrt(high), low), high)
    return LearningRateBounds(low, high, middle, "ok", "Given.")


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
