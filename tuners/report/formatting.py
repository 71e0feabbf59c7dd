"""Numbers, rates, durations and secrets as text: one wording for page and terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuners.figures.words import rate as rate
from tuners.figures.words import shorten as shorten
from tuners.figures.words import signed as signed

_OPTIMIZERS = "Adam AdamW Adamax Adadelta Adafactor Adagrad Ftrl Lamb Lion Muon Nadam RMSprop SGD"
_CLASSES = {name.lower(): name for name in _OPTIMIZERS.split()}


def number(value: Any, digits: int = 4) -> str:
    """Return a number with `digits` significant digits, "n/a" for None and what is not finite.

    Example:
        >>> number(0.123456), number(1234567.0), number(None), number(1e-5)
        ('0.1235', '1,234,567', 'n/a', '1e-5')
    """
    if value is None or isinstance(value, str):
        return "n/a" if value is None else value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not math.isfinite(value):
        return "n/a"
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+", "e")


def points(value: float | None) -> str:
    """Return a difference of two shares in percentage points, with its sign.

    Example:
        >>> points(0.00135), points(-0.0037)
        ('+0.14', '\u22120.37')
    """
    return "n/a" if value is None else f"{100 * value:+.2f}".replace("-", "\u2212")


def mean_with_sd(mean: float | None, sd: float | None) -> tuple[str, str]:
    """Return mean and standard deviation to the same decimal place, the sd with 2 digits.

    Example:
        >>> mean_with_sd(0.77994, 0.00891)
        ('0.7799', '0.0089')
    """
    if mean is None or not sd or not 1e-12 < sd < 1e12:
        return number(mean), number(sd, 2)
    places = max(0, 1 - math.floor(math.log10(sd)))
    return f"{mean:.{places}f}", f"{sd:.{places}f}"


def share(value: float | None, digits: int = 1) -> str:
    """Return a share in [0, 1] in percent."""
    return "n/a" if value is None else f"{100 * value:.{digits}f}\u00a0%"


def duration(seconds: float | None) -> str:
    """Return seconds as "8.4 s", "2 min 05 s" or "1 h 02 min".

    Example:
        >>> duration(8.41), duration(125.2), duration(3725)
        ('8.4 s', '2 min 05 s', '1 h 02 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return "n/a"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def paste_line(optimizer: Any, learning_rate: float | None) -> str | None:
    """Return the line that sets the rate, with the optimizer's class where its name is known.

    Example:
        >>> paste_line("adam", 0.000106532)
        'keras.optimizers.Adam(learning_rate=1.07e-4)'
        >>> paste_line(None, 0.5)
        'model.optimizer.learning_rate = 0.5'
    """
    if learning_rate is None:
        return None
    name = _CLASSES.get(str(optimizer).lower())
    if name is None:
        return f"model.optimizer.learning_rate = {rate(learning_rate)}"
    return f"keras.optimizers.{name}(learning_rate={rate(learning_rate)})"


def price(trainings: Mapping[str, float | None]) -> str:
    """Return what an answer cost in trainings, the whole and its parts; "" where it is unknown.

    Args:
        trainings: Of `range_test`, `search`, `comparison` and `total`, None where unknown.

    Example:
        >>> price({"range_test": 0.55, "search": 11, "comparison": 20, "total": 31.55})
        'this answer cost 31.6 trainings: range test 0.6, search 11, comparison 20'
        >>> price({"range_test": None, "search": 9, "comparison": None, "total": 9})
        'this answer cost 9 trainings: search 9'
    """
    if not trainings["total"]:
        return ""
    parts = [
        f"{part.replace('_', ' ')} {round(known, 1):g}"
        for part, known in trainings.items()
        if part != "total" and known
    ]
    return f"this answer cost {round(trainings['total'], 1):g} trainings: {', '.join(parts)}"
