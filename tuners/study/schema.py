"""What a study and its trials carry: the names of the attributes, and plain values for them.

As user attributes, which any storage keeps (plain numbers, strings, lists), a study carries:

| attribute     | holds                                                                         |
|---------------|-------------------------------------------------------------------------------|
| `bounds`      | parameter name -> `LearningRateBounds.to_dict()`                                |
| `curve`       | parameter name -> `LossCurve.to_dict()`, 6 significant digits                   |
| `choice`      | `Choice.to_dict()`                                                              |
| `comparison`  | `Comparison.to_dict()`                                                          |
| `gradient_steps` | steps of one model that the search has trained                               |
| `fact NAME`   | what was run: task, data, model, versions, machine, settings, cost; one each    |

The facts are in two parts, so that processes that share a study lose nothing to one another: all
write the same `facts: run` when they begin, while others may be at work already, and each writes
`facts: work` again, reckoned from the whole study, whenever it has done a part. Earlier versions
kept each fact in an attribute `fact NAME`, the first one all in `facts`; both are still read.

A trial carries `role` ("search", "suggestion", "baseline", "queued", "stale"), `seed`, `diverged`,
`epochs`, `best_epoch` (0-based), `seconds`, `how`, and `curves` (name -> values by epoch); in a
race `split N`, the same of each split, and `continues` (see `tuners.searches.racing`); with the
Optuna engine also `unit`, the work that it is part of, `place`, its place in it, and `worker`, who
holds or held it (see `tuners.study.work_queue`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tuners.study.optuna_private import retry_history
from tuners.training.records import TrainingRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

GRADIENT_STEPS = "gradient_steps"  # the study's attribute: steps that the search has trained
CONTINUES = "continues"  # a trial's: the number of the ended one that it takes up again
STALE = "stale"  # role of a trial that counts for nothing
EXTRA = "queued"  # role of a trial that somebody queued on the study, beyond the total
UNIT, PLACE = "unit", "place"
RUN, WORK = "facts: run", "facts: work"
WORK_FACTS = {"how", "why", "chunk_size", "pairs"} | {
    f"{unit}_{part}"
    for unit in ("epochs", "steps", "seconds")
    for part in ("range_test", "search", "comparison")
}


def superseded(trials: Iterable[FrozenTrial]) -> set[int]:
    """Return the numbers of failed trials that another one was queued for, as after a kill."""
    return {number for trial in trials for number in retry_history(trial)}


def continued(trials: Iterable[FrozenTrial]) -> set[int]:
    """Return the numbers of ended trials that a later one took up again."""
    return {trial.user_attrs[CONTINUES] for trial in trials if CONTINUES in trial.user_attrs}


def gather_facts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts among a study's attributes, by name, whichever version wrote them.

    Example:
        >>> gather_facts({"facts: run": {"optimizer": "SGD"}, "fact epochs": 5, "bounds": {}})
        {'epochs': 5, 'optimizer': 'SGD'}
    """
    single = {
        name.removeprefix("fact "): value
        for name, value in attributes.items()
        if name.startswith("fact ")
    }
    parts = (attributes.get("facts"), single, attributes.get(RUN), attributes.get(WORK))
    return {k: v for part in parts if isinstance(part, Mapping) for k, v in part.items()}


def plain(value: Any, digits: int = 6) -> Any:
    """Return `value` as JSON can hold it: floats rounded to `digits` significant, arrays as lists.

    NaN and infinities become None, since strict JSON has no word for them.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), digits)
    if isinstance(value, (list, tuple)):
        return [plain(item, digits) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def tuples(value: Any) -> Any:
    """Return what `plain` gave with tuples for its lists, as frozen dataclasses hold them."""
    if isinstance(value, (list, tuple)):
        return tuple(tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: tuples(item) for key, item in value.items()}
    return value


def _mean(curves: np.ndarray) -> np.ndarray:
    """Return the mean over lanes of what is finite, by epoch; NaN where nothing is."""
    known = np.isfinite(curves)
    total = np.where(known, curves, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def trial_attributes(record: TrainingRecord, lanes: np.ndarray, seconds: float) -> dict[str, Any]:
    """Return what a study keeps of a trial's lanes, as plain values.

    Args:
        record: The record that holds the lanes.
        lanes: Indices of the trial's lanes, one a split, `(splits,)`.
        seconds: The trial's share of the time.

    Returns:
        `diverged` (most of its lanes did), `epochs` (that ran, the one of the divergence
        included), `best_epoch` (0-based, the median over splits), `seconds`, `how`, `scores` and
        `best_values` (the raw best epochs), one a split, and `curves` (name to the mean over the
        splits that are finite, by epoch).
    """
    ran = int(np.isfinite(record.loss[lanes]).any(axis=0).sum())
    curves = {"loss": record.loss, "val_loss": record.val_loss, **record.metrics}
    return plain(
        {
            "diverged": bool(record.diverged[lanes].mean() > 0.5),
            "epochs": max(ran, int(record.diverged_epoch[lanes].max()) + 1),
            "best_epoch": int(np.median(record.best_epoch[lanes])),
            "seconds": seconds,
            "how": record.how,
            "scores": record.scores()[lanes],
            "best_values": record.best()[lanes],
            "curves": {name: _mean(curve[lanes]) for name, curve in curves.items()},
        }
    )


def merged_attributes(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a trial keeps, from what `trial_attributes` gave for each of its splits.

    Args:
        parts: One for each split, one or more.
    """
    names = parts[0]["curves"]
    return plain(
        {
            "diverged": float(np.mean([part["diverged"] for part in parts])) > 0.5,
            "epochs": max(part["epochs"] for part in parts),
            "best_epoch": int(np.median([part["best_epoch"] for part in parts])),
            "seconds": sum(part["seconds"] for part in parts),
            "how": parts[0]["how"],
            "scores": [score for part in parts for score in part["scores"]],
            "best_values": [value for part in parts for value in part["best_values"]],
            "curves": {
                name: _mean(np.array([part["curves"][name] for part in parts], dtype=float))
                for name in names
            },
        }
    )
