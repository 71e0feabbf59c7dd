"""KerasTuner's Bayesian search and its Hyperband, driven without a tuner.

Both run KerasTuner's own oracles with their own settings on one split, and tell them what a tuner
would: the lowest validation loss of an epoch. A rate that is proposed again is trained again, and
paid for, as a tuner does; Hyperband's later rungs go on with earlier trials. Nothing is written to
disk.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.policies.bounds import Bounds, declared
from benchmarks.replay import Curve, Play, Setting, Steps, Training

NAME = "learning_rate"
MOST = 1_000  # trials of one search: far above what any needs
SEEDS = 1_000  # between two replays: the n-th random trial has the seed plus n
FACTOR = 3  # KerasTuner's default: a third goes on, three times as long


def bayesian(trials: int, bounds: Bounds = declared) -> Play:
    """Return a search by KerasTuner's Bayesian oracle, with trials of full length.

    Args:
        trials: How many; the best so far is named after each.
        bounds: The bounds of the search, given the setting.
    """

    def play(setting: Setting) -> Steps:
        import keras_tuner

        space = _space(*bounds(setting))
        with _quiet():
            oracle = keras_tuner.oracles.BayesianOptimizationOracle(
                max_trials=trials, **_common(setting, space)
            )
        return (yield from _drive(oracle, setting))

    return play


def hyperband(factor: int = FACTOR) -> Play:
    """Return one sweep of KerasTuner's Hyperband over all its brackets.

    A trial of a later rung goes on from the trial that it continues, at the same rate; its score is
    the lowest loss of its own epochs, as the tuner's history has no others.

    Args:
        factor: How much longer the trials of the next rung are, and how many fewer.
    """

    def play(setting: Setting) -> Steps:
        import keras_tuner

        space = _space(*declared(setting))
        with _quiet():
            oracle = keras_tuner.oracles.HyperbandOracle(
                max_epochs=setting.epochs, factor=factor, **_common(setting, space)
            )
        return (yield from _drive(oracle, setting))

    return play


def _space(lowest: float, highest: float) -> Any:
    """Return the search space: a rate, by its logarithm."""
    import keras_tuner

    space = keras_tuner.HyperParameters()
    space.Float(NAME, lowest, highest, sampling="log")
    return space


def _common(setting: Setting, space: Any) -> dict[str, Any]:
    """Return what both oracles are made with."""
    import keras_tuner

    return {
        "objective": keras_tuner.Objective("val_loss", "min"),
        "hyperparameters": space,
        "seed": SEEDS * (setting.seed + 1),  # it replaces 0 by a random one
        "max_consecutive_failed_trials": MOST + 1,  # 3 would end the search with an error
    }


def _drive(oracle: Any, setting: Setting) -> Steps:
    """Let an oracle search until it stops; name the best trial by the score told."""
    oracle.verbose = 0
    oracle.save = oracle._save_trial = lambda *_: None  # no folder
    rates: dict[str, float] = {}  # by trial
    best: float | None = None
    for _ in range(MOST):
        with _quiet():
            trial = oracle.create_trial("replay")
        if trial.status != "RUNNING":
            break
        values = trial.hyperparameters.values
        first, last = values.get("tuner/initial_epoch", 0), values.get("tuner/epochs")
        share = 1.0 if last is None else last / setting.epochs
        rate = rates.get(values.get("tuner/trial_id", ""), float(values[NAME]))
        rates[trial.trial_id] = rate
        (curve,) = yield best, [Training(rate, 0, share)]
        loss = _lowest(curve, first)
        with _quiet():
            trial.status = "COMPLETED" if np.isfinite(loss) else "FAILED"
            if np.isfinite(loss):
                oracle.update_trial(trial.trial_id, {"val_loss": loss})
            oracle.end_trial(trial)
            leader = oracle.get_best_trials()[0]
        if leader.status == "COMPLETED":
            best = rates[leader.trial_id]
    return best


def _lowest(curve: Curve, first: int) -> float:
    """Return the lowest validation loss from an epoch on, infinite where none is finite."""
    new = curve.val_loss[first:]
    return float(np.min(new[np.isfinite(new)], initial=np.inf))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what KerasTuner and its Gaussian process warn of, and spare scikit-learn's checks."""
    from sklearn import config_context

    checks = config_context(assume_finite=True, skip_parameter_validation=True)
    with checks, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
