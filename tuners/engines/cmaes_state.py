"""CMA-ES whose stored state is checked before Optuna unpickles it.

Optuna's CMA-ES keeps its state as a pickle among the attributes of trials, and reads it back with
`pickle.loads`, which runs whatever a pickle names. A storage may come from somebody else, so the
pickle is first read here with stand-ins in place of every class it may name: nothing of it is
run, and all that it would make is seen. What passes is what a state of CMA-ES consists of: the
optimizer, plain numbers and texts, and arrays and scalars of numbers.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

_NUMBERS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")  # dtypes that hold no objects
_ORDERS = ("<", ">", "|", "=")  # of bytes
_PLAIN = (type(None), bool, int, float, str)


class CheckedCmaEsSampler(CmaEsSampler):
    """Optuna's CMA-ES sampler, which refuses a stored state that is not one of CMA-ES."""

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            stored = {
                key: value
                for key, value in trial.system_attrs.items()
                if key.startswith(self._attr_key_optimizer)
            }
            if stored:
                try:
                    content = bytes.fromhex(self._concat_optimizer_attrs(stored))
                except (KeyError, TypeError, ValueError) as error:
                    raise _refusal(trial.number, f"{type(error).__name__} in its text") from None
                check_state(content, trial.number)
                try:
                    return super()._restore_optimizer([trial])
                except Exception as error:  # numbers alone, but not those of a state
                    raise _refusal(trial.number, f"{type(error).__name__} in its values") from None
        return None


def check_state(content: bytes, number: int) -> None:
    """Check that a pickle holds a state of CMA-ES and nothing else; nothing of it is run.

    Args:
        content: The pickle.
        number: Of the trial that carries it, for the error.

    Raises:
        ValueError: It names, makes or holds anything else.

    Example:
        >>> import cmaes, numpy
        >>> check_state(pickle.dumps(cmaes.CMA(mean=numpy.zeros(1), sigma=1.0)), 0)
    """
    try:
        state = _StandInUnpickler(io.BytesIO(content)).load()
    except _NotPlainError as error:
        raise _refusal(number, str(error)) from None
    except Exception as error:  # a broken pickle may raise nearly anything
        raise _refusal(number, f"{type(error).__name__}") from None
    if type(state) is not _Optimizer:
        raise _refusal(number, f"it holds {type(state).__name__.strip('_')}")


def _refusal(number: int, why: str) -> ValueError:
    return ValueError(
        f"the state of CMA-ES stored in trial {number} must hold numbers of CMA-ES alone, but "
        f"{why[:120]!r} was found; do not use this storage with `sampler` 'cmaes' unless you know "
        "who wrote it, or choose another sampler or study."
    )


class _NotPlainError(Exception):
    pass


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise _NotPlainError(what)


class _Kind:
    """In place of a dtype, of numbers only."""

    __slots__ = ("size",)

    def __init__(self, *arguments: Any) -> None:
        text = arguments[0] if arguments else None
        known = type(text) is str and _NUMBERS.fullmatch(text) is not None
        _demand(known and arguments[1:] == (False, True), f"dtype {text!r}")
        self.size = int(str(text)[-1])

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subtype, names, fields, size, alignment, flags): objects hide here
        known = type(state) is tuple and len(state) == 8 and state[0] == 3 and state[1] in _ORDERS
        _demand(known and state[2:] == (None, None, None, -1, -1, 0), "a dtype with odd fields")


class _Array:
    """In place of an array or a scalar of numbers."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        _demand(type(state) is tuple and len(state) == 5 and state[0] == 1, "an odd array")
        _check_array(*state[1:])


class _Optimizer:
    """In place of `cmaes.CMA`, whose own `__setstate__` does no more than keep the values."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        _demand(type(state) is dict, "a state that is no dict")
        for name, value in state.items():
            _demand(type(name) is str and not name.startswith("__"), f"name {name!r}")
            _demand(type(value) in (*_PLAIN, _Array), type(value).__name__)


class _Function:
    """In place of a function of NumPy; unlike one, it takes no attributes."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)

    def __setstate__(self, _: Any) -> None:
        raise _NotPlainError("a function that is changed")


def _check_array(shape: Any, kind: Any, order: Any, content: Any) -> None:
    _demand(type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape), "a shape")
    _demand(type(kind) is _Kind and type(content) in (bytes, bytearray), "an array of objects")
    _demand(order in (False, True, "C", "F"), "an odd array")
    _demand(len(content) == math.prod(shape) * kind.size, "an array of another size")


def _only_named(*_: Any) -> None:  # the class of an array, which is not made by it
    raise _NotPlainError("an array made by its class")


_ARRAY_CLASS = _Function(_only_named)


def _empty_array(*arguments: Any) -> _Array:
    _demand(arguments == (_ARRAY_CLASS, (0,), b"b"), "an array with odd arguments")
    return _Array()


def _scalar(kind: Any, content: Any) -> _Array:
    _check_array((), kind, False, content)
    return _Array()


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    _check_array(shape, kind, order, content)
    return _Array()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("cmaes._cma", "CMA"): _Optimizer,
    ("numpy", "dtype"): _Kind,
    ("numpy", "ndarray"): _ARRAY_CLASS,
    **{
        (f"numpy.{core}.{module}", name): _Function(call)
        for core in ("core", "_core")  # NumPy 1 and 2
        for module, name, call in (
            ("multiarray", "_reconstruct", _empty_array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),  # protocol 5, Python 3.14's own
        )
    },
}


class _StandInUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except (KeyError, TypeError):
            raise _NotPlainError(f"{module}.{name}") from None

    def persistent_load(self, _: Any) -> Any:
        raise _NotPlainError("a reference to something outside")
