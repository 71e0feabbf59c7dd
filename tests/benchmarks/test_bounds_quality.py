"""The figures of range tests and how they are printed."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.bounds_quality import RULES, gather, line, measure, show, show_margins, summary
from benchmarks.task_list import TASKS


def run(low: float, rate: float, high: float, status: str = "ok", **changes: Any) -> dict[str, Any]:
    pick = {"rate": rate, "excess": 0.02, "as_good": True}
    return {
        "task": TASKS[0].name,
        "held_out": False,
        "seconds": 1.0,
        "cost": 0.8,
        "status": status,
        "low": low,
        "high": high,
        "lowest": rate,
        "covered": True,
        **pick,
        "rules": dict.fromkeys(RULES, pick),
    } | changes


def test_an_undecided_run_is_covered_in_one_figure_and_missed_in_the_other() -> None:
    found = summary([run(3e-3, 1e-2, 3e-2), run(1e-5, 3e-3, 1.0, status="no_descent", cost=1.6)])
    assert found["coverage"] == 1.0
    assert found["strict"] == found["undecided"] == 0.5
    assert found["width"] == pytest.approx((1 + 5) / 2)
    assert (found["cost"], found["most"]) == (pytest.approx(1.2), 1.6)
    assert TASKS[0].name in line(TASKS[0].name, found, (1e-3, 1e-2))


def test_groups_rules_and_tasks_are_gathered_and_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [run(3e-3, 1e-2, 3e-2), run(1e-3, 1e-2, 1e-1, held_out=True, task=TASKS[1].name)]
    results = gather(rows)
    assert {name: group["tasks"] for name, group in results["groups"].items()} == {
        "all": 2,
        "developed on": 1,
        "held out": 1,
    }
    assert results["groups"]["held out"]["width"] == pytest.approx(2)
    assert results["rules"]["held out"]["valley"]["excess"] == 0.02
    assert [task["held_out"] for task in results["tasks"]] == [False, True]
    assert results["tasks"][1]["low"] == 1e-3
    show(results)
    show_margins(rows)
    printed = capsys.readouterr().out
    for word in ("cover", "strict", "held out", "valley", "lightning", "as good", "lowest place"):
        assert word in printed


@pytest.mark.slow
def test_a_range_test_is_judged_by_the_stored_truth() -> None:
    (row,) = measure(next(task for task in TASKS if task.name == "iris adam"), 1)
    assert row["status"] == "ok"
    assert 0 < row["cost"] <= 2
    assert set(row["rules"]) == set(RULES)
