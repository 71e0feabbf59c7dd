"""LearningRateBounds: an interval of learning rates that knows how it was found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from search_spaces._input import InputError, check_choice, check_pair, check_range, check_whole
from search_spaces._picture import draw_bounds, new_axes, notebook_html
from search_spaces._words import rate

if TYPE_CHECKING:
    import keras_tuner
    import optuna

STATUSES = (
    "ok",
    "no_descent",
    "no_divergence",
    "diverged_at_start",
    "non_finite",
    "too_noisy",
    "too_few_points",
)
_PAIRS = ("declared", "low_interval", "high_interval")


@dataclass(frozen=True)
class LearningRateBounds:
    """The learning rates worth searching, the one to try first, and the reason for both.

    `0 < low <= suggestion <= high < inf` is checked when it is built. Where the range test could
    not decide, `low` and `high` are the declared range and `status` and `reason` say why.

    Args:
        low: Lowest rate worth searching, included.
        high: Highest rate worth searching, included.
        suggestion: The rate to try first.
        status: One of `"ok"`, `"no_descent"`, `"no_divergence"`, `"diverged_at_start"`,
            `"non_finite"`, `"too_noisy"`, `"too_few_points"`.
        reason: How the bounds were found, or why they could not be, in a sentence.
        declared: The range `(low, high)` that the user allowed; the bounds lie inside it.
        low_interval: 95 % interval of the lower end over seeds, in rates.
        high_interval: 95 % interval of the upper end over seeds, in rates.
        seeds: How many seeds the test averaged.

    Raises:
        ValueError: A rule above does not hold; the message gives the rule, the value, the cure.

    Example:
        >>> bounds = LearningRateBounds(1e-4, 1e-2, 1e-3, "ok", "by hand")
        >>> round(bounds.decades, 6)
        2.0
        >>> LearningRateBounds.from_dict(bounds.to_dict()) == bounds
        True
    """

    low: float
    high: float
    suggestion: float
    status: str
    reason: str
    declared: tuple[float, float] | None = None
    low_interval: tuple[float, float] | None = None
    high_interval: tuple[float, float] | None = None
    seeds: int | None = None

    def __post_init__(self) -> None:
        low, high = check_range(self.low, self.high, "bounds")
        suggestion, _ = check_range(self.suggestion, self.suggestion, "suggestion")
        if not low <= suggestion <= high:
            raise InputError(
                f"`suggestion` must lie in [low, high] = [{low:g}, {high:g}], "
                f"but got {suggestion:g}; pass e.g. {math.sqrt(low * high):.3g}."
            )
        check_choice(self.status, STATUSES, "status", cure="pass 'ok' for bounds of your own")
        if self.seeds is not None:
            cure = "pass None where no seeds were averaged"
            object.__setattr__(self, "seeds", check_whole(self.seeds, "seeds", cure=cure))
        for name, value in (("low", low), ("high", high), ("suggestion", suggestion)):
            object.__setattr__(self, name, value)
        for name in _PAIRS:
            pair = getattr(self, name)
            if pair is not None:
                object.__setattr__(self, name, check_pair(pair, name))
        if self.declared is not None and not (self.declared[0] <= low and high <= self.declared[1]):
            raise InputError(
                f"The bounds must lie inside `declared` = [{self.declared[0]:g}, "
                f"{self.declared[1]:g}], but got [{low:g}, {high:g}]; "
                "clip them or widen `declared`."
            )

    @property
    def decades(self) -> float:
        """Width of the bounds, `log10(high / low)`, 0 or more."""
        return math.log10(self.high / self.low)

    @property
    def decided(self) -> bool:
        """Whether the range test found the bounds, rather than keeping the declared range."""
        return self.status == "ok"

    def describe(self) -> str:
        """Return the bounds in a few words.

        Example:
            >>> LearningRateBounds(1e-4, 1e-2, 1e-3, "ok", "by hand").describe()
            '1e-4 to 0.01, try 0.001'
        """
        words = f"{rate(self.low)} to {rate(self.high)}, try {rate(self.suggestion)}"
        return words if self.decided else f"{words}, undecided: {self.status}"

    def __repr__(self) -> str:
        return f"LearningRateBounds({self.describe()})"

    def __str__(self) -> str:
        return f"{self.describe()}. {self.reason}"

    def _repr_html_(self) -> str:
        return notebook_html(str(self), self.plot())

    def plot(self, ax: Axes | None = None, baseline: float | None = None) -> Axes:
        """Draw the bounds and the suggestion on a log axis; never shows a window.

        Args:
            ax: The Matplotlib axes to draw on; None makes a figure without a window.
            baseline: A rate to mark for comparison; None marks none.
        """
        ax = new_axes(height=1.6) if ax is None else ax
        draw_bounds(ax, self.declared or (self.low, self.high), self.to_dict(), baseline)
        ax.set_yticks([])
        ax.legend(loc="best", fontsize="small")
        return ax

    def suggest(self, trial: optuna.trial.BaseTrial, name: str = "learning_rate") -> float:
        """Let an Optuna trial pick a rate inside the bounds, uniformly in its logarithm."""
        return trial.suggest_float(name, self.low, self.high, log=True)

    def hyperparameters(self, name: str = "learning_rate") -> keras_tuner.HyperParameters:
        """Return KerasTuner hyperparameters that hold one log-sampled `Float` over the bounds."""
        import keras_tuner

        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.Float(name, self.low, self.high, sampling="log", default=self.suggestion)
        return hyperparameters

    def to_dict(self) -> dict[str, float | int | str | None]:
        """Return plain floats and strings; a pair `name` becomes `name_low` and `name_high`."""
        plain: dict[str, float | int | str | None] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _PAIRS:
                plain[f"{field.name}_low"], plain[f"{field.name}_high"] = value or (None, None)
            else:
                plain[field.name] = value
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> LearningRateBounds:
        """Return the bounds that `to_dict` wrote; unknown keys are ignored.

        Raises:
            ValueError: A key without a default is missing, or a rule of the bounds is broken.
        """
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        missing = [name for name in needed if name not in plain]
        if missing:
            raise InputError(
                f"`plain` must hold the keys {', '.join(needed)}, but lacks {', '.join(missing)}; "
                "pass what `to_dict` wrote."
            )
        arguments: dict[str, Any] = {}
        for field in fields(cls):
            if field.name in _PAIRS:
                pair = (plain.get(f"{field.name}_low"), plain.get(f"{field.name}_high"))
                arguments[field.name] = None if None in pair else pair
            elif field.name in plain:
                arguments[field.name] = plain[field.name]
        return cls(**arguments)


def bounds_of(pair: tuple[float, float]) -> LearningRateBounds:
    """Return bounds that a user gave as a checked pair, with the middle of its decades to try.

    Example:
        >>> bounds_of((1e-4, 1e-2)).suggestion
        0.001
    """
    low, high = pair
    middle = float(f"{math.sqrt(low) * math.sqrt(high):.12g}")
    return LearningRateBounds(low, high, min(max(middle, low), high), "ok", "Given by the user.")
