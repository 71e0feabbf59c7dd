"""This project's method as it is, its parts alone, and what needs no search at all."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from benchmarks.replay import Curve, Play, Setting, Steps, Training
from search_spaces import LearningRateBounds
from tuners import choose
from tuners.searches.plan import Branch
from tuners.engines.samplers import make_sampler
from tuners.integrations.optuna_sampler import NarrowedSampler

NAME = "learning_rate"
BATCH = 4  # trials that `search` trains together


def keras_default(setting: Setting) -> Steps:
    """Name the rate that Keras's optimizer has."""
    return setting.default
    yield


def suggestion(setting: Setting) -> Steps:
    """Name what our range test suggests."""
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


def search(trials: int, splits: int) -> Play:
    """Return the range test, then so many trials on so many splits, then the choice.

    The rates are those that `tuners.search` would try: suggestion, baseline, then QMC draws inside
    the bounds, four at a time; `tuners.choose` names the rate.
    """

    def play(setting: Setting) -> Steps:
        curve = setting.range_test()
        bounds = curve.bounds()
        study = optuna.create_study()
        choice = bounds.suggestion
        for start in range(0, trials, BATCH):
            places = range(start, min(start + BATCH, trials))
            batch = [draw(study, bounds, setting, place) for place in places]
            curves = yield (
                choice,
                [Training(t.params[NAME], split) for t in batch for split in range(splits)],
            )
            for number, trial in enumerate(batch):
                tell(study, trial, curves[number * splits : (number + 1) * splits])
            choice = chosen(study, choice)
        return choice

    return play


def draw(
    study: optuna.Study, bounds: LearningRateBounds, setting: Setting, place: int
) -> optuna.Trial:
    """Return the trial that a search has at a place: suggestion, baseline, then QMC draws."""
    branch = Branch(None, None, bounds, None, NAME, setting.default)  # type: ignore[arg-type]
    given = list(branch.given_rates().values())
    qmc = make_sampler("qmc", setting.seed, place, position=max(0, place - len(given)))
    sampler: BaseSampler = NarrowedSampler({NAME: (bounds.low, bounds.high)}, qmc)
    if place < len(given):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.PartialFixedSampler({NAME: given[place]}, sampler)
    study.sampler = sampler
    trial = study.ask()
    trial.suggest_float(NAME, *branch.declared, log=True)
    return trial


def tell(study: optuna.Study, trial: optuna.Trial, curves: Sequence[Curve]) -> None:
    """Tell a trial as `search` does: a score for each split, failed where most diverged."""
    scores = [curve.score for curve in curves]
    diverged = float(np.mean([curve.diverged for curve in curves])) > 0.5
    failed = diverged or not np.isfinite(scores).all()
    trial.set_user_attr("scores", scores)
    trial.set_user_attr("diverged", failed)
    if failed:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        study.tell(trial, float(np.mean(scores)))


def chosen(study: optuna.Study, otherwise: float) -> float:
    """Return what `choose` names; something else where no trial is finished yet."""
    states = (optuna.trial.TrialState.COMPLETE,)
    if not study.get_trials(deepcopy=False, states=states):
        return otherwise
    return choose(study).learning_rate


def race_without_range_test(places: int) -> Play:
    """Return a race over splits of evenly spread rates, with our score and choice.

    All places on one split, the better half on a second, the better quarter on two more.
    """

    def play(setting: Setting) -> Steps:
        rates = [float(rate) for rate in np.geomspace(*setting.declared, places)]
        scores: dict[float, list[float]] = {rate: [] for rate in rates}
        left, choice = rates, None
        for split in range(4):
            curves = yield choice, [Training(rate, split) for rate in left]
            for rate, curve in zip(left, curves, strict=True):
                scores[rate].append(np.inf if curve.diverged else curve.score)
            left = sorted(left, key=lambda rate: float(np.mean(scores[rate])))
            choice = left[0]
            left = left[: max(2, len(left) // 2)]
        return choice

    return play
