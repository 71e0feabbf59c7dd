"""Passwords of addresses, hidden before anything is stored, printed or raised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PASSWORD = re.compile(r"(?P<head>[A-Za-z][\w+.-]*://[^\s/:@'\"]*):[^\s'\"/@]*@")
_ODD_PASSWORD = re.compile(r"(?P<head>[A-Za-z][\w+.-]*://[^\s/:@'\"]*):[^\s'\"]*@(?=[^\s@'\"]+)")
# a text that is an address as a whole, or an option with one, may hold blanks and quotes
_WHOLE = re.compile(r"^(?P<head>(?:--[\w-]+=)?[A-Za-z][\w+.-]*://[^/:@]*):.*@", re.S)
_QUERY = re.compile(
    r"(?P<head>[?&](?:password|passwd|pwd|token|secret|sslpassword)=)[^&\s'\"]*", re.I
)


def hide_passwords(value: Any) -> Any:
    """Return text, or every text of a nest, without the passwords of addresses in it.

    Example:
        >>> hide_passwords("--storage postgresql://me:secret@host/db?sslmode=require")
        '--storage postgresql://me:***@host/db?sslmode=require'
    """
    if isinstance(value, str):
        for pattern in (_WHOLE, _PASSWORD, _ODD_PASSWORD):
            value = pattern.sub(r"\g<head>:***@", value)
        return _QUERY.sub(r"\g<head>***", value)
    if isinstance(value, Mapping):
        return {hide_passwords(key): hide_passwords(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [hide_passwords(item) for item in value]
    return value
