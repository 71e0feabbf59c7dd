"""NePS's PriorBand, asked and told: Hyperband whose rates are drawn around a prior.

It searches the declared bounds by the logarithm of the rate, on one split. A configuration that
NePS promotes keeps its rate, so its training goes on where it ended; one that it draws anew is
trained anew and paid for, even where its rate is an earlier one's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.replay import Play, Setting, Steps, Training

RATE, EPOCHS = "learning_rate", "epochs"


def priorband(budget: float) -> Play:
    """Return PriorBand with its prior at the optimizer's default rate.

    Args:
        budget: Trainings after which it begins no further one.
    """

    def play(setting: Setting) -> Steps:
        import neps

        draws = _Draws(setting.seed)
        with _quiet():
            algorithm = neps.algorithms.priorband(_space(setting))
            _hasten(algorithm)
            optimizer = neps.AskAndTell(algorithm)
        trained: dict[str, tuple[float, int]] = {}  # rate and epochs of each configuration
        spent, lowest, best = 0.0, np.inf, None
        while spent < budget - 1e-9:
            with _quiet(), draws.own():
                trial = optimizer.ask()
            name, epochs = trial.id.split("_rung_")[0], int(trial.config[EPOCHS])
            rate, before = trained.get(name, (float(trial.config[RATE]), 0))
            while not before and rate in (known for known, _ in trained.values()):
                rate = float(np.nextafter(rate, 0.0))  # trained anew: another one to the replay
            trained[name] = rate, epochs
            (curve,) = yield best, [Training(rate, 0, epochs / setting.epochs)]
            spent += (epochs - before) / setting.epochs
            loss = curve.lowest
            with _quiet():
                failed = None if np.isfinite(loss) else ArithmeticError("no finite loss")
                optimizer.tell(trial, failed or loss)
            if loss < lowest:
                lowest, best = loss, rate
        return best

    return play


def _space(setting: Setting) -> Any:
    """Return the search space: a rate around the default, and how many epochs it is trained."""
    import neps

    prior = float(np.clip(setting.default, *setting.declared))

    class Space(neps.PipelineSpace):
        """A rate and its epochs."""

        learning_rate = neps.Float(
            *setting.declared, log=True, prior=prior, prior_confidence="medium"
        )
        epochs = neps.IntegerFidelity(1, setting.epochs)

    return Space()


def _hasten(algorithm: Any) -> None:
    """Keep sweeps of all brackets that are over from being sorted into brackets again.

    NePS does so at every step, in a time that grows with the square of the evaluations. Its
    configurations are numbered from 1 in the order of the sweeps, so what comes next is the same.
    """
    create = algorithm.create_brackets
    sweep = sum(layout[min(layout)] for layout in create.keywords["bracket_layouts"])

    def create_open(table: Any) -> Any:
        numbers = table.index.get_level_values("id")
        over = (max(numbers, default=1) - 1) // sweep * sweep
        return create(table[numbers > over])

    algorithm.create_brackets = create_open


class _Draws:
    """The random states of NumPy and PyTorch that one search draws from.

    NePS draws from the global ones, which `own` exchanges for as long as it lasts.

    Args:
        seed: Of the first draw.
    """

    def __init__(self, seed: int) -> None:
        import torch

        self._numpy = np.random.RandomState(seed).get_state()
        self._torch = torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def own(self) -> Iterator[None]:
        """Draw from this search's states."""
        import torch

        before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        np.random.set_state(self._numpy)  # noqa: NPY002
        torch.set_rng_state(self._torch)
        try:
            yield
        finally:
            self._numpy, self._torch = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
            np.random.set_state(before[0])  # noqa: NPY002
            torch.set_rng_state(before[1])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what NePS warns of, here alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
