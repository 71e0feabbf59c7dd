"""How far the bounds of a search have widened, given what it has finished inside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tuners._checks import is_number
from tuners.integrations.ranges import cut

HALF_DECADE = math.sqrt(10)  # as far as the race walks at a time, see `tuners.searches.race`
# The share of the bounds, on either side, that is their edge. After half a decade more the best so
# far lies in it no longer, up to five decades: a step needs a better trial in what was added.
EDGE = 0.1
# Three random rates: where the loss is lowest in the middle, their best lies in an edge only if all
# three do, 0.2**3 = 0.8 %. The first rate alone does in 20 %, whatever the loss.
FEWEST = 3

Seen = tuple[float, float, BaseDistribution]  # a trial's rate, its loss, its declared range


def widened(seen: Iterable[Seen], low: float, high: float) -> tuple[float, float]:
    """Return bounds as they are after a search's finished trials.

    After each of them: where at least `FEWEST` lie inside the bounds, and the best of these in the
    outermost tenth on a side, that side moves outwards by half a decade, or to the next allowed
    value where that lies further, never out of the declared range. The tenth is one of the decades,
    and on a range without log one of the width. Of trials as good as each other, the one nearest to
    the middle counts. Bounds of a single value stay.

    Args:
        seen: Rate, loss (the lowest is the best) and declared range of each trial, in the order in
            which they finished: then a later one never takes back what has widened.
        low: Lower end of the bounds as they were given, above 0.
        high: Their upper end.

    Example:
        >>> wide = FloatDistribution(1e-5, 1.0, log=True)
        >>> seen = [(2e-3, 3.0, wide), (5e-3, 2.0, wide), (9.5e-3, 1.0, wide)]
        >>> [round(end, 4) for end in widened(seen, 1e-3, 1e-2)]
        [0.001, 0.0316]
    """
    past: list[tuple[float, float]] = []
    part: _Part | None = None
    if low == high:
        return low, high
    for rate, loss, declared in seen:
        past.append((rate, loss))
        fresh = past[-1:]
        if part is None or part.declared != declared:
            part, fresh = _part(declared, low, high), past
            count, best = 0, (math.inf, math.inf, 0.5)
        for each, value in fresh:
            place = part.place(each)
            if place is not None:
                count, best = count + 1, min(best, (value, abs(place - 0.5), place))
        if count >= FEWEST:
            moved = part.moved(best[2], low, high)
            if moved != (low, high):
                (low, high), part = moved, None
    return low, high


@dataclass(frozen=True)
class _Part:
    """What of a declared range is drawn inside bounds: its ends, and the values next to them."""

    declared: BaseDistribution
    log: bool = True
    low: float = math.inf
    high: float = -math.inf
    below: float = math.inf
    above: float = -math.inf
    lowest: float = math.inf
    highest: float = -math.inf

    def place(self, rate: float) -> float | None:
        """Return where a rate lies, from 0 at the lower end to 1; None outside."""
        if not self.low * (1 - 1e-9) <= rate <= self.high * (1 + 1e-9):
            return None
        if self.low == self.high:
            return 0.5
        ends = self.low, rate, self.high
        low, here, high = map(math.log, ends) if self.log else ends
        return (here - low) / (high - low)

    def moved(self, place: float, low: float, high: float) -> tuple[float, float]:
        """Return bounds after the best trial lay at a place of them."""
        single = self.low == self.high
        down = (single or place <= EDGE) and self.low > self.lowest
        up = (single or place >= 1 - EDGE) and self.high < self.highest
        if not down and not up:
            return low, high
        low, high = min(low, self.low), max(high, self.high)  # values next to the bounds stay too
        if down:
            low = max(min(low / HALF_DECADE, self.below), self.lowest)
        if up:
            high = min(max(high * HALF_DECADE, self.above), self.highest)
        return low, high


def _part(declared: BaseDistribution, low: float, high: float) -> _Part:
    kept, reason = cut(declared, low, high)
    if reason:
        return _Part(declared)
    if isinstance(kept, CategoricalDistribution):
        assert isinstance(declared, CategoricalDistribution)
        values: list[float] = sorted(declared.choices)  # type: ignore[arg-type]
        inside: list[float] = sorted(kept.choices)  # type: ignore[arg-type]
        below = max((each for each in values if each < inside[0]), default=inside[0])
        above = min((each for each in values if each > inside[-1]), default=inside[-1])
        ends = inside[0], inside[-1], below, above, values[0], values[-1]
        return _Part(declared, inside[0] > 0, *ends)
    assert isinstance(kept, FloatDistribution)
    assert isinstance(declared, FloatDistribution)
    step = declared.step or 0.0
    ends = kept.low, kept.high, kept.low - step, kept.high + step, declared.low, declared.high
    return _Part(declared, declared.log, *ends)


def finished(study: optuna.Study, name: str) -> Iterator[Seen]:
    """Give what `widened` takes of a study's complete trials; nothing where it has no one best.

    Args:
        study: The study.
        name: A parameter.
    """
    if len(study.directions) > 1:
        return
    sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
    done = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if is_number(trial.params.get(name)) and math.isfinite(trial.values[0])
    ]
    done.sort(key=lambda trial: (trial.datetime_complete or datetime.min, trial.number))
    for trial in done:
        yield float(trial.params[name]), sign * trial.values[0], trial.distributions[name]
