"""OptunaOracle: any KerasTuner tuner driven by an Optuna study."""

from __future__ import annotations

import math
import uuid
import warnings
from decimal import Decimal
from typing import Any, Literal

import keras_tuner
import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from search_spaces._input import InputError
from tuners.study.tuner_study import optuna_silenced

_TRIAL = "keras_tuner_trial"
_PROJECT = "keras_tuner_project"
_MIRRORED = " (mirrored)"


class OptunaOracle(keras_tuner.Oracle):
    """A KerasTuner oracle that asks an Optuna study for values and tells it the scores.

    Pass it to `keras_tuner.Tuner`, to a subclass, or to `PopulationTuner`; sampler, storage and
    plots are then Optuna's. Trials that are queued on the study come first.

    | KerasTuner                                    | Optuna                                     |
    |-----------------------------------------------|--------------------------------------------|
    | `Float`, `Int`; linear, linear with step, log | `FloatDistribution`, `IntDistribution`      |
    | `Float`, `Int` with log or reverse_log step   | `CategoricalDistribution` of the values     |
    | `Float`, `Int` with reverse_log               | log of `max + min - value`, named so        |
    | `Choice`, `Boolean`                           | `CategoricalDistribution`                   |
    | `Fixed`                                       | no parameter                                |

    An inactive conditional entry is not asked for. Where entries first appear while a trial runs,
    the study's trial cannot take them: a finished trial with all of them is added, with
    `supersedes` in its user attributes, and the one that was asked for is failed. A trial that
    failed, or scored NaN or infinity, is failed in the study after its last retry. Every study
    trial that the oracle made carries `keras_tuner_trial`, the trial's id in KerasTuner.

    Resuming: KerasTuner runs unfinished trials again with the values they have. A study in a
    storage is continued; a fresh one is filled with the trials that KerasTuner kept.

    Args:
        study: An Optuna study with one direction; None makes one in memory with TPE.
        objective: As for any oracle; `keras_tuner.Objective(name, direction)` is safest, since
            KerasTuner guesses directions wrongly for some metrics.
        max_trials: Most trials to run, 1 or more; None for no limit.
        seed: Seed of the sampler where `study` is None; 0 counts.
        hyperparameters: Entries to declare or to override, as for any oracle.
        allow_new_entries: Whether the hypermodel may ask for entries not declared.
        tune_new_entries: Whether these are tuned, or stay at their defaults.
        max_retries_per_trial: How often a crashed trial is run again.
        max_consecutive_failed_trials: So many failures in a row end the search.

    Raises:
        TypeError: `study` is no study.
        ValueError: The study has several objectives, or another direction than `objective`.

    Example:
        >>> import tempfile
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> class Bowl(keras_tuner.Tuner):
        ...     def run_trial(self, trial, verbose):
        ...         return (trial.hyperparameters["x"] - 0.5) ** 2
        >>> study = optuna.create_study()  # or in a storage, with any sampler
        >>> oracle = OptunaOracle(study, max_trials=5)
        >>> space = lambda hp: hp.Float("x", -1.0, 1.0)
        >>> Bowl(oracle, space, directory=tempfile.mkdtemp()).search(verbose=0)
        >>> study.best_params == oracle.get_best_trials()[0].hyperparameters.values
        True
    """

    def __init__(
        self,
        study: optuna.Study | None = None,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        seed: int | None = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if seed is not None:  # KerasTuner takes a seed of 0 for none
            self.seed = self._seed_state = seed
        direction: Literal["minimize", "maximize"] = (
            "maximize" if self.objective.direction == "max" else "minimize"
        )
        self._owns_study = study is None
        if study is None:
            with optuna_silenced():
                study = optuna.create_study(direction=direction, sampler=self._make_sampler(0))
        elif not isinstance(study, optuna.Study):
            raise TypeError(
                f"`study` must be an optuna.Study or None, but got {type(study).__name__}; "
                'pass the others by name: OptunaOracle(objective="val_loss", max_trials=10).'
            )
        elif len(study.directions) > 1 or study.direction.name.lower() != direction:
            raise InputError(
                f"`study` must have one direction, {direction!r}, as `objective` "
                f"{self.objective.name!r} says, but got {[d.name for d in study.directions]}; "
                f'create it with direction="{direction}".'
            )
        self.study = study
        self._numbers: dict[str, int] = {}  # trial id -> number of the study's trial
        self._project = uuid.uuid4().hex[:12]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Ask the study for the values of a new trial.

        Args:
            trial_id: The id of the trial in KerasTuner.

        Returns:
            `"status"` and `"values"`, active entries only. A space with nothing to tune stops
            after one trial.
        """
        if self.trials and not any(_distribution(hp) for hp in self.hyperparameters.space):
            # entries may yet appear in the trials that run
            return {"status": "IDLE" if self.ongoing_trials else "STOPPED", "values": None}
        asked = self.study.ask()
        asked.set_user_attr(_TRIAL, trial_id)
        asked.set_user_attr(_PROJECT, self._project)
        self._numbers[trial_id] = asked.number
        hps = keras_tuner.HyperParameters()
        with warnings.catch_warnings():
            if asked.user_attrs.get("role") == "baseline":  # may lie outside a narrowed range
                warnings.filterwarnings("ignore", "Fixed parameter .* is out of range")
            for hp in self.hyperparameters.space:  # parents come before their children
                hps.merge([hp])
                if hps.is_active(hp):
                    hps.values[hp.name] = _suggest(asked, hp)
        return {"status": "RUNNING", "values": hps.values}

    @keras_tuner.synchronized
    def end_trial(self, trial: Any) -> None:
        """End or retry a trial as any oracle does, and tell the study when it has ended."""
        try:
            super().end_trial(trial)
        finally:  # too many failures in a row raise, and the study must know the last one
            self._tell(self.trials[trial.trial_id])

    def get_state(self) -> dict[str, Any]:
        """Return KerasTuner's state, and the label that the study's trials carry."""
        return {**super().get_state(), "project": self._project}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore KerasTuner's state and bring the study in line with it."""
        super().set_state(state)
        self._project = state.get("project", self._project)
        self._numbers = {}
        known = self._known_trials()
        for trial_id in self.start_order:
            if trial_id in known:
                self._numbers[trial_id] = known.pop(trial_id).number
            self._tell(self.trials[trial_id])
        for frozen in known.values():  # asked for, but killed before KerasTuner kept them
            if not frozen.state.is_finished():
                self.study.tell(frozen.number, state=TrialState.FAIL)
        if self._owns_study:  # the same seed would draw the same values again
            self.study.sampler = self._make_sampler(len(self.start_order))

    def _make_sampler(self, done: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self.seed, done]).generate_state(1)[0])
        return optuna.samplers.TPESampler(seed=seed)

    def _tell(self, trial: Any) -> None:
        """Bring the study's trial in line with an ended trial; others are left running."""
        if trial.status not in ("COMPLETED", "FAILED"):
            return
        number = self._numbers.get(trial.trial_id)
        asked = None if number is None else self.study.get_trials(deepcopy=False)[number]
        if asked is not None and asked.state in (TrialState.COMPLETE, TrialState.PRUNED):
            return
        score = trial.score if trial.status == "COMPLETED" else None
        if score is None or not math.isfinite(score):
            if asked is None:
                self._add(trial, TrialState.FAIL, None)
            elif not asked.state.is_finished():
                self.study.tell(asked.number, state=TrialState.FAIL)
            return
        if (
            asked is not None
            and not asked.state.is_finished()
            and set(asked.params) == set(self._parameters(trial)[0])
        ):
            self.study.tell(asked.number, float(score))
            return
        self._add(trial, TrialState.COMPLETE, float(score))
        if asked is not None and not asked.state.is_finished():
            self.study.tell(asked.number, state=TrialState.FAIL)

    def _add(self, trial: Any, state: TrialState, value: float | None) -> None:
        params, distributions = self._parameters(trial)
        attributes = {_TRIAL: trial.trial_id, _PROJECT: self._project}
        if trial.trial_id in self._numbers:
            attributes["supersedes"] = self._numbers[trial.trial_id]
        self.study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value,
                params=params,
                distributions=distributions,
                user_attrs=attributes,
            )
        )
        self._numbers[trial.trial_id] = self._known_trials()[trial.trial_id].number

    def _known_trials(self) -> dict[str, optuna.trial.FrozenTrial]:
        """Return this project's study trials by trial id, the latest of each."""
        return {
            frozen.user_attrs[_TRIAL]: frozen
            for frozen in self.study.get_trials(deepcopy=False)
            if frozen.user_attrs.get(_PROJECT) == self._project
        }

    def _parameters(self, trial: Any) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Return a trial's active, tuned values and their distributions, by Optuna's names."""
        params: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        tuned = {hp.name for hp in self.hyperparameters.space}
        hps = trial.hyperparameters
        for hp in hps.space:
            distribution = _distribution(hp)
            if distribution is None or hp.name not in tuned or not hps.is_active(hp):
                continue
            value, name = hps.values[hp.name], hp.name
            if _is_mirrored(hp):
                value, name = _mirror(hp, value), name + _MIRRORED
            params[name], distributions[name] = value, _widened(distribution, value)
        return params, distributions


def _distribution(hp: Any) -> BaseDistribution | None:
    """Return the Optuna twin of an entry, None for a `Fixed`."""
    kinds = keras_tuner.engine.hyperparameters
    if isinstance(hp, kinds.Fixed):
        return None
    if isinstance(hp, kinds.Boolean):
        return CategoricalDistribution((False, True))
    if isinstance(hp, kinds.Choice):
        return CategoricalDistribution(tuple(hp.values))
    log = hp.sampling in ("log", "reverse_log")
    if log and hp.step is not None:
        kind = int if isinstance(hp, kinds.Int) else float
        return CategoricalDistribution(tuple(kind(value) for value in hp.values))
    high = hp.max_value
    if hp.step is not None:  # Optuna wants a whole number of steps, in decimals
        steps = len(list(hp.values)) - 1
        high = type(high)(Decimal(str(hp.min_value)) + steps * Decimal(str(hp.step)))
    if isinstance(hp, kinds.Int):
        return IntDistribution(hp.min_value, high, log=log, step=1 if log else hp.step)
    return FloatDistribution(hp.min_value, high, log=log, step=hp.step)


def _is_mirrored(hp: Any) -> bool:
    return getattr(hp, "sampling", None) == "reverse_log" and hp.step is None


def _mirror(hp: Any, value: float) -> float:
    return min(max(hp.max_value + hp.min_value - value, hp.min_value), hp.max_value)


def _suggest(asked: optuna.Trial, hp: Any) -> Any:
    distribution = _distribution(hp)
    if distribution is None:
        return hp.value
    if _is_mirrored(hp):
        return _mirror(hp, _suggest_as(asked, hp.name + _MIRRORED, distribution))
    return _suggest_as(asked, hp.name, distribution)


def _suggest_as(asked: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return asked.suggest_categorical(name, distribution.choices)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high, log = distribution.low, distribution.high, distribution.log
    if isinstance(distribution, IntDistribution):
        return asked.suggest_int(name, int(low), int(high), step=distribution.step, log=log)
    return asked.suggest_float(name, low, high, step=distribution.step, log=log)


def _widened(distribution: BaseDistribution, value: Any) -> BaseDistribution:
    """Return the distribution with a value in it that was queued from outside."""
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        return distribution
    if distribution.low <= value <= distribution.high:
        return distribution
    low, high = min(distribution.low, value), max(distribution.high, value)
    return type(distribution)(low, high, log=distribution.log)
