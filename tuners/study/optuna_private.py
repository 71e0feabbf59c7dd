"""What we use of Optuna that it does not document, in one place.

`tests/tuners/study/test_optuna_private.py` has a test of the same name for each.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState


def storage_of(study: optuna.Study) -> BaseStorage:
    """Return the storage of a study."""
    return study._storage


def backend(storage: BaseStorage) -> BaseStorage:
    """Return the storage itself, where Optuna has wrapped it into a cache."""
    found: BaseStorage = getattr(storage, "_backend", storage)
    return found if isinstance(found, BaseStorage) else storage


def study_id(study: optuna.Study) -> int:
    """Return the number that a study has in its storage."""
    return study._study_id


def trial_id(trial: FrozenTrial) -> int:
    """Return the number that a trial has in its storage, which is not the one in its study."""
    return trial._trial_id


def running_trial(study: optuna.Study, trial: FrozenTrial) -> optuna.Trial:
    """Return a stored trial as one that can be drawn, reported and told."""
    return optuna.Trial(study, trial._trial_id)


def begin_trial(study: optuna.Study, attributes: dict[str, Any]) -> FrozenTrial:
    """Add a trial that runs and has its attributes from the first moment.

    `Study.ask` sets none, so a trial whose process died right after it would be nobody's.
    """
    trial = optuna.create_trial(state=TrialState.RUNNING, user_attrs=attributes)
    number = study._storage.create_new_trial(study._study_id, template_trial=trial)
    return study._storage.get_trial(number)


def take_waiting_trial(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Let a queued trial run; return whether this call did.

    `Study.ask` takes the one with the lowest number, and makes a new one where there is none.
    """
    try:
        return study._storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING)
    except UpdateFinishedTrialError:
        return False


def fail_trial(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Fail a trial that runs; return whether this call did.

    Raises:
        UpdateFinishedTrialError: It had ended.
    """
    return study._storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)


def set_trial_attribute(study: optuna.Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Set a user attribute of a trial that runs, given as it is stored."""
    study._storage.set_trial_user_attr(trial._trial_id, key, value)


def fixed_values(trial: FrozenTrial) -> dict[str, Any]:
    """Return the values that a trial was queued with, by parameter."""
    return dict(trial.system_attrs.get("fixed_params", {}))


def release_fixed(trial: FrozenTrial, names: set[str]) -> None:
    """Let a queued trial's sampler choose some of the values that it was queued with.

    `Trial` reads them after it has called the sampler's `before_trial`, from the same object.

    Args:
        trial: What `before_trial` was given.
        names: The parameters.
    """
    fixed = fixed_values(trial)
    if names & set(fixed):
        kept = {name: value for name, value in fixed.items() if name not in names}
        trial.system_attrs = {**trial.system_attrs, "fixed_params": kept}


def retry_history(trial: FrozenTrial) -> list[int]:
    """Return the numbers of the trials that a trial was queued to replace."""
    return list(trial.system_attrs.get("retry_history", []))


def sampler_attributes(trial: FrozenTrial, prefix: str) -> dict[str, Any]:
    """Return what a sampler has kept on a trial, by names that begin with a prefix."""
    return {key: value for key, value in trial.system_attrs.items() if key.startswith(prefix)}


def write_sampler_attribute(study: optuna.Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Keep something of a sampler's or a pruner's on a trial that runs."""
    study._storage.set_trial_system_attr(trial._trial_id, key, value)


def forget_sampler_attributes(trial: FrozenTrial, prefix: str) -> None:
    """Remove from a trial in memory what `sampler_attributes` returns."""
    gone = sampler_attributes(trial, prefix)
    trial.system_attrs = {key: v for key, v in trial.system_attrs.items() if key not in gone}


def write_report(study: optuna.Study, trial: FrozenTrial, step: int, value: float) -> None:
    """Store what a trial that runs reported at a step, over what is there."""
    study._storage.set_trial_intermediate_value(trial._trial_id, step, value)


def whole_study(study: optuna.Study) -> optuna.Study:
    """Return the study itself where `HyperbandPruner` gave a sampler its view of one bracket.

    The view has no user attributes.
    """
    whole: optuna.Study = getattr(study, "_study", study)
    return whole


def inner_sampler(sampler: BaseSampler) -> BaseSampler | None:
    """Return the sampler that a `PartialFixedSampler` wraps, or ours; None for no wrapper."""
    return getattr(sampler, "_base_sampler", None)
