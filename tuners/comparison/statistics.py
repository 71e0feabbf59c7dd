"""The statistics of paired differences: the t interval, wins, the noise of a share.

NumPy and SciPy only. A difference is one pair's gain of the first arm over the second: positive
means that the first arm did better. Functions work along the last axis where they say so.

References:
    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


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


def mean_and_sd(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return mean and standard deviation (n - 1) of what is finite; None where there is too little.

    Example:
        >>> mean_and_sd([1.0, 3.0, None])
        (2.0, 1.4142135623730951)
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    mean = float(np.mean(finite)) if finite else None
    return mean, float(np.std(finite, ddof=1)) if len(finite) > 1 else None


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
