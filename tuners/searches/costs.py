"""What a search has cost so far, as facts on its study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from tuners.searches.plan import SearchPlan
from tuners.study.recording import record_facts
from tuners.study.schema import GRADIENT_STEPS
from tuners.training.rows import batches_of


def record_search_cost(
    study: optuna.Study, plan: SearchPlan, trials: Sequence[Mapping[str, Any]]
) -> None:
    """Write epochs, gradient steps and seconds of the finished trials onto a study.

    Args:
        study: The study.
        plan: What was searched.
        trials: User attributes of its finished trials.
    """
    epochs = sum(each.get("epochs", 0) for each in trials) * plan.splits
    batches = max(batches_of(branch.task) for branch in plan.branches)
    seconds = sum(each.get("seconds", 0.0) for each in trials)
    write_cost(study, epochs, epochs * batches, seconds)


def write_cost(study: optuna.Study, epochs: int, steps: int, seconds: float) -> None:
    """Write what a search has cost onto its study: epochs and gradient steps of all its lanes."""
    facts = {"epochs_search": epochs, "steps_search": steps, "seconds_search": round(seconds, 3)}
    record_facts(study, **facts)
    study.set_user_attr(GRADIENT_STEPS, steps)
