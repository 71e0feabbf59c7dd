"""Rates, gains, ticks and names as the short texts that stand in figures."""

from __future__ import annotations

import math

from search_spaces._words import count as count
from search_spaces._words import rate as rate


def signed(value: float | None, digits: int = 3) -> str:
    """Return a number with its sign, a true minus for negative ones.

    Example:
        >>> signed(0.0111), signed(None)
        ('+0.0111', 'n/a')
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    return ("+" if value > 0 else "\u2212" if value < 0 else "") + f"{abs(value):.{digits}g}"


def tick(value: float) -> str:
    """Return a tick's number as short as it goes, with a true minus.

    Example:
        >>> tick(0.25), tick(200000.0), tick(1e9)
        ('0.25', '200000', '1e9')
    """
    return f"{value:.6g}".replace("e+0", "e").replace("e-0", "e-").replace("-", "\u2212")


def label(words: str, length: int = 28) -> str:
    """Return a stranger's name as one line that fits beside others."""
    return shorten("".join(c if c.isprintable() else " " for c in words), length)


def shorten(text: object, length: int = 80) -> str:
    """Return the text cut to `length` characters, an ellipsis at the cut."""
    text = str(text)
    return text if len(text) <= length else text[: length - 1] + "\u2026"
