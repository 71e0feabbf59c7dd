"""Lanes stacked in one XLA program: K models, each with its own rate, seed and batches.

Weights are stacked along a first axis and kept flat, (K, n) for a weight of n elements, so that
a schedule that returns (K, 1) gives every lane its own rate through the optimizer's public
`apply`. Gradients are taken inside `tf.vectorized_map`; the operations that have no vectorized
form, random numbers for one, run lane after lane in a loop of their own inside the same program.
Where that does not compile, as with recurrent layers, whole lanes run one after the other with
`tf.map_fn`. One program holds whole epochs.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from search_spaces._arrays import map_arrays
from search_spaces._data import count_rows
from search_spaces.task import TuningTask
from tuners.training.models import assign, built_model, model_variables
from tuners.training.population.convolutions import use_products
from tuners.training.population.dropout import draw_at_once
from tuners.training.population.metrics import average_batches, is_plain_mean, lane_metrics
from tuners.training.population.stackable import refusing_shapes
from tuners.training.population.updates import after_gradients, make_groups
from tuners.training.rows import first_rows, rows_of

SEGMENT = 256  # steps in one call of the program, at most
EVALUATION_ROWS = 256  # rows to a batch in evaluation, where the loss is a plain mean


class LaneProgram:
    """K lanes of one model, compiled once: load lanes, train steps, evaluate, read weights.

    Args:
        task: The task whose model is stacked.
        lanes: K, the number of lanes, 1 or more.
        vectorized: Whether lanes run at once, or one after the other in the program.
        shared_rows: Whether all lanes train on the same rows; else each brings its own.

    Raises:
        CannotStack: The optimizer cannot be made anew with a rate for each lane.
    """

    def __init__(
        self, task: TuningTask, lanes: int, *, vectorized: bool, shared_rows: bool
    ) -> None:
        self.lanes, self.vectorized, self.shared_rows = lanes, vectorized, shared_rows
        self.model = model = built_model(task, 0)
        if vectorized:
            use_products(model)
            draw_at_once(model)
        self._build_metrics(task)
        self._shapes = [tuple(variable.shape) for variable in model.trainable_variables]
        self._groups = make_groups(model, lanes, self._sparse)
        self.state = [self._stacked(variable) for variable in model.non_trainable_variables]
        self.metric_state = [self._stacked(variable) for variable in model.metrics_variables]
        self._metric_start = [variable.numpy() for variable in self.metric_state]
        self.alive = tf.Variable(tf.ones((lanes,), tf.bool))
        rows = count_rows(task.train)
        self._full_batch = min(task.batch_size, rows)  # most calls train an epoch of full batches
        self.segment_rows = max(1, min(SEGMENT, rows // self._full_batch))
        self._plain_mean = is_plain_mean(model)
        self.traces = 0
        self._segment = tf.function(self._run_segment, jit_compile=True, autograph=False)
        self._evaluate = tf.function(self._run_evaluation, jit_compile=True, autograph=False)
        self._predict = tf.function(self._run_prediction, jit_compile=True, autograph=False)
        self._results = tf.function(self._run_metrics, jit_compile=True, autograph=False)

    def _build_metrics(self, task: TuningTask) -> None:
        parts = rows_of(first_rows(task.train, 2)).parts()
        two = {name: map_arrays(tf.constant, part) for name, part in parts.items()}
        with refusing_shapes(task):
            self._build_metrics_on(two)

    def _build_metrics_on(self, two: dict[str, Any]) -> None:
        weight = two.get("sample_weight")
        with tf.GradientTape() as tape:
            y_pred = self.model(two["x"])
            loss = self.model.compute_loss(two["x"], two["y"], y_pred, weight)
        gradients = tape.gradient(loss, [v.value for v in self.model.trainable_variables])
        self._sparse = [isinstance(gradient, tf.IndexedSlices) for gradient in gradients]
        self._connected = [gradient is not None for gradient in gradients]
        self.model.compute_metrics(two["x"], two["y"], y_pred, weight)
        for tracker in getattr(self.model._compile_loss, "metrics", []):
            average_batches(tracker)
        self.model.reset_metrics()

    def _shaped_weights(self) -> list[Any]:
        """Return the weights as (K, *shape) tensors, in the model's order."""
        found: dict[int, Any] = {}
        for group in self._groups:
            for number, weight in zip(group.numbers, group.weights, strict=True):
                shape = (self.lanes, *self._shapes[number])
                found[number] = tf.reshape(weight.value, shape)
        return [found[number] for number in range(len(found))]

    def _stacked(self, variable: Any) -> tf.Variable:
        return tf.Variable(np.stack([variable.numpy()] * self.lanes))

    # -- loading and reading lanes ------------------------------------------------------------

    def load(self, lanes: list[list[np.ndarray]]) -> None:
        """Set each lane's variables (in the order of `model_variables`), fresh slots, metrics."""
        columns = [np.stack(column) for column in zip(*lanes, strict=True)]
        split = len(self._shapes)
        for group in self._groups:
            for number, weight in zip(group.numbers, group.weights, strict=True):
                weight.assign(columns[number].reshape(weight.shape))
            assign(group.optimizer.variables, group.start)
        assign(self.state, columns[split:])
        self.alive.assign(tf.ones((self.lanes,), tf.bool))
        self.reset_metrics()

    def read(self) -> list[np.ndarray]:
        """Return all variables stacked, (K, ...) each, in the order of `model_variables`."""
        shaped = [weight.numpy() for weight in self._shaped_weights()]
        return shaped + [state.numpy() for state in self.state]

    def snapshot(self) -> list[np.ndarray]:
        """Return everything that a lane carries from step to step, to `restore` it later."""
        return [variable.numpy() for variable in self._carried()]

    def restore(self, values: list[np.ndarray]) -> None:
        """Put back what `snapshot` returned."""
        assign(self._carried(), values)

    def _carried(self) -> list[Any]:
        carried = [
            v for group in self._groups for v in (*group.weights, *group.optimizer.variables)
        ]
        return [*carried, *self.state, self.alive]

    def finalize(self) -> None:
        """Do what `fit` does at its end: an optimizer with EMA puts the averages in place."""
        for group in self._groups:
            group.optimizer.finalize_variable_values(group.weights)

    def reset_metrics(self) -> None:
        """Set the compiled metrics back to their start."""
        assign(self.metric_state, self._metric_start)

    # -- what runs compiled ---------------------------------------------------------------------

    def train(
        self,
        data: dict[str, Any],
        order: np.ndarray,
        rates: np.ndarray,
        tell: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Train `order.shape[0]` steps and return the true loss of each batch, (steps, K).

        Args:
            data: Parts of the training rows, (rows, ...) when shared, else (K, rows, ...).
            order: Rows of each batch, (steps, K, batch).
            rates: The rate of each lane at each step, (steps, K).
            tell: Called with how many steps more are done.
        """
        steps = len(order)
        size = min(SEGMENT, max(steps, self.segment_rows))
        if order.shape[2] == self._full_batch:
            size = self.segment_rows
        losses = []
        for start in range(0, steps, size):
            part, rate = order[start : start + size], rates[start : start + size]
            count = len(part)
            if count < size:
                part = np.concatenate([part, np.repeat(part[-1:], size - count, axis=0)])
                rate = np.concatenate([rate, np.repeat(rate[-1:], size - count, axis=0)])
            out = self._segment(
                data,
                tf.constant(part, tf.int32),
                tf.constant(rate, tf.float32),
                tf.constant(count, tf.int32),
            )
            losses.append(out.numpy()[:count])
            if tell is not None:
                tell(count)
        return np.concatenate(losses)

    def _run_segment(self, data: Any, order: Any, rates: Any, count: Any) -> Any:
        self.traces += 1
        axis = 0 if self.shared_rows else 1

        def body(step: Any, losses: Any) -> Any:
            rows = order[step]
            batch = tf.nest.map_structure(
                lambda part: tf.gather(part, rows, axis=axis, batch_dims=axis), data
            )
            alive = self.alive.value()
            loss = self._train_step(batch, tf.where(alive, rates[step], 0.0))
            self.alive.assign(alive & tf.math.is_finite(loss))
            loss = tf.where(alive, loss, np.nan)
            return step + 1, tf.tensor_scatter_nd_update(losses, [[step]], loss[None])

        start = tf.fill(rates.shape, np.float32(np.nan))
        return tf.while_loop(lambda step, _: step < count, body, (0, start))[1]

    def _train_step(self, batch: dict[str, Any], rates: Any) -> Any:
        model = self.model

        def lane(arguments: Any) -> Any:
            weights, state, metric_state, parts = arguments
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                loss, scope = self._forward(weights, state, metric_state, parts, training=True)
            gradients = tape.gradient(loss, weights)
            return (
                tf.cast(loss, tf.float32),
                [
                    (gradient.values, gradient.indices)
                    if sparse
                    else tf.convert_to_tensor(gradient)
                    for gradient, sparse, connected in zip(
                        gradients, self._sparse, self._connected, strict=True
                    )
                    if connected
                ],
                [scope.get_current_value(v) for v in model.non_trainable_variables],
                [scope.get_current_value(v) for v in model.metrics_variables],
            )

        outputs = self._over_lanes(lane, (*self._values(), batch))
        loss, gradients, state, metric_state = outputs
        connected = [number for number, used in enumerate(self._connected) if used]
        by_number = dict(zip(connected, gradients, strict=True))
        rates = after_gradients(rates, gradients)
        for group in self._groups:
            group.apply(by_number, rates)
        assign([*self.state, *self.metric_state], [*state, *metric_state])
        return loss

    def _forward(
        self, weights: Any, state: Any, metric_state: Any, parts: Any, *, training: bool
    ) -> tuple[Any, Any]:
        model = self.model
        x, y, weight = parts["x"], parts["y"], parts.get("sample_weight")
        with self._scope(weights, state, metric_state) as scope:
            y_pred = _call(model, x, training=training)
            loss = model.compute_loss(x, y, y_pred, weight, training=training)
            model.compute_metrics(x, y, y_pred, sample_weight=weight)
        return loss, scope

    def _scope(self, weights: Any, state: Any, metric_state: Any) -> Any:
        """Return a scope in which the model has a lane's values."""
        variables = [*model_variables(self.model), *self.model.metrics_variables]
        mapping = list(zip(variables, [*weights, *state, *metric_state], strict=True))
        return keras.StatelessScope(state_mapping=mapping, collect_losses=True)

    def _copies(self, parts: Any) -> Any:
        """Return rows that all lanes share, once for each lane."""
        return tf.nest.map_structure(lambda a: tf.repeat(a[None], self.lanes, axis=0), parts)

    def _values(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the lanes' weights, states and states of metrics."""
        metric_state = [variable.value() for variable in self.metric_state]
        return self._shaped_weights(), [variable.value() for variable in self.state], metric_state

    def _over_lanes(self, lane: Callable[[Any], Any], arguments: Any) -> Any:
        if self.vectorized:
            with _tensorflow_quiet():
                return tf.vectorized_map(lane, arguments)
        specs = tf.nest.map_structure(
            lambda part: tf.TensorSpec(part.shape[1:], part.dtype), arguments
        )
        outputs = tf.function(lane, autograph=False).get_concrete_function(specs).structured_outputs
        signature = tf.nest.map_structure(
            lambda part: tf.TensorSpec(part.shape, part.dtype), outputs
        )
        return tf.map_fn(lane, arguments, fn_output_signature=signature)

    def evaluate(self, data: dict[str, Any], *, shared: bool, batch: int) -> dict[str, np.ndarray]:
        """Return loss and compiled metrics of every lane, (K,) each, as `model.evaluate` does."""
        self.reset_metrics()
        rows = max(batch, EVALUATION_ROWS) if self._plain_mean else batch
        loss = self._evaluate(data, shared, rows).numpy()
        return {"loss": loss, **self.metrics()}

    def metrics(self) -> dict[str, np.ndarray]:
        """Return the compiled metrics of every lane since they were reset, (K,) each."""
        return {name: value.numpy() for name, value in self._results().items()}

    def _run_metrics(self) -> dict[str, Any]:
        values = [variable.value() for variable in self.metric_state]
        return lane_metrics(self.model, values, self.lanes)

    def _run_evaluation(self, data: Any, shared: bool, batch: int) -> Any:
        self.traces += 1
        axis = 0 if shared else 1
        total = tf.nest.flatten(data)[0].shape[axis]
        batch = min(batch, total)

        def lane(arguments: Any) -> Any:
            weights, state, metric_state, parts = arguments
            loss, scope = self._forward(weights, state, metric_state, parts, training=False)
            return (
                tf.cast(loss, tf.float32),
                [scope.get_current_value(v) for v in self.model.metrics_variables],
            )

        def add(start: Any, rows: int, loss_sum: Any, metric_state: Any) -> Any:
            parts = tf.nest.map_structure(lambda part: _slice(part, start, rows, axis), data)
            if shared:
                parts = self._copies(parts)
            weights, state, _ = self._values()
            loss, metric_state = self._over_lanes(lane, (weights, state, metric_state, parts))
            return loss_sum + loss * rows, metric_state

        full, tail = divmod(total, batch)
        loop_state = (tf.zeros((self.lanes,)), [v.value() for v in self.metric_state])
        _, (loss_sum, metric_state) = tf.while_loop(
            lambda index, _: index < full,
            lambda index, carried: (index + 1, add(index * batch, batch, *carried)),
            (0, loop_state),
        )
        if tail:
            loss_sum, metric_state = add(full * batch, tail, loss_sum, metric_state)
        assign(self.metric_state, metric_state)
        return loss_sum / total

    def predict(self, data: Any, *, shared: bool, batch: int) -> Any:
        """Return the outputs of every lane, (K, rows, ...), or a nest of them."""
        total = tf.nest.flatten(data)[0].shape[0 if shared else 1]
        axis, pieces = 0 if shared else 1, []
        for start in range(0, total, batch):
            rows = min(batch, total - start)
            part = tf.nest.map_structure(lambda a, s=start, r=rows: _slice(a, s, r, axis), data)
            pieces.append(self._predict(part, shared))
        return tf.nest.map_structure(lambda *parts: np.concatenate(parts, axis=1), *pieces)

    def _run_prediction(self, x: Any, shared: bool) -> Any:
        self.traces += 1

        def lane(arguments: Any) -> Any:
            *values, inputs = arguments
            with self._scope(*values):
                return _call(self.model, inputs, training=False)

        return self._over_lanes(lane, (*self._values(), self._copies(x) if shared else x))


@contextlib.contextmanager
def _tensorflow_quiet() -> Iterator[None]:
    """Keep TensorFlow from logging each operation that has no vectorized form."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _call(model: Any, x: Any, *, training: bool) -> Any:
    if getattr(model, "_call_has_training_arg", True):
        return model(x, training=training)
    return model(x)


def _slice(part: Any, start: Any, rows: int, axis: int) -> Any:
    begin = [0] * len(part.shape)
    size = [*part.shape]
    begin[axis], size[axis] = start, rows
    return tf.slice(part, begin, size)
