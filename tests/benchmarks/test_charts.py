"""The charts of the documentation: what they show of stored results."""

from __future__ import annotations

from benchmarks.charts import bounds_of_tasks, excess_by_way
from benchmarks.stored import read
from tuners.figures.style import NARROW, WIDE, svg


def test_each_way_and_group_has_its_place_and_what_did_not_run_is_said() -> None:
    results = read("search_efficiency")["results"]
    groups = results["groups"]
    for width in (WIDE, NARROW):
        figure = excess_by_way(results, width)
        upper, lower = figure.axes
        assert upper.get_title(loc="left") == f"{groups['held out']['tasks']} tasks held out"
        ways = [label.get_text() for label in upper.get_yticklabels()]
        assert set(ways) == set(groups["held out"]["ways"])
        missing = set(ways) - set(groups["developed on"]["ways"])
        assert [text.get_text() for text in lower.texts] == ["not run"] * len(missing)
    assert "var(--blue)" in svg(figure, "excess", "chart")


def test_an_excess_of_nothing_still_has_a_place() -> None:
    found = {"equal": 1.0, "median": 0.0, "excess_90": 0.0, "cost": 33.0}
    figure = excess_by_way({"groups": {"held out": {"tasks": 1, "ways": {"ours": found}}}})
    (ax,) = figure.axes
    low, _ = ax.get_xlim()
    assert all(x >= low for line in ax.lines for x in line.get_xdata())


def test_bounds_stand_on_the_rates_as_good_as_the_best() -> None:
    tasks = [
        {"held_out": held_out, "as_good_rates": (1e-3, 1e-2), "low": 5e-4, "high": 5e-3}
        for held_out in (True, False, False)
    ]
    (ax,) = bounds_of_tasks({"tasks": tasks}).axes
    assert len(ax.lines) == 2 * len(tasks)
    assert [line.get_label() for line in ax.lines].count("bounds, task set aside") == 1
    assert ax.get_xscale() == "log"
