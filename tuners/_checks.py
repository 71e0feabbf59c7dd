"""The checks of arguments, as `search_spaces` has them: one wording for both packages."""

from search_spaces._input import (
    InputError,
    check_choice,
    check_pair,
    check_range,
    check_rate,
    check_whole,
    is_from,
    is_number,
    is_whole,
)

__all__ = [
    "InputError",
    "check_choice",
    "check_pair",
    "check_range",
    "check_rate",
    "check_whole",
    "is_from",
    "is_number",
    "is_whole",
]
