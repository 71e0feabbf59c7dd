"""Curve, bounds, facts, choice and comparison onto an Optuna study, and back: plain attributes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from search_spaces._input import InputError
from search_spaces.learning_rate import LearningRateBounds
from tuners.curves.loss_curve import LossCurve
from tuners.study.schema import RUN, WORK, WORK_FACTS, gather_facts, plain
from tuners.study.tuner_study import Tuner, as_study

if TYPE_CHECKING:
    import optuna

    from tuners.choosing.choice import Choice
    from tuners.comparison.result import Comparison

Entry = TypeVar("Entry")


def record(
    study: optuna.Study | Tuner,
    *,
    curve: LossCurve | None = None,
    bounds: LearningRateBounds | None = None,
    choice: Choice | None = None,
    comparison: Comparison | None = None,
    name: str = "learning_rate",
) -> None:
    """Write curve, bounds, choice or comparison onto a study; what is None is left as it is.

    Args:
        study: Any Optuna study, in any storage; or a KerasTuner tuner (see `as_study`).
        curve: The range test's curve of parameter `name`.
        bounds: The bounds of parameter `name`.
        choice: What `choose` returned.
        comparison: The comparison of the chosen rate with the baseline.
        name: The parameter that curve and bounds belong to.

    Raises:
        ValueError: `study` is neither, or one of the others is not what its name says.

    Example:
        >>> import optuna
        >>> from search_spaces import LearningRateBounds
        >>> study = optuna.create_study()
        >>> record(study, bounds=LearningRateBounds(1e-4, 1e-2, 1e-3, "ok", "by hand"))
        >>> recorded_bounds(study)["learning_rate"].high
        0.01
    """
    study = as_study(study)
    given = {"curve": curve, "bounds": bounds, "choice": choice, "comparison": comparison}
    for word, value in given.items():
        _check_kind(word, value)
    if curve is not None:
        _merge(study, "curve", {name: plain(curve.to_dict())})
    if bounds is not None:
        _merge(study, "bounds", {name: bounds.to_dict()})
    if choice is not None:
        study.set_user_attr("choice", choice.to_dict())
    if comparison is not None:
        study.set_user_attr("comparison", plain(comparison.to_dict(), 12))


_KINDS = {  # by their names, since choice and comparison lie above
    "curve": ("LossCurve", "range_test(...)"),
    "bounds": ("LearningRateBounds", "curve.bounds()"),
    "choice": ("Choice", "choose(study)"),
    "comparison": ("Comparison", "compare(...)"),
}


def _check_kind(name: str, value: Any) -> None:
    kind, cure = _KINDS[name]
    if value is not None and type(value).__name__ != kind:
        raise InputError(f"`{name}` must be a {kind}, but got {value!r:.80}; pass {cure}.")


def record_facts(study: optuna.Study, **facts: Any) -> None:
    """Write plain facts (numbers, strings, lists) onto a study, in the parts that `schema` tells.

    What is the same already is not written again, since a journal keeps every write.
    """
    for part, told in ((RUN, False), (WORK, True)):
        own = {name: fact for name, fact in facts.items() if (name in WORK_FACTS) is told}
        if own:
            _merge(study, part, plain(own, 12))


def recorded_bounds(study: optuna.Study) -> dict[str, LearningRateBounds]:
    """Return the bounds on a study by parameter name, {} where there are none.

    Raises:
        InputError: What the study carries as `bounds` is something else.
    """
    return _read_entries(study, "bounds", LearningRateBounds.from_dict)


def recorded_curves(study: optuna.Study) -> dict[str, LossCurve]:
    """Return the curves on a study by parameter name, {} where there are none.

    Raises:
        InputError: What the study carries as `curve` is something else.
    """
    return _read_entries(study, "curve", LossCurve.from_dict)


def _read_entries(
    study: optuna.Study, key: str, read: Callable[[Mapping[str, Any]], Entry]
) -> dict[str, Entry]:
    stored = _stored(study, key)
    with readable(study, key):
        return {name: read(entry) for name, entry in stored.items()}


def read_entry(
    study: optuna.Study, key: str, read: Callable[[Mapping[str, Any]], Entry]
) -> Entry | None:
    """Return what a study carries as `key`, None where it carries nothing.

    Args:
        study: The study.
        key: Name of the attribute.
        read: Makes the entry of what is stored.

    Raises:
        InputError: It is something else.
    """
    stored = study.user_attrs.get(key)
    with readable(study, key):
        return None if stored is None else read(stored)


def recorded_facts(study: optuna.Study) -> dict[str, Any]:
    """Return the facts on a study by name, {} where there are none."""
    return gather_facts(study.user_attrs)


def _stored(study: optuna.Study, key: str) -> Mapping[str, Any]:
    found = study.user_attrs.get(key, {})
    with readable(study, key):
        if not isinstance(found, Mapping):
            raise TypeError(f"{type(found).__name__} in place of a mapping")
    return found


@contextlib.contextmanager
def readable(study: optuna.Study, key: str) -> Iterator[None]:
    """Turn what goes wrong while an attribute is read into an error that names study and cure."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
    else:
        return
    raise InputError(
        f"the study {study.study_name!r} must carry `{key}` as this version writes it, but it "
        f"cannot be read ({problem[:200]}); it was made by another version, or changed: use "
        "another study."
    )


def _merge(study: optuna.Study, key: str, entries: Mapping[str, Any]) -> None:
    known = _stored(study, key)
    merged = {**known, **entries}
    if merged != known:  # several processes may write the same, and a journal keeps every write
        study.set_user_attr(key, merged)
