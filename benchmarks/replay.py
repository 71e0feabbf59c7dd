"""The replay: a policy asks for trainings, is told their curves, and names a rate.

A policy speaks ask and tell: `ask()` gives trainings as (rate, split, share of a full length),
`tell()` takes their curves, `choice` is the rate that it would name now, `done` that it wants no
more. Nothing is trained: the curves come from the stored truth (`benchmarks.truth`), between two
rates of its grid by the logarithm of the loss. So a policy is judged in milliseconds.

Half of a task's splits are there to be asked for; the named rate is judged on the others, by the
test loss at each training's best validation epoch. What a policy spends is counted here, in
trainings of full length: a training that goes on where an earlier one of the same rate and split
ended pays for its new epochs only, and a range test for its gradient steps.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.truth import DECLARED, Truth
from tuners.curves.loss_curve import LossCurve
from tuners.training.records import lowest_mean, score_window

SEEDS = 100_000  # as many as there are different ones
EQUAL = 0.01  # share of the best loss within which a rate is as good, where noise is smaller
CUT = 1.0  # an excess counts as this much at most in a mean
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Training:
    """One training that a policy asks for.

    Args:
        learning_rate: Its rate, positive; of a schedule the peak.
        split: Which of the splits that may be seen, counted from 0.
        share: Of the epochs of a full training, above 0 and up to 1; one epoch at least.
        anew: Whether it begins anew and is paid for in full, also where one of the same rate and
            split was trained for fewer epochs.
    """

    learning_rate: float
    split: int = 0
    share: float = 1.0
    anew: bool = False


@dataclass(frozen=True, eq=False)
class Curve:
    """What a policy is told of a training.

    Args:
        loss: Mean training loss of each epoch, (epochs,), NaN once non-finite.
        val_loss: Validation loss after each epoch, likewise.
        start: Validation loss before any training.
        diverged: Whether it turned non-finite or ended far above its start.
    """

    loss: Values
    val_loss: Values
    start: float
    diverged: bool

    @property
    def lowest(self) -> float:
        """The lowest validation loss of one epoch, infinite where none is finite."""
        finite = self.val_loss[np.isfinite(self.val_loss)]
        return float(finite.min()) if finite.size else np.inf

    @property
    def score(self) -> float:
        """Our score: see `TrainingRecord.scores`."""
        if self.diverged:
            seen = np.append(self.val_loss, self.start)
            return float(seen[np.isfinite(seen)].max(initial=-np.inf))
        window = score_window(len(self.val_loss))
        return float(lowest_mean(self.val_loss[None], window)[0])


class Policy(Protocol):
    """What is replayed; a race, a tuner, an idea."""

    @property
    def done(self) -> bool:
        """Whether it wants no more trainings."""

    @property
    def choice(self) -> float | None:
        """The rate that it would name now, or None."""

    def ask(self) -> list[Training]:
        """Return the next round."""

    def tell(self, curves: list[Curve]) -> None:
        """Take the curves of the round, in its order."""


@dataclass(eq=False)
class Setting:
    """What a policy knows of its task before it trains anything.

    Args:
        default: The rate of Keras's optimizer, free of charge.
        epochs: Of a training of full length.
        seed: Of this replay: a policy draws by it.
        curve: What a range test would find here, or None where none is stored.
        price: What that range test costs, in trainings.
    """

    default: float
    epochs: int
    seed: int
    curve: LossCurve | None
    price: float
    declared: tuple[float, float] = DECLARED
    spent: float = field(default=0.0, init=False)

    def range_test(self, seeds: int | None = None) -> LossCurve:
        """Do the range test, of all its seeds or of some, and pay for it."""
        if self.curve is None:
            raise ValueError("`curve` must be stored for a policy that does a range test.")
        rates, table = self.curve.learning_rates, self.curve.table
        taken = table.shape[1] if seeds is None else seeds
        self.spent += self.price * taken / table.shape[1]
        return LossCurve(rates, table[:, :taken], declared=self.declared)


Steps = Generator[tuple[float | None, Sequence[Training]], list[Curve], float | None]
Play = Callable[[Setting], Steps]
Maker = Callable[[Setting], Policy]


class Played:
    """A policy from a generator: it yields (what it would name now, what it trains next).

    Args:
        steps: The generator; what it returns is the rate in the end.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps, self.done, self.choice = steps, False, None
        self._next: list[Training] = []
        self._go(lambda: next(steps))

    def _go(self, step: Callable[[], tuple[float | None, Sequence[Training]]]) -> None:
        try:
            self.choice, wanted = step()
            self._next = list(wanted)
        except StopIteration as end:
            self.choice, self.done, self._next = end.value, True, []

    def ask(self) -> list[Training]:
        """Return the next round."""
        return self._next

    def tell(self, curves: list[Curve]) -> None:
        """Take the curves of the round."""
        self._go(lambda: self._steps.send(curves))


def played(play: Play) -> Maker:
    """Return what makes a policy of a generator function for a setting."""
    return lambda setting: Played(play(setting))


@dataclass(frozen=True)
class Named:
    """A rate that was named, and what was spent until then.

    Args:
        learning_rate: The rate; None before any was named.
        tests: What range tests cost so far, in trainings of full length.
        alone: What was trained one at a time.
        together: What was trained in rounds of several, which a population trains at once.
    """

    learning_rate: float | None
    tests: float = 0.0
    alone: float = 0.0
    together: float = 0.0

    @property
    def cost(self) -> float:
        """All of it."""
        return self.tests + self.alone + self.together


class World:
    """One task with its splits dealt anew: some to be asked for, the others to judge by.

    Args:
        truth: Of the task.
        repeat: Which deal, and which of the stored range tests.
    """

    def __init__(self, truth: Truth, repeat: int) -> None:
        self.truth, self.repeat = truth, repeat
        order = np.random.default_rng([17, repeat]).permutation(truth.splits)
        self.seen, self.judges = np.split(order, [truth.splits - truth.splits // 2])
        self._grid = np.log(truth.learning_rates)

    def setting(self) -> Setting:
        """Return what a policy may know."""
        truth, curve, price = self.truth, None, 0.0
        if truth.ramps:
            ramp = truth.ramps[self.repeat % len(truth.ramps)]
            curve = LossCurve(ramp.learning_rates, ramp.losses, declared=DECLARED)
            price = ramp.trainings
        # a seed of its own for each task: with one for all, the first random rate would be one too,
        # and no number of tasks would average its luck out
        seed = zlib.crc32(f"{truth.name}, {self.repeat}".encode()) % SEEDS
        return Setting(truth.default, truth.epochs, seed, curve, price)

    def epochs(self, share: float) -> int:
        """Return how many epochs a share of a training has."""
        return max(1, round(share * self.truth.epochs))

    def curve(self, training: Training) -> Curve:
        """Return a training's curve; what is asked for beyond the splits is one seen before."""
        truth, epochs = self.truth, self.epochs(training.share)
        split = self.seen[training.split % len(self.seen)]
        near, far, weight = self._between(training.learning_rate)
        loss, val_loss, start = (
            blend(values[near, split], values[far, split], weight)
            for values in (truth.loss[..., :epochs], truth.val_loss[..., :epochs], truth.start)
        )
        whole = epochs == truth.epochs  # what ends far above its start is known at the end
        diverged = not np.isfinite(val_loss).all() or (whole and bool(truth.diverged[near, split]))
        return Curve(loss, val_loss, float(start), diverged)

    def _between(self, rate: float) -> tuple[int, int, float]:
        """Return the nearer and the further grid rate around a rate, and the further's weight."""
        place = float(np.interp(np.log(rate), self._grid, np.arange(len(self._grid))))
        near = round(place)
        far = min(max(near + (1 if place > near else -1), 0), len(self._grid) - 1)
        return near, far, abs(place - near)

    def reached(self, rate: float) -> Values:
        """Return the test loss of a rate on each split, (splits,); inf where it diverges."""
        near, far, weight = self._between(rate)
        table = self.truth.reached
        return np.asarray(blend(table[near], table[far], weight))

    @cached_property
    def best(self) -> int:
        """Index of the rate with the lowest mean test loss over all splits."""
        return best_rate(self.truth)

    def excess(self, rate: float) -> tuple[float, bool]:
        """Return how far a rate's test loss lies above the best rate's, and whether it is as good.

        The first is the mean over the judging splits of the paired difference, as a share of the
        best rate's loss: below 0 where the rate was luckier there. As good is what lies within 1 %
        of that, or within the standard error of the difference.
        """
        return self._judged(rate, self.judges)

    def excess_of_all(self, rate: float) -> tuple[float, bool]:
        """Return the same over all splits, for a rate that none of them chose."""
        return self._judged(rate, np.arange(self.truth.splits))

    def _judged(self, rate: float, judges: NDArray[np.int_]) -> tuple[float, bool]:
        truth = self.truth
        level = abs(float(truth.reached[self.best].mean() + truth.offset))
        difference = (self.reached(rate) - truth.reached[self.best]) / level
        excess = float(difference[judges].mean())
        if not np.isfinite(difference).all():
            return excess, False
        error = float(difference.std(ddof=1)) / np.sqrt(len(judges))
        return excess, excess <= max(EQUAL, error)


def best_rate(truth: Truth) -> int:
    """Return the index of the rate with the lowest mean test loss over all splits."""
    return int(np.argmin(truth.reached.mean(axis=1)))


def blend(near: Values, far: Values, weight: float) -> Values:
    """Return values between two rates: of their logarithms where positive, else as they are.

    Where one of the two is not finite, the nearer rate's hold.

    Example:
        >>> blend(np.array([1.0, -1.0, 2.0]), np.array([4.0, 1.0, np.nan]), 0.5)
        array([2., 0., 2.])
    """
    near, far = np.asarray(near, float), np.asarray(far, float)
    with np.errstate(all="ignore"):
        logarithmic = np.exp((1 - weight) * np.log(near) + weight * np.log(far))
        plain = (1 - weight) * near + weight * far
    found = np.where((near > 0) & (far > 0), logarithmic, plain)
    return np.where(np.isfinite(near) & np.isfinite(far), found, near)


def replay(make: Maker, world: World, most: float = np.inf) -> list[Named]:
    """Play a policy on a task, and return what it would name after each round.

    Args:
        make: Makes the policy.
        world: The task and its splits.
        most: Trainings after which no further round is begun.
    """
    setting = world.setting()
    policy = make(setting)
    trained: dict[tuple[float, int], int] = {}
    alone = together = 0.0
    named = [Named(policy.choice, setting.spent)]
    while not policy.done and named[-1].cost < most:
        wanted = policy.ask()
        new = sum(_new_epochs(world, training, trained) for training in wanted)
        if len(wanted) > 1:
            together += new / world.truth.epochs
        else:
            alone += new / world.truth.epochs
        policy.tell([world.curve(training) for training in wanted])
        named.append(Named(policy.choice, setting.spent, alone, together))
    return named


def _new_epochs(world: World, training: Training, trained: dict[tuple[float, int], int]) -> int:
    """Return the epochs to pay for: all of them, unless it goes on with an earlier training."""
    key, epochs = (training.learning_rate, training.split), world.epochs(training.share)
    before = trained.get(key, 0)
    trained[key] = max(epochs, before)
    if training.anew:
        return epochs
    return epochs - before if epochs > before else epochs


def named_within(named: Sequence[Named], budget: float, default: float) -> Named:
    """Return what was named last for no more than a budget; the default rate where nothing was."""
    within = [each for each in named if each.cost <= budget + 1e-6 and each.learning_rate]
    return within[-1] if within else Named(default)
