"""Optuna's samplers and pruners by name, set up for the small budgets of a learning-rate search."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, QMCSampler

from tuners._checks import InputError, check_choice
from tuners.engines.cmaes_state import CheckedCmaEsSampler
from tuners.engines.names import PRUNERS, SAMPLERS

STARTUP_TRIALS = 4  # of 8 to 24 trials Optuna's own 10 would be drawn blindly


class PlacedQmcSampler(QMCSampler):
    """Optuna's QMC sampler, which is told its position in the sequence.

    Optuna counts positions in the study, before it stores what it drew there: a kill between the
    two would shift all later draws, and workers could draw one position twice.
    """

    def __init__(self, position: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._position = position

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, Any]) -> int:
        return self._position


def check_sampler(name: str) -> str:
    """Return `name` once it names a sampler that can be used here.

    Raises:
        ValueError: It is unknown (the nearest name is suggested), or its extra is not installed.

    Example:
        >>> check_sampler("tpe")
        'tpe'
    """
    name = check_choice(name, SAMPLERS, "sampler")
    if name == "gp" and importlib.util.find_spec("torch") is None:
        raise InputError(
            "`sampler` 'gp' needs torch, which is not installed; "
            'run pip install "lr-range-tuner[gp]", or use "tpe".'
        )
    return name


def make_sampler(name: str, seed: int, *entropy: int, position: int = 0) -> BaseSampler:
    """Return a fresh sampler whose draws follow from the seed and further whole numbers.

    A search makes one for each trial, from its seed and the trial's place: Optuna stores no
    sampler state, so this is what makes a resumed study equal to an uninterrupted one. QMC is
    the exception: all trials must share one scrambled sequence, each at a position of its own.

    Args:
        name: One of `SAMPLERS`. "tpe" and "gp" draw the first 4 trials at random.
        seed: 0 or more.
        *entropy: Numbers that tell this sampler's draws from others of the same seed, 0 or more.
        position: Of a "qmc" draw in its sequence, 0 or more.

    Raises:
        ValueError: See `check_sampler`.

    Example:
        >>> str(make_sampler("tpe", 0, 8))
        'TPESampler'
    """
    check_sampler(name)
    mixed = int(np.random.SeedSequence([seed, *entropy]).generate_state(1)[0] % 2**31)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=mixed)
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=mixed, n_startup_trials=STARTUP_TRIALS)
    if name == "cmaes":
        return CheckedCmaEsSampler(seed=mixed, warn_independent_sampling=False)
    with warnings.catch_warnings():
        # QMC has been marked experimental since Optuna 3; its result is checked in our tests
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "qmc":
            return PlacedQmcSampler(
                position,
                scramble=True,
                seed=seed,
                independent_sampler=optuna.samplers.RandomSampler(seed=mixed),
                warn_independent_sampling=False,
            )
        return optuna.samplers.GPSampler(
            seed=mixed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False
        )


def make_pruner(pruner: str | BasePruner | None, epochs: int) -> BasePruner:
    """Return a pruner by name; None and "none" never prune.

    Args:
        pruner: One of `PRUNERS`, a pruner of Optuna's, or None.
        epochs: Epochs of a full trial, the largest resource of "hyperband".

    Raises:
        ValueError: The name is unknown; the nearest is suggested.

    Example:
        >>> type(make_pruner("median", epochs=40)).__name__
        'MedianPruner'
    """
    if isinstance(pruner, BasePruner):
        return pruner
    name = check_choice("none" if pruner is None else pruner, PRUNERS, "pruner")
    warmup = max(1, epochs // 4)
    made: dict[str, BasePruner] = {
        "none": optuna.pruners.NopPruner(),
        "median": optuna.pruners.MedianPruner(n_warmup_steps=warmup),
        "percentile": optuna.pruners.PercentilePruner(75.0, n_warmup_steps=warmup),
        "successive_halving": optuna.pruners.SuccessiveHalvingPruner(),
        "hyperband": optuna.pruners.HyperbandPruner(max_resource=epochs),
    }
    return made[name]


def pruner_name(pruner: str | BasePruner | None) -> str:
    """Return what the record calls a pruner: its name, or the class of one of Optuna's.

    Example:
        >>> pruner_name(None)
        'none'
    """
    if pruner is None:
        return "none"
    return type(pruner).__name__ if isinstance(pruner, BasePruner) else pruner
