"""The rows of a chunk of lanes as tensors: shared by all lanes, or stacked, one copy each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from search_spaces._arrays import map_arrays
from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.training.population.program import LaneProgram
from tuners.training.rows import Rows, rows_of


def chunks(lanes: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the lanes of each chunk, and the same filled up with its first to the program's size."""
    for start in range(0, lanes, size):
        chunk = np.arange(start, min(start + size, lanes))
        yield chunk, np.append(chunk, np.full(size - len(chunk), start))


def chunk_rows(
    task: TuningTask, program: LaneProgram, seeds: np.ndarray, *, resplit: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the training and validation parts of a chunk as tensors, by name.

    Args:
        task: The task.
        program: The program that will train the chunk.
        seeds: Seed of each lane, (K,).
        resplit: Whether each lane trains on the rows of its own seed's split.
    """
    if program.shared_rows or not resplit:
        train = lane_rows(rows_of(task.train, task.class_weight), program)
        return train, lane_rows(rows_of(task.validation), program)
    splits = {int(seed): task.split(int(seed)) for seed in dict.fromkeys(seeds.tolist())}
    own = [rows_of(splits[int(seed)][0], task.class_weight) for seed in seeds]
    validation = [rows_of(splits[int(seed)][1]) for seed in seeds]
    return stacked(own, "train"), stacked(validation, "validation")


def lane_rows(rows: Rows, program: LaneProgram) -> dict[str, Any]:
    """Return the same rows for all lanes: once where the program shares them, else a copy each."""

    def tensor(array: np.ndarray) -> Any:
        if program.shared_rows:
            return tf.constant(array)
        return tf.repeat(array[None], program.lanes, axis=0)

    return {name: map_arrays(tensor, part) for name, part in rows.parts().items()}


def stacked(rows: list[Rows], name: str) -> dict[str, Any]:
    """Return the rows of several lanes stacked, (K, rows, ...) each.

    Args:
        rows: The rows of each lane.
        name: What an error calls them.

    Raises:
        ValueError: The lanes have different numbers of rows.
    """
    counts = {row.count for row in rows}
    if len(counts) > 1:
        raise InputError(
            f"`resplit` must give every seed the same number of {name} rows, "
            f"but got {sorted(counts)}; split by a fixed number of rows."
        )
    parts = [row.parts() for row in rows]
    return {
        key: tf.nest.map_structure(
            lambda *arrays: tf.constant(np.stack(arrays)), *[part[key] for part in parts]
        )
        for key in parts[0]
    }
