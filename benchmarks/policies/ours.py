"""This project's method as it is, its parts alone, and what needs no search at all."""

from __future__ import annotations

import numpy as np
import optuna

from benchmarks.replay import Curve, Play, Setting, Steps, Training
from search_spaces import LearningRateBounds
from tuners import choose
from tuners.curves.loss_curve import LossCurve
from tuners.engines.plan import Branch
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
        rates = searched_rates(study, bounds, curve, setting, trials)
        for start in range(0, trials, BATCH):
            batch = rates[start : start + BATCH]
            curves = yield choice, [Training(r, split) for r in batch for split in range(splits)]
            for place, rate in enumerate(batch):
                add_trial(study, rate, curves[place * splits : (place + 1) * splits])
            choice = chosen(study, choice)
        return choice

    return play


def searched_rates(
    study: optuna.Study,
    bounds: LearningRateBounds,
    curve: LossCurve,
    setting: Setting,
    trials: int,
) -> list[float]:
    """Return the rates that a search tries, in its order."""
    branch = Branch(None, None, bounds, curve, NAME, setting.default)  # type: ignore[arg-type]
    given = list(branch.given_rates().values())
    drawn = []
    for place in range(len(given), trials):
        qmc = make_sampler("qmc", setting.seed, place, position=place - len(given))
        study.sampler = NarrowedSampler({NAME: (bounds.low, bounds.high)}, qmc)
        trial = study.ask()
        drawn.append(trial.suggest_float(NAME, *branch.declared, log=True))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return [*given, *drawn][:trials]


def add_trial(study: optuna.Study, rate: float, curves: list[Curve]) -> None:
    """Add a trial as `search` stores it: a score for each split, failed where most diverged."""
    scores = [curve.score for curve in curves]
    failed = np.mean([curve.diverged for curve in curves]) > 0.5 or not np.isfinite(scores).all()
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
            value=None if failed else float(np.mean(scores)),
            params={NAME: rate},
            distributions={NAME: optuna.distributions.FloatDistribution(1e-30, 1e30, log=True)},
            user_attrs={"scores": scores},
        )
    )


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
