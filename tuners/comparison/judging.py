"""From two trained arms to a verdict: gains, interval, wins, the reason, what is recommended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tuners.comparison.looks import FEWEST_PAIRS, MARGIN, SPENT_BY, decide, interval, is_futile
from tuners.comparison.result import Arm, Comparison
from tuners.comparison.statistics import count_wins, wilson_interval
from tuners.figures.words import signed


def judge_arms(
    chosen: Arm,
    baseline: Arm,
    *,
    seeds: Sequence[int] | np.ndarray,
    direction: str,
    chosen_learning_rate: float,
    baseline_learning_rate: float,
    pairs_planned: int = 0,
    margin: float = MARGIN,
    **facts: Any,
) -> Comparison:
    """Return the comparison of two trained arms: differences, interval, verdict, recommendation.

    Args:
        chosen: The chosen rate's runs; `values` of a diverged run may be anything.
        baseline: The baseline's runs, in the same order of pairs.
        seeds: (pairs,) seed of each pair.
        direction: `"minimize"` or `"maximize"`, of the values.
        chosen_learning_rate: The rate on trial.
        baseline_learning_rate: The rate to beat.
        pairs_planned: Pairs that were to be trained at most.
        margin: Share of the baseline's mean value below which a difference counts as none.
        **facts: The other fields of `Comparison`.

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
    gains, lost = gains_of(chosen, baseline, direction)
    differences, pairs = gains[0] - gains[1], gains.shape[1]
    verdict, _ = look(gains, lost, pairs, margin)
    sides = [
        replace(
            arm,
            values=tuple((_sign(direction) * gains[side]).tolist()),
            diverged=tuple(lost[side].tolist()),
        )
        for side, arm in enumerate((chosen, baseline))
    ]
    recommended: float | None = baseline_learning_rate
    if verdict == "better":
        recommended = chosen_learning_rate
    elif lost.all():
        recommended = None
    wins = float(count_wins(differences))
    comparison = Comparison(
        verdict=verdict,
        reason="",
        direction=direction,
        chosen_learning_rate=chosen_learning_rate,
        baseline_learning_rate=baseline_learning_rate,
        recommended_learning_rate=recommended,
        pairs=pairs,
        pairs_planned=max(pairs_planned, pairs),
        margin=margin,
        seeds=tuple(int(seed) for seed in seeds),
        differences=tuple(differences.tolist()),
        mean_difference=float(differences.mean()),
        interval=_interval(differences),
        wins=wins,
        wins_interval=_plain(wilson_interval(wins, pairs)),
        accuracy_interval=_accuracy_interval(chosen, baseline),
        chosen=sides[0],
        baseline=sides[1],
        **facts,
    )
    return replace(comparison, reason=_explain(comparison))


def gains_of(chosen: Arm, baseline: Arm, direction: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of both arms, larger is better, and which runs were lost, (2, pairs) each.

    Args:
        chosen: The chosen rate's runs; `values` of a diverged run may be anything.
        baseline: The baseline's runs, in the same order of pairs.
        direction: `"minimize"` or `"maximize"`, of the values.
    """
    gains = _sign(direction) * np.array([chosen.values, baseline.values], float)
    lost = np.array([chosen.diverged, baseline.diverged], bool) | ~np.isfinite(gains)
    return give_lost_runs_a_value(gains, lost), lost


def look(gains: np.ndarray, lost: np.ndarray, most: int, margin: float) -> tuple[str, bool]:
    """Return the verdict of the look at some pairs, and whether further pairs are worth training.

    Args:
        gains: Values of both arms, larger is better, (2, pairs).
        lost: Which runs diverged, (2, pairs).
        most: Pairs that may be trained.
        margin: Share of the baseline's mean value below which a difference counts as none.
    """
    differences, pairs = gains[0] - gains[1], gains.shape[1]
    if pairs < FEWEST_PAIRS:
        return "too_few_pairs", pairs < most
    if lost.all():
        return "no_difference_shown", False
    none = margin * abs(gains[1].mean())
    verdict = str(decide(differences, none))
    if verdict != "no_difference_shown":
        return verdict, False
    return verdict, pairs < most and not is_futile(differences, most, none)


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


def _sign(direction: str) -> float:
    return -1.0 if direction == "minimize" else 1.0


def _plain(ends: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    return float(ends[0]), float(ends[1])


def _interval(differences: Sequence[float] | np.ndarray) -> tuple[float, float] | None:
    return None if len(differences) < 2 else _plain(interval(differences))


def _accuracy_interval(chosen: Arm, baseline: Arm) -> tuple[float, float] | None:
    both = zip(chosen.accuracy, baseline.accuracy, strict=False)  # () where all runs were lost
    return _interval([a - b for a, b in both if a is not None and b is not None])


def _explain(found: Comparison) -> str:
    """Return the rule that gave a verdict, with its numbers."""
    pairs, most, margin = found.pairs, found.pairs_planned, f"{100 * found.margin:g} %"
    if found.recommended_learning_rate is None:
        return f"Both arms diverged in all {pairs} pairs, so neither rate can be recommended."
    if found.verdict == "too_few_pairs":
        return f"{pairs} pairs cannot decide; {FEWEST_PAIRS} is the fewest, {SPENT_BY} the default."
    if not any(found.differences):
        return f"All {pairs} pairs are equal."
    gain = " to ".join(signed(end) for end in found.interval or ())
    if found.verdict == "equal":
        return f"The gain, {gain}, lies within {margin} of the baseline's {found.measured}."
    if found.verdict in ("better", "worse"):
        side = "above" if found.verdict == "better" else "below"
        return f"The interval of the gain, {gain}, lies {side} 0."
    reason = f"The interval of the gain, {gain}, holds 0 and is not within {margin}."
    if pairs < most:
        reason += f" With {most} pairs too, a difference would probably not show."
    return reason
