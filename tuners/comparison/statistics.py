"""The statistics of a paired comparison: intervals, an exact p value, wins, a three-way verdict.

NumPy and SciPy only. A difference is one pair's gain of the first arm over the second: positive
means that the first arm did better. Functions work along the last axis where they say so, so that
thousands of simulated comparisons are judged at once.

References:
    Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks"
    (arXiv 2103.03098): the rule on wins, with 0.75 as the share that is worth having.
    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    Efron 1987, "Better Bootstrap Confidence Intervals" (BCa).
    Haybittle 1971, Peto et al. 1976: early looks at a trial that leave its last one untouched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from search_spaces._input import InputError

VERDICTS = ("better", "worse", "no_difference_shown", "too_few_pairs")
MEANINGFUL_SHARE = 0.75
FEWEST_PAIRS = 6
MOST_PAIRS_EXACT = 20
INTERIM_CONFIDENCE = 0.999


@dataclass(frozen=True)
class PairedResult:
    """What a set of paired differences says.

    Args:
        verdict: `"better"`, `"worse"`, `"no_difference_shown"` or `"too_few_pairs"`, for the
            first arm.
        reason: The rule that gave the verdict, with its numbers, in a sentence.
        pairs: Number of pairs, 1 or more.
        mean_difference: Mean of the differences; positive is in favour of the first arm.
        interval: 95 % interval of the mean by the paired t distribution; None for one pair.
        bootstrap_interval: 95 % BCa bootstrap interval of the mean; None for one pair.
        sign_flip_p: Exact two-sided p of the sign-flip test up to 20 pairs, else None.
        wins: Pairs that the first arm won, a tie counting half.
        wins_interval: Wilson 95 % interval of `wins / pairs`, each end in [0, 1].
    """

    verdict: str
    reason: str
    pairs: int
    mean_difference: float
    interval: tuple[float, float] | None
    bootstrap_interval: tuple[float, float] | None
    sign_flip_p: float | None
    wins: float
    wins_interval: tuple[float, float]


def judge_pairs(differences: Any, *, seed: int = 0, resamples: int = 10_000) -> PairedResult:
    """Return intervals, wins and the verdict on paired differences.

    Args:
        differences: (pairs,) finite gains of the first arm over the second, one or more.
        seed: Seed of the bootstrap.
        resamples: Bootstrap resamples.

    Raises:
        ValueError: `differences` is not a non-empty vector of finite numbers.

    Example:
        >>> judge_pairs([0.2, 0.1, 0.3, 0.2, 0.1, 0.2, 0.3, 0.1]).verdict
        'better'
        >>> judge_pairs([0.2, 0.1, 0.3, 0.2, 0.1]).verdict
        'too_few_pairs'
        >>> judge_pairs([0.0] * 30).verdict
        'no_difference_shown'
    """
    differences = np.asarray(differences, float)
    if differences.ndim != 1 or not differences.size or not np.isfinite(differences).all():
        raise InputError(
            "`differences` must be a vector of one or more finite numbers, but got shape "
            f"{differences.shape} with {int((~np.isfinite(differences)).sum())} that are not "
            "finite; a run that diverged must be given a value first."
        )
    pairs = differences.size
    wins = float(count_wins(differences))
    wins_low, wins_high = (float(end) for end in wilson_interval(wins, pairs))
    interval = bootstrap = None
    if pairs > 1:
        low, high = paired_t_interval(differences)
        interval = (float(low), float(high))
        bootstrap = bootstrap_interval(differences, seed=seed, resamples=resamples)
    verdict = str(decide_verdicts(differences[None])[0])
    return PairedResult(
        verdict=verdict,
        reason=_explain(verdict, differences, wins, (wins_low, wins_high), interval),
        pairs=pairs,
        mean_difference=float(differences.mean()),
        interval=interval,
        bootstrap_interval=bootstrap,
        sign_flip_p=sign_flip_p(differences) if pairs <= MOST_PAIRS_EXACT else None,
        wins=wins,
        wins_interval=(wins_low, wins_high),
    )


def count_wins(differences: np.ndarray) -> np.ndarray:
    """Return the wins along the last axis: 1 for a positive difference, one half for zero."""
    return (np.sign(differences) + 1).sum(axis=-1) / 2


def wilson_interval(
    wins: Any, pairs: int, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's score interval of the share `wins / pairs`.

    With z the normal quantile, n the pairs and p = wins / n, the ends are
    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), which stay inside [0, 1] and are
    of positive width also for p = 0 and p = 1.

    Args:
        wins: Any shape, in [0, pairs]; halves are allowed.
        pairs: 1 or more.
        confidence: Coverage, in (0, 1).

    Example:
        >>> low, high = wilson_interval(10, 10)
        >>> round(float(low), 4), round(float(high), 4)
        (0.7225, 1.0)
    """
    z = stats.norm.ppf(0.5 + confidence / 2)
    share = np.asarray(wins, float) / pairs
    centre = share + z * z / (2 * pairs)
    half = z * np.sqrt(share * (1 - share) / pairs + z * z / (4 * pairs * pairs))
    scale = 1 + z * z / pairs
    return np.clip((centre - half) / scale, 0, 1), np.clip((centre + half) / scale, 0, 1)


def paired_t_interval(differences: Any, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the t interval of the mean along the last axis, for 2 or more pairs.

    Equal differences have no spread, and the interval is then the mean itself.

    Example:
        >>> low, high = paired_t_interval([1.0, 2.0, 3.0])  # 2 -+ 4.3027 / sqrt(3)
        >>> round(float(low), 4), round(float(high), 4)
        (-0.4841, 4.4841)
    """
    differences = np.asarray(differences, float)
    pairs = differences.shape[-1]
    mean = differences.mean(axis=-1)
    error = differences.std(axis=-1, ddof=1) / math.sqrt(pairs)
    half = stats.t.ppf(0.5 + confidence / 2, pairs - 1) * error
    return mean - half, mean + half


def bootstrap_interval(
    differences: Any, *, seed: int = 0, resamples: int = 10_000, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated (BCa) bootstrap interval of the mean.

    Args:
        differences: (pairs,), 2 or more. Where all are equal, the interval is their value.
        seed: Seed of the resampling; the same seed gives the same interval.
        resamples: How many resamples.
        confidence: Coverage, in (0, 1).
    """
    differences = np.asarray(differences, float)
    mean = float(differences.mean())
    if np.ptp(differences) <= 1e-12 * np.abs(differences).max():
        return mean, mean
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=resamples,
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def sign_flip_p(differences: Any) -> float:
    """Return the exact two-sided p of the sign-flip test on the mean, for 1 to 20 pairs.

    Were the arms alike, each difference would have either sign with equal chance: p is the share of
    all 2^n sign patterns whose sum is at least as far from zero as the one seen. It is that of
    `scipy.stats.permutation_test`, which takes seconds for 20 pairs.

    Raises:
        ValueError: More than 20 pairs (2^n patterns would be listed).

    Example:
        >>> sign_flip_p([0.3, 0.1, 0.2, 0.4, 0.2, 0.1])  # only all plus and all minus: 2 / 2^6
        0.03125
    """
    differences = np.asarray(differences, float)
    if differences.size > MOST_PAIRS_EXACT:
        raise InputError(
            f"The exact test takes up to {MOST_PAIRS_EXACT} pairs, but got {differences.size}; "
            "read the intervals instead."
        )
    if differences.size < 2:
        return 1.0
    sums = differences[:1]  # a pattern and its opposite are as far from zero: one first sign does
    for difference in differences[1:]:
        sums = np.concatenate([sums + difference, sums - difference])
    seen = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()  # sums are rounded
    return float(np.mean(np.abs(sums) >= seen))


def is_clear(differences: Any) -> bool:
    """Return whether an early look at (pairs,) differences may end a comparison.

    The rule is Haybittle's and Peto's: an early look decides at 99.9 % only, and the last one as if
    it were alone. Simulated with normal differences and looks after 8, 16, 24 and 30 pairs, a false
    "better" comes in 1.06 of 100 (1.05 with one look), a gain of half a standard deviation is
    found in 52.6 (52.6), and one of 1.2 standard deviations takes 22 pairs on average.
    """
    return str(decide_verdicts(differences, INTERIM_CONFIDENCE)) in ("better", "worse")


def decide_verdicts(differences: Any, confidence: float = 0.95) -> np.ndarray:
    """Return the verdict of each comparison along the last axis: (..., pairs) -> (...) strings.

    "better": the Wilson interval of the wins lies above 0.5, its upper end above 0.75, and the t
    interval of the mean lies above zero. "worse" is the mirror of it. Where wins and mean disagree,
    and in all other cases, "no_difference_shown"; under 6 pairs "too_few_pairs".

    Args:
        differences: (..., pairs) finite gains.
        confidence: Of both intervals, in (0, 1).
    """
    differences = np.asarray(differences, float)
    pairs = differences.shape[-1]
    if pairs < FEWEST_PAIRS:
        return np.full(differences.shape[:-1], "too_few_pairs")
    low, high = wilson_interval(count_wins(differences), pairs, confidence)
    mean_low, mean_high = paired_t_interval(differences, confidence)
    better = (low > 0.5) & (high > MEANINGFUL_SHARE) & (mean_low > 0)
    worse = (high < 0.5) & (low < 1 - MEANINGFUL_SHARE) & (mean_high < 0)
    return np.where(better, "better", np.where(worse, "worse", "no_difference_shown"))


def proportion_noise(share: float, rows: int) -> float:
    """Return the standard deviation of a share measured on `rows` rows, sqrt(p (1 - p) / n).

    Args:
        share: For example an accuracy, in [0, 1].
        rows: Rows of the test set, 1 or more.

    Example:
        >>> round(proportion_noise(0.9, 1000), 5)
        0.00949
    """
    return math.sqrt(share * (1 - share) / rows)


def _explain(
    verdict: str,
    differences: np.ndarray,
    wins: float,
    wins_interval: tuple[float, float],
    interval: tuple[float, float] | None,
) -> str:
    pairs = differences.size
    if verdict == "too_few_pairs":
        return f"{pairs} pairs cannot decide; {FEWEST_PAIRS} is the fewest, 30 the default."
    low, high = wins_interval
    won = f"{wins:g} of {pairs} pairs won, 95 % interval of the share [{low:.2f}, {high:.2f}]"
    if verdict in ("better", "worse"):
        return f"{won}, and the interval of the mean difference excludes zero."
    if not differences.any():
        return f"All {pairs} pairs are equal."
    excludes = interval is not None and (interval[0] > 0 or interval[1] < 0)
    by_wins = low > 0.5 or high < 0.5
    if excludes and not by_wins:
        return f"{won}, which includes one half, although the mean difference excludes zero."
    if by_wins and not excludes:
        return f"{won}, but the interval of the mean difference includes zero."
    if by_wins and (low > 0.5) != (interval is not None and interval[0] > 0):
        return f"{won}, but the mean difference points the other way."
    if by_wins:
        return f"{won}, too small a share to matter (the rule: {MEANINGFUL_SHARE})."
    return f"{won}, which includes one half, and the interval of the mean includes zero."
