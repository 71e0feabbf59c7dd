"""Which of a trial's parameters is the learning rate, and what a value is called, in any study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


def float_distributions(trials: Sequence[FrozenTrial]) -> dict[str, dict[str, Any]]:
    """Return low, high and log of every float parameter that the trials have."""
    found: dict[str, dict[str, Any]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
            if isinstance(low, float) and isinstance(high, float):
                log = bool(getattr(distribution, "log", False))
                found[str(name)] = {"low": low, "high": high, "log": log}
    return found


def objective_name(study: optuna.Study) -> str | None:
    """Return the name that a study's values were given with `set_metric_names`, None without."""
    names = study.metric_names
    return names[0] if names else None


def pick_rate(
    recorded: Sequence[str],
    distributions: Mapping[str, Mapping[str, Any]],
    used: Mapping[str, Any],
) -> str | None:
    """Return the learning rate's name: a recorded one, else the likeliest; None for none.

    Args:
        recorded: Names that bounds or curves were recorded for.
        distributions: What `float_distributions` returned.
        used: Parameters of a trial, one of which is preferred.

    Example:
        >>> pick_rate([], {"lr": {"low": 1e-5, "high": 1.0, "log": True}}, {})
        'lr'
    """
    likely = list(recorded)
    if not likely:
        likely = [name for name in distributions if "learning_rate" in name.lower()]
        likely += [name for name in distributions if name.lower() in ("lr", "eta", "step_size")]
        likely += [name for name in distributions if name.lower().endswith("lr")]
        likely += [name for name, entry in distributions.items() if entry["log"]]
        likely = [name for name in likely if distributions[name]["low"] > 0]
    return next((name for name in likely if name in used), likely[0] if likely else None)


def rate_of(params: Mapping[str, Any], parameter: str | None) -> str | None:
    """Return the name of a trial's rate: with several optimizers each has one of its own name.

    Args:
        params: Parameters of the trial.
        parameter: The rate's name elsewhere in the study, or None.
    """
    if parameter is None or parameter in params:
        return parameter
    if "optimizer" not in params:
        return None
    return next((name for name in params if name.startswith("learning_rate")), None)
