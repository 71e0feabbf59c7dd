"""The plan of a search: which tasks, inside which bounds, by which engine, and how far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from search_spaces.learning_rate import LearningRateBounds
from search_spaces.task import TuningTask
from tuners.curves.loss_curve import LossCurve
from tuners.study.schema import STALE
from tuners.training.pool import TrainingPool
from tuners.training.records import Direction, How

SAME_RATE = 0.01  # rates closer than this share are one rate


def same_rate(one: float, other: float) -> bool:
    """Whether two rates are one rate, within 1 %."""
    return abs(one / other - 1) <= SAME_RATE


def rate_parameter(label: str | None) -> str:
    """Return the name of the rate among a trial's parameters, of one optimizer or of the only."""
    return "learning_rate" if label is None else f"learning_rate_{label}"


@dataclass(frozen=True, eq=False)
class Branch:
    """One task of a search with the parameter that holds its rate.

    Args:
        label: The choice of "optimizer" that leads here; None where there is one task only.
        task: What is trained.
        bounds: Where its rate is searched.
        curve: The curve that the bounds came from, or None.
        parameter: Name of the rate among a trial's parameters.
        baseline: The rate to beat, which is a trial too.
    """

    label: str | None
    task: TuningTask
    bounds: LearningRateBounds
    curve: LossCurve | None
    parameter: str
    baseline: float

    @property
    def declared(self) -> tuple[float, float]:
        """The range that the study stores: what was declared, else the bounds."""
        return self.bounds.declared or (self.bounds.low, self.bounds.high)

    def owns(self, trial: FrozenTrial) -> bool:
        """Whether a trial of the study is one of its rates, and counts."""
        return self.parameter in trial.params and trial.user_attrs.get("role") != STALE

    def given_rates(self) -> dict[str, float]:
        """Return the rates that are trained first, by the role of their trials.

        The baseline is left out where the declared range, which the study stores, does not hold it,
        and where the suggestion is the same rate.
        """
        low, high = self.declared
        rates = {"suggestion": self.bounds.suggestion, "baseline": self.baseline}
        if not low <= self.baseline <= high or same_rate(*rates.values()):
            del rates["baseline"]
        return rates


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """The checked arguments of `search`, as an engine gets them."""

    branches: tuple[Branch, ...]
    engine: str
    sampler: str
    tuner: str
    trials: int
    epochs: int
    splits: int
    batch: int
    objective: str
    direction: Direction
    pruner: BasePruner
    pruner_name: str
    how: How | None
    seed: int
    alone: str  # why no second process may be at work on the study; "" where one may
    on_trial: Callable[[optuna.Study, optuna.trial.FrozenTrial], None] | None
    on_epoch: Callable[[int, int], None] | None
    pool: TrainingPool | None = None
    budget: float | None = None  # of a race, in trainings; None for a fixed design

    @property
    def algorithm(self) -> str:
        """What proposes the trials: the race, the sampler or the tuner."""
        if self.budget is not None:
            return "race"
        return self.tuner if self.engine == "keras-tuner" else self.sampler

    @property
    def seeds(self) -> np.ndarray:
        """Seeds of the lanes of every trial, one a split, (splits,)."""
        return self.seed + np.arange(self.splits)

    @property
    def given(self) -> list[tuple[Branch, str, float]]:
        """The first trials: of each branch the suggestion, then of each the baseline."""
        rates = [(branch, branch.given_rates()) for branch in self.branches]
        roles = ("suggestion", "baseline")
        return [(b, role, known[role]) for role in roles for b, known in rates if role in known]

    @property
    def proposed(self) -> int:
        """Trials without the first branch's baseline, which has its place from the second on."""
        return self.trials - (self.trials > 1 and "baseline" in self.branches[0].given_rates())

    @property
    def tasks(self) -> list[TuningTask]:
        """The tasks of all branches."""
        return [branch.task for branch in self.branches]

    @property
    def tested(self) -> float:
        """Trainings of full length that the range tests have spent, as far as it is known."""
        return sum((branch.curve.trainings or 0.0) for branch in self.branches if branch.curve)

    def progress(self, before: int, total: int) -> Callable[[int, int], None] | None:
        """Return what tells `on_epoch` of a training's lane-epochs; None where nobody listens.

        Args:
            before: Lane-epochs that were done before it.
            total: Of the whole search.
        """
        tell = self.on_epoch
        return None if tell is None else lambda done, _: tell(min(before + done, total), total)

    def settings(self) -> dict[str, Any]:
        """Return what the plan adds to `opening.asked_settings`, as plain values."""
        plain: dict[str, Any] = {"batch": self.batch}
        for branch in self.branches:
            bounds, name = (branch.bounds.low, branch.bounds.high), branch.parameter
            plain[f"bounds of {name}"] = "{:.6g} to {:.6g}".format(*bounds)
            plain[f"declared range of {name}"] = "{:.6g} to {:.6g}".format(*branch.declared)
        return plain
