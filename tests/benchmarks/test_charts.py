"""The charts of the documentation: what they show of stored results."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import charts
from benchmarks.charts import LINES, MARKS, OURS, quality_by_cost, quality_by_seconds
from benchmarks.stored import read
from tuners.figures.style import NARROW, WIDE, svg


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_each_method_is_a_line_and_what_needs_no_search_is_a_mark(width: int) -> None:
    results = read("quality")["results"]
    figure = quality_by_cost(results, width)
    assert len(figure.axes) == 2
    for ax in figure.axes:
        drawn = {line.get_label(): line for line in ax.lines}
        assert set(drawn) == set(LINES) | set(MARKS)
        points = {line["method"]: line["points"] for line in results["lines"]}[OURS]
        assert list(drawn[OURS].get_xdata()) == [point["budget"] for point in points]
        assert len(ax.collections) == len(LINES)  # a band each
    assert "var(--blue)" in svg(figure, "quality", "chart")


def test_seconds_are_those_of_each_model() -> None:
    results = read("quality")["results"]
    figure = quality_by_seconds(results)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [model["model"] for model in results["seconds_of"]]
    assert all({line.get_label() for line in ax.lines} == set(LINES) for ax in figure.axes)


def test_the_picture_is_drawn_again_where_the_results_are_other_ones(tmp_path: Path) -> None:
    path, results = tmp_path / "quality.png", read("quality")["results"]
    assert not charts.picture_is_of(results, path)
    charts.write_picture(results, path)
    assert charts.picture_is_of(results, path)
    first = path.stat().st_mtime_ns
    charts.write_picture(results, path)
    assert path.stat().st_mtime_ns == first
    assert not charts.picture_is_of({**results, "data_sets": 0}, path)


def test_the_readmes_picture_is_of_the_stored_results() -> None:
    assert charts.picture_is_of(read("quality")["results"]), "run python -m benchmarks.charts"
