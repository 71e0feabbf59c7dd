"""Optuna as its documentation advises it: samplers, pruners over epochs, a pruner over splits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from benchmarks.policies.bounds import Bounds, declared
from benchmarks.replay import Curve, Play, Setting, Steps, Training

NAME = "learning_rate"
Sampler = Callable[[int], BaseSampler]
Score = Callable[[Curve], float]


def lowest(curve: Curve) -> float:
    """Return the lowest validation loss of one epoch, as tuners score a training."""
    return curve.lowest


def our_score(curve: Curve) -> float:
    """Return the score of this project."""
    return np.inf if curve.diverged else curve.score


def random_sampler(seed: int) -> BaseSampler:
    """Return the sampler that draws at random."""
    return optuna.samplers.RandomSampler(seed=seed)


def tpe(seed: int) -> BaseSampler:
    """Return Optuna's default sampler."""
    return optuna.samplers.TPESampler(seed=seed)


def gp(seed: int) -> BaseSampler:
    """Return Optuna's Gaussian process; it needs torch."""
    return optuna.samplers.GPSampler(seed=seed)


def cma_es(seed: int) -> BaseSampler:
    """Return CMA-ES, which draws at random where there is one parameter alone."""
    return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


def _suggest(study: optuna.Study, bounds: tuple[float, float]) -> tuple[optuna.Trial, float]:
    trial = study.ask()
    return trial, trial.suggest_float(NAME, *bounds, log=True)


def _study(sampler: Sampler, setting: Setting, pruner: BasePruner | None = None) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Hyperband deals its brackets by the study's name, which Optuna else draws
        name = f"replay {setting.seed}"
        return optuna.create_study(sampler=sampler(setting.seed), pruner=pruner, study_name=name)


def _tell(study: optuna.Study, trial: optuna.Trial, value: float) -> None:
    if np.isfinite(value):
        study.tell(trial, value)
    else:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)


def trials(
    sampler: Sampler,
    most: int,
    *,
    bounds: Bounds = declared,
    score: Score = lowest,
    splits: int = 1,
) -> Play:
    """Return a study of trials, whose lowest value wins.

    Args:
        sampler: Makes the sampler of a seed.
        most: Trials at most.
        bounds: Inside which range.
        score: Of a training.
        splits: Trainings of a trial, whose mean is its value.
    """

    def play(setting: Setting) -> Steps:
        study, ends = _study(sampler, setting), bounds(setting)
        best, choice = np.inf, None
        for _ in range(most):
            trial, rate = _suggest(study, ends)
            curves = yield choice, [Training(rate, split) for split in range(splits)]
            value = float(np.mean([score(curve) for curve in curves]))
            _tell(study, trial, value)
            if value < best:
                best = value
                choice = rate
        return choice

    return play


def pruned(pruner: Callable[[int], BasePruner], most: int) -> Play:
    """Return TPE with a pruner over epochs; the lowest value of a finished trial wins.

    Args:
        pruner: Makes the pruner for so many epochs.
        most: Trials at most.
    """

    def play(setting: Setting) -> Steps:
        study = _study(tpe, setting, pruner(setting.epochs))
        best, choice = np.inf, None
        for _ in range(most):
            trial, rate = _suggest(study, setting.declared)
            for epoch in range(1, setting.epochs + 1):
                share = epoch / setting.epochs
                (curve,) = yield choice, [Training(rate, 0, share)]
                last = float(curve.val_loss[-1])
                if np.isfinite(last):
                    trial.report(last, epoch)
                if not np.isfinite(last) or trial.should_prune():
                    break
            else:
                _tell(study, trial, curve.lowest)
                if curve.lowest < best:
                    best, choice = curve.lowest, rate
                continue
            failed = not np.isfinite(last)
            states: Any = optuna.trial.TrialState
            study.tell(trial, state=states.FAIL if failed else states.PRUNED)
        return choice

    return play


def hyperband(epochs: int) -> BasePruner:
    """Return Hyperband as Optuna's pages use it, with whole epochs as its resource."""
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs)


def asha(epochs: int) -> BasePruner:
    """Return asynchronous successive halving with Optuna's own settings."""
    del epochs
    return optuna.pruners.SuccessiveHalvingPruner()


def wilcoxon(most: int, splits: int) -> Play:
    """Return TPE whose trials end early over splits, by Optuna's paired test.

    As its page advises, a trial that is ended returns the mean of what it has.
    """

    def play(setting: Setting) -> Steps:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            pruner = optuna.pruners.WilcoxonPruner(p_threshold=0.1)
        study = _study(tpe, setting, pruner)
        best, choice = np.inf, None
        for _ in range(most):
            trial, rate = _suggest(study, setting.declared)
            values: list[float] = []
            ended = False
            for split in range(splits):
                (curve,) = yield choice, [Training(rate, split)]
                values.append(curve.lowest)
                if not np.isfinite(curve.lowest):
                    ended = True
                    break
                trial.report(curve.lowest, split)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # two equal values, two splits only
                    ended = trial.should_prune()
                if ended:
                    break
            value = float(np.mean(values))
            _tell(study, trial, value)
            if not ended and value < best:
                best, choice = value, rate
        return choice

    return play


def top_after_one_epoch(drawn: int) -> Play:
    """Return random rates for an epoch each, the best of which are trained on, one by one.

    After Egele et al. 2023, "Is one epoch all you need for multi-fidelity hyperparameter
    optimization?" (arXiv 2307.15422).
    """

    def play(setting: Setting) -> Steps:
        generator, ends = np.random.default_rng(setting.seed), np.log(setting.declared)
        rates = [float(rate) for rate in np.exp(generator.uniform(*ends, drawn))]
        share = 1 / setting.epochs
        curves = yield None, [Training(rate, 0, share) for rate in rates]
        order = np.argsort([curve.lowest for curve in curves], kind="stable")
        best, choice = np.inf, rates[order[0]]
        for place in order:
            (curve,) = yield choice, [Training(rates[place])]
            if curve.lowest < best:
                best, choice = curve.lowest, rates[place]
        return choice

    return play
