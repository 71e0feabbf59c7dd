"""Choice: the rate that a study's trials name together, with all that it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from search_spaces._input import InputError, check_pair, check_rate
from search_spaces._picture import draw_bounds, new_axes, notebook_html
from tuners.figures.search import draw_choice
from tuners.figures.words import rate
from tuners.study.recording import read_entry
from tuners.study.schema import plain, tuples

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Choice:
    """One learning rate, how sure it is, and which others are as good.

    Args:
        learning_rate: The rate of the best finished trial.
        interval: The middle 95 % of the lowest rates, where the losses are drawn again with the
            noise that they show (see `tuners.curves.response`).
        plateau: The rates `(low, high)` around it that cannot be told from it at 95 %, compared
            split by split where the trials have several.
        baseline_inside: Whether the baseline lies on the plateau; None where there is none, or
            where the optimizer chosen is not the baseline's.
        reason: All this in a sentence.
        optimizer: The optimizer chosen, where the study searched several.
        baseline_learning_rate: The baseline, None where it is unknown.
        parameter: Name of the rate among a trial's parameters.
        trials: Trials that were compared.
        splits: Splits that they were compared on, 1 where they carry one value.
        objective: What was compared.
        direction: "minimize" or "maximize", of the objective.
        rates: The rates that were tried, for a picture.
        fitted: The objective of each, the splits' offsets taken out.
        band: Its 95 % band, low and high, the splits' offsets taken out.

    Raises:
        ValueError: A rate is not positive and finite, or a pair is not one.

    Example:
        >>> choice = Choice(1e-3, (8e-4, 2e-3), (5e-4, 3e-3), True, "by hand")
        >>> Choice.from_dict(choice.to_dict()) == choice
        True
    """

    learning_rate: float
    interval: tuple[float, float]
    plateau: tuple[float, float]
    baseline_inside: bool | None
    reason: str
    optimizer: str | None = None
    baseline_learning_rate: float | None = None
    parameter: str = "learning_rate"
    trials: int = 0
    splits: int = 1
    objective: str = ""
    direction: str = "minimize"
    rates: tuple[float, ...] = ()
    fitted: tuple[float, ...] = ()
    band: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    def __post_init__(self) -> None:
        check_rate(self.learning_rate, "learning_rate")
        for name in ("interval", "plateau"):
            object.__setattr__(self, name, check_pair(getattr(self, name), name))
        if self.baseline_learning_rate is not None:
            check_rate(self.baseline_learning_rate, "baseline_learning_rate")
        if not len(self.rates) == len(self.fitted) == len(self.band[0]) == len(self.band[1]):
            raise InputError(
                "`rates`, `fitted` and both ends of `band` must have the same length, but got "
                f"{len(self.rates)}, {len(self.fitted)} and {[len(end) for end in self.band]}."
            )

    @property
    def decades(self) -> float:
        """Width of the plateau, `log10(high / low)`, 0 or more."""
        return math.log10(self.plateau[1] / self.plateau[0])

    def describe(self) -> str:
        """Return the choice in a few words.

        Example:
            >>> Choice(1e-3, (8e-4, 2e-3), (5e-4, 3e-3), True, "by hand").describe()
            'learning rate 0.001, equal within noise 5e-4 to 0.003, the baseline among them'
        """
        words = f"learning rate {rate(self.learning_rate)}"
        if self.optimizer:
            words = f"{self.optimizer} with {words}"
        low, high = map(rate, self.plateau)
        words += f", equal within noise {low} to {high}" if low != high else ""
        if self.baseline_inside is None:
            return words
        return f"{words}, the baseline {'' if self.baseline_inside else 'not '}among them"

    def __repr__(self) -> str:
        return f"Choice({self.describe()})"

    def __str__(self) -> str:
        return f"{self.describe()}. {self.reason}"

    def _repr_html_(self) -> str:
        return notebook_html(self.reason, self.plot())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw losses by rate, their band, plateau, rate and baseline; opens no window.

        Args:
            ax: The Matplotlib axes to draw on; None makes a figure without a window.
        """
        ax = new_axes() if ax is None else ax
        draw_bounds(ax, self.rates or self.plateau, None, self.baseline_learning_rate)
        draw_choice(ax, self.to_dict())
        ax.set_ylabel(self.objective or "objective value")
        ax.legend(loc="best", fontsize="small")
        return ax

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists."""
        return plain(asdict(self), 12)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Choice:
        """Return the choice that `to_dict` wrote; unknown keys are ignored."""
        known = {f.name: tuples(stored[f.name]) for f in fields(cls) if f.name in stored}
        return cls(**known)


def recorded_choice(study: optuna.Study) -> Choice | None:
    """Return the choice on a study, None where there is none.

    Raises:
        InputError: What the study carries as `choice` is something else.
    """
    return read_entry(study, "choice", Choice.from_dict)
