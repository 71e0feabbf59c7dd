"""Comparison: a verdict with all that it rests on, how it is judged, and how a study carries it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from search_spaces._input import InputError
from search_spaces._picture import new_axes, notebook_html
from tuners.comparison.statistics import (
    VERDICTS,
    judge_pairs,
    paired_t_interval,
    proportion_noise,
)
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
        verdict: `"better"`, `"worse"`, `"no_difference_shown"` or `"too_few_pairs"`, for the
            chosen rate (see `tuners.comparison.statistics`).
        reason: The rule that gave it, with its numbers.
        objective: The name that epochs were picked by, for example `"val_loss"`.
        metric: The metric that was judged, for example `"loss"`.
        measured_on: `"test"` or `"validation"`; the second is optimistic, since the epoch was
            picked on the same rows.
        direction: `"minimize"` or `"maximize"`, of the metric.
        chosen_learning_rate: The rate on trial.
        baseline_learning_rate: The rate to beat; of a compiled schedule, its maximum.
        recommended_learning_rate: The chosen rate if better, else the baseline.
        pairs: Pairs trained, 0 where the two rates are the same.
        pairs_planned: Pairs that were to be trained at most; fewer were where an early look
            decided (see `tuners.comparison.statistics.is_clear`).
        epochs: Epochs of each training.
        seeds: (pairs,) seed of each pair.
        differences: (pairs,) gains of the chosen rate.
        mean_difference: Their mean; None without pairs.
        interval: 95 % paired t interval of the mean; None under two pairs.
        bootstrap_interval: 95 % BCa interval of the mean; None under two pairs.
        sign_flip_p: Exact two-sided p up to 20 pairs, else None.
        wins: Pairs that the chosen rate won, a tie counting half.
        wins_interval: Wilson 95 % interval of the share of wins; None without pairs.
        chosen: The chosen rate's runs.
        baseline: The baseline's runs.
        accuracy_interval: 95 % paired t interval of the gain in accuracy; None where it is not
            measured.
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
        >>> losses = {"chosen": (0.41, 0.4, 0.39), "baseline": (0.5, 0.52, 0.51)}
        >>> chosen, baseline = (
        ...     Arm("wine", rate, losses[side], diverged=(False,) * 3)
        ...     for side, rate in (("chosen", 0.002), ("baseline", 0.001))
        ... )
        >>> comparison = judge_arms(
        ...     chosen, baseline, seeds=range(3), chosen_learning_rate=0.002,
        ...     baseline_learning_rate=0.001, objective="val_loss", metric="loss",
        ...     direction="minimize", measured_on="test", epochs=30,
        ... )
        >>> comparison.verdict, comparison.wins, round(comparison.mean_difference, 2)
        ('too_few_pairs', 3.0, 0.11)
        >>> comparison.recommended_learning_rate  # the baseline, unless the chosen rate is better
        0.001
    """

    verdict: str
    reason: str
    objective: str
    metric: str
    measured_on: str
    direction: str
    chosen_learning_rate: float
    baseline_learning_rate: float
    recommended_learning_rate: float
    pairs: int
    epochs: int
    seeds: tuple[int, ...] = ()
    differences: tuple[float, ...] = ()
    mean_difference: float | None = None
    interval: tuple[float, float] | None = None
    bootstrap_interval: tuple[float, float] | None = None
    sign_flip_p: float | None = None
    wins: float = 0.0
    wins_interval: tuple[float, float] | None = None
    chosen: Arm | None = None
    baseline: Arm | None = None
    pairs_planned: int = 0
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
        one, other = rate(self.chosen_learning_rate), rate(self.baseline_learning_rate)
        words = f"{self.verdict.replace('_', ' ')}: {one} against the baseline {other}"
        if not self.pairs:
            return f"{words}, no pairs"
        words += f", {self.wins:g} of {self.pairs} pairs won, mean gain in {self.measured} "
        return words + signed(self.mean_difference) + _ends(self.interval)

    def summary(self) -> str:
        """Return the comparison in a few lines of text."""
        one, other = rate(self.chosen_learning_rate), rate(self.baseline_learning_rate)
        lines = [f"{self.verdict.replace('_', ' ')}: {one} against the baseline {other}"]
        if self.pairs:
            gain = signed(self.mean_difference) + _ends(self.interval, " (95 % interval {})")
            lines.append(f"mean gain in {self.measured} {gain}; above 0 favours {one}")
        if self.accuracy_gain is not None:
            lines.append(
                f"gain in accuracy {signed(self.accuracy_gain)}{_ends(self.accuracy_interval)}"
            )
        lines.append(f"recommended: {rate(self.recommended_learning_rate)}")
        return "\n".join([*lines, self.reason])

    def __repr__(self) -> str:
        return f"Comparison({self.describe()})"

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return notebook_html(self.summary(), self.plot())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the gain of every pair and the mean with its intervals, without a window.

        Args:
            ax: The Matplotlib axes to draw on; None makes a figure without a window.
        """
        ax = new_axes() if ax is None else ax
        if self.mean_difference is None:
            ax.set_title("no pairs were trained")
            return ax
        intervals = {"t interval": self.interval, "bootstrap": self.bootstrap_interval}
        draw_gains(ax, self.differences, self.mean_difference, intervals, self.measured)
        ax.legend(loc="best", fontsize="small")
        return ax

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


def _ends(interval: tuple[float, float] | None, form: str = " ({})") -> str:
    return "" if interval is None else form.format(" to ".join(map(signed, interval)))


def judge_arms(
    chosen: Arm,
    baseline: Arm,
    *,
    seeds: Sequence[int] | np.ndarray,
    direction: str,
    chosen_learning_rate: float,
    baseline_learning_rate: float,
    **facts: Any,
) -> Comparison:
    """Return the comparison of two trained arms: differences, intervals, verdict, recommendation.

    Args:
        chosen: The chosen rate's runs; `values` of a diverged run may be anything.
        baseline: The baseline's runs, in the same order of pairs.
        seeds: (pairs,) seed of each pair.
        direction: `"minimize"` or `"maximize"`, of the values.
        chosen_learning_rate: The rate on trial.
        baseline_learning_rate: The rate to beat.
        **facts: The other fields of `Comparison`.
    """
    sign = -1.0 if direction == "minimize" else 1.0
    gains, lost = gains_of(chosen, baseline, direction)
    differences = gains[0] - gains[1]
    result = judge_pairs(differences)
    sides = [
        replace(
            arm,
            values=tuple((sign * gains[side]).tolist()),
            diverged=tuple(lost[side].tolist()),
        )
        for side, arm in enumerate((chosen, baseline))
    ]
    better = result.verdict == "better"
    return Comparison(
        verdict=result.verdict,
        reason=result.reason,
        direction=direction,
        chosen_learning_rate=chosen_learning_rate,
        baseline_learning_rate=baseline_learning_rate,
        recommended_learning_rate=chosen_learning_rate if better else baseline_learning_rate,
        pairs=result.pairs,
        seeds=tuple(int(seed) for seed in seeds),
        differences=tuple(differences.tolist()),
        mean_difference=result.mean_difference,
        interval=result.interval,
        bootstrap_interval=result.bootstrap_interval,
        sign_flip_p=result.sign_flip_p,
        wins=result.wins,
        wins_interval=result.wins_interval,
        accuracy_interval=_accuracy_interval(chosen, baseline),
        chosen=sides[0],
        baseline=sides[1],
        **facts,
    )


def gains_of(chosen: Arm, baseline: Arm, direction: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of both arms, larger is better, and which runs were lost, (2, pairs) each.

    Args:
        chosen: The chosen rate's runs; `values` of a diverged run may be anything.
        baseline: The baseline's runs, in the same order of pairs.
        direction: `"minimize"` or `"maximize"`, of the values.
    """
    sign = -1.0 if direction == "minimize" else 1.0
    gains = sign * np.array([chosen.values, baseline.values], float)
    lost = np.array([chosen.diverged, baseline.diverged], bool) | ~np.isfinite(gains)
    return give_lost_runs_a_value(gains, lost), lost


def _accuracy_interval(chosen: Arm, baseline: Arm) -> tuple[float, float] | None:
    both = zip(chosen.accuracy, baseline.accuracy, strict=False)  # () where all runs were lost
    gains = [one - other for one, other in both if one is not None and other is not None]
    if len(gains) < 2:
        return None
    low, high = paired_t_interval(gains)
    return float(low), float(high)


def give_lost_runs_a_value(gains: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Return `gains` (2, pairs), larger is better, with lost runs below all others.

    A lost run gets the worst value of the others less their range (less 1 where they are all
    equal), so that it loses its pair and the mean difference stays finite. Without any run that
    finished, all are 0.

    Example:
        >>> gains = np.array([[0.5, np.nan], [0.25, 0.75]])
        >>> give_lost_runs_a_value(gains, np.isnan(gains)).tolist()
        [[0.5, -0.25], [0.25, 0.75]]
    """
    kept = gains[~lost]
    worst = kept.min() - (np.ptp(kept) or 1.0) if kept.size else 0.0
    return np.where(lost, worst, gains)


def mean_and_sd(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return mean and standard deviation (n - 1) of what is finite; None where there is too little.

    Example:
        >>> mean_and_sd([1.0, 3.0, None])
        (2.0, 1.4142135623730951)
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    mean = float(np.mean(finite)) if finite else None
    return mean, float(np.std(finite, ddof=1)) if len(finite) > 1 else None


def recorded_comparison(study: optuna.Study) -> Comparison | None:
    """Return the comparison on a study, None where there is none.

    Raises:
        InputError: What the study carries as `comparison` is something else.
    """
    return read_entry(study, "comparison", Comparison.from_dict)
