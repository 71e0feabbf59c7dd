from __future__ import annotations

import numpy as np
import optuna

from benchmarks.bounds_truth import GRID, Truth
from benchmarks.search_efficiency import MOST_TRIALS, trials_needed

X = np.log10(GRID)


def truth() -> Truth:
    losses = 1.0 + 0.5 * (X[:, None] + 2.0) ** 2 + np.array([[-0.01, 0.0, 0.01]])
    losses[X > 0.0] = np.inf
    return Truth(GRID, losses, epochs=20, batches=50)


def test_a_search_ends_with_its_first_rate_within_one_percent() -> None:
    sampler = optuna.samplers.RandomSampler(seed=0)
    assert trials_needed(truth(), 1e-3, 1e-1, 1e-2, sampler, 0) == (1, 0)


def test_diverged_trials_are_counted_and_a_search_may_never_arrive() -> None:
    sampler = optuna.samplers.RandomSampler(seed=0)
    assert trials_needed(truth(), 2.0, 10.0, None, sampler, 0) == (MOST_TRIALS, MOST_TRIALS)
