"""The KerasTuner engine: its oracles propose rates inside the bounds, an Optuna study keeps them.

The study is the record. A resumed search begins with a fresh oracle of the same seed, which
proposes the same rates again; what the study holds is told to it without training. KerasTuner's
own files are of no further use, and lie in a temporary folder.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import keras_tuner
import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from sklearn.exceptions import ConvergenceWarning

from search_spaces.learning_rate import LearningRateBounds
from tuners.integrations.keras_tuner_population import PopulationTuner
from tuners.integrations.keras_tuner_space import begin_with
from tuners.searches.costs import record_search_cost
from tuners.searches.plan import SearchPlan
from tuners.study.heartbeat import at_work
from tuners.study.recording import record_facts, recorded_facts
from tuners.study.schema import trial_attributes
from tuners.training.records import TrainingRecord
from tuners.training.runner import train

INITIAL_POINTS = 4  # random trials before the Gaussian process, the suggestion among them


def run(study: optuna.Study, plan: SearchPlan) -> None:
    """Run KerasTuner trials until the study holds `plan.trials` of them.

    The baseline is trained first. Then come what the tuners propose:

    - bayesian, random: the suggestion, then what the oracle proposes. Where the Bayesian one asks
      for a rate again, which would score the same again, a random rate is tried.
    - grid: as many rates as trials are left, evenly spaced in their logarithm from the lower to
      the upper bound; the one nearest to the suggestion first. Where `trials` grew, the new grid
      is trained whole, so the study may hold more.
    - hyperband: trials with fewer epochs are stored as pruned; a promoted one is trained anew.
      The reduction factor is the smallest for which a whole bracket fits into the trials left.

    A trial that diverges is failed in the study; the oracle is told the worst score so far, since
    KerasTuner's would propose the same rate again after a failure.

    Args:
        study: The study to fill.
        plan: What to search; its first branch.

    Raises:
        KeyboardInterrupt: Ctrl-C came during training; the batch is done again on the next call.
        ValueError: Another process is at work on the study.
    """
    if plan.tuner != "grid" and len(_own_trials(study)) >= plan.trials:
        return
    with (
        at_work(study, plan.alone),
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        StudyTuner(study, plan, folder).search(verbose=0)
    record_search_cost(study, plan, [trial.user_attrs for trial in _own_trials(study)])


class StudyTuner(PopulationTuner):
    """A PopulationTuner that trains the rates of a task and stores each trial in a study.

    Args:
        study: The study to fill.
        plan: What to search; its first branch.
        directory: Where KerasTuner writes its own files.
    """

    def __init__(self, study: optuna.Study, plan: SearchPlan, directory: str) -> None:
        self.study, self.plan, self.branch = study, plan, plan.branches[0]
        self.scores: list[tuple[int, float]] = []  # (epochs, score) as told to the oracle
        oracle = make_oracle(plan)
        super().__init__(oracle, lanes=plan.batch, directory=directory, overwrite=True)

    def on_search_begin(self) -> None:
        """Train the baseline; and a grid, whose oracle waits for each point before the next."""
        if self.plan.proposed < self.plan.trials:
            self._train([(self.branch.baseline, self.plan.epochs)])
        if self.plan.tuner == "grid":
            entry = self.oracle.hyperparameters.space[0]
            rates = [self._clip(rate) for rate in [entry.default, *entry.values]]
            rates = list(dict.fromkeys(rates))[: self.plan.proposed]
            for start in range(0, len(rates), self.lanes):
                batch = rates[start : start + self.lanes]
                self._train([(rate, self.plan.epochs) for rate in batch])

    def run_trials(self, trials: Sequence[Any], *fit_args: Any, **fit_kwargs: Any) -> None:
        """Train what the study does not hold, store it, and tell the oracle."""
        asked = [self._asked(trial) for trial in trials]
        for epochs in dict.fromkeys(epochs for _, epochs in asked):
            self._train([pair for pair in asked if pair[1] == epochs])
        stored = _by_rate(self.study)
        # the finite scores first: a diverged trial is told the worst of them
        for diverged in (False, True):
            for trial, pair in zip(trials, asked, strict=True):
                found = stored.get(_key(*pair))
                if (found is None or found.user_attrs["diverged"]) is diverged:
                    self._end(trial, pair[1], found)
                    if found is not None and found.user_attrs["role"] == "baseline":
                        self.oracle.max_trials += 1  # it has its own place, and took none of these

    def _asked(self, trial: Any) -> tuple[float, int]:
        values = trial.hyperparameters.values
        rate = self._clip(values[self.branch.parameter])
        return rate, int(values.get("tuner/epochs", self.plan.epochs))

    def _clip(self, rate: float) -> float:
        """Return a rate without the rounding by which it may leave the bounds."""
        return float(min(max(rate, self.branch.bounds.low), self.branch.bounds.high))

    def _train(self, pairs: Sequence[tuple[float, int]]) -> None:
        """Train (rate, epochs) pairs of equal epochs, and store those that are new."""
        plan, stored = self.plan, _by_rate(self.study)
        fresh = [pair for pair in dict.fromkeys(pairs) if _key(*pair) not in stored]
        done = len(_own_trials(self.study))
        if plan.tuner != "grid":
            fresh = fresh[: plan.trials - done]
        if not fresh:
            return
        seeds = plan.seeds
        # all of them again, and in one compiled program of one size, so that an interrupted
        # search ends the same
        rates = np.repeat([rate for rate, _ in pairs], len(seeds))
        stacked = recorded_facts(self.study).get("how") == "population"
        width = self.lanes * len(seeds) if stacked else len(rates)
        total = plan.trials * len(seeds) * plan.epochs
        before = done * len(seeds) * plan.epochs
        record = (train if plan.pool is None else plan.pool.train)(
            self.branch.task,
            np.resize(rates, width),
            np.resize(np.tile(seeds, len(pairs)), width),
            epochs=pairs[0][1],
            how=plan.how,
            objective=plan.objective,
            direction=plan.direction,
            on_epoch=plan.progress(before, total),
        )
        if record.interrupted:
            raise KeyboardInterrupt
        record_facts(self.study, how=record.how, why=record.why, chunk_size=record.chunk_size)
        seconds = record.seconds / len(fresh)
        for index, pair in enumerate(pairs):
            if pair in fresh:
                fresh.remove(pair)
                lanes = np.arange(index * len(seeds), (index + 1) * len(seeds))
                self._store(pair, record, lanes, seconds)

    def _store(
        self, pair: tuple[float, int], record: TrainingRecord, lanes: np.ndarray, seconds: float
    ) -> None:
        rate, epochs = pair
        attributes = {
            "role": self._role(rate),
            "seed": self.plan.seed,
            **trial_attributes(record, lanes, seconds),
        }
        name, (low, high) = self.branch.parameter, self.branch.declared
        score = float(np.mean(record.scores()[lanes]))
        state, values = TrialState.COMPLETE, {}
        if attributes["diverged"] or not math.isfinite(score):
            attributes["diverged"], state = True, TrialState.FAIL
        elif epochs < self.plan.epochs:
            state, values = TrialState.PRUNED, {epochs - 1: score}
        self.study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=None if state == TrialState.FAIL else score,
                params={name: rate},
                distributions={name: optuna.distributions.FloatDistribution(low, high, log=True)},
                user_attrs={**attributes, "budget": epochs},
                intermediate_values=values,
            )
        )
        if self.plan.on_trial is not None:
            self.plan.on_trial(self.study, self.study.trials[-1])

    def _role(self, rate: float) -> str:
        given = self.branch.given_rates()
        return next((role for role, known in given.items() if rate == known), "search")

    def _end(self, trial: Any, epochs: int, found: FrozenTrial | None) -> None:
        score = None if found is None or found.user_attrs["diverged"] else found.value
        if score is None:  # it diverged, or the study is full
            worst = max if self.oracle.objective.direction == "min" else min
            same = [value for length, value in self.scores if length == epochs]
            score = worst(same or [value for _, value in self.scores], default=None)
        else:
            self.scores.append((epochs, score))
        if score is None:
            trial.status = "FAILED"
        else:
            self.oracle.update_trial(trial.trial_id, {self.plan.objective: score})
            trial.status = "COMPLETED"
        self.on_trial_end(trial)


def make_oracle(plan: SearchPlan) -> Any:
    """Return KerasTuner's oracle for a plan: bounds, seed, first rates and number of trials."""
    tuner, branch = plan.tuner, plan.branches[0]
    goal = "max" if plan.direction == "maximize" else "min"
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(plan.objective, goal),
        "seed": keras_tuner_seed(plan.seed),
        "hyperparameters": branch.bounds.hyperparameters(branch.parameter),
        "max_consecutive_failed_trials": plan.proposed + 1,
    }
    oracles = keras_tuner.oracles
    if tuner == "grid":
        options["hyperparameters"] = grid(branch.bounds, plan.proposed, branch.parameter)
        return oracles.GridSearchOracle(max_trials=plan.proposed, **options)
    if tuner == "bayesian":
        points = {"num_initial_points": INITIAL_POINTS}
        oracle = oracles.BayesianOptimizationOracle(max_trials=plan.proposed, **points, **options)
    elif tuner == "random":
        oracle = oracles.RandomSearchOracle(max_trials=plan.proposed, **options)
    else:
        factor = hyperband_factor(plan.proposed, plan.epochs)
        budget = {"max_epochs": plan.epochs, "factor": factor, "hyperband_iterations": None}
        oracle = oracles.HyperbandOracle(**budget, **options)
        oracle.max_trials = plan.proposed  # which its constructor does not take
    begin_with(oracle, [branch.parameter], [branch.bounds.suggestion])
    if tuner == "bayesian":
        _ask_afresh(oracle, branch.parameter)
    return oracle


def _ask_afresh(oracle: Any, name: str) -> None:
    """Put a random rate in the place of one that the oracle asks for again.

    With the same seeds a rate scores the same, and this oracle may ask for it ever again.
    """
    tried, populate = set[str](), oracle.populate_space
    (entry,) = oracle.hyperparameters.space

    def populate_space(trial_id: str) -> dict[str, Any]:
        response = populate(trial_id)
        if response["status"] == "RUNNING":
            rate = response["values"][name]
            if f"{rate:.6g}" in tried:
                rate = entry.random_sample(oracle.seed + len(tried))
                response = {**response, "values": {**response["values"], name: rate}}
            tried.add(f"{rate:.6g}")
        return response

    oracle.populate_space = populate_space


def grid(bounds: LearningRateBounds, points: int, name: str) -> Any:
    """Return hyperparameters whose grid has so many points, both bounds among them.

    Args:
        bounds: The bounds; the point nearest to their suggestion becomes the default, which a
            grid search begins with.
        points: Number of points, 1 or more; a single one is the suggestion.
        name: The hyperparameter's name.
    """
    hp, low, high = keras_tuner.HyperParameters(), bounds.low, bounds.high
    if points == 1 or low == high:
        hp.Float(name, bounds.suggestion, bounds.suggestion)
        return hp
    step = (high / low) ** (1 / (points - 1))
    hp.Float(name, low, high, step=step, sampling="log")
    values = list(hp.space[0].values)
    nearest = min(values, key=lambda value: abs(math.log(value / bounds.suggestion)))
    found = keras_tuner.HyperParameters()
    found.Float(name, low, high, step=step, sampling="log", default=nearest)
    return found


def hyperband_factor(trials: int, epochs: int) -> int:
    """Return the smallest reduction factor, 3 or more, whose first bracket fits into `trials`.

    KerasTuner's default of 3 begins with so many short trials that none of a usual number would
    get all its epochs: with 30 epochs its first bracket has 52.

    Args:
        trials: Trials in all.
        epochs: Epochs of a full trial.

    Example:
        >>> hyperband_factor(24, 30), hyperband_factor(60, 30), hyperband_factor(2, 30)
        (6, 3, 31)
    """
    for factor in range(3, epochs + 1):
        last = int(math.log(epochs, factor) + 1e-9)  # rounds of the first bracket, from 0
        survivors = math.ceil(1 + math.log(epochs, factor)) / (last + 1)
        sizes = [math.ceil(survivors * factor ** (last - number)) for number in range(last + 1)]
        if sum(sizes) <= trials:
            return factor
    return epochs + 1


def keras_tuner_seed(seed: int) -> int:
    """Return a seed above 0 for KerasTuner, which takes 0 for none.

    Neighbouring seeds are spread, since its random oracle counts its seed up by one a trial.
    """
    return int(np.random.SeedSequence(seed).generate_state(1)[0] % (2**31 - 1)) + 1


def _own_trials(study: optuna.Study) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if "budget" in trial.user_attrs]


def _by_rate(study: optuna.Study) -> dict[str, FrozenTrial]:
    return {
        _key(next(iter(trial.params.values())), trial.user_attrs["budget"]): trial
        for trial in _own_trials(study)
    }


def _key(rate: float, epochs: int) -> str:
    return f"{rate:.12g} for {epochs}"
