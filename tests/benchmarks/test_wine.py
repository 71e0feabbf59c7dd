"""The figures of the wine runs, as they are read from what the command writes."""

from __future__ import annotations

import pytest

from benchmarks.wine import article_row, row
from tests.tuners.report.report_studies import make_comparison, make_study
from tuners import Choice, record
from tuners.report.summary import summarize


def test_a_row_holds_what_the_report_says() -> None:
    study = make_study(comparison=make_comparison(0.02, pairs=12))
    record(study, choice=Choice(1.2e-3, (1e-3, 2e-3), (8e-4, 3e-3), True, "by hand"))
    report = summarize(study)
    found = row("seed 0", report)
    assert found["run"] == "seed 0"
    assert (found["chosen"], tuple(found["plateau"])) == (1.2e-3, (8e-4, 3e-3))
    assert (found["pairs"], found["verdict"]) == (12, report["verdict"])
    assert found["gain"][0] == pytest.approx(found["test_loss"][1] - found["test_loss"][0])
    assert found["gain"][1] < found["gain"][0] < found["gain"][2]


def test_the_articles_row_holds_both_its_verdicts() -> None:
    comparison = make_comparison(-0.02, pairs=12)
    result = {
        "learning_rate": 5e-3,
        "default": {"accuracy": 0.78},
        "chosen": {"accuracy": 0.79},
        "published": {"learning_rate": 0.007},
        "settings": {"epochs": 100},
        "comparison": comparison.to_dict(),
    }
    found = article_row(result)
    assert found["one_run"] == {"default": 0.78, "chosen": 0.79}
    assert (found["wins"], found["pairs"]) == (comparison.wins, 12)
    assert found["accuracy"][0] == comparison.accuracy_gain
