"""TuningTask: a model builder with its training, validation and test data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any, Literal

from search_spaces._data import (
    Data,
    batch_rows,
    check_alike,
    check_data,
    check_like,
    count_rows,
    draw_split,
    is_dataset,
    join,
    warn_of_reading,
)
from search_spaces._input import (
    InputError,
    check_rate,
    check_whole,
    is_from,
    is_number,
    is_whole,
    needed_arguments,
)
from search_spaces._words import count


@dataclass(frozen=True, eq=False)
class TuningTask:
    """What is tuned: a model builder with its data.

    Args:
        name: A short name, used in run folders and reports.
        build_model: Takes nothing, returns a compiled `keras.Model`. The library sets the rate on
            its optimizer. A `LearningRateSchedule` compiled into it is kept in shape.
        train: `(x, y)` or `(x, y, sample_weight)` of arrays with one row an example; `x` and `y`
            may be dicts or lists of arrays. A `tf.data.Dataset` (batched) is read into arrays
            once where it has at most 1 GiB, and brings its `batch_size`; a larger one is streamed
            through `model.fit`, its order unseeded.
        validation: The same, for choosing the epoch and the rate.
        test: The same, used once, for the final comparison; None where there is none.
        batch_size: Rows to a training step, 1 or more.
        class_weight: Class number to weight of its examples in training, as in `model.fit`.
        baseline_learning_rate: The rate to beat, above 0; None means what the model was compiled
            with: its rate, or its schedule untouched.
        resplit: `resplit(seed) -> (train, validation)` or `(train, validation, test)`: another
            split of the same rows, its preprocessing fitted inside. Return the third part where
            that preprocessing changes the test inputs (a scaler fitted on the new training rows);
            without it `test` stays as it is. `"shuffle"` pools the rows of `train` and
            `validation`, as they are, and draws both parts anew. With it every stage changes the
            split with the seed (range test, trials, pairs); with None seeds vary weights and
            order only.
        materialise: Whether datasets are read into arrays once, so that they train as lanes and
            random `map` functions are frozen; None where they fit, with a warning that says so.
        facts: What the report should say of the data: plain strings and numbers.

    Raises:
        ValueError: An argument breaks its rule; the message names it.

    Example:
        >>> import numpy as np
        >>> task = TuningTask("toy", lambda: None, (np.zeros((8, 2)), np.zeros(8)),
        ...                   (np.zeros((4, 2)), np.zeros(4)), batch_size=4)
        >>> task.batch_size
        4
    """

    name: str
    build_model: Callable[[], Any]
    train: Data
    validation: Data
    test: Data | None = None
    _: KW_ONLY
    batch_size: int = 32
    class_weight: Mapping[int, float] | None = None
    baseline_learning_rate: float | None = None
    resplit: Callable[[int], tuple[Data, ...]] | Literal["shuffle"] | None = None
    materialise: bool | None = None
    facts: Mapping[str, str | int | float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(
                f"`name` must be a non-empty string, but got {self.name!r}; pass e.g. 'wine'."
            )
        if not callable(self.build_model):
            raise InputError(
                f"`build_model` must be a function, but got {type(self.build_model).__name__}; "
                "pass the function itself, not what it returns."
            )
        if is_from(self.build_model, "keras"):
            raise InputError(
                "`build_model` must be a function that builds a model anew for each seed, but got "
                f"a {type(self.build_model).__name__}; pass the function that built it."
            )
        if needed := ", ".join(each.name for each in needed_arguments(self.build_model)):
            raise InputError(
                f"`build_model` must need no arguments, but needs {needed}; pass e.g. "
                f"lambda: build_model({needed})."
            )
        if not (callable(self.resplit) or self.resplit in (None, "shuffle")):
            raise InputError(
                f"`resplit` must be a function, 'shuffle' or None, but got {self.resplit!r:.80}; "
                "pass the function itself, not what it returns."
            )
        keep = partial(object.__setattr__, self)
        keep("batch_size", check_whole(self.batch_size, "batch_size", cure="pass e.g. 32"))
        if self.baseline_learning_rate is not None:
            cure = "pass e.g. 1e-3, or None for the rate that the model was compiled with"
            rate = check_rate(self.baseline_learning_rate, "baseline_learning_rate", cure=cure)
            keep("baseline_learning_rate", rate)
        _check_class_weight(self.class_weight)
        _check_facts(self.facts)
        for mapping in ("class_weight", "facts"):
            keep(mapping, dict(getattr(self, mapping) or {}) or None)
        self._keep_data(keep)
        if self.resplit == "shuffle":
            check_alike(self.train, self.validation)

    def _keep_data(self, keep: Callable[[str, Any], None]) -> None:
        read = []
        for part in ("train", "validation", "test"):
            data = getattr(self, part)
            if part == "test" and data is None:
                continue
            keep(part, check_data(data, part, materialise=self.materialise))
            if is_dataset(data) and not is_dataset(getattr(self, part)):
                read.append(f"`{part}`")
                if part == "train":
                    keep("batch_size", batch_rows(data, self.batch_size))
        if read and self.materialise is None:
            warn_of_reading(read, f" of task {self.name!r}", stacklevel=4)

    def __repr__(self) -> str:
        parts = [repr(self.name)]
        for part in ("train", "validation", "test"):
            data = getattr(self, part)
            if data is not None:
                size = "a dataset" if is_dataset(data) else count(count_rows(data), "row")
                parts.append(f"{part} {size}")
        return f"TuningTask({', '.join(parts)}, batch_size={self.batch_size})"

    @property
    def streams(self) -> bool:
        """Whether the training or validation data are a dataset, so that lanes cannot be used."""
        return is_dataset(self.train) or is_dataset(self.validation)

    def split(self, seed: int | None) -> tuple[Data, Data, Data | None]:
        """Return `(train, validation, test)` of `resplit(seed)`, or the task's own for None.

        Where `resplit` gives two parts, the third is the task's own `test`; so a model trained on
        the first part is always evaluated on test rows preprocessed as its training rows were.

        Args:
            seed: What moves the split; ignored where the task has no `resplit`.

        Raises:
            ValueError: `resplit` returned something other than two or three parts of data.
        """
        if seed is None or self.resplit is None:
            return self.train, self.validation, self.test
        if self.resplit == "shuffle":
            pooled = join([self.train, self.validation])
            return *draw_split(pooled, count_rows(self.validation), seed), self.test
        parts = self.resplit(seed)
        if not isinstance(parts, (tuple, list)) or len(parts) not in (2, 3):
            size = f" of {len(parts)}" if isinstance(parts, (tuple, list)) else ""
            raise InputError(
                "`resplit(seed)` must return (train, validation) or (train, validation, test), "
                f"but got {type(parts).__name__}{size}; return the parts as one tuple."
            )
        checked = []
        for index, (part, own) in enumerate(zip(parts, self._own(), strict=False)):
            name = f"resplit({seed})[{index}]"
            data = check_data(part, name, materialise=self.materialise)
            if own[1] is not None:
                check_like(data, own[1], name, own[0])
            checked.append(data)
        train, validation, *rest = checked
        return train, validation, rest[0] if rest else self.test

    def _own(self) -> list[tuple[str, Data | None]]:
        return [(part, getattr(self, part)) for part in ("train", "validation", "test")]


def with_data(task: TuningTask, **changes: Any) -> TuningTask:
    """Return the task with some of its arguments replaced."""
    return replace(task, **changes)


def _check_class_weight(class_weight: object) -> None:
    if class_weight is None:
        return
    if not isinstance(class_weight, Mapping) or not all(
        is_whole(label) and is_number(weight) and 0 <= weight < math.inf
        for label, weight in class_weight.items()
    ):
        raise InputError(
            "`class_weight` must map whole class numbers to weights of 0 or more, "
            f"but got {class_weight!r}; pass e.g. {{0: 1.0, 1: 2.0}}."
        )


def _check_facts(facts: object) -> None:
    if facts is None:
        return
    if not isinstance(facts, Mapping) or not all(
        isinstance(key, str) and isinstance(value, (str, int, float))
        for key, value in facts.items()
    ):
        raise InputError(
            f"`facts` must map strings to plain strings and numbers, but got {facts!r}; "
            "convert arrays and NumPy integers first."
        )
