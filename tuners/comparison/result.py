"""Comparison: a verdict with all that it rests on, and how a study carries it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from search_spaces._input import InputError
from search_spaces._picture import new_axes, notebook_html
from tuners.comparison.looks import MARGIN, VERDICTS
from tuners.comparison.statistics import mean_and_sd, proportion_noise
from tuners.figures.search import draw_gains
from tuners.figures.words import rate, signed
from tuners.study.recording import read_entry
from tuners.study.schema import plain, tuples

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Arm:
    """What one side of a comparison reached; every tuple has one entry a pair.

    Args:
        name: The task's name, with its optimizer where the sides differ in it.
        learning_rate: The rate that it trained with.
        values: The value that the verdict is on; where the run diverged, the worst finite value
            of both arms, moved on by their range.
        validation: The objective's validation value at the best epoch; None where diverged.
        metrics: Metric name to values on the same rows as `values`; None where diverged.
        accuracy: Share of rows classified rightly, () where the task is no classification.
        confusion: Mean over pairs of the counts, true classes down, predicted across; None
            where the task is no classification.
        best_epochs: The 0-based epoch whose weights were kept, -1 where none was finite.
        diverged: Whether the run diverged and so lost its pair.
        curves: Curve name to its mean over the pairs, by epoch.
        optimizer: Class name of the optimizer, "" where unknown.
        schedule: Class name of the compiled schedule whose highest rate is `learning_rate`, ""
            where the rate is constant.
    """

    name: str
    learning_rate: float
    values: tuple[float, ...] = ()
    validation: tuple[float | None, ...] = ()
    metrics: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    accuracy: tuple[float | None, ...] = ()
    confusion: tuple[tuple[float, ...], ...] | None = None
    best_epochs: tuple[int, ...] = ()
    diverged: tuple[bool, ...] = ()
    curves: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    optimizer: str = ""
    schedule: str = ""


@dataclass(frozen=True)
class Comparison:
    """The verdict on a chosen learning rate, with all that it rests on.

    A difference is signed so that positive means that the chosen rate did better, whichever way
    the metric points: baseline minus chosen for a loss, chosen minus baseline for an accuracy.

    Args:
        verdict: `"better"`, `"worse"`, `"equal"`, `"no_difference_shown"` or `"too_few_pairs"`,
            for the chosen rate (see `tuners.comparison.looks`). "equal" is a finding, "no
            difference shown" is none.
        reason: The rule that gave it, with its numbers.
        objective: The name that epochs were picked by, for example `"val_loss"`.
        metric: The metric that was judged, for example `"loss"`.
        measured_on: `"test"` or `"validation"`; the second is optimistic, since the epoch was
            picked on the same rows.
        direction: `"minimize"` or `"maximize"`, of the metric.
        chosen_learning_rate: The rate on trial.
        baseline_learning_rate: The rate to beat; of a compiled schedule, its maximum.
        recommended_learning_rate: The chosen rate if better, else the baseline; None where both
            diverged in all pairs.
        pairs: Pairs trained, 0 where the two rates are the same.
        pairs_planned: Pairs that were to be trained at most; fewer were where a look decided, or
            where further pairs were not worth it.
        epochs: Epochs of each training.
        seeds: (pairs,) seed of each pair.
        differences: (pairs,) gains of the chosen rate.
        mean_difference: Their mean; None without pairs.
        interval: Paired t interval of the mean, adjusted for the looks: it holds the mean in 95 %
            of comparisons, whenever they stop. None under two pairs.
        wins: Pairs that the chosen rate won, a tie counting half. They decide nothing.
        wins_interval: Wilson 95 % interval of the share of wins, as if there were one look; None
            without pairs.
        chosen: The chosen rate's runs.
        baseline: The baseline's runs.
        margin: Share of the baseline's mean value below which a difference counts as none.
        accuracy_interval: As `interval`, of the gain in accuracy; None where it is not measured.
        times_judged: How many comparisons its study has made on these rows, this one among them.
        resplit: Whether each pair had a split of its own.
        rows: Rows that `values` were measured on, 0 where unknown.
        how: `"population"` or `"sequential"`.
        why: Why it was trained that way.
        chunk_size: Lanes trained at once, None where unknown.
        seconds: Duration of the training and the measurement.

    Raises:
        ValueError: The verdict is unknown, or there is not one difference for each pair.

    Example:
        >>> comparison = Comparison.from_dict(stored)  # doctest: +SKIP
        >>> comparison.verdict, comparison.interval  # doctest: +SKIP
        ('better', (0.004, 0.017))
    """

    verdict: str
    reason: str
    objective: str
    metric: str
    measured_on: str
    direction: str
    chosen_learning_rate: float
    baseline_learning_rate: float
    recommended_learning_rate: float | None
    pairs: int
    epochs: int
    seeds: tuple[int, ...] = ()
    differences: tuple[float, ...] = ()
    mean_difference: float | None = None
    interval: tuple[float, float] | None = None
    wins: float = 0.0
    wins_interval: tuple[float, float] | None = None
    chosen: Arm | None = None
    baseline: Arm | None = None
    pairs_planned: int = 0
    margin: float = MARGIN
    accuracy_interval: tuple[float, float] | None = None
    times_judged: int = 1
    resplit: bool = False
    rows: int = 0
    how: str = ""
    why: str = ""
    chunk_size: int | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise InputError(
                f"`verdict` must be one of {', '.join(VERDICTS)}, but got {self.verdict!r}."
            )
        if len(self.differences) != self.pairs:
            raise InputError(
                f"`differences` must hold one number for each of the {self.pairs} pairs, "
                f"but got {len(self.differences)}."
            )

    def describe(self) -> str:
        """Return the verdict and what it rests on in one line."""
        if not self.pairs:
            return f"{self._title()}, no pairs"
        words = f"{self._title()}, {self.wins:g} of {self.pairs} pairs won, mean gain in "
        return f"{words}{self.measured} {signed(self.mean_difference)}{_ends(self.interval)}"

    def summary(self) -> str:
        """Return the comparison in a few lines of text."""
        lines, (one, _) = [self._title()], self.sides
        if self.pairs:
            gain = signed(self.mean_difference) + _ends(self.interval, " (95 % interval {})")
            lines.append(f"mean gain in {self.measured} {gain}; above 0 favours {one}")
        if self.accuracy_gain is not None:
            lines.append(
                f"gain in accuracy {signed(self.accuracy_gain)}{_ends(self.accuracy_interval)}"
            )
        recommended = self.recommended_learning_rate
        lines.append(f"recommended: {'neither' if recommended is None else rate(recommended)}")
        return "\n".join([*lines, self.reason])

    def _title(self) -> str:
        return f"{self.verdict.replace('_', ' ')}: {' against '.join(self.sides)}"

    def __repr__(self) -> str:
        return f"Comparison({self.describe()})"

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return notebook_html(self.summary(), self.plot())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the gain of every pair and the mean with its interval, without a window.

        Args:
            ax: The Matplotlib axes to draw on; None makes a figure without a window.
        """
        ax = new_axes() if ax is None else ax
        if self.mean_difference is None:
            ax.set_title("no pairs were trained")
            return ax
        intervals = {"adjusted for the looks": self.interval}
        draw_gains(ax, self.differences, self.mean_difference, intervals, self.measured)
        ax.legend(loc="best", fontsize="small")
        return ax

    @property
    def sides(self) -> tuple[str, str]:
        """Both arms in words: their rates, with what else they differ in."""
        arms = [{} if arm is None else vars(arm) for arm in (self.chosen, self.baseline)]
        return name_sides(arms, (self.chosen_learning_rate, self.baseline_learning_rate))

    @property
    def measured(self) -> str:
        """What was measured, on which rows, for example "test loss"."""
        return f"{self.measured_on} {self.metric.replace('_', ' ')}"

    @property
    def optimistic(self) -> bool:
        """Whether the verdict rests on validation rows, which the best epoch was picked on."""
        return self.measured_on != "test"

    @property
    def accuracy_gain(self) -> float | None:
        """Mean accuracy of the chosen rate above the baseline's, None where it is not measured."""
        if self.chosen is None or self.baseline is None:
            return None
        one, other = (mean_and_sd(arm.accuracy)[0] for arm in (self.chosen, self.baseline))
        return None if one is None or other is None else one - other

    @property
    def test_noise(self) -> float | None:
        """Standard deviation of the baseline's accuracy by its rows alone, sqrt(p (1 - p) / n)."""
        share = None if self.baseline is None else mean_and_sd(self.baseline.accuracy)[0]
        return None if share is None or not self.rows else proportion_noise(share, self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings, lists and dicts; None stands for what is not finite."""
        return plain(asdict(self), 17)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Comparison:
        """Return the comparison that `to_dict` wrote; unknown keys are ignored."""
        arguments: dict[str, Any] = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
        arguments = {name: tuples(value) for name, value in arguments.items()}
        for name in ("chosen", "baseline"):
            stored = arguments.get(name)
            if stored is not None:
                arguments[name] = Arm(
                    **{f.name: stored[f.name] for f in fields(Arm) if f.name in stored}
                )
        return cls(**arguments)


def name_sides(arms: Sequence[Mapping[str, Any]], rates: Sequence[float]) -> tuple[str, str]:
    """Return both arms in words: their rates, with their optimizers or schedules if they differ.

    Args:
        arms: Fields of both `Arm`s, {} where there is none.
        rates: Of both.

    Example:
        >>> name_sides([{}, {}], (0.003, 0.001))
        ('0.003', 'the baseline 0.001')
        >>> name_sides([{"optimizer": "Adam"}, {"optimizer": "SGD"}], (0.003, 0.01))
        ('Adam at 0.003', 'SGD at 0.01')
    """
    one, other = (rate(each) for each in rates)
    for field_name, without in (("optimizer", ""), ("schedule", "constant rate"), ("name", "")):
        names = [arm.get(field_name) or without for arm in arms]
        if names[0] != names[1]:
            return f"{names[0]} at {one}", f"{names[1]} at {other}"
    return one, f"the baseline {other}"


def _ends(interval: tuple[float, float] | None, form: str = " ({})") -> str:
    return "" if interval is None else form.format(" to ".join(map(signed, interval)))


def recorded_comparison(study: optuna.Study) -> Comparison | None:
    """Return the comparison on a study, None where there is none.

    Raises:
        InputError: What the study carries as `comparison` is something else.
    """
    return read_entry(study, "comparison", Comparison.from_dict)
