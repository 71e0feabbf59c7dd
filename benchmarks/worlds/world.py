"""What a world is: a name, what its targets are, and how a seed draws rows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]
Split = tuple[Arrays, Arrays, Arrays]
Target = Literal["number", "count", "classes"]


@dataclass(frozen=True)
class World:
    """One data set, or a generator of fresh rows.

    Args:
        name: Names it in the list of tasks and in the list of those set aside.
        target: What is predicted: numbers, counts (0, 1, 2, ...) or classes.
        outputs: How many classes, or numbers to a row.
        draw: From a seed to raw training, validation and test rows.
        source: Where the rows come from, in words.
        levels: The categories that are the last columns of the inputs as whole numbers, and how
            many levels each has.
        data_set: The data set that the rows are of, where several worlds share one.
    """

    name: str
    target: Target
    outputs: int
    draw: Callable[[int], Split]
    source: str
    levels: Mapping[str, int] = field(default_factory=dict)
    data_set: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_set", self.data_set or self.name)

    def split(self, seed: int, *, raw_target: bool = False) -> Split:
        """Return the three parts, scaled by the training rows; whole-number inputs stay.

        Args:
            seed: Which rows go where, or which rows are drawn.
            raw_target: Leave numbers to predict in their own unit; else mean 0, deviation 1.
        """
        parts = self.draw(seed)
        x, y = parts[0]
        shift, scale = np.zeros(1), np.ones(1)
        numbers = x.dtype.kind == "f"
        if numbers:
            shift, scale = x.mean(axis=0), x.std(axis=0)
            scale[scale < 1e-3] = 1.0  # a pixel that is always blank
            if self.levels:
                shift[-len(self.levels) :], scale[-len(self.levels) :] = 0.0, 1.0
        below, unit = np.zeros(1), np.ones(1)
        if self.target == "number" and not raw_target:
            below, unit = y.mean(axis=0), y.std(axis=0)
        kind = "int32" if self.target == "classes" else "float32"
        one, two, three = (
            (
                ((x - shift) / scale).astype("float32") if numbers else x.astype("int32"),
                ((y - below) / unit).astype(kind),
            )
            for x, y in parts
        )
        return one, two, three
