"""CMA-ES whose stored state is unpickled by what knows the names of such a state alone.

Optuna's CMA-ES keeps its state as a pickle among the attributes of trials, and reads it back with
`pickle.loads`, which runs whatever a pickle names. A storage may come from somebody else, so the
pickle is read here in its place, by an unpickler that finds the optimizer and what arrays of
numbers are made of.
"""

from __future__ import annotations

import io
import itertools
import pickle
from typing import Any, ClassVar

import numpy as np
from cmaes import CMA  # type: ignore[import-untyped]
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

from tuners.study.optuna_private import sampler_attributes

_Unpickler: Any = pickle._Unpickler  # the one in Python, whose steps can be checked
# the generator is made afresh by the optimizer, and found by no pickle
_PLAIN = (type(None), bool, int, float, str, np.random.RandomState)


class CheckedCmaEsSampler(CmaEsSampler):
    """Optuna's CMA-ES sampler, which refuses a stored state that is not one of CMA-ES."""

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            stored = sampler_attributes(trial, self._attr_key_optimizer)
            if stored:
                try:
                    content = bytes.fromhex(self._concat_optimizer_attrs(stored))
                except (KeyError, TypeError, ValueError) as error:
                    raise _refusal(trial.number, f"{type(error).__name__} in its text") from None
                return read_state(content, trial.number)
        return None


def read_state(content: bytes, number: int) -> CMA:
    """Return the state of CMA-ES that a pickle holds, and nothing else; nothing foreign is run.

    Args:
        content: The pickle.
        number: Of the trial that carries it, for the error.

    Raises:
        ValueError: It names, makes or holds anything else.

    Example:
        >>> import cmaes
        >>> read_state(pickle.dumps(cmaes.CMA(mean=np.zeros(1), sigma=1.0)), 0).dim
        1
    """
    try:
        state = _RestrictedUnpickler(io.BytesIO(content)).load()
        _demand(type(state) is CMA, f"{type(state).__name__} alone")
        for name, value in vars(state).items():
            numbers = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf"
            _demand(numbers or type(value) in _PLAIN, f"{type(value).__name__} as {name}")
    except pickle.UnpicklingError as error:
        raise _refusal(number, str(error)) from None
    except Exception as error:  # a broken pickle may raise nearly anything
        raise _refusal(number, f"{type(error).__name__}") from None
    return state


def _refusal(number: int, why: str) -> ValueError:
    return ValueError(
        f"the state of CMA-ES stored in trial {number} must hold numbers of CMA-ES alone, but "
        f"{why[:120]!r} was found; do not use this storage with `sampler` 'cmaes' unless you know "
        "who wrote it, or choose another sampler or study."
    )


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise pickle.UnpicklingError(what)


_ALLOWED = {
    ("cmaes._cma", "CMA"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *itertools.product(
        ("numpy.core.multiarray", "numpy._core.multiarray"), ("_reconstruct", "scalar")
    ),
    *itertools.product(("numpy.core.numeric", "numpy._core.numeric"), ("_frombuffer",)),
}


class _RestrictedUnpickler(_Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        _demand((module, name) in _ALLOWED, f"{module}.{name}")
        return super().find_class(module, name)

    def load_build(self) -> None:
        """Set a state, but none of a dtype that has other flags or fields than one of numbers.

        NumPy believes these, and would take the bytes of an array for addresses of objects.
        """
        made, state = self.stack[-2:]
        plain = type(made) in (CMA, np.ndarray)
        if isinstance(made, np.dtype):
            plain = made.kind in "biuf" and state[2:] == (None, None, None, -1, -1, 0)
        _demand(plain, f"a state for {type(made).__name__}")
        super().load_build()

    dispatch: ClassVar = {**_Unpickler.dispatch, pickle.BUILD[0]: load_build}
