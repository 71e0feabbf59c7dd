"""The checks of `NarrowedSampler`'s arguments, and which samplers one wraps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from optuna.samplers import BaseSampler, GridSampler

from search_spaces.learning_rate import LearningRateBounds
from tuners._checks import InputError, check_pair
from tuners.study.optuna_private import inner_sampler


def as_pair(entry: Any, name: str) -> tuple[float, float]:
    """Return bounds as a pair.

    Raises:
        InputError: They are neither bounds nor such a pair.
    """
    if isinstance(entry, LearningRateBounds):
        return entry.low, entry.high
    kinds = "LearningRateBounds or a pair (low, high)"
    return check_pair(entry, f"bounds[{name!r}]", kinds=kinds, example="(1e-4, 1e-2)")


def refuse_grid(sampler: BaseSampler) -> None:
    """Check what is to be wrapped.

    Raises:
        TypeError: It is not a sampler, or is or wraps a `GridSampler`.
    """
    if not isinstance(sampler, BaseSampler):
        raise TypeError(
            f"`base_sampler` must be an optuna sampler, but got {type(sampler).__name__}; "
            "pass e.g. optuna.samplers.TPESampler()."
        )
    if any(isinstance(inner, GridSampler) for inner in nested(sampler)):
        raise TypeError(
            "`base_sampler` must draw inside the range it is given, but GridSampler draws "
            "from its own grid only; give GridSampler a grid inside the bounds, or use "
            "another sampler."
        )


def nested(sampler: Any) -> Iterator[Any]:
    """Give a sampler and those that it wraps."""
    while sampler is not None:
        yield sampler
        sampler = inner_sampler(sampler)


def names_of(widen: bool | Collection[str], bounds: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the bounds that may widen.

    Raises:
        InputError: `widen` is neither a bool nor names of these bounds.
    """
    if isinstance(widen, bool):
        return frozenset(bounds if widen else ())
    if isinstance(widen, str) or not isinstance(widen, Collection) or not set(widen) <= set(bounds):
        raise InputError(
            f"`widen` must be True, False or names among {sorted(bounds)}, but got {widen!r}; pass "
            "widen=False to keep the bounds as they are."
        )
    return frozenset(widen)
