"""What both engines keep of a trial on its study; see the table in `tuners.study_record`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuners.study_record import plain

if TYPE_CHECKING:
    from tuners.training import TrainingRecord


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
