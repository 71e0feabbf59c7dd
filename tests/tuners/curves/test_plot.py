from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib.figure import Figure

from tuners.curves.loss_curve import LossCurve

RATES = np.geomspace(1e-6, 10, 50)
CLEAN = 2.3 - 1.4 / (1 + (1e-2 / RATES) ** 2) + (RATES / 0.5) ** 2


def test_the_picture_shows_bounds_suggestion_and_baseline_on_a_log_axis() -> None:
    losses = CLEAN[:, None] + 0.05 * np.random.default_rng(0).standard_normal((50, 4))
    ax = LossCurve(RATES, losses).plot(baseline=1e-3)
    assert ax.get_xscale() == "log"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("mean of 4" in label for label in labels)
    assert any("bounds (ok)" in label for label in labels)
    assert any("suggestion" in label for label in labels)
    assert any("baseline 0.001" in label for label in labels)


def test_the_given_axes_are_used() -> None:
    ax = Figure().add_subplot()
    assert LossCurve(RATES, CLEAN).plot(ax) is ax


@pytest.mark.parametrize("losses", [np.full(50, np.nan), np.ones(50), CLEAN * 1e30])
@pytest.mark.parametrize("kind", ["ramp", "sweep", "per_epoch"])
def test_every_curve_can_be_drawn(losses, kind) -> None:
    ax = LossCurve(RATES, losses, kind=kind).plot()
    ax.figure.canvas.draw()
