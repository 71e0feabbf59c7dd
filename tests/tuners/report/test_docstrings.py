from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "tuners.comparison.comparing",
    "tuners.comparison.confusion",
    "tuners.comparison.judging",
    "tuners.comparison.looks",
    "tuners.comparison.result",
    "tuners.comparison.statistics",
    "tuners.figures.words",
    "tuners.report",
    "tuners.report.summary",
    "tuners.report.terminal",
    "tuners.report.formatting",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
