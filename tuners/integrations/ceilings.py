"""How high a rate is worth drawing, given which trials of a study failed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from tuners.study.schema import superseded


def ceiling_of(trials: Sequence[FrozenTrial], name: str, low: float, high: float) -> float:
    """Return the highest value worth drawing; at most `high`.

    Optuna's samplers ignore failed trials, so they propose a diverging rate again and again.
    Here the upper end is halved back: with `f` the lowest rate that failed above every rate
    `r` that completed, it is `sqrt(f r)`, with `low` for `r` where none did. As trials between
    complete, `r` and with it the upper end climb back towards `f`. A pruned trial says nothing.

    Optuna does not keep whether a trial failed by NaN or by an exception. A failure
    therefore counts at once where the trial says that it diverged (user attribute `diverged`,
    or a value told or reported that is not finite), never where it says that it did not
    (`diverged=False`), and else from the second such failure on. A trial that another one
    replaces, since its process was lost (Optuna's `RetryHeartbeatStaleTrialCallback`), does
    not count.

    Args:
        trials: The trials of a study.
        name: A parameter.
        low: Lower end of its bounds.
        high: Their upper end.
    """
    proven, unexplained, finished = [], [], 0.0
    replaced = superseded(trials)
    for trial in trials:
        rate = trial.params.get(name)
        if not isinstance(rate, (int, float)) or not trial.state.is_finished():
            continue
        if trial.state == TrialState.FAIL and trial.number in replaced:
            continue
        diverged = _diverged(trial)
        if diverged:
            proven.append(float(rate))
        elif trial.state == TrialState.COMPLETE:
            finished = max(finished, float(rate))
        elif diverged is None:
            unexplained.append(float(rate))
    failed = [rate for rate in proven if rate > finished]
    # the lowest one may be an accident, so it is the second lowest that counts
    failed += sorted(rate for rate in unexplained if rate > finished)[1:2]
    edge = min(failed, default=math.inf)
    return high if edge <= low else min(high, math.sqrt(edge * max(finished, low)))


def _diverged(trial: FrozenTrial) -> bool | None:
    """Return whether a trial diverged, None where a failed trial does not say."""
    marked = trial.user_attrs.get("diverged")
    if marked is not None:
        return bool(marked)
    complete = trial.state == TrialState.COMPLETE
    told = trial.values if complete else trial.intermediate_values.values()
    if any(not math.isfinite(value) for value in told or ()):
        return True
    return None if trial.state == TrialState.FAIL else False
