"""Lanes one at a time: the same lane as in a population, trained with `model.fit`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from search_spaces._input import InputError
from search_spaces.task import Data, TuningTask, is_dataset
from tuners.training.models import (
    Rows,
    built_model,
    epoch_order,
    leaf_optimizers,
    random_state_kept,
    rows_of,
    step_order,
    steps_per_epoch,
)
from tuners.training.records import Curves, Plan, Progress, named_curve
from tuners.training.schedules import VariableRate, set_rate


class _Batches(keras.utils.PyDataset):
    """The batches of a lane, in the order of its seed, another one each epoch."""

    def __init__(self, rows: Rows, batch: int, seed: int) -> None:
        super().__init__()
        self.rows, self.batch, self.seed = rows, batch, seed
        self.set_epoch(0)

    def __len__(self) -> int:
        return -(-self.rows.count // self.batch)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        chosen = self.order[index * self.batch : (index + 1) * self.batch]
        return tuple(self.rows.take(chosen).values())

    def set_epoch(self, epoch: int) -> None:
        """Take an epoch's order; Keras calls `on_epoch_end` also after its first peek."""
        self.order = epoch_order(self.seed, epoch, self.rows.count)


class _Watch(keras.callbacks.Callback):
    """Writes a lane's epochs into the curves, keeps weights, stops on a non-finite loss."""

    def __init__(
        self, plan: Plan, curves: Curves, lane: int, progress: Progress, data: Any
    ) -> None:
        super().__init__()
        self.plan, self.curves, self.lane, self.progress = plan, curves, lane, progress
        self.data, self.best = data, np.inf

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if isinstance(self.data, _Batches):
            self.data.set_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0}
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
    for lane, (rate, seed) in enumerate(zip(plan.rates, plan.seeds, strict=True)):
        train, validation, *_ = task.split(int(seed) if plan.resplit else None)
        model = built_model(task, int(seed))
        set_rate(model, float(rate), plan.epochs * steps_per_epoch(task))
        order_seed = int(plan.seeds[0] if plan.same_batches else seed)
        fitted, options = _fit_data(task, train, order_seed)
        watched = _watched(validation)
        with random_state_kept(int(seed)):
            curves.initial_val_loss[lane] = _evaluate(model, validation, task.batch_size)["loss"]
            done = progress.done
            model.fit(
                fitted,
                epochs=plan.epochs,
                validation_data=watched,
                callbacks=[_Watch(plan, curves, lane, progress, fitted), *plan.callbacks],
                verbose=0,
                **options,
                **({} if is_dataset(validation) else {"validation_batch_size": task.batch_size}),
            )
        progress.add(plan.epochs - (progress.done - done))
        if plan.keep_weights == "final":
            curves.weights[lane] = model.get_weights()


def _fit_data(task: TuningTask, train: Data, seed: int) -> tuple[Any, dict[str, Any]]:
    if is_dataset(train):
        return train, {"shuffle": False, "class_weight": task.class_weight}
    rows = rows_of(train, task.class_weight)
    return _Batches(rows, min(task.batch_size, rows.count), seed), {"shuffle": False}


def _watched(data: Data) -> Any:
    """Return data as `model.fit` validates on them."""
    return data if is_dataset(data) else tuple(rows_of(data).parts().values())


def _evaluate(model: Any, data: Data, batch: int) -> dict[str, float]:
    if is_dataset(data):
        return model.evaluate(data, verbose=0, return_dict=True)
    parts = rows_of(data).parts()
    return model.evaluate(**parts, batch_size=batch, verbose=0, return_dict=True)


def run_lane_steps(task: TuningTask, rates: np.ndarray, seed: int, order_seed: int) -> np.ndarray:
    """Train one lane with `train_on_batch`, a rate for each step.

    Args:
        task: The task.
        rates: Rates (steps,).
        seed: Seed of the weights.
        order_seed: Seed of the batches' order.

    Returns:
        The losses (steps,), NaN once non-finite.
    """
    train = task.split(seed)[0]
    model = built_model(task, seed)
    leaves = leaf_optimizers(model.optimizer)
    highest = max(float(leaf.learning_rate) for leaf in leaves)
    held = []
    for leaf in leaves:
        ratio = float(leaf.learning_rate) / highest
        held.append((keras.Variable(float(rates[0]) * ratio, trainable=False), ratio))
        leaf.learning_rate = VariableRate(held[-1][0])
    losses = np.full(len(rates), np.nan)
    with random_state_kept(seed):
        steps = range(len(rates))
        for step, parts in zip(steps, _endless(task, train, order_seed, len(rates)), strict=False):
            for rate, ratio in held:
                rate.assign(float(rates[step]) * ratio)
            model.reset_metrics()  # before Keras 3.15, train_on_batch returns a running mean
            losses[step] = float(model.train_on_batch(**parts, return_dict=True)["loss"])
            if not np.isfinite(losses[step]):
                losses[step] = np.nan
                break
    return losses


def _endless(task: TuningTask, train: Data, seed: int, steps: int) -> Any:
    if is_dataset(train):
        while True:
            batch = None
            for batch in train:
                x, y, *weight = batch
                yield {"x": x, "y": y, **({"sample_weight": weight[0]} if weight else {})}
            if batch is None:
                break
        raise InputError(
            "`train` must give its batches again on each pass, but a pass gave none; make the "
            "dataset from arrays, or of a function that returns a fresh generator."
        )
    rows = rows_of(train, task.class_weight)
    for chosen in step_order(seed, steps, rows.count, min(task.batch_size, rows.count)):
        yield rows.take(chosen)


def evaluate_weights(
    task: TuningTask, weights: list[list[np.ndarray]], datas: list[Data]
) -> dict[str, np.ndarray]:
    """Return loss and compiled metrics of kept weights, (lanes,) each, by `model.evaluate`."""
    model = built_model(task, 0)
    found = []
    for lane, data in zip(weights, datas, strict=True):
        model.set_weights(lane)
        found.append(_evaluate(model, data, task.batch_size))
    return {name: np.array([float(one[name]) for one in found]) for name in found[0]}


def predict_weights(task: TuningTask, weights: list[list[np.ndarray]], datas: list[Data]) -> Any:
    """Return the outputs of kept weights, (lanes, rows, ...), by `model.predict`."""
    model = built_model(task, 0)
    outputs = []
    for lane, data in zip(weights, datas, strict=True):
        model.set_weights(lane)
        x = data.map(lambda x, *_: x) if is_dataset(data) else rows_of(data).x
        outputs.append(model.predict(x, batch_size=None if is_dataset(data) else 1024, verbose=0))
    return tf.nest.map_structure(lambda *parts: np.stack(parts), *outputs)
