"""What a study and its trials carry: the names of the attributes, and plain values for them.

What a study carries, as user attributes that any storage keeps (plain numbers, strings, lists):

| attribute    | holds                                                                          |
|--------------|--------------------------------------------------------------------------------|
| `bounds`     | parameter name -> `LearningRateBounds.to_dict()`                                 |
| `curve`      | parameter name -> `LossCurve.to_dict()`, 6 significant digits                    |
| `comparison` | `Comparison.to_dict()`                                                           |
| `facts`      | what was run: task, data, model, versions, machine, settings, cost (flat dict)   |

A trial carries `role` ("search", "suggestion", "baseline", "stale"), `seed`, `diverged`, `epochs`,
`best_epoch` (0-based), `seconds`, `how`, and `curves` (name -> values by epoch); with the Optuna
engine also `worker`, who made it, `rescuer`, who took it up after that one's death, `batch` and
`place` (see `tuners.study.work_queue`). Workers sign with an attribute
`worker <name>` on the study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tuners.training.records import TrainingRecord

STALE = "stale"  # role of a trial that counts for nothing, since another stands for it


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


def trial_attributes(record: TrainingRecord, lanes: np.ndarray, seconds: float) -> dict[str, Any]:
    """Return what a study keeps of a trial's lanes, as plain values.

    Args:
        record: The record that holds the lanes.
        lanes: Indices of the trial's lanes, one a seed, `(seeds,)`.
        seconds: The trial's share of the time.

    Returns:
        `diverged` (any of its lanes did), `epochs` (that ran, the one of the divergence
        included), `best_epoch` (0-based, the median over seeds), `seconds`, `how`, `scores`
        (one a seed) and `curves` (name to the mean over seeds, by epoch).
    """
    ran = int(np.isfinite(record.loss[lanes]).any(axis=0).sum())
    curves = {"loss": record.loss, "val_loss": record.val_loss, **record.metrics}
    return plain(
        {
            "diverged": bool(record.diverged[lanes].any()),
            "epochs": max(ran, int(record.diverged_epoch[lanes].max()) + 1),
            "best_epoch": int(np.median(record.best_epoch[lanes])),
            "seconds": seconds,
            "how": record.how,
            "scores": record.best()[lanes],
            "curves": {name: curve[lanes].mean(axis=0) for name, curve in curves.items()},
        }
    )
