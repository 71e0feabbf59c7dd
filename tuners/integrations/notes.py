"""What is noted of bounds while a search goes on: which widened, which could not be used."""

from __future__ import annotations

import logging

import optuna

from tuners.study.optuna_private import whole_study

logger = logging.getLogger(__name__)

UNUSED = "bounds_not_used"  # a study's attribute: parameter -> why its bounds were not used
WIDENED = "bounds_widened"  # another one: parameter -> {"given": [low, high], "now": [low, high]}


def set_unused(study: optuna.Study, name: str, reason: str | None) -> None:
    """Note on a study why a parameter's bounds are not used; None takes it back."""
    study = whole_study(study)
    listed = dict(study.user_attrs.get(UNUSED, {}))
    if listed.get(name) == reason:
        return
    if reason is None:
        listed.pop(name)
    else:
        listed[name] = reason
    study.set_user_attr(UNUSED, listed)


def note_widened(
    study: optuna.Study, name: str, given: tuple[float, float], now: tuple[float, float]
) -> None:
    """Keep widened bounds on a study, and log them where they widen for the first time.

    Args:
        study: The study.
        name: The parameter.
        given: Its bounds as they were given.
        now: As they are.
    """
    study = whole_study(study)
    listed = study.user_attrs.get(WIDENED, {})
    entry = {"given": list(given), "now": list(now)}
    if listed.get(name) == entry:
        return
    if listed.get(name, {}).get("given") != entry["given"]:
        say_widened(name, given, now)
    study.set_user_attr(WIDENED, {**listed, name: entry})


def say_widened(name: str, given: tuple[float, float], now: tuple[float, float]) -> None:
    """Log that bounds have widened for the first time.

    Args:
        name: The parameter.
        given: Its bounds as they were given.
        now: As they are.
    """
    logger.warning(
        "%s: the best trial so far lies at the edge of [%.3g, %.3g], so trials are drawn from "
        "[%.3g, %.3g] now, and further on while that holds, inside the range that you declared; "
        "widen=False forbids it.",
        *(name, *given, *now),
    )
