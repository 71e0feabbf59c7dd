"""The three plots of the published experiment, as PNG files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RAMP, CURVE, FINAL = "1-growing-rate.png", "2-loss-by-rate.png", "3-final-model.png"
BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"  # Okabe and Ito's, told apart by all


def write_plots(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the plots and write each whole or not at all; return their paths.

    Args:
        result: What `tuners.cli.article.repeat` returned.
        folder: Where to; it exists.
    """
    drawn = {
        RAMP: draw_ramp(result["ramp"]),
        CURVE: draw_curve(result["ramp"], result["learning_rate"]),
        FINAL: draw_final(result["chosen"], result["learning_rate"]),
    }
    return [_save(figure, folder / name) for name, figure in drawn.items()]


def draw_ramp(ramp: Mapping[str, Any]) -> Figure:
    """Return loss, accuracy and rate by epoch, for the rate that grows."""
    figure, axes = _figure()
    _by_epoch(axes, ramp["curves"]["loss"], "loss", BLUE, "-")
    _by_epoch(axes, ramp["curves"]["accuracy"], "accuracy", ORANGE, "--")
    _by_epoch(axes, ramp["learning_rates"], "learning rate", GREEN, ":")
    axes.set(xlabel="epoch", ylabel="value", title="A rate that grows from epoch to epoch")
    axes.legend(frameon=False)
    return figure


def draw_curve(ramp: Mapping[str, Any], chosen: float) -> Figure:
    """Return the loss of each epoch against its rate on a log axis, the chosen rate marked."""
    figure, axes = _figure()
    axes.semilogx(ramp["learning_rates"], _numbers(ramp["curves"]["loss"]), color=BLUE)
    axes.axvline(chosen, color=ORANGE, linestyle="--", label=f"chosen: {chosen:.3g}")
    axes.set(xlabel="learning rate", ylabel="training loss", title="Loss against learning rate")
    axes.legend(frameon=False)
    return figure


def draw_final(run: Mapping[str, Any], rate: float) -> Figure:
    """Return accuracy and loss of the final model by epoch."""
    figure, axes = _figure()
    _by_epoch(axes, run["curves"]["accuracy"], "training accuracy", ORANGE, "--")
    _by_epoch(axes, run["curves"]["loss"], "training loss", BLUE, "-")
    axes.set(xlabel="epoch", ylabel="value", title=f"The final model, at rate {rate:.3g}")
    axes.legend(frameon=False)
    return figure


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)
    return figure, axes


def _by_epoch(
    axes: Axes, values: Sequence[float | None], label: str, color: str, style: str
) -> None:
    numbers = _numbers(values)
    axes.plot(np.arange(1, len(numbers) + 1), numbers, color=color, linestyle=style, label=label)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def _save(figure: Figure, path: Path) -> Path:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    partial = path.with_suffix(".partial")
    partial.write_bytes(drawn.getvalue())
    os.replace(partial, path)  # noqa: PTH105
    return path
