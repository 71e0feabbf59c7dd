from __future__ import annotations

import base64
import re

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from tuners.curves.loss_curve import LossCurve

RATES = np.geomspace(1e-6, 10, 150)
CLEAN = 2.3 - 1.4 / (1 + (1e-2 / RATES) ** 2) + (RATES / 0.5) ** 2


def test_the_picture_shows_bounds_suggestion_and_baseline_on_a_log_axis() -> None:
    losses = CLEAN[:, None] + 0.05 * np.random.default_rng(0).standard_normal((150, 4))
    ax = LossCurve(RATES, losses).plot(baseline=1e-3)
    assert ax.get_xscale() == "log"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("mean of 4" in label for label in labels)
    assert any("bounds: " in label for label in labels)
    assert any("suggestion" in label for label in labels)
    assert any("baseline 0.001" in label for label in labels)


def test_the_given_axes_are_used() -> None:
    ax = Figure().add_subplot()
    assert LossCurve(RATES, CLEAN).plot(ax) is ax


@pytest.mark.parametrize("losses", [np.full(150, np.nan), np.ones(150), CLEAN * 1e30])
@pytest.mark.parametrize("kind", ["ramp", "sweep", "per_epoch"])
def test_every_curve_can_be_drawn(losses, kind) -> None:
    ax = LossCurve(RATES, losses, kind=kind).plot()
    ax.figure.canvas.draw()


def test_what_is_drawn_lies_inside_the_seeds_that_it_stands_for() -> None:
    losses = CLEAN[:, None] + 0.05 * np.random.default_rng(0).standard_normal((150, 9))
    curve = LossCurve(RATES, losses)
    ax = curve.plot()
    (mean,) = (line for line in ax.lines if "mean" in str(line.get_label()))
    assert mean.get_ydata() == pytest.approx(curve.smoothed())
    singles = np.column_stack([LossCurve(RATES, seed).smoothed() for seed in losses.T])
    low, high = ax.get_ylim()
    band = ax.collections[0].get_paths()[0].vertices
    for rate, value in band[1:-1]:
        at = int(np.argmin(abs(np.log(RATES / rate))))
        inside = np.clip([singles[at].min(), singles[at].max()], -4 * high, 5 * high)
        assert inside[0] - 1e-9 <= value <= inside[1] + 1e-9
    assert low < mean.get_ydata().min() < high
    # the middle 80 % of nine seeds leave out the two outermost
    drawn = curve.drawn()
    assert drawn["band_low"] == pytest.approx(np.quantile(singles, 0.1, axis=1))
    assert (np.array(drawn["band_low"]) > singles.min(axis=1)).all()


def test_one_seed_has_no_band_and_a_sweep_keeps_its_ramp() -> None:
    curve = LossCurve(RATES, CLEAN, kind="sweep", coarse=LossCurve(RATES, CLEAN))
    drawn = curve.drawn()
    assert "band_low" not in drawn
    assert drawn["seeds"] == 1
    assert drawn["coarse"]["smoothed"] == pytest.approx(curve.coarse.smoothed())


@given(st.integers(7, 30), st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_no_drawn_mean_lies_outside_its_seeds(rows: int, seeds: int, seed: int) -> None:
    rates, generator = np.geomspace(1e-6, 10, rows), np.random.default_rng(seed)
    clean = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2
    losses = clean[:, None] + 0.3 * generator.standard_normal((rows, seeds))
    for kind in ("sweep", "ramp"):
        curve = LossCurve(rates, losses, kind=kind)
        mean, drawn = curve.smoothed(), curve.drawn()
        assert drawn["sparse"]
        assert (losses.min(axis=1) - 1e-9 <= mean).all()
        assert (mean <= losses.max(axis=1) + 1e-9).all()


def test_sparse_rates_are_drawn_as_points_with_their_standard_error() -> None:
    rates = np.geomspace(1e-4, 1e-1, 7)
    table = np.linspace(1, 2, 28).reshape(7, 4)
    curve = LossCurve(rates, table, kind="sweep")
    assert curve.smoothed() == pytest.approx(table.mean(axis=1))
    drawn = curve.drawn()
    error = table.std(axis=1, ddof=1) / 2
    assert drawn["band_high"] == pytest.approx(table.mean(axis=1) + error)
    ax = curve.plot()
    assert "mean of 4 seeds with its standard error" in {
        text.get_text() for text in ax.get_legend().get_texts()
    }
    (bars,) = ax.containers
    assert bars.lines[0].get_ydata() == pytest.approx(table.mean(axis=1))
    assert bars.lines[0].get_marker() == "o"


@pytest.mark.parametrize(
    "shown",
    [
        LossCurve(RATES, CLEAN, seconds=3.2),
        LossCurve(RATES, CLEAN).bounds(),
        LossCurve(RATES, np.full(150, np.nan)).bounds(),
    ],
)
def test_curves_and_bounds_show_themselves(shown) -> None:
    for text in (repr(shown), str(shown).split(". ")[0]):
        assert len(text) < 200
        assert re.search(r"\d to [\d.]+, try ", text)
    page = shown._repr_html_()
    assert page.startswith("<div><p>")
    image = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    assert image.startswith(b"\x89PNG")
