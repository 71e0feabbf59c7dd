"""Figures of a search and of a comparison: what is drawn is what the numbers say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from tuners.figures.search import Mark, best_so_far, draw_gains, pairs, trials_by_rate

BOUNDS = {"low": 2e-4, "high": 4e-3, "suggestion": 1e-3, "status": "ok"}
CHOICE = {
    "rates": [3e-4, 1e-3, 3e-3],
    "fitted": [0.5, 0.48, 0.52],
    "band": [[0.48, 0.47, 0.5], [0.52, 0.49, 0.54]],
    "plateau": [5e-4, 2e-3],
    "learning_rate": 1e-3,
    "baseline_learning_rate": None,
}
MARKS = [Mark(3e-4, 0.5, error=0.01), Mark(1e-3, 0.47, error=0.02), Mark(3e-3, 0.53)]


def bars(ax: Axes) -> dict[float, tuple[float, float]]:
    """The ends of every error bar by its place."""
    drawn = [each for each in ax.containers if isinstance(each, ErrorbarContainer)]
    segments = [segment for each in drawn for bar in each[2] for segment in bar.get_segments()]
    return {segment[0, 0]: (segment[0, 1], segment[1, 1]) for segment in segments}


def test_a_trial_stands_at_its_mean_with_its_standard_error() -> None:
    (ax,) = trials_by_rate(MARKS, BOUNDS, None, "val_loss").axes
    drawn = bars(ax)
    for mark in MARKS:
        assert mark.value is not None
        ends = (mark.value - mark.error, mark.value + mark.error)
        assert drawn[mark.rate] == pytest.approx(ends)
        assert ax.get_ylim()[0] < ends[0] <= ends[1] < ax.get_ylim()[1]
    (words,) = (
        text.get_text() for text in ax.figure.legends[0].texts if "trial" in text.get_text()
    )
    assert words == "trial: mean \u00b1 standard error"
    plain = trials_by_rate([Mark(1e-3, 0.5), Mark(2e-3, 0.6)], None, None, "val_loss")
    assert not bars(plain.axes[0])
    assert [text.get_text() for text in plain.legends[0].texts] == ["trial"]


@given(st.floats(1e-9, 1e3))
@settings(max_examples=20, deadline=None)
def test_baseline_bounds_and_choice_are_always_on_the_axis(baseline: float) -> None:
    (ax,) = trials_by_rate(MARKS, BOUNDS, baseline, "val_loss", choice=CHOICE).axes
    low, high = ax.get_xlim()
    assert low < min(baseline, 2e-4)
    assert max(baseline, 4e-3) < high
    lines = {line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1}
    assert {baseline, 1e-3} <= lines


@pytest.mark.parametrize("width", [380, 860])
@pytest.mark.parametrize("baseline", [1e-3, 1.1e-3, 9e-4, 0.1, 1e-6])
def test_the_names_of_rates_do_not_meet(width: int, baseline: float) -> None:
    choice = CHOICE | {"baseline_learning_rate": baseline}
    figure = trials_by_rate(MARKS, BOUNDS, baseline, "val_loss", choice=choice, width=width)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [text.get_window_extent(canvas.get_renderer()) for text in figure.axes[0].texts]
    line = figure.axes[0].transData.transform((baseline, 0))[0]
    one, other = names  # baseline, chosen
    assert not one.overlaps(other)
    assert not other.x0 + 3 < line < other.x1 - 3
    for box in names:
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y1 < figure.legends[0].get_window_extent().y0 + 1


def test_without_a_choice_the_best_trial_is_named() -> None:
    (ax,) = trials_by_rate(MARKS, BOUNDS, 2e-3, "val_loss", best=1e-3).axes
    assert [text.get_text() for text in ax.texts] == ["baseline 0.002", "best trial 0.001"]


@pytest.mark.parametrize("maximize", [False, True])
def test_what_failed_stands_at_the_worse_end(maximize: bool) -> None:
    marks = [*MARKS, Mark(0.01, None, "failed"), Mark(5e-3, 9e9, "beyond the drawn range")]
    (ax,) = trials_by_rate(marks, None, None, "score", maximize=maximize).axes
    low, high = ax.get_ylim()
    values = [mark.value for mark in MARKS]
    aside = [y for line in ax.lines for x, y in zip(*line.get_data(), strict=True) if x >= 5e-3]
    assert len(aside) == 2
    for place in aside:
        assert low < place < high
        assert place < min(values) if maximize else place > max(values)


def test_points_stand_where_their_numbers_say() -> None:
    figure = pairs([1.0, 4.0, 2.0], [3.0, 2.0, 2.0], [2.0, -2.0, 0.0], 0.0, {}, ("a", "b", "loss"))
    slopes, side = figure.axes
    drawn = np.concatenate([line.get_xydata() for line in side.lines if line.get_marker() in "^vo"])
    assert sorted(map(tuple, drawn)) == [(-2.0, 0.0), (0.0, 1.0), (2.0, 2.0)]  # sorted by gain
    joined = {tuple(line.get_ydata()[:2]) for line in slopes.lines if len(line.get_xdata()) == 3}
    assert joined == {(3.0, 1.0), (2.0, 4.0), (2.0, 2.0)}


def test_gains_on_axes_of_ones_own() -> None:
    gains = [0.3, -0.1, 0.2, 0.4]
    mean = math.fsum(gains) / 4
    ax = Figure().add_subplot()
    draw_gains(ax, gains, mean, {"t interval": (0.05, 0.35), "bootstrap": None}, "test loss")
    points = [line for line in ax.lines if line.get_marker() in ("^", "v", "o")]
    assert sorted(x for line in points for x in line.get_xdata()) == sorted(gains)
    (bar,) = (each for each in ax.containers if isinstance(each, ErrorbarContainer))
    assert bar[0].get_xdata() == pytest.approx([mean])  # the mean of what is drawn
    assert bar[2][0].get_segments()[0][:, 0] == pytest.approx([0.05, 0.35])
    assert [text.get_text() for text in ax.texts] == ["t interval"]
    assert ax.get_xlabel() == "gain in test loss"


def test_the_best_so_far_falls_in_stairs() -> None:
    steps = [
        {"ended": 1, "seconds": 2.0, "best": None, "value": None},
        {"ended": 2, "seconds": 4.0, "best": 0.7, "value": 0.7},
        {"ended": 3, "seconds": 5.0, "best": 0.4, "value": 0.4},
    ]
    by_trials, by_seconds = best_so_far(steps, steps[1:], "val_loss").axes
    for ax, key in ((by_trials, "ended"), (by_seconds, "seconds")):
        stairs = next(line for line in ax.lines if line.get_label() == "best so far")
        assert stairs.get_drawstyle() == "steps-post"
        assert list(stairs.get_xdata()) == [step[key] for step in steps]
