"""One wording for the checks of arguments: the rule, the value received, the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from search_spaces._input import InputError


def check_whole(value: Any, name: str, least: int = 1) -> int:
    """Return `value` as an int once it is a whole number of `least` or more.

    Raises:
        ValueError: It is not.

    Example:
        >>> check_whole(3, "trials")
        3
    """
    try:
        if not isinstance(value, bool) and int(value) == value and value >= least:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"`{name}` must be a whole number of {least} or more, but got {value!r}.")


def check_choice(value: Any, choices: Iterable[str], name: str) -> str:
    """Return `value` once it is one of the choices; else suggest the nearest.

    Raises:
        ValueError: It is none of them.

    Example:
        >>> check_choice("tpe", ["tpe", "random"], "sampler")
        'tpe'
    """
    known = list(choices)
    if isinstance(value, str) and value in known:
        return value
    near = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise InputError(f"`{name}` must be one of {', '.join(known)}, but got {value!r}{hint}")
