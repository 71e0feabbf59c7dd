"""What every check raises, and the checks that both packages share."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


class InputError(ValueError):
    """An argument that breaks its rule: the message says the rule, the value and the cure.

    A class of its own tells what a user can cure from a fault of ours that raises `ValueError`.
    """


def is_number(value: object) -> bool:
    """Return whether a value is a real number, which a truth value is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number, which a truth value is not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_range(low: Any, high: Any, name: str) -> tuple[float, float]:
    """Return `(low, high)` as floats once `0 < low <= high < inf` holds.

    Args:
        low: Lower end, included.
        high: Upper end, included.
        name: The argument that the error names, for example `"declared"`.

    Raises:
        InputError: `0 < low <= high < inf` does not hold.
    """
    try:
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        raise InputError(
            f"`{name}` must be two numbers, but got low={low!r}, high={high!r}; "
            "pass e.g. (1e-5, 1.0)."
        ) from None
    if not 0 < low <= high < math.inf:
        raise InputError(
            f"`{name}` must hold 0 < low <= high < inf for a log-scaled rate, "
            f"but got low={low:g}, high={high:g}; pass e.g. (1e-5, 1.0)."
        )
    return low, high


def check_pair(pair: Any, name: str, *, example: str = "(1e-5, 1.0)") -> tuple[float, float]:
    """Return a pair `(low, high)` as floats once `0 < low <= high < inf` holds.

    Args:
        pair: What was passed.
        name: The argument that the error names.
        example: A pair that the error suggests.

    Raises:
        InputError: It is no pair, or its ends break their rule.
    """
    try:
        low, high = pair
    except (TypeError, ValueError):
        raise InputError(
            f"`{name}` must be a pair (low, high), but got {pair!r}; pass e.g. {example}."
        ) from None
    return check_range(low, high, name)
