from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuners.report.formatting import (
    duration,
    mean_with_sd,
    number,
    paste_line,
    points,
    rate,
    share,
    shorten,
    signed,
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "n/a"),
        (float("nan"), "n/a"),
        (float("inf"), "n/a"),
        (0, "0"),
        (1293, "1,293"),
        (0.123456, "0.1235"),
        (True, "yes"),
        (False, "no"),
        ("adam", "adam"),
        (1e-5, "1e-5"),
        (2.5e12, "2.5e12"),
    ],
)
def test_numbers(value: object, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "n/a"),
        (1e-3, "0.001"),
        (9.999e-4, "0.001"),
        (9.99e-4, "9.99e-4"),
        (1e-5, "1e-5"),
        (1.25e-4, "1.25e-4"),
        (0.18, "0.18"),
        (10.0, "10"),
    ],
)
def test_rates(value: float | None, words: str) -> None:
    assert rate(value) == words


def test_signs_shares_and_durations() -> None:
    assert signed(0.0412) == "+0.0412"
    assert signed(-0.0412) == "\u22120.0412"
    assert signed(0.0) == "0"
    assert signed(None) == "n/a"
    assert points(-0.0412) == "\u22124.12"
    assert points(None) == "n/a"
    assert share(0.5) == "50.0\u00a0%"
    assert share(None) == "n/a"
    assert duration(None) == "n/a"
    assert duration(59.94) == "59.9 s"
    assert duration(60) == "1 min 00 s"
    assert duration(3600) == "1 h 00 min"
    assert shorten("x" * 500, 10) == "x" * 9 + "\u2026"


def test_mean_and_sd_share_their_decimal_places() -> None:
    assert mean_with_sd(0.77994, 0.00891) == ("0.7799", "0.0089")
    assert mean_with_sd(12.34, 5.67) == ("12.3", "5.7")
    assert mean_with_sd(None, None) == ("n/a", "n/a")
    assert mean_with_sd(0.5, 0.0) == ("0.5", "0")


def test_the_line_to_paste() -> None:
    assert paste_line("SGD", 0.18) == "keras.optimizers.SGD(learning_rate=0.18)"
    assert paste_line("<script>", 0.18) == "model.optimizer.learning_rate = 0.18"
    assert paste_line("adam", None) is None


@given(st.floats(1e-9, 10))
def test_the_line_to_paste_is_python_and_names_the_rate_as_the_page_does(value: float) -> None:
    line = paste_line("adam", value)
    assert line is not None
    assert f"learning_rate={rate(value)})" in line
    (keyword,) = ast.parse(line, mode="eval").body.keywords  # type: ignore[attr-defined]
    assert ast.literal_eval(keyword.value) == pytest.approx(value, rel=6e-3)
