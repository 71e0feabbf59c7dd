"""Lanes one at a time: the same lane as in a population, trained with `model.fit`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from search_spaces._data import Data, is_dataset
from search_spaces._input import InputError
from search_spaces.task import TuningTask
from tuners.training.models import (
    assign,
    built_model,
    initial_variables,
    leaf_optimizers,
    model_variables,
    random_state_kept,
)
from tuners.training.records import Curves, Plan, Progress, named_curve
from tuners.training.rows import (
    Rows,
    batches_of,
    epoch_order,
    rows_of,
    step_order,
    steps_per_epoch,
)
from tuners.training.schedules import VariableRate, set_rate
from tuners.training.state import ModelState


class _Batches(keras.utils.PyDataset):
    """The batches of a lane, in the order that an epoch has for its seed."""

    def __init__(self, rows: Rows, batch: int, order: Callable[[int], np.ndarray]) -> None:
        super().__init__()
        self.rows, self.batch, self.order_of = rows, batch, order
        self.set_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        chosen = self.order[index * self.batch : (index + 1) * self.batch]
        return tuple(self.rows.take(chosen).values())

    def set_epoch(self, epoch: int) -> None:
        """Take an epoch's order; Keras calls `on_epoch_end` also after its first peek."""
        self.order = self.order_of(epoch)


class _Ramp(keras.callbacks.Callback):
    """Holds a rate for each step, and records the loss of each batch by itself."""

    def __init__(
        self, held: list[tuple[Any, float]], rates: np.ndarray, tell: Callable[[int], None]
    ) -> None:
        super().__init__()
        self.held, self.rates, self.tell = held, rates, tell
        self.losses, self.steps = np.full(len(rates), np.nan), 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.reset_metrics()  # what Keras logs is the mean since then
        for rate, ratio in self.held:
            rate.assign(float(self.rates[batch]) * ratio)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = float((logs or {})["loss"])
        if np.isfinite(loss):
            self.losses[batch] = loss
        else:
            self.model.stop_training = True
        self.steps += 1
        self.tell(1)


class _Watch(keras.callbacks.Callback):
    """Writes a lane's epochs into the curves, keeps weights, stops on a non-finite loss."""

    def __init__(
        self,
        plan: Plan,
        curves: Curves,
        lane: int,
        progress: Progress,
        data: Any,
        evaluate_test: Callable[[Any], dict[str, float]] | None = None,
    ) -> None:
        super().__init__()
        self.plan, self.curves, self.lane, self.progress = plan, curves, lane, progress
        self.data, self.best, self.evaluate_test = data, np.inf, evaluate_test

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if isinstance(self.data, _Batches):
            self.data.set_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = scalars(logs or {})
        if self.evaluate_test is not None:
            found = self.evaluate_test(self.model)
            logs |= {f"test_{name}": value for name, value in found.items()}
        if not (np.isfinite(logs["loss"]) and np.isfinite(logs.get("val_loss", 0.0))):
            self.curves.diverged_epoch[self.lane] = epoch
            logs = dict.fromkeys(logs, np.nan)
            self.model.stop_training = True
        values = {
            name: np.array([value]) for name, value in logs.items() if name != "learning_rate"
        }
        lanes = np.array([self.lane])
        self.curves.add(lanes, epoch, values)
        self.progress.add(1)
        score = self.plan.score(self.curves)[self.lane, epoch]
        if self.plan.keep_weights == "best" and np.isfinite(score) and score < self.best:
            self.best = score
            self.curves.weights[self.lane] = self.model.get_weights()
        if self.plan.stop_lanes is not None:
            scores = named_curve(self.curves, self.plan.objective)[:, epoch]
            if np.asarray(self.plan.stop_lanes(epoch, scores))[self.lane]:
                self.model.stop_training = True


def run_epochs(task: TuningTask, plan: Plan, curves: Curves, progress: Progress) -> None:
    """Train each lane of a plan with one `model.fit`, writing into `curves`."""
    models = lane_models(task, plan.seeds)
    for lane, (model, rate, seed) in enumerate(zip(models, plan.rates, plan.seeds, strict=True)):
        train, validation, test = task.split(int(seed) if plan.resplit else None)
        evaluate_test = None
        if plan.test_curves:
            evaluate_test = partial(_evaluate, data=test, batch=task.batch_size)
        # of a dataset of unknown length what is trained of it counts as an epoch
        epoch = batches_of(task) or plan.batches or steps_per_epoch(task)
        set_rate(model, float(rate), (plan.schedule_epochs or plan.epochs) * epoch)
        order_seed = int(plan.seeds[0] if plan.same_batches else seed)
        fitted, options = _fit_data(task, train, order_seed, plan.batches)
        watched = _watched(validation)
        with random_state_kept(int(seed)):
            curves.initial_val_loss[lane] = _evaluate(model, validation, task.batch_size)["loss"]
            done = progress.done
            model.fit(
                fitted,
                epochs=plan.epochs,
                validation_data=watched,
                callbacks=[
                    _Watch(plan, curves, lane, progress, fitted, evaluate_test),
                    *plan.callbacks,
                ],
                verbose=0,
                **options,
                **({} if is_dataset(validation) else {"validation_batch_size": task.batch_size}),
            )
        progress.add(plan.epochs - (progress.done - done))
        if plan.keep_weights == "final":
            curves.weights[lane] = model.get_weights()


def _fit_data(
    task: TuningTask, train: Data, seed: int, batches: int | None = None
) -> tuple[Any, dict[str, Any]]:
    if is_dataset(train):
        options = {"shuffle": False, "class_weight": task.class_weight}
        return train if batches is None else train.take(batches), options
    rows = rows_of(train, task.class_weight)
    batch = min(task.batch_size, rows.count)
    trained = rows.count if batches is None else batches * batch
    return _Batches(rows, batch, lambda epoch: epoch_order(seed, epoch, rows.count)[:trained]), {
        "shuffle": False
    }


def _watched(data: Data) -> Any:
    """Return data as `model.fit` validates on them."""
    return data if is_dataset(data) else tuple(rows_of(data).parts().values())


def _evaluate(model: Any, data: Data, batch: int) -> dict[str, float]:
    if is_dataset(data):
        return scalars(model.evaluate(data, verbose=0, return_dict=True))
    return evaluate_rows(model, rows_of(data), batch)


def evaluate_rows(model: Any, rows: Rows, batch: int) -> dict[str, float]:
    """Return loss and compiled metrics of a model on some rows, by `model.evaluate`."""
    found = model.evaluate(**rows.parts(), batch_size=batch, verbose=0, return_dict=True)
    return scalars(found)


def scalars(logs: dict[str, Any]) -> dict[str, float]:
    """Return the logs that are one number each, which alone have a curve."""
    return {name: float(value) for name, value in logs.items() if np.ndim(value) == 0}


def lane_models(
    task: TuningTask, seeds: np.ndarray, prepare: Callable[[Any], None] | None = None
) -> Iterator[Any]:
    """Give the model of each seed, as built from it: one model set back, so compiled once.

    A model that holds optimizers of its own beside the compiled one is built anew each time.

    Args:
        task: The task.
        seeds: The seeds, (lanes,).
        prepare: Called with each model that is built, if given.
    """
    state: ModelState | None = None
    for seed in seeds:
        if state is None:
            model = built_model(task, int(seed))
            if prepare is not None:
                prepare(model)
            if not _own_optimizers(model):
                state = ModelState(model)
        else:
            state.restore()
            assign(model_variables(model), initial_variables(task, int(seed)))
        yield model


def _own_optimizers(model: Any) -> bool:
    held = [each for each in vars(model).values() if isinstance(each, keras.optimizers.Optimizer)]
    return any(each is not model.optimizer for each in held)


def run_lane_steps(
    task: TuningTask,
    rates: np.ndarray,
    seeds: np.ndarray,
    order_seeds: np.ndarray,
    tell: Callable[[int], None],
) -> np.ndarray:
    """Train lanes one after another with one `model.fit` each, a rate for each step.

    Args:
        task: The task.
        rates: Rates (steps, lanes).
        seeds: Seeds of the weights, (lanes,).
        order_seeds: Seeds of the batches' order, (lanes,).
        tell: Called with how many steps more are done.

    Returns:
        The losses (steps, lanes), NaN once non-finite.
    """
    losses = np.full(rates.shape, np.nan)
    held: list[tuple[Any, float]] = []

    def take_rates(model: Any) -> None:
        leaves = leaf_optimizers(model.optimizer)
        own = [float(leaf.learning_rate) for leaf in leaves]
        held.clear()
        for leaf, rate in zip(leaves, own, strict=True):
            ratio = rate / max(own) if max(own) > 0 else 1.0  # a warm-up may start at 0
            held.append((keras.Variable(ratio, trainable=False), ratio))
            leaf.learning_rate = VariableRate(held[-1][0])

    for lane, model in enumerate(lane_models(task, seeds, take_rates)):
        train = task.split(int(seeds[lane]))[0]
        fitted, options = _ramp_data(task, train, int(order_seeds[lane]), len(rates))
        ramp = _Ramp(held, rates[:, lane], tell)
        with random_state_kept(int(seeds[lane])), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Your input ran out of data")
            model.fit(fitted, callbacks=[ramp], verbose=0, **options)
        if ramp.steps < len(rates) and not model.stop_training:
            raise InputError(
                "`train` must give its batches again on each pass, but a pass gave none; make the "
                "dataset from arrays, or of a function that returns a fresh generator."
            )
        losses[:, lane] = ramp.losses
    return losses


def _ramp_data(task: TuningTask, train: Data, seed: int, steps: int) -> tuple[Any, dict[str, Any]]:
    if is_dataset(train):
        data, options = _fit_data(task, train.repeat(), seed)
        return data, {**options, "steps_per_epoch": steps}
    rows = rows_of(train, task.class_weight)
    batch = min(task.batch_size, rows.count)
    order = step_order(seed, steps, rows.count, batch).ravel()
    return _Batches(rows, batch, lambda _: order), {"shuffle": False}


def evaluate_weights(
    task: TuningTask, weights: list[list[np.ndarray]], datas: list[Data]
) -> dict[str, np.ndarray]:
    """Return loss and compiled metrics of kept weights, (lanes,) each, by `model.evaluate`."""
    model = built_model(task, 0)
    found = []
    for lane, data in zip(weights, datas, strict=True):
        model.set_weights(lane)
        found.append(_evaluate(model, data, task.batch_size))
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def predict_weights(task: TuningTask, weights: list[list[np.ndarray]], datas: list[Data]) -> Any:
    """Return the outputs of kept weights, (lanes, rows, ...), by `model.predict`."""
    model = built_model(task, 0)
    outputs = []
    for lane, data in zip(weights, datas, strict=True):
        model.set_weights(lane)
        x = data.map(lambda x, *_: x) if is_dataset(data) else rows_of(data).x
        outputs.append(model.predict(x, batch_size=None if is_dataset(data) else 1024, verbose=0))
    return tf.nest.map_structure(lambda *parts: np.stack(parts), *outputs)
