"""One wording for the checks of arguments."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from tuners._checks import check_choice, check_rate, check_whole


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None, math.nan, math.inf])
def test_whole_numbers_only(value: object) -> None:
    with pytest.raises(ValueError, match="`trials` must be a whole number of 1 or more, but got"):
        check_whole(value, "trials")


def test_whole_numbers_pass() -> None:
    assert check_whole(3.0, "trials") == 3
    assert check_whole(0, "seed", least=0) == 0


@pytest.mark.parametrize("value", [-1, 65536, "80"])
def test_whole_numbers_up_to_an_end(value: object) -> None:
    rule = f"`port` must be a whole number from 0 to 65535, but got {value!r}; pass 0."
    with pytest.raises(ValueError, match=re.escape(rule)):
        check_whole(value, "port", 0, 65535, cure="pass 0")
    assert check_whole(65535, "port", 0, 65535) == 65535
    assert check_whole(0, "port", 0, 0) == 0
    with pytest.raises(ValueError, match="from 0 to 0, but got 1"):
        check_whole(1, "port", 0, 0)


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, True, "fast", None])
def test_rates_are_positive_and_finite(value: object) -> None:
    rule = f"`baseline` must be positive and finite, but got {value!r}; pass e.g. 1e-3."
    with pytest.raises(ValueError, match=re.escape(rule)):
        check_rate(value, "baseline")
    assert check_rate(np.float32(0.5), "baseline") == 0.5


def test_choices() -> None:
    assert check_choice("tpe", ("tpe", "gp"), "sampler") == "tpe"
    with pytest.raises(ValueError, match=r"`engine` must be one of a, b, but got 7\."):
        check_choice(7, ("a", "b"), "engine")
    with pytest.raises(ValueError, match=r"but got 'tqe'; did you mean 'tpe'\?"):
        check_choice("tqe", ("tpe", "gp"), "sampler", cure="pass 'gp'")
    with pytest.raises(ValueError, match=r"but got 'x'; pass 'gp'\."):
        check_choice("x", ("tpe", "gp"), "sampler", cure="pass 'gp'")
