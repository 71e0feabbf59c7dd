from __future__ import annotations

import pytest

from benchmarks.search_efficiency import show, summarise
from benchmarks.table_searches import Outcome, Outcomes

LONG, SHORT = "quality mlp adam", "quality logistic adamw"
RUNS = [
    {"task": LONG, "low": 1e-3, "high": 1e-2, "rate": 3e-3, "status": "ok", "steps": 2 * 20 * 104},
    {"task": SHORT, "low": 1e-3, "high": 1e-2, "rate": 3e-3, "status": "ok", "steps": 5 * 20 * 26},
]


def found() -> Outcomes:
    return {
        (LONG, "random", "default"): [Outcome(4, 2, 1), Outcome(6, 2, 0), Outcome(8, 3, 2)],
        (LONG, "random", "narrowed"): [Outcome(1, 1, 0), Outcome(1, 1, 0), Outcome(3, 1, 0)],
        (SHORT, "random", "default"): [Outcome(2, 2, 0), Outcome(2, 1, 0), Outcome(25, 25, 24)],
        (SHORT, "random", "narrowed"): [Outcome(1, 1, 0), Outcome(3, 1, 0), Outcome(9, 1, 0)],
    }


def test_figures_are_medians_of_the_tasks_medians_and_the_test_counts() -> None:
    default = summarise(found(), RUNS, [LONG, SHORT], "random", "default")
    narrowed = summarise(found(), RUNS, [LONG, SHORT], "random", "narrowed")
    assert default is not None
    assert narrowed is not None
    assert default["trials"] == default["with_test"] == 4.0  # of 6 and 2
    assert default["never"] == pytest.approx(1 / 6)
    assert default["diverged"] == 4.5
    assert default["diverged_share"] == pytest.approx(27 / (4 + 6 + 8 + 2 + 2 + 24))
    assert narrowed["trials"] == 2.0  # of 1 and 3
    assert narrowed["with_test"] == 5.5  # of 1 + 2 and 3 + 5
    assert (narrowed["equal"], narrowed["equal_with_test"]) == (1.0, 4.5)
    assert narrowed["diverged"] == 0.0


def test_what_was_not_run_has_no_figures() -> None:
    assert summarise(found(), RUNS, [LONG], "tpe", "default") is None
    assert summarise(found(), RUNS, [], "random", "default") is None


def test_tables_print_groups_ratios_and_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    some = {**found(), (SHORT, "random", "default"): [Outcome(25, 25, 0)] * 3}
    show(some, RUNS, ["random", "tpe"])
    printed = capsys.readouterr().out.splitlines()
    (row,) = [line for line in printed if line.startswith("50 batches") and "narrowed" in line]
    assert row.split("|")[1].split() == ["1.0", "3.0", "0.17", "0.50", "0%"]
    assert row.split("|")[3].split() == ["0.00", "(0.0%)"]
    (task,) = [line for line in printed if line.startswith(SHORT)]
    assert task.split() == [*SHORT.split(), "26", "5.0", ">24/3.0", "/"]
