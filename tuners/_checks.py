"""The checks of arguments, as `search_spaces` has them, and of what is installed."""

import importlib.util

from search_spaces._input import (
    InputError,
    check_choice,
    check_declared,
    check_pair,
    check_range,
    check_rate,
    check_whole,
    is_from,
    is_number,
    is_whole,
    needed_arguments,
)

__all__ = [
    "InputError",
    "check_choice",
    "check_declared",
    "check_pair",
    "check_range",
    "check_rate",
    "check_whole",
    "is_from",
    "is_number",
    "is_whole",
    "needed_arguments",
    "needs",
    "require_keras",
]


def require_keras(who: str) -> None:
    """Check that TensorFlow and Keras are installed, without loading them.

    Args:
        who: What needs them, for the message.

    Raises:
        ModuleNotFoundError: One of them is missing; the message says what to install.
    """
    missing = [name for name in ("tensorflow", "keras") if not _is_installed(name)]
    if missing:
        raise ModuleNotFoundError(needs(who, *missing), name=missing[0])


def needs(who: str, *missing: str) -> str:
    """Return the message on packages that are not installed, with the cure."""
    return (
        f"{who} needs {' and '.join(missing)}, not installed here; "
        f"run: pip install {' '.join(missing).replace('_', '-')}. Without them LossCurve, choose, "
        "NarrowedSampler, record and write_report work."
    )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # a module that was set to None, or has no spec
        return False
