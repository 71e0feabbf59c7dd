"""This project's race as it is shipped, its parts alone, and what needs no search at all."""

from __future__ import annotations

import numpy as np
import optuna

from benchmarks.replay import Curve, Play, Setting, Steps, Training
from tuners import LearningRateRace, RacePruner, RaceSampler

NAME = "learning_rate"


def keras_default(setting: Setting) -> Steps:
    """Name the rate that Keras's optimizer has."""
    return setting.default
    yield


def suggestion(setting: Setting) -> Steps:
    """Name what our range test suggests."""
    race = LearningRateRace(setting.declared, epochs=setting.epochs)
    curves = yield setting.default, [Training(*each) for each in race.ask()]
    race.tell([told(curve) for curve in curves])
    return race.bounds.suggestion


def ramp(setting: Setting) -> Steps:
    """Name what a ramp suggests."""
    return setting.range_test().bounds().suggestion
    yield


def rule(name: str) -> Play:
    """Return what names the rate that a published rule reads from one seed of the ramp."""

    def play(setting: Setting) -> Steps:
        curve = setting.range_test(seeds=1)
        try:
            return float(np.clip(curve.suggest(name), *setting.declared))
        except ValueError:  # too few steps left: what its user would then have is the default
            return setting.default
        yield

    return play


def race(budget: float, *, tested: bool = True) -> Play:
    """Return the race with a budget.

    Args:
        budget: In trainings, its range test among them.
        tested: Whether it begins with a range test, or across the declared range.
    """

    def play(setting: Setting) -> Steps:
        running = LearningRateRace(
            setting.declared,
            budget=budget,
            bounds=None if tested else setting.declared,
            baseline=setting.default,
            epochs=setting.epochs,
        )
        while asked := running.ask():
            # a search trains short and long ones anew, so none goes on with another here
            trainings = [Training(*each, anew=True) for each in asked]
            curves = yield running.choice, trainings
            running.tell([told(curve) for curve in curves])
        return running.choice

    return play


def told(curve: Curve) -> np.ndarray:
    """Return what a race is told of a training: its losses, or that it diverged."""
    return np.array([np.nan]) if curve.diverged else curve.val_loss


def one_after_the_other(budget: float, splits: int = 3) -> Play:
    """Return the race as a sampler and a pruner in a study, one trial after the other.

    Args:
        budget: In trainings, the range test among them.
        splits: Of a trial that is not pruned.
    """

    def play(setting: Setting) -> Steps:
        tested = LearningRateRace(setting.declared, epochs=setting.epochs)
        curves = yield setting.default, [Training(*each, anew=True) for each in tested.ask()]
        tested.tell([told(curve) for curve in curves])
        sampler = RaceSampler(
            tested.bounds, baseline=setting.default, budget=budget - tested.cost, seed=setting.seed
        )
        study = optuna.create_study(sampler=sampler, pruner=RacePruner())
        choice, spent = tested.bounds.suggestion, tested.cost
        while spent < budget - 1:
            trial = study.ask()
            rate = trial.suggest_float(NAME, *setting.declared, log=True)
            scores: list[float] = []
            for split in range(splits):
                (curve,) = yield choice, [Training(rate, split, anew=True)]
                spent += 1
                scores.append(np.inf if curve.diverged else curve.score)
                trial.report(scores[-1], split)
                if trial.should_prune():
                    break
            if len(scores) < splits or not np.isfinite(scores).all():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(trial, float(np.mean(scores)))
                choice = study.best_params[NAME]
        return choice

    return play
