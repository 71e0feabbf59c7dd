"""What a user passes for one array, as NumPy's: numbers, or refused with the cure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from search_spaces._input import InputError, is_from

_READ_ONCE = (
    "read it into arrays once, e.g. batches = list(batches); x = numpy.concatenate([b[0] for b in "
    "batches]), and y from b[1]"
)


def map_arrays(function: Callable[[np.ndarray], Any], arrays: Any) -> Any:
    """Apply `function` to every array of a nest of dicts, lists and tuples, keeping its shape."""
    if isinstance(arrays, Mapping):
        return {key: map_arrays(function, value) for key, value in arrays.items()}
    if isinstance(arrays, (list, tuple)):
        return type(arrays)(map_arrays(function, value) for value in arrays)
    return function(arrays)


def list_arrays(arrays: Any) -> list[np.ndarray]:
    """Return the arrays of a nest of dicts, lists and tuples, in order."""
    found: list[np.ndarray] = []
    map_arrays(found.append, arrays)
    return found


def as_arrays(part: Any, name: str) -> Any:
    """Return a nest of what users pass for arrays as the same nest of NumPy arrays.

    Args:
        part: One of them or a nest: NumPy arrays, pandas tables, tensors.
        name: What an error calls it, for example "x" or "train[0]".

    Raises:
        InputError: One holds what a model cannot be trained on; the message names it.

    Example:
        >>> as_arrays({"a": np.zeros(2), "b": np.ones((2, 3))}, "x")["b"].shape
        (2, 3)
    """
    if isinstance(part, Mapping):
        return {key: as_arrays(each, f"{name}[{key!r}]") for key, each in part.items()}
    if isinstance(part, (list, tuple)):
        found = [as_arrays(each, f"{name}[{i}]") for i, each in enumerate(part)]
        return type(part)(found)
    return _as_array(part, name)


def refuse_batches(value: Any, name: str) -> None:
    """Refuse what gives its rows batch by batch: a `PyDataset`, a generator, a `DataLoader`.

    Raises:
        InputError: It is one of these.
    """
    nested = isinstance(value, (Mapping, list, tuple, str, bytes))
    iterable = hasattr(value, "__iter__") or hasattr(value, "__getitem__")
    if iterable and not nested and not hasattr(value, "__array__") and not hasattr(value, "shape"):
        raise InputError(
            f"`{name}` must be arrays or a tf.data.Dataset, but got a {type(value).__name__}, "
            f"which gives batches; {_READ_ONCE}."
        )


def _as_array(value: Any, name: str) -> np.ndarray:
    refuse_batches(value, name)
    kind = type(value).__name__
    if is_from(value, "scipy"):
        raise _refusal(name, f"a sparse {kind}", f"pass {name}.toarray()")
    if kind in ("RaggedTensor", "SparseTensor"):
        cure = f"{name}.to_tensor()" if kind == "RaggedTensor" else f"tf.sparse.to_dense({name})"
        raise _refusal(name, f"a {kind}", f"pass {cure}")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        count = int(np.ma.count_masked(value))
        raise _refusal(name, f"{count} masked values", f"pass {name}.filled(...)")
    if hasattr(value, "dtypes") and hasattr(value, "columns"):
        value = _of_table(value, name)
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        raise _refusal(name, f"a {kind} of rows of different lengths", "pad them first") from None
    return _checked(array, name)


def _of_table(table: Any, name: str) -> Any:
    """Return the values of a table, such as a `pandas.DataFrame`, whose columns are numbers."""
    kinds = dict(zip(map(str, table.columns), map(str, table.dtypes), strict=True))
    plain = ("int", "float", "uint", "bool")
    odd = {name: kind for name, kind in kinds.items() if not kind.lower().startswith(plain)}
    if odd:
        column, kind = next(iter(odd.items()))
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        raise _refusal(
            name,
            f"the column {column!r} of {kind}{more}",
            "turn it into numbers, e.g. by pandas.get_dummies, or drop it",
        )
    if len(set(kinds.values())) > 1:  # whole and true/false columns beside others become objects
        return table.to_numpy(dtype="float64")
    return table.to_numpy()


def _checked(array: np.ndarray, name: str) -> np.ndarray:
    kind = array.dtype.kind
    if kind in "fiub":
        return array
    if kind == "V" and array.dtype.names is None and array.dtype.name.startswith(("bf", "float")):
        return array.astype("float32")  # of TensorFlow's short kinds, which NumPy does not know
    if kind in "USO" and array.size and all(isinstance(each, (str, bytes)) for each in array.flat):
        cure = (
            f"pass pandas.factorize({name})[0], or for a model of texts keras.layers."
            "TextVectorization()(...), or a tf.data.Dataset"
        )
        raise _refusal(name, f"strings such as {str(array.flat[0])!r:.30}", cure)
    if kind == "c":
        cure = f"pass numpy.stack([{name}.real, {name}.imag], axis=-1)"
        raise _refusal(name, "complex numbers, whose imaginary part would be lost", cure)
    if kind in "mM":
        raise _refusal(name, f"dates or times ({array.dtype})", "pass numbers, e.g. days")
    if kind == "V":
        fields = ", ".join(array.dtype.names or ())
        cure = "pass numpy.lib.recfunctions.structured_to_unstructured(...)"
        raise _refusal(name, f"a structured array of the fields {fields:.60}", cure)
    odd = next((each for each in array.flat if not isinstance(each, (int, float))), None)
    if isinstance(odd, (list, tuple, np.ndarray)):
        raise _refusal(name, "an object array of rows of their own lengths", "pad them first")
    what = f"an object array with {odd!r:.30} of {type(odd).__name__} in it"
    if odd is None and not any(each is None for each in array.flat):
        what = "an object array of numbers"
    raise _refusal(name, what, f'pass {name}.astype("float32"), without what is no number')


def _refusal(name: str, got: str, cure: str) -> InputError:
    return InputError(f"`{name}` must hold numbers, one row an example, but got {got}; {cure}.")
