"""What we use of Optuna that it does not document, in one place: a test here fails by its name."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.trial import FrozenTrial


def release_fixed(trial: FrozenTrial, names: set[str]) -> None:
    """Let a queued trial's sampler choose some of the values that it was queued with.

    `Trial` reads them after it has called the sampler's `before_trial`, from the same object.

    Args:
        trial: What `before_trial` was given.
        names: The parameters.
    """
    fixed = trial.system_attrs.get("fixed_params", {})
    if names & set(fixed):
        kept = {name: value for name, value in fixed.items() if name not in names}
        trial.system_attrs = {**trial.system_attrs, "fixed_params": kept}


def set_trial_attribute(study: optuna.Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Set a user attribute of a trial that runs, given as it is stored.

    Args:
        study: The study.
        trial: The trial.
        key: Name of the attribute.
        value: What JSON can hold.
    """
    study._storage.set_trial_user_attr(trial._trial_id, key, value)
