"""A truth by a formula, for tests of what replays it: its best rate and all losses are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.truth import Ramp, Truth

RATES = 10.0 ** np.arange(-6, 1.001, 0.25)
EPOCHS = 10
BEST = 1e-3


def make_truth(splits: int = 8, **changes: Any) -> Truth:
    """Return a valley over log rates, lowest at 1e-3, divergent from 1 on.

    The loss falls from 2 at the start to 1 + d^2 / 4 at a distance of d decades, linearly in the
    epochs; split k adds 0.01 k to all rates, and the test loss is the validation loss plus 0.1.
    """
    valley = 1 + (np.log10(RATES) - np.log10(BEST)) ** 2 / 4
    share = np.arange(1, EPOCHS + 1) / EPOCHS
    offset = 0.01 * np.arange(splits)
    loss = (2 + (valley[:, None] - 2) * share)[:, None, :] + offset[None, :, None]
    diverged = np.repeat((RATES >= 0.99)[:, None], splits, axis=1)
    loss = np.where(diverged[..., None], np.nan, loss)
    steps = np.geomspace(1e-7, 1e2, 60)
    falls = 2 - 1 / (1 + (0.002 / steps) ** 2) + (steps / 0.1) ** 2
    noise = 0.002 * np.random.default_rng(0).standard_normal((len(steps), 8))
    values: dict[str, Any] = {
        "name": "valley",
        "data_set": "valley",
        "learning_rates": RATES,
        "loss": loss,
        "val_loss": loss,
        "val_metric": loss,
        "test_loss": loss + 0.1,
        "test_metric": loss,
        "start": np.full((len(RATES), splits), 2.0),
        "diverged": diverged,
        "ramps": (Ramp(steps, np.minimum(falls, 50)[:, None] + noise, 0.8),),
        "batches": 20,
        "default": 1e-2,
        "offset": 0.0,
        "facts": {},
    }
    return Truth(**(values | changes))
