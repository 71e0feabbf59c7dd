"""The published rules for one rate from a range test, each from its documented formula.

They are here for comparison: `LossCurve.bounds` does not use them. Notation: `rates` lr_i and raw
batch losses l_i of step i = 0..N-1, averaged over seeds where there are several; s_i the smoothed
loss. All but the article's read a curve that ends where s_i first exceeds 4 times its lowest value
so far (5 times for torch-lr-finder), as their own range tests stop there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tuners._checks import InputError, check_choice

Values = NDArray[np.float64]


def apply_rule(rule: str, rates: Values, table: Values) -> float:
    """Return the rate that a published rule picks.

    Args:
        rule: A name in `RULES`.
        rates: The rate of each step, `(steps,)`.
        table: The raw losses, `(steps, seeds)`.

    Raises:
        ValueError: The rule is unknown, or too few steps are left for it.

    Example:
        >>> rates = np.geomspace(1e-6, 10, 200)
        >>> losses = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2
        >>> round(apply_rule("minimum/10", rates, losses[:, None]), 3)
        0.036
    """
    check_choice(rule, RULES, "rule")
    with np.errstate(all="ignore"):
        losses = table.mean(axis=1)
        return float(RULES[rule](rates, losses))


def _averaged(losses: Values, beta: float = 0.98) -> Values:
    # a_i = beta a_{i-1} + (1 - beta) l_i; s_i = a_i / (1 - beta^(i + 1))
    smooth, average = np.empty_like(losses), 0.0
    for i, loss in enumerate(losses):
        average = beta * average + (1 - beta) * loss
        smooth[i] = average / (1 - beta ** (i + 1))
    return smooth


def _stopped(smooth: Values, factor: float) -> int:
    # steps until s_i > factor * lowest so far, that step included; NaN compares false there
    lowest = np.fmin.accumulate(smooth)
    above = np.flatnonzero(smooth > factor * lowest)
    return int(above[0]) + 1 if above.size else len(smooth)


def _need(found: int, needed: int, total: int) -> None:
    if found < needed:
        raise InputError(
            f"A published rule needs {needed} finite steps after those it skips, but the curve of "
            f"{total} steps leaves {found}; measure more steps, or call suggest() without a rule."
        )


def _fastai(rates: Values, losses: Values, needed: int = 2) -> tuple[Values, Values]:
    # fastai 2.8 `Learner.lr_find`: drop the first tenth and the last 5, then all after a NaN
    smooth = _averaged(losses)
    end = _stopped(smooth, 4.0)
    part = slice(end // 10, max(end - 5, 0))
    rates, smooth = rates[part], smooth[part]
    bad = np.flatnonzero(~np.isfinite(smooth))
    end = int(bad[0]) if bad.size else len(smooth)
    _need(end, needed, len(losses))
    return rates[:end], smooth[:end]


def _valley(rates: Values, losses: Values) -> float:
    # fastai `valley`: a third plus a sixth along the longest decreasing subsequence
    rates, smooth = _fastai(rates, losses)
    length = np.ones(len(smooth), dtype=int)
    for i in range(1, len(smooth)):
        lower = length[:i][smooth[:i] > smooth[i]]
        if lower.size:
            length[i] = lower.max() + 1
    end = int(np.argmax(length))
    span = int(length[end]) if end else 0  # as there, which starts one point before the fall
    return rates[end - span + span // 3 + span // 6]


def _slide(rates: Values, losses: Values) -> float:
    # fastai `slide`: move an interval of 15 left while the slopes at its ends differ by 0.005
    rates, smooth = _fastai(rates, losses, needed=3)
    slopes = np.gradient(smooth)
    right, left = -1, -1 - 15
    chosen = left if -left <= len(slopes) else -len(slopes)
    while -left <= len(slopes) and abs(slopes[right] - slopes[left]) > 0.005:
        chosen, right, left = left, right - 1, left - 1
    return rates[chosen]


def _steepest(rates: Values, losses: Values) -> float:
    # fastai `steep`: the left point of the steepest fall in ln(rate)
    rates, smooth = _fastai(rates, losses)
    runs = np.diff(np.log(rates))
    falls = np.diff(smooth) / np.where(runs > 0, runs, np.inf)
    return rates[int(np.argmin(falls))]


def _minimum(rates: Values, losses: Values) -> float:
    rates, smooth = _fastai(rates, losses, needed=1)
    return rates[int(np.argmin(smooth))]


def _minimum_tenth(rates: Values, losses: Values) -> float:
    # fastai `minimum`: a tenth of the rate of the lowest smoothed loss
    return _minimum(rates, losses) / 10


def _torch_finder(rates: Values, losses: Values) -> float:
    # torch-lr-finder 0.2.2: s_0 = l_0, s_i = 0.05 l_i + 0.95 s_{i-1}; the steepest of [10:-5]
    smooth = losses.copy()
    for i in range(1, len(smooth)):
        smooth[i] = 0.05 * losses[i] + 0.95 * smooth[i - 1]
    end = _stopped(smooth, 5.0)
    rates, smooth = rates[10 : max(end - 5, 0)], smooth[10 : max(end - 5, 0)]
    _need(len(smooth), 2, len(losses))
    slopes = np.gradient(smooth)
    _need(int(np.isfinite(slopes).sum()), 1, len(losses))
    return rates[int(np.nanargmin(slopes))]


def _lightning(rates: Values, losses: Values) -> float:
    # Lightning 2.6: divides by 1 - beta^(t + 1) with t counted from 1, and differentiates in lr
    smooth, average, lowest, end = np.empty_like(losses), 0.0, 0.0, len(losses)
    for i, loss in enumerate(losses):
        average = 0.98 * average + 0.02 * loss
        smooth[i] = average / (1 - 0.98 ** (i + 2))
        if i > 0 and smooth[i] > 4 * lowest:
            end = i + 1
            break
        if i == 0 or smooth[i] < lowest:
            lowest = smooth[i]
    rates, smooth = rates[10 : max(end - 1, 0)], smooth[10 : max(end - 1, 0)]
    keep = np.isfinite(smooth)
    _need(int(keep.sum()), 2, len(losses))
    slopes = np.gradient(smooth[keep], rates[keep])
    _need(int(np.isfinite(slopes).sum()), 1, len(losses))
    return rates[keep][int(np.nanargmin(slopes))]


def _article(rates: Values, losses: Values) -> float:
    # the lowest loss with calm neighbours, read by eye there: the lowest worst of five neighbours
    padded = np.pad(np.where(np.isfinite(losses), losses, np.inf), 2, mode="edge")
    worst = np.lib.stride_tricks.sliding_window_view(padded, 5).max(axis=1)
    _need(int(np.isfinite(worst).sum()), 1, len(losses))
    return rates[int(np.argmin(worst))]


RULES: dict[str, Callable[[Values, Values], float]] = {
    "valley": _valley,
    "slide": _slide,
    "steepest": _steepest,
    "minimum": _minimum,
    "minimum/10": _minimum_tenth,
    "article": _article,
    "torch-lr-finder": _torch_finder,
    "lightning": _lightning,
}
