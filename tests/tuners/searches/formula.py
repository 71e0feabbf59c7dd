"""A trainer that answers from a formula, and plans of races that it trains for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from optuna.pruners import NopPruner

from search_spaces import LearningRateBounds, TuningTask
from tuners.searches.plan import Branch, SearchPlan, rate_parameter
from tuners.training.records import TrainingRecord, best_epochs

BEST = 2e-3
EPOCHS = 4
BOUNDS = LearningRateBounds(1e-4, 1e-1, 1 / 317, "ok", "by hand", declared=(1e-5, 1.0))
ROWS = np.zeros((8, 2), "float32")
BATCHES = 2  # of 4 rows, an epoch

Loss = Callable[[float, int], float]


def bowl(rate: float, split: int) -> float:
    """Return a loss with an offset for each split, and what looks like noise."""
    place = math.log10(rate / BEST)
    return 1 + 0.3 * place**2 + 0.1 * split + 0.02 * math.sin(1e5 * rate + 7 * split)


def cliff(rate: float, split: int) -> float:
    """Return the same loss, not finite from two hundredths on."""
    return math.nan if rate > 2e-2 else bowl(rate, split)


class Formula:
    """Stands where a pool of processes does; every training that it is asked for is counted.

    Args:
        loss: The loss of a rate with a seed, in the middle of the epochs.
        stop: Ctrl-C comes in this call, from 1; None for never.
    """

    def __init__(self, loss: Loss = bowl, stop: int | None = None, sign: float = 1.0) -> None:
        self.loss, self.stop, self.sign = loss, stop, sign
        self.calls: list[list[tuple[str, float, int]]] = []

    @property
    def trained(self) -> list[tuple[str, float, int]]:
        """All trainings as (task, rate, seed), in order."""
        return [each for call in self.calls for each in call]

    def train(self, task: TuningTask, rates: Any, seeds: Any, **options: Any) -> TrainingRecord:
        """Answer as `tuners.train` does."""
        epochs, lanes = options["epochs"], len(rates)
        interrupted = self.stop is not None and len(self.calls) + 1 == self.stop
        if interrupted:
            self.stop = None
        else:
            named = zip(rates.tolist(), seeds.tolist(), strict=True)
            self.calls.append([(task.name, rate, seed) for rate, seed in named])
        middle = np.array([self.loss(float(r), int(s)) for r, s in zip(rates, seeds, strict=True)])
        values = middle[:, None] + 0.1 * np.linspace(1, -1, epochs)
        diverged = ~np.isfinite(middle)
        if options["on_epoch"] is not None:
            options["on_epoch"](lanes * epochs, lanes * epochs)
        return TrainingRecord(
            learning_rates=rates,
            seeds=seeds,
            loss=values,
            val_loss=values,
            metrics={"val_accuracy": self.sign * values, "accuracy": self.sign * values},
            best_epoch=best_epochs(values),
            diverged=diverged,
            diverged_epoch=np.where(diverged, 0, -1),
            initial_val_loss=np.full(lanes, 3.0),
            objective=options["objective"],
            direction=options["direction"],
            seconds=0.1,
            how="sequential",
            why="by formula",
            chunk_size=1,
            interrupted=interrupted,
        )


def task_of(name: str = "formula") -> TuningTask:
    """Return a task whose model nobody builds."""
    return TuningTask(name, lambda: None, (ROWS, ROWS), (ROWS, ROWS), batch_size=4)


def plan_of(trainer: Formula, *names: str, **options: Any) -> SearchPlan:
    """Return the plan of a race of one task, or of several by name.

    Args:
        trainer: Trains for it.
        names: Of the tasks; none for one without a name.
        options: `bounds`, `baseline` and `curve` of all branches, and fields of the plan.
    """
    bounds, curve = options.pop("bounds", BOUNDS), options.pop("curve", None)
    baseline = options.pop("baseline", 1 / 300)
    branches = tuple(
        Branch(name, task_of(name or "formula"), bounds, curve, rate_parameter(name), baseline)
        for name in (names or (None,))
    )
    fields: dict[str, Any] = {
        "branches": branches,
        "engine": "optuna",
        "sampler": "qmc",
        "tuner": "bayesian",
        "trials": 8,
        "epochs": EPOCHS,
        "splits": 4,
        "batch": 4,
        "objective": "val_loss",
        "direction": "minimize",
        "pruner": NopPruner(),
        "pruner_name": "none",
        "how": None,
        "seed": 3,
        "alone": "",
        "on_trial": None,
        "on_epoch": None,
        "pool": trainer,
        "budget": 14.0,
    }
    return SearchPlan(**{**fields, **options})
