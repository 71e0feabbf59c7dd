"""The rows of a chunk of lanes as tensors: shared by all lanes, or stacked, one copy each."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from search_spaces._input import InputError
from search_spaces.task import TuningTask, map_arrays
from tuners.training.models import Rows, rows_of
from tuners.training.population.program import LaneProgram


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
    if program.shared_rows:
        return (
            _tensors(rows_of(task.train, task.class_weight)),
            _tensors(rows_of(task.validation)),
        )
    if not resplit:
        return (
            _repeated(rows_of(task.train, task.class_weight), program.lanes),
            _repeated(rows_of(task.validation), program.lanes),
        )
    splits = {int(seed): task.split(int(seed)) for seed in dict.fromkeys(seeds.tolist())}
    train = [rows_of(splits[int(seed)][0], task.class_weight) for seed in seeds]
    validation = [rows_of(splits[int(seed)][1]) for seed in seeds]
    return stacked(train, "train"), stacked(validation, "validation")


def _tensors(rows: Rows) -> dict[str, Any]:
    return {name: map_arrays(tf.constant, part) for name, part in rows.parts().items()}


def _repeated(rows: Rows, lanes: int) -> dict[str, Any]:
    return {
        name: map_arrays(lambda array: tf.repeat(array[None], lanes, axis=0), part)
        for name, part in rows.parts().items()
    }


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
