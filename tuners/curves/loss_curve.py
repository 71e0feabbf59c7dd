"""LossCurve: losses by learning rate, and bounds read from them. NumPy alone, any framework."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from search_spaces._picture import new_axes, notebook_html
from search_spaces.learning_rate import LearningRateBounds
from tuners._checks import InputError, check_choice, check_pair
from tuners.curves.bounds import read_bounds
from tuners.curves.published_rules import apply_rule
from tuners.curves.smoothing import finite_table, is_sparse, smooth_curve
from tuners.figures.curves import draw_loss_curve
from tuners.figures.words import count, rate

KINDS = ("ramp", "sweep", "per_epoch")


@dataclass(frozen=True, eq=False)
class LossCurve:
    """Losses measured at a row of learning rates, kept raw, with what is read from them.

    Args:
        learning_rates: The rate of each row, `(steps,)`, positive and finite. A ramp and a
            per-epoch curve are in the order of time, from low to high; a sweep is sorted here.
        losses: The raw loss of each row, `(steps,)`, or `(steps, seeds)` for runs that differ in
            their seed only. NaN and infinities say that the loss was not finite. In a `"ramp"`
            row i is the loss of batch i, measured before the update with rate i; in a
            `"per_epoch"` curve it is the loss of epoch i; in a `"sweep"` it is the loss that a
            short training at that constant rate reached, each rate from the same weights, best
            on rows that it did not train on.
        kind: `"ramp"`, `"sweep"` or `"per_epoch"`.
        declared: The range `(low, high)` that would be searched without a range test; bounds
            stay inside it. None means the range of `learning_rates`.
        coarse: The ramp that placed a sweep, drawn above it; None where there is none.
        gradient_steps: What the measurement cost, in gradient steps of one model.
        epochs: Epochs of the trainings that it was measured for, None where unknown.
        training_steps: Gradient steps of one such training, None where unknown.
        seconds: How long the measurement took, None where unknown.
        note: A sentence with which the reason of the bounds ends; "" for none.

    Raises:
        ValueError: An argument breaks its rule; the message names it.

    Example:
        >>> import numpy as np
        >>> rates = np.geomspace(1e-6, 10, 200)
        >>> losses = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2
        >>> bounds = LossCurve(rates, losses).bounds()
        >>> bounds.status, bounds.low < 0.03 < bounds.high
        ('ok', True)
    """

    learning_rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    _: KW_ONLY
    kind: str = "ramp"
    declared: tuple[float, float] | None = None
    coarse: LossCurve | None = None
    gradient_steps: int | None = None
    epochs: int | None = None
    training_steps: int | None = None
    seconds: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        kind, coarse = check_choice(self.kind, KINDS, "kind"), self.coarse
        rates = _numbers(self.learning_rates, "learning_rates")
        if rates.ndim != 1 or not rates.size or not (np.isfinite(rates) & (rates > 0)).all():
            raise InputError(
                "`learning_rates` must be one row of positive, finite rates, "
                f"but got {_describe(rates)}; pass e.g. numpy.geomspace(1e-6, 10, 200)."
            )
        if kind != "sweep" and (np.diff(rates) < 0).any():
            raise InputError(
                f"`learning_rates` of a {kind} must never fall, since they are in the order of "
                f"time, but got {_describe(rates)}; pass kind='sweep' for separate trainings."
            )
        order = np.argsort(rates, kind="stable")
        table = _table(self.losses, rates, "losses")
        if coarse is not None and not isinstance(coarse, LossCurve):
            raise InputError(f"`coarse` must be a LossCurve or None, but got {coarse!r}.")
        keep = partial(object.__setattr__, self)
        keep("learning_rates", _frozen(rates[order]))
        keep("losses", _frozen(table[order]))
        if self.declared is not None:
            keep("declared", check_pair(self.declared, "declared"))
        if self.gradient_steps is not None:
            keep("gradient_steps", int(self.gradient_steps))

    @property
    def seeds(self) -> int:
        """How many seeds were measured, 1 or more."""
        return 1 if self.losses.ndim == 1 else self.losses.shape[1]

    @property
    def table(self) -> NDArray[np.float64]:
        """The raw losses as `(steps, seeds)`, also where there is one seed."""
        return self.losses.reshape(len(self.learning_rates), -1)

    @property
    def trainings(self) -> float | None:
        """What the measurement cost, in trainings to come; None where that is unknown."""
        if self.gradient_steps is None or not self.training_steps:
            return None
        return self.gradient_steps / self.training_steps

    def smoothed(self) -> NDArray[np.float64]:
        """Return the mean over seeds, `(steps,)`, smoothed on both sides where rates are dense.

        Where the rates are a tenth of a decade or more apart it is the plain mean, NaN where a loss
        is not finite. Elsewhere losses far above the start are clipped before they are averaged,
        so that one seed's explosion does not hide the others. Of several seeds it lies nowhere
        outside their range; where nothing finite was measured, all are NaN.
        """
        return smooth_curve(self.learning_rates, self.table)

    def bounds(self, declared: tuple[float, float] | None = None) -> LearningRateBounds:
        """Return the rates worth searching, or the declared range with the reason.

        Args:
            declared: The range that the user allows; None means the curve's own `declared`, and
                without one the range of its rates.

        Raises:
            ValueError: `declared` does not hold `0 < low <= high < inf`.
        """
        if declared is None:
            declared = self.declared
        if declared is None:
            declared = (float(self.learning_rates[0]), float(self.learning_rates[-1]))
        pair = check_pair(declared, "declared")
        found = read_bounds(self.learning_rates, self.table, pair, self.kind)
        return replace(found, reason=f"{found.reason} {self.note}") if self.note else found

    def describe(self) -> str:
        """Return the bounds and what they cost in one line.

        Example:
            >>> import numpy as np
            >>> rates = np.geomspace(1e-6, 10, 200)
            >>> losses = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2
            >>> LossCurve(rates, losses, seconds=3.14).describe()
            'learning rate 0.00155 to 0.174, try 0.00775 (1 seed, 3.1 s)'
        """
        bounds = self.bounds()
        cost = [count(len(self.learning_rates), "rate")] if self.kind == "sweep" else []
        if self.seeds > 1 or not cost:
            cost.append(count(self.seeds, "seed"))
        if self.trainings is not None:
            cost.append(f"{self.trainings:.1f} trainings' steps")
        if self.seconds is not None:
            cost.append(f"{self.seconds:.1f} s")
        words = f"learning rate {bounds.describe()} ({', '.join(cost)})"
        if not bounds.decided:
            return f"{words}. {bounds.reason}"
        return f"{words}. {self.note}" if self.note else words

    def __repr__(self) -> str:
        spread = f"{rate(self.learning_rates[0])} to {rate(self.learning_rates[-1])}"
        size = f"{len(self.learning_rates)} rates from {spread}"
        return f"LossCurve({self.kind}: {size}; {self.describe()})"

    def _repr_html_(self) -> str:
        return notebook_html(self.describe(), self.plot())

    def suggest(self, rule: str | None = None) -> float:
        """Return one rate, by `bounds()` for None or else by a published rule, for comparison.

        Args:
            rule: One of `tuners.curves.published_rules.RULES`, for example `"valley"`.

        Raises:
            ValueError: The rule is unknown, or the curve has too few points for it.
        """
        if rule is None:
            return self.bounds().suggestion
        return apply_rule(rule, self.learning_rates, self.table)

    def plot(self, ax: Axes | None = None, baseline: float | None = None) -> Axes:
        """Draw seeds, mean, band, bounds and suggestion on a log axis; never shows a window.

        Args:
            ax: The Matplotlib axes to draw on; None makes a figure without a window.
            baseline: A rate to mark for comparison; None marks none.
        """
        ax = new_axes() if ax is None else ax
        draw_loss_curve(ax, self.drawn(), self.bounds().to_dict(), baseline)
        ax.legend(loc="best", fontsize="small")
        return ax

    def drawn(self) -> dict[str, Any]:
        """Return `to_dict` with what a picture shows beside it.

        That is `seeds`, `smoothed`, `sparse` (whether the rates lie too far apart to smooth), and
        of several seeds `band_low` and `band_high`: between them lie the middle 80 % of the
        smoothed seeds, and of sparse rates the mean with its standard error.
        """
        plain = self.to_dict() | {"seeds": self.seeds, "smoothed": _plain(self.smoothed())}
        plain["coarse"] = None if self.coarse is None else self.coarse.drawn()
        rates = self.learning_rates
        plain["sparse"] = is_sparse(rates)
        if self.seeds > 1 and plain["sparse"]:
            mean, seeds = self.smoothed(), finite_table(self.table)
            error = seeds.std(axis=1, ddof=1) / np.sqrt(self.seeds)
            plain["band_low"], plain["band_high"] = _plain(np.array([mean - error, mean + error]))
        elif self.seeds > 1:
            single = np.column_stack([smooth_curve(rates, seed[:, None]) for seed in self.table.T])
            kept = np.isfinite(single).any(axis=1)
            band = np.full((2, len(rates)), np.nan)
            band[:, kept] = np.nanquantile(single[kept], [0.1, 0.9], axis=1)
            plain["band_low"], plain["band_high"] = _plain(band)
        return plain

    def to_dict(self) -> dict[str, Any]:
        """Return plain floats, strings and lists; None stands for a loss that is not finite."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {
            "learning_rates": self.learning_rates.tolist(),
            "losses": _plain(self.losses),
            "declared": None if self.declared is None else list(self.declared),
            "coarse": None if self.coarse is None else self.coarse.to_dict(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> LossCurve:
        """Return the curve that `to_dict` wrote; unknown keys are ignored."""
        known = {field.name: plain[field.name] for field in fields(cls) if field.name in plain}
        for name in ("learning_rates", "losses"):
            if name not in known:
                raise InputError(f"A stored curve must have `{name}`, but has {sorted(plain)}.")
        if known.get("coarse") is not None:
            known["coarse"] = cls.from_dict(known["coarse"])
        return cls(**known)

    def to_json(self, path: str | Path) -> Path:
        """Write the curve, with its ramp where it has one, to a file of strict JSON."""
        path = Path(path)
        path.write_text(json.dumps(self.to_dict(), allow_nan=False) + "\n", encoding="utf-8")
        return path

    @classmethod
    def from_json(cls, path: str | Path) -> LossCurve:
        """Return the curve that `to_json` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:  # None reads as NaN, as JSON has it
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"`{name}` must be numbers in rows of equal length, but got {str(values)[:60]!r}."
        ) from None


def _table(values: ArrayLike, rates: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    table = _numbers(values, name)
    if table.ndim not in (1, 2) or table.shape[0] != rates.size or not table.size:
        raise InputError(
            f"`{name}` must be (steps,) or (steps, seeds) with one row for each of the "
            f"{rates.size} rates, but got shape {table.shape}."
        )
    return table


def _describe(values: NDArray[np.float64]) -> str:
    shown = ", ".join(f"{value:g}" for value in values.ravel()[:4])
    return f"shape {values.shape}: [{shown}{', ...' if values.size > 4 else ''}]"


def _frozen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.ascontiguousarray(values)
    values.setflags(write=False)
    return values


def _plain(values: NDArray[np.float64]) -> Any:
    if values.ndim == 2:
        return [_plain(row) for row in values]
    return [float(value) if np.isfinite(value) else None for value in values]
