"""What every check raises, and the checks of arguments: the rule, the value received, the cure."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable
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


def is_from(value: object, package: str) -> bool:
    """Return whether a value is of a class of a package, or of one derived from it; or is one.

    The package is not loaded to tell.

    Example:
        >>> from fractions import Fraction
        >>> is_from(Fraction(1, 2), "fractions"), is_from(1, "fractions")
        (True, False)
    """
    kind = value if isinstance(value, type) else type(value)
    return any(each.__module__.split(".")[0] == package for each in kind.__mro__)


def needed_arguments(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function that have no default.

    Of compiled code, which does not tell, there are none.

    Example:
        >>> [each.name for each in needed_arguments(lambda hp, units=3: None)]
        ['hp']
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each for each in parameters if each.default is each.empty and each.kind not in kinds]


def check_whole(
    value: Any, name: str, least: int = 1, most: int | None = None, *, cure: str = ""
) -> int:
    """Return `value` as an int once it is a whole number of `least` or more.

    Args:
        value: What was passed; 3.0 counts as 3.
        name: The argument that the error names.
        least: The smallest value, included.
        most: The largest value, included; None for none.
        cure: What the error advises, without its full stop.

    Raises:
        InputError: It is not.

    Example:
        >>> check_whole(3, "trials")
        3
    """
    try:
        number = int(value)
        if (
            is_number(value)
            and number == value
            and number >= least
            and (most is None or number <= most)
        ):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    rule = f"of {least} or more" if most is None else f"from {least} to {most}"
    raise InputError(f"`{name}` must be a whole number {rule}, but got {_with(value, cure)}.")


def check_rate(value: Any, name: str, *, cure: str = "pass e.g. 1e-3") -> float:
    """Return `value` as a float once it is a positive and finite number.

    Args:
        value: What was passed.
        name: The argument that the error names.
        cure: What the error advises, without its full stop.

    Raises:
        InputError: It is not.

    Example:
        >>> check_rate(1, "baseline")
        1.0
    """
    if is_number(value) and 0 < value < math.inf:
        return float(value)
    raise InputError(f"`{name}` must be positive and finite, but got {_with(value, cure)}.")


def check_choice(value: Any, choices: Iterable[str], name: str, *, cure: str = "") -> str:
    """Return `value` once it is one of the choices; else suggest the nearest.

    Args:
        value: What was passed.
        choices: What may be passed.
        name: The argument that the error names.
        cure: What the error advises where no choice is near, without its full stop.

    Raises:
        InputError: It is none of them.

    Example:
        >>> check_choice("tpe", ["tpe", "random"], "sampler")
        'tpe'
    """
    known = list(choices)
    if isinstance(value, str) and value in known:
        return value
    text = value.lower() if isinstance(value, str) else ""
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
    got = f"{value!r}; did you mean {near[0]!r}?" if near else f"{_with(value, cure)}."
    raise InputError(f"`{name}` must be one of {', '.join(known)}, but got {got}")


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


def check_pair(
    pair: Any, name: str, *, kinds: str = "a pair (low, high)", example: str = "(1e-5, 1.0)"
) -> tuple[float, float]:
    """Return a pair `(low, high)` as floats once `0 < low <= high < inf` holds.

    Args:
        pair: What was passed.
        name: The argument that the error names.
        kinds: What the error says may be passed.
        example: A pair that the error suggests.

    Raises:
        InputError: It is no pair, or its ends break their rule.
    """
    try:
        low, high = pair
    except (TypeError, ValueError):
        raise InputError(
            f"`{name}` must be {kinds}, but got {pair!r}; pass e.g. {example}."
        ) from None
    return check_range(low, high, name)


def check_declared(pair: Any) -> tuple[float, float]:
    """Return the range of rates that a user allows, once it is a pair with `low < high`.

    Raises:
        InputError: It is none.
    """
    low, high = check_pair(pair, "declared")
    if low == high:
        raise InputError(
            f"`declared` must hold low < high, but both are {low:g}; pass e.g. (1e-5, 1.0)."
        )
    return low, high


def _with(value: object, cure: str) -> str:
    return f"{value!r}; {cure}" if cure else f"{value!r}"
