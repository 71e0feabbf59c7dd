"""How far from the lowest loss of a range test the best rates lie: what its bounds come from.

    python -m benchmarks.margins

On the tasks that are developed on, a range test's lowest place is read as the tuner reads it: of
the stored ramps, and of short trainings replayed on four deals of the splits. For each pair of
distances in steps of 0.05 decades it is counted how often such bounds hold a rate as good as the
best. The distances stand in `tuners.curves.ramp` and `tuners.curves.sweep`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.replay import Training, World
from benchmarks.truth import DECLARED, Truth, load_truth, stored_tasks
from tuners.curves import ramp, sweep
from tuners.curves.loss_curve import LossCurve
from tuners.curves.smoothing import Values, smooth_descent

STEP = 0.05  # decades
DEALS = 4  # of the splits of a task


@dataclass(frozen=True, eq=False)
class Case:
    """One decided range test: log10 of its lowest place, of the best rate, and of all as good."""

    lowest: float
    best: float
    good: Values


def ramps(seeds: int = 8) -> list[Case]:
    """Return the decided ones of the stored ramps, read from so many of their seeds."""
    found = []
    for world in _worlds():
        for stored in world.truth.ramps:
            rates, losses = stored.learning_rates, stored.losses[:, :seeds]
            if LossCurve(rates, losses, declared=DECLARED).bounds().status == "ok":
                mean = smooth_descent(rates, losses)
                lowest = float(mean.x[np.argmin(mean.smooth.mean(axis=1))])
                found.append(_case(world, lowest))
    return found


def sweeps() -> list[Case]:
    """Return the decided ones of sweeps of one seed, replayed on the deals of each task."""
    found = []
    for first in _worlds():
        for deal in range(DEALS):
            world = World(first.truth, deal)
            rates, share = sweep.sweep_rates(DECLARED), max(sweep.SHARE, 1 / first.truth.epochs)
            curves = [world.curve(Training(rate, 0, share)) for rate in rates]
            losses = np.array([curve.val_loss[-1] for curve in curves])
            curve = LossCurve(rates, losses, kind="sweep", declared=DECLARED)
            if curve.bounds().status == "ok":
                found.append(_case(first, float(np.log10(rates[np.nanargmin(losses)]))))
    return found


def held(cases: list[Case], below: float, above: float) -> float:
    """Return the share of cases whose bounds at these distances hold a rate as good as the best."""
    low, high = np.log10(DECLARED)
    count = 0
    for case in cases:
        first, last = np.clip([case.lowest - below, case.lowest + above], low, high)
        count += bool(((case.good >= first - 1e-6) & (case.good <= last + 1e-6)).any())
    return count / len(cases)


def narrowest(cases: list[Case], share: float) -> tuple[float, float]:
    """Return the distances (below, above) of the narrowest bounds that hold in so many cases."""
    for width in range(1, 200):
        pairs = [(STEP * (width - above), STEP * above) for above in range(-width, width + 1)]
        best = max(pairs, key=lambda pair: held(cases, *pair))
        if held(cases, *best) >= share:
            return round(best[0], 2), round(best[1], 2)
    raise AssertionError("unreachable")


def _worlds() -> Iterator[World]:
    for task in stored_tasks():
        truth: Truth = load_truth(task.name)
        yield World(truth, 0)


def _case(world: World, lowest: float) -> Case:
    rates = world.truth.learning_rates
    good = [world.excess_of_all(rate)[1] for rate in rates]
    return Case(lowest, float(np.log10(rates[world.best])), np.log10(rates[good]))


def main() -> None:
    """Print how often the bounds hold, and the narrowest that would."""
    one = (ramp.BELOW + ramp.ONE_SEED, ramp.ABOVE)
    for name, cases, ours in (
        ("short trainings, 1 seed", sweeps(), (sweep.BELOW, sweep.ABOVE)),
        ("ramps of 8 seeds", ramps(), (ramp.BELOW, ramp.ABOVE)),
        ("ramps of 1 seed", ramps(1), one),
    ):
        apart = np.array([case.best - case.lowest for case in cases])
        below, above = narrowest(cases, 0.95)
        print(
            f"{name}: {len(cases)} decided; best rate {np.median(apart):+.2f} decades from the "
            f"lowest place (sd {apart.std():.2f}); {ours[0]:g} below to {ours[1]:g} above holds "
            f"in {held(cases, *ours):.1%}; narrowest for 95 %: {below:g} to {above:g}."
        )


if __name__ == "__main__":
    main()
