"""The stages of a race: which rate is trained next on which split, and which are ahead.

There are four, each of which is a function of the scores that are known so far:

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
from dataclasses import dataclass

import numpy as np

from search_spaces.learning_rate import LearningRateBounds

# Decades between the places. Replayed on the tasks developed on: quarters cost two trainings more
# for the same quality (5.3 % at 12 trainings), and the third stage looks at them anyway.
PLACES = 0.5
# Decades from the centre to its neighbours: half of the distance of the places, whose gaps it fills
FINEST = PLACES / 2
SURVIVORS = 3  # in the sketches: two of them 4.8 % at 9.5 trainings, three 4.2 % at 10.5
EQUAL = 0.01  # share of the loss below which two rates are one
SAME = 0.02  # decades below which two rates are one

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
    split = 2
    while len(finalists) > 1 and left > 1:
        finalists = finalists[:left]
        if wanted := _missing(scores, finalists, split):
            return wanted
        left -= len(finalists)
        finalists = _still_open(scores, finalists, split)
        split += 1
    return []


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
    told = _on(scores, 2)
    own = [rate for rate in told if rate in _finalists(scores, course)]
    told = own if len(own) > 1 else told  # else of an earlier centre
    final = _stable(scores, told)
    if len(told) > 1 and final:  # one alone of them, where others have diverged, too
        most = max(len(_final_splits(scores, rate)) for rate in final)
        final = [rate for rate in final if len(_final_splits(scores, rate)) == most]
        return _ranked({r: _mean(scores, r, _final_splits(scores, r)) for r in final}, course)
    if second := _survivors(scores):
        second = _stable(scores, second) or second
        return _ranked({rate: _mean(scores, rate, (0, 1)) for rate in second}, course)
    first = [rate for rate in _on(scores, 0) if math.isfinite(scores[rate][0])]
    first = _stable(scores, first) or first
    return _ranked({rate: scores[rate][0] for rate in first}, course)


def _stable(scores: Scores, rates: Sequence[float]) -> list[float]:
    """Return the rates that have diverged on none of their splits."""
    return [rate for rate in rates if math.isfinite(max(scores[rate].values()))]


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
