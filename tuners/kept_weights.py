"""Loss, metrics and outputs of the weights that a training kept, all lanes in one program."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from search_spaces.task import Data, TuningTask, check_data
from tuners import sequential
from tuners.lane_programs import choose
from tuners.lane_rows import stacked
from tuners.lanes import initial_variables, model_variables, rows_of
from tuners.population import LaneProgram


def evaluate_weights(
    task: TuningTask, weights: list[list[np.ndarray]], data: Data | list[Data]
) -> dict[str, np.ndarray]:
    """Return loss and compiled metrics of kept weights, (lanes,) each; see `tuners.evaluate`."""
    datas = _one_each(data, len(weights))
    _check_kept(weights)
    chosen = choose(task, len(weights), None, resplit=True)
    if isinstance(chosen, str):
        return sequential.evaluate_weights(task, weights, datas)
    batch = task.batch_size
    found: list[dict[str, np.ndarray]] = []
    for lanes in _load_weights(task, chosen, weights):
        rows = stacked([rows_of(datas[lane]) for lane in lanes], "evaluated")
        values = chosen.evaluate(rows, shared=False, batch=batch)
        found.append({name: value[: _distinct(lanes)] for name, value in values.items()})
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def predict_weights(
    task: TuningTask, weights: list[list[np.ndarray]], data: Data | list[Data]
) -> Any:
    """Return the outputs of kept weights, (lanes, rows, ...); see `tuners.predict`."""
    datas = _one_each(data, len(weights))
    _check_kept(weights)
    chosen = choose(task, len(weights), None, resplit=True)
    if isinstance(chosen, str):
        return sequential.predict_weights(task, weights, datas)
    pieces = []
    for lanes in _load_weights(task, chosen, weights):
        rows = stacked([rows_of(datas[lane]) for lane in lanes], "evaluated")
        outputs = chosen.predict(rows["x"], shared=False, batch=1024)
        pieces.append(tf.nest.map_structure(lambda out: out[: _distinct(lanes)], outputs))  # noqa: B023
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *pieces)


def _distinct(lanes: list[int]) -> int:
    return len(dict.fromkeys(lanes))


def _load_weights(task: TuningTask, program: LaneProgram, weights: list[list[np.ndarray]]) -> Any:
    """Load chunk after chunk of kept weights, yielding its lanes, padded with the first."""
    model = program.model
    position = {id(weight): index for index, weight in enumerate(model.weights)}
    start_values = initial_variables(task, 0)
    for start in range(0, len(weights), program.lanes):
        lanes = list(range(start, min(start + program.lanes, len(weights))))
        lanes += [start] * (program.lanes - len(lanes))
        program.load(
            [
                [
                    weights[lane][position[id(v)]] if id(v) in position else value
                    for v, value in zip(model_variables(model), start_values, strict=True)
                ]
                for lane in lanes
            ]
        )
        yield lanes


def _check_kept(weights: list[list[np.ndarray]]) -> None:
    empty = [lane for lane, kept in enumerate(weights) if not kept]
    if empty or not weights:
        raise ValueError(
            f"`weights` must hold the weights of every lane, but those of lanes {empty} are empty "
            "(a lane that was never finite keeps none); leave them out."
        )


def _one_each(data: Data | list[Data], lanes: int) -> list[Data]:
    if isinstance(data, list):
        if len(data) != lanes:
            raise ValueError(
                f"`data` must be one (x, y), or a list of one for each of the {lanes} lanes, "
                f"but got a list of {len(data)}."
            )
        return [check_data(one, "data") for one in data]
    return [check_data(data, "data")] * lanes
