"""Samplers of Optuna's that tests wrap, where making one takes more than its name."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler


def quietly(make: Callable[[], BaseSampler]) -> BaseSampler:
    """Build a sampler without the warning that it is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return make()


def make_gp(startup: int) -> BaseSampler:
    """Build a GP sampler with so many random trials first; without torch the test is skipped."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("GPSampler needs torch")
    return optuna.samplers.GPSampler(seed=0, n_startup_trials=startup)
