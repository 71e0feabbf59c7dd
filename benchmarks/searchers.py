"""Searches driven trial by trial: what proposes a rate, and what it is told of the loss.

An arm says whose settings they are and which range they search:

- "default": the library's own settings over the declared range, what one would do without this
  package. A finite loss is told however high; only a NaN fails.
- "control": as `tuners.search` with the declared range for bounds, without a suggestion.
- "narrowed": `tuners.search` with its bounds: the suggestion first, then inside the bounds; a
  diverged trial fails. Trials are asked for one at a time, `batch=1`.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.trial import TrialState

from search_spaces.learning_rate import LearningRateBounds
from tuners.engines.samplers import make_sampler
from tuners.integrations.optuna_sampler import NarrowedSampler

NAME = "learning_rate"
MOST_TRIALS = 24
ARMS = {
    "tpe": ("default", "control", "narrowed"),
    "random": ("default", "narrowed"),
    "qmc": ("default", "control", "narrowed"),
    "gp": ("default", "narrowed"),
    "keras-tuner": ("default", "narrowed"),
}
SLOW = ("gp", "keras-tuner")  # a third of a second a trial
DEFAULTS: dict[str, Callable[[int], Any]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    # Optuna's own is not scrambled: every search would try the same rates
    "qmc": lambda seed: optuna.samplers.QMCSampler(
        scramble=True, seed=seed, warn_independent_sampling=False
    ),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False),
}


class Searcher(Protocol):
    """Proposes rates one at a time and learns from their losses."""

    def ask(self) -> float:
        """Return the rate of the next trial."""

    def tell(self, loss: float, diverged: bool) -> None:
        """Take the outcome of that trial.

        Args:
            loss: Lowest validation loss; NaN where it has no finite one.
            diverged: Whether the trial counts as diverged by the rule of `tuners.train`.
        """


def make_searcher(name: str, arm: str, seed: int, bounds: LearningRateBounds) -> Searcher:
    """Return a search that has not begun.

    Args:
        name: A name of `ARMS`.
        arm: See the module.
        seed: Seed of the search.
        bounds: Bounds, with the suggestion and the declared range.
    """
    if name == "keras-tuner":
        return KerasTunerSearcher(arm, seed, bounds)
    return OptunaSearcher(name, arm, seed, bounds)


class OptunaSearcher:
    """A study of Optuna's; see `make_searcher`."""

    def __init__(self, name: str, arm: str, seed: int, bounds: LearningRateBounds) -> None:
        assert bounds.declared is not None
        self.name, self.arm, self.seed, self.bounds = name, arm, seed, bounds
        self.declared = bounds.declared
        self.trial: optuna.Trial | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = DEFAULTS[name](seed) if arm == "default" else None
        self.study = optuna.create_study(sampler=sampler)
        if arm == "narrowed":
            self.study.enqueue_trial({NAME: bounds.suggestion})

    def ask(self) -> float:
        """Return the rate of the next trial."""
        if self.arm != "default":  # as tuners.engines.optuna_engine: a fresh sampler for each trial
            sampler = make_sampler(self.name, self.seed, len(self.study.get_trials(False)), 0)
            ends = (self.bounds.low, self.bounds.high)
            ends = ends if self.arm == "narrowed" else self.declared
            self.study.sampler = NarrowedSampler({NAME: ends}, sampler)
        self.trial = self.study.ask()
        return self.trial.suggest_float(NAME, *self.declared, log=True)

    def tell(self, loss: float, diverged: bool) -> None:
        """Take the outcome of the trial asked for."""
        assert self.trial is not None
        failed = not np.isfinite(loss)
        if self.arm != "default":
            failed = failed or diverged
            self.trial.set_user_attr("diverged", bool(failed))
        if failed:
            self.study.tell(self.trial, state=TrialState.FAIL)
        else:
            self.study.tell(self.trial, loss)


class KerasTunerSearcher:
    """KerasTuner's Bayesian oracle, without a tuner or a model; see `make_searcher`."""

    def __init__(self, arm: str, seed: int, bounds: LearningRateBounds) -> None:
        import keras_tuner

        from tuners.engines.keras_tuner_engine import keras_tuner_seed, make_oracle

        assert bounds.declared is not None
        self.arm, self.scores = arm, list[float]()
        self.trial: Any = None
        if arm == "narrowed":
            branch = SimpleNamespace(bounds=bounds, parameter=NAME)
            plan: Any = SimpleNamespace(
                tuner="bayesian",
                branches=[branch],
                trials=200,
                objective="val_loss",
                direction="minimize",
                seed=seed,
            )
            self.oracle = make_oracle(plan)
        else:
            space = keras_tuner.HyperParameters()
            space.Float(NAME, *bounds.declared, sampling="log")
            self.oracle = keras_tuner.oracles.BayesianOptimizationOracle(
                objective=keras_tuner.Objective("val_loss", "min"),
                max_trials=200,
                seed=keras_tuner_seed(seed),
                hyperparameters=space,
                max_consecutive_failed_trials=200,  # 3 would end the search with an error
            )
        self.oracle.verbose = 0
        folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder, True)
        self.oracle._set_project_dir(folder, "search")

    def ask(self) -> float:
        """Return the rate of the next trial."""
        import sklearn
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        quick = {"assume_finite": True, "skip_parameter_validation": True}  # the same numbers
        with threadpool_limits(1), sklearn.config_context(**quick), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.trial = self.oracle.create_trial("search")
        return float(self.trial.hyperparameters.values[NAME])

    def tell(self, loss: float, diverged: bool) -> None:
        """Take the outcome of the trial asked for."""
        trial = self.trial
        if self.arm == "narrowed" and (diverged or not np.isfinite(loss)):
            # the worst so far, since the oracle would ask for it again after a failure
            loss = max(self.scores, default=float("nan"))
        elif np.isfinite(loss):
            self.scores.append(loss)
        trial.status = "COMPLETED" if np.isfinite(loss) else "FAILED"
        if np.isfinite(loss):
            self.oracle.update_trial(trial.trial_id, {"val_loss": loss})
        self.oracle.end_trial(trial)
