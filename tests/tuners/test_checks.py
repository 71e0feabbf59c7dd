"""One wording for the checks of arguments."""

from __future__ import annotations

import math

import pytest

from tuners._checks import check_choice, check_whole


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None, math.nan, math.inf])
def test_whole_numbers_only(value: object) -> None:
    with pytest.raises(ValueError, match="`trials` must be a whole number of 1 or more, but got"):
        check_whole(value, "trials")


def test_whole_numbers_pass() -> None:
    assert check_whole(3.0, "trials") == 3
    assert check_whole(0, "seed", least=0) == 0


def test_choices() -> None:
    assert check_choice("tpe", ("tpe", "gp"), "sampler") == "tpe"
    with pytest.raises(ValueError, match=r"`engine` must be one of a, b, but got 7\."):
        check_choice(7, ("a", "b"), "engine")
