"""The plan of a search: which tasks, inside which bounds, by which engine, and how far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.pruners import BasePruner

from search_spaces.learning_rate import LearningRateBounds
from search_spaces.task import TuningTask
from tuners.curves.loss_curve import LossCurve
from tuners.study.metadata import task_hash
from tuners.training.pool import TrainingPool
from tuners.training.records import How

ENGINES = ("optuna", "keras-tuner")
TUNERS = ("bayesian", "random", "hyperband", "grid")
SETTINGS = "settings"


@dataclass(frozen=True, eq=False)
class Branch:
    """One task of a search with the parameter that holds its rate.

    Args:
        label: The choice of "optimizer" that leads here; None where there is one task only.
        task: What is trained.
        bounds: Where its rate is searched.
        curve: The curve that the bounds came from, or None.
        parameter: Name of the rate among a trial's parameters.
    """

    label: str | None
    task: TuningTask
    bounds: LearningRateBounds
    curve: LossCurve | None
    parameter: str

    @property
    def declared(self) -> tuple[float, float]:
        """The range that the study stores: what was declared, else the bounds."""
        return self.bounds.declared or (self.bounds.low, self.bounds.high)


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """The checked arguments of `search`, as an engine gets them."""

    branches: tuple[Branch, ...]
    engine: str
    sampler: str
    tuner: str
    trials: int
    epochs: int
    seeds_per_trial: int
    batch: int
    objective: str
    pruner: BasePruner
    pruner_name: str
    how: How | None
    seed: int
    alone: str  # why no second process may be at work on the study; "" where one may
    on_trial: Callable[[optuna.Study, optuna.trial.FrozenTrial], None] | None
    on_epoch: Callable[[int, int], None] | None
    pool: TrainingPool | None = None

    def settings(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return what must be the same when a study is gone on with, as plain values.

        Args:
            facts: Facts of the tasks, for those that only the built model tells.
        """
        engine = {"sampler": self.sampler, "pruner": self.pruner_name}
        if self.engine == "keras-tuner":
            engine = {"tuner": self.tuner}
        plain = {
            "task": ",".join(branch.task.name for branch in self.branches),
            "data_hash": ",".join(task_hash(branch.task) for branch in self.branches),
            "optimizer": facts["optimizer"],
            "model_parameters": facts["model_parameters"],
            "batch_size": ",".join(str(branch.task.batch_size) for branch in self.branches),
            "engine": self.engine,
            **engine,
            "batch": self.batch,
            "epochs": self.epochs,
            "seeds_per_trial": self.seeds_per_trial,
            "objective": self.objective,
            "seed": self.seed,
        }
        for branch in self.branches:
            low, high = branch.declared
            plain[f"bounds of {branch.parameter}"] = (
                f"{branch.bounds.low:.6g} to {branch.bounds.high:.6g}"
            )
            plain[f"declared range of {branch.parameter}"] = f"{low:.6g} to {high:.6g}"
        return plain
