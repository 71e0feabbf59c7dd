"""RaceSampler and RacePruner: the race in a study of Optuna's, one score a split."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces._input import InputError, check_rate
from search_spaces.learning_rate import LearningRateBounds, bounds_of
from tuners.searches.race import check_budget, given_bounds
from tuners.searches.stages import SURVIVORS, Course, next_rates, same
from tuners.study.schema import STALE

SPLIT = "split"  # a trial's attribute "split N": what `search` keeps of its training there


class RaceSampler(BaseSampler):
    """Propose the rates of a `LearningRateRace`, in a study whose objective scores each split.

    The objective trains its rate on one split after the other, and says so:

        def objective(trial):
            rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
            scores = []
            for split in range(3):
                scores.append(train(rate, split))
                trial.report(scores[-1], step=split)
                if trial.should_prune():
                    raise optuna.TrialPruned()
            return sum(scores) / len(scores)

    With `RacePruner` the trials that cannot win end after a split or two. A trial that ended is not
    taken up again, as it is in the rounds of `search`; what that costs: docs/benchmarks.md. Where
    the race is over, and for every other parameter, `base_sampler` draws.

    Args:
        bounds: Where the race begins, `LearningRateBounds` or a pair `(low, high)`; None for the
            whole range that the objective declares.
        name: Of the parameter, a float with `log=True`.
        baseline: The rate to beat, which is tried too; None for none.
        budget: Trainings that the race may spend, from which follows how far apart it begins.
        base_sampler: Any sampler; None for TPE.
        seed: Of that TPE.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> sampler = RaceSampler((1e-4, 1e-2), baseline=1e-3)
        >>> study = optuna.create_study(sampler=sampler, pruner=RacePruner())
        >>> def objective(trial):
        ...     rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
        ...     for split in range(3):
        ...         trial.report(abs(math.log10(rate / 2e-4)) + split, step=split)
        ...         if trial.should_prune():
        ...             raise optuna.TrialPruned
        ...     return abs(math.log10(rate / 2e-4)) + 1
        >>> study.optimize(objective, n_trials=6)
        >>> study.best_params
        {'learning_rate': 0.00017783}
    """

    def __init__(
        self,
        bounds: LearningRateBounds | tuple[float, float] | None = None,
        name: str = "learning_rate",
        *,
        baseline: float | None = None,
        budget: float = 12,
        base_sampler: BaseSampler | None = None,
        seed: int | None = None,
    ) -> None:
        self._bounds = given_bounds(bounds)
        self._name, self._budget = name, check_budget(budget)
        self._baseline = None if baseline is None else check_rate(baseline, "baseline")
        if base_sampler is not None and not isinstance(base_sampler, BaseSampler):
            raise InputError(
                f"`base_sampler` must be a sampler of Optuna's or None: {base_sampler!r}."
            )
        self._base = TPESampler(seed=seed) if base_sampler is None else base_sampler

    def __str__(self) -> str:
        return "RaceSampler"

    def reseed_rng(self) -> None:
        """Reseed the base sampler; the race draws nothing."""
        self._base.reseed_rng()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the base sampler's space without the rate."""
        space = self._base.infer_relative_search_space(study, trial)
        return {name: each for name, each in space.items() if name != self._name}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what the base sampler draws together."""
        return self._base.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the next rate of the race, or what the base sampler draws."""
        declared = param_distribution
        raced = param_name == self._name and len(study.directions) == 1
        if raced and isinstance(declared, FloatDistribution) and declared.log:
            rate = self._next(study, trial, declared)
            if rate is not None:
                return rate
        return self._base.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tell the base sampler."""
        self._base.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Tell the base sampler."""
        self._base.after_trial(study, trial, state, values)

    def _next(self, study: Study, trial: FrozenTrial, declared: FloatDistribution) -> float | None:
        """Return a rate that no trial has, None where the race asks for none."""
        others = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
        scores = race_scores(others, self._name, study.direction)
        taken = [each.params[self._name] for each in others if self._name in each.params]
        course = course_of(
            (declared.low, declared.high), self._bounds, self._baseline, self._budget
        )
        wanted = next_rates(scores, course)
        return next((rate for rate in wanted if not any(same(rate, t) for t in taken)), None)


class RacePruner(BasePruner):
    """End a trial that cannot win a race over splits, by the scores that it reports, one a split.

    After the first split a trial goes on while fewer than three others were better there, after
    each further one while no other has a lower mean over the same splits; in a study that
    maximizes, higher. A score that is not finite ends it.

    Example:
        >>> str(RacePruner())
        'RacePruner'
    """

    def __str__(self) -> str:
        return "RacePruner"

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to end the trial after the split that it reported last."""
        sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
        own = trial.intermediate_values
        if not own:
            return False
        if not all(map(math.isfinite, own.values())):
            return True
        mean = sign * float(np.mean(list(own.values())))
        others = [
            sign * float(np.mean([each.intermediate_values[step] for step in own]))
            for each in study.get_trials(deepcopy=False)
            if each.number != trial.number and own.keys() <= each.intermediate_values.keys()
        ]
        better = sum(other < mean for other in others)
        return better >= (SURVIVORS if len(own) == 1 else 1)


def course_of(
    declared: tuple[float, float],
    bounds: LearningRateBounds | None,
    baseline: float | None,
    budget: float,
) -> Course:
    """Return the course of a race whose range test is paid for: bounds cut to what is declared."""
    low, high = declared
    found = bounds or bounds_of(declared)
    first, middle, last = (
        min(max(rate, low), high) for rate in (found.low, found.suggestion, found.high)
    )
    inside = LearningRateBounds(first, last, middle, found.status, found.reason)
    return Course(low, high, inside, baseline, max(int(budget + 1e-9), 1))


def race_scores(
    trials: Iterable[FrozenTrial], name: str, direction: StudyDirection
) -> dict[float, dict[int, float]]:
    """Return the scores of trials by rate and split, lower is better, infinite where diverged.

    Splits are numbered from 0 by the steps that were reported. A trial that failed before it
    reported anything has diverged on the first one.
    """
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    known = [trial for trial in trials if name in trial.params]
    steps = sorted({step for trial in known for step in trial.intermediate_values})
    scores: dict[float, dict[int, float]] = {}
    for trial in known:
        failed = trial.state == TrialState.FAIL and trial.user_attrs.get("role") != STALE
        if not trial.intermediate_values and not failed:
            continue
        row = scores.setdefault(float(trial.params[name]), {})
        if not trial.intermediate_values:
            row.setdefault(0, math.inf)
        for step, value in trial.intermediate_values.items():
            kept = trial.user_attrs.get(f"{SPLIT} {step}", {})
            diverged = not math.isfinite(value) or bool(kept.get("diverged"))
            row[steps.index(step)] = math.inf if diverged else sign * value
    return scores
