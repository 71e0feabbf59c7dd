"""PopulationTuner: several trials of any KerasTuner oracle trained as lanes of one program."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

from search_spaces.task import TuningTask
from tuners._checks import InputError, check_whole
from tuners.integrations.keras_tuner_grouping import (
    OneAtATime,
    fit_arguments,
    group_trials,
    rate_name,
    refuse_other_use,
    refuse_own_training,
    shared_values,
)
from tuners.training.pool import training_pool
from tuners.training.records import How, TrainingRecord
from tuners.training.rows import first_rows
from tuners.training.runner import train

logger = logging.getLogger(__name__)

IDLE_LIMIT = 60  # seconds; no trial runs then, so only an oracle that asks others has to wait


class PopulationTuner(keras_tuner.Tuner):
    """A KerasTuner tuner that trains trials together where they differ in the rate alone.

    It takes up to `lanes` trials from its oracle at once (an oracle that waits ends the batch),
    trains those of equal values but for the rate with `tuners.train`, and ends them as any tuner
    does: the score is the objective at the best epoch, the mean over `executions_per_trial`, and
    the best weights are kept for `get_best_models`. Trials train with the same seeds (the
    oracle's, counted up by execution), so that their scores differ by the rate. A trial that
    diverges is failed, with the epoch in its message.

    One at a time, by KerasTuner's own `run_trial`, with a logged reason, go: a `fit` of the
    user's own, callbacks, hooks of a subclass, datasets, data without validation arrays, rates
    that are used elsewhere in the model, schedules, distributed runs. A trial that Hyperband
    promotes is trained anew from its first epoch; with the same seed these are the same epochs.

    Args:
        oracle: Any oracle, also an `OptunaOracle`.
        hypermodel: As for any tuner.
        lanes: Most trials to take at once, 1 or more.
        learning_rate_name: Name of the rate hyperparameter, or its last part after scopes.
        how: Force "population" or "sequential" training; None lets the model decide.
        workers: Processes that train, each with its share of the cores, 1 or more; with 1 this
            one does. A script needs `if __name__ == "__main__":` for more.
        **kwargs: As for `keras_tuner.Tuner`: `directory`, `project_name`, `overwrite`,
            `executions_per_trial`, ...

    Raises:
        ValueError: `lanes` or `workers` is less than 1, or there is no hypermodel.

    Example:
        >>> import keras, tempfile
        >>> def build_model(hp):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        ...     model.compile(keras.optimizers.SGD(rate), "mse")
        ...     return model
        >>> oracle = keras_tuner.oracles.RandomSearchOracle("val_loss", max_trials=2, seed=1)
        >>> tuner = PopulationTuner(oracle, build_model, directory=tempfile.mkdtemp())
        >>> x, y = np.ones((8, 2)), np.ones(8)
        >>> tuner.search(x, y, validation_split=0.5, epochs=1, verbose=0)
        >>> [trial.status for trial in oracle.trials.values()]
        ['COMPLETED', 'COMPLETED']
    """

    def __init__(
        self,
        oracle: Any,
        hypermodel: Any = None,
        *,
        lanes: int = 8,
        learning_rate_name: str = "learning_rate",
        how: How | None = None,
        workers: int = 1,
        **kwargs: Any,
    ) -> None:
        self.workers = check_whole(workers, "workers")
        lanes = check_whole(lanes, "lanes")
        own = (type(self).run_trial, type(self).run_trials)
        if hypermodel is None and own == (PopulationTuner.run_trial, PopulationTuner.run_trials):
            raise InputError(
                "`hypermodel` must be given unless a subclass has a `run_trial` of its own; "
                "pass e.g. build_model."
            )
        self.lanes, self.learning_rate_name, self.how = lanes, learning_rate_name, how
        self._trainer: Any = train
        self._told: set[str] = set()
        self._tasks: dict[Any, TuningTask] = {}  # a task keeps its compiled programs
        self._widths: dict[TuningTask, int] = {}  # most lanes of a task so far
        super().__init__(oracle, hypermodel, **kwargs)

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Search as any tuner does.

        Args:
            *fit_args: Positional arguments of `model.fit`.
            **fit_kwargs: Keyword arguments of `model.fit`: `epochs`, `batch_size`,
                `validation_data` or `validation_split`, ...
        """
        if "KERASTUNER_ORACLE_IP" in os.environ:
            self._tell_reason("the run is distributed")
            super().search(*fit_args, **fit_kwargs)
            return
        self.oracle.verbose = fit_kwargs.get("verbose", self.oracle.verbose)
        self._tasks.clear()
        self._widths.clear()
        with training_pool(self.workers) as pool:
            self._trainer = train if pool is None else pool.train
            self.on_search_begin()
            while trials := self._take_trials():
                self.run_trials(trials, *fit_args, **fit_kwargs)
            self.on_search_end()

    def run_trials(self, trials: Sequence[Any], *fit_args: Any, **fit_kwargs: Any) -> None:
        """Train trials, as lanes where that can be done, and end them.

        Args:
            trials: Running trials of the oracle.
            *fit_args: Positional arguments of `search`.
            **fit_kwargs: Keyword arguments of `search`.
        """
        for group in group_trials(trials, self.learning_rate_name):
            try:
                self._run_lanes(group, fit_arguments(fit_args, fit_kwargs))
            except OneAtATime as reason:
                self._tell_reason(str(reason))
                for trial in group:
                    self._try_run_and_update_trial(trial, *fit_args, **fit_kwargs)
                    self.on_trial_end(trial)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Train one trial by itself, for as many epochs as Hyperband says where it does."""
        values = trial.hyperparameters.values
        if "tuner/epochs" in values:
            kwargs["epochs"] = values["tuner/epochs"]
        return super().run_trial(trial, *args, **kwargs)

    def _take_trials(self) -> list[Any]:
        taken: list[Any] = []
        end = time.monotonic() + IDLE_LIMIT
        while len(taken) < self.lanes:
            self.pre_create_trial()
            # an oracle gives a tuner one trial at a time, so each lane asks in a name of its own
            trial = self.oracle.create_trial(f"{self.tuner_id}-{len(taken)}")
            if trial.status == "IDLE" and not taken:
                if time.monotonic() > end:
                    raise RuntimeError(
                        "the oracle must give a trial or stop where none runs, but it was idle for "
                        f"{IDLE_LIMIT} s; see whom it waits for, or begin anew with overwrite=True."
                    )
                time.sleep(0.1)
                continue
            if trial.status in ("IDLE", "STOPPED"):
                break
            self.on_trial_begin(trial)
            taken.append(trial)
        return taken

    def _run_lanes(self, group: Sequence[Any], arguments: dict[str, Any]) -> None:
        refuse_own_training(self, PopulationTuner)
        values = group[0].hyperparameters.values
        names = [rate_name(trial, self.learning_rate_name) for trial in group]
        rates = [
            float(trial.hyperparameters.values[name])
            for trial, name in zip(group, names, strict=True)
        ]
        task = self._task_for(group, rates, arguments)
        seeds = [self.oracle.seed + execution for execution in range(self.executions_per_trial)]
        # a smaller batch is filled up, since a program for its size would have to be compiled
        width = max(len(group) * len(seeds), self._widths.get(task, 0))
        try:
            record = self._trainer(
                task,
                np.resize(np.repeat(rates, len(seeds)), width),
                np.resize(np.tile(seeds, len(group)), width),
                epochs=int(values.get("tuner/epochs", arguments["epochs"])),
                how=self.how,
                objective=self.oracle.objective.name,
                direction=f"{self.oracle.objective.direction}imize",
                keep_weights="best",
            )
        except ValueError as error:
            if self.how is not None:
                raise
            raise OneAtATime(str(error)) from error
        if record.interrupted:
            raise KeyboardInterrupt
        if record.how == "population":
            self._widths[task] = width
        logger.info("%d trials trained %s: %s", len(group), record.how, record.why)
        self._end_group(group, task, record)

    def _task_for(
        self, group: Sequence[Any], rates: Sequence[float], arguments: dict[str, Any]
    ) -> TuningTask:
        """Return the task of a group, the same one for equal values."""
        key = shared_values(group[0], self.learning_rate_name)
        if key in self._tasks:
            return self._tasks[key]
        low, high = int(np.argmin(rates)), int(np.argmax(rates))
        if rates[low] == rates[high]:
            raise OneAtATime("no two trials of a batch differ in the rate alone")
        try:
            models = [self._try_build(group[end].hyperparameters.copy()) for end in (low, high)]
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:  # whatever the user's own code raises, KerasTuner reports
            raise OneAtATime(f"the model could not be built ({error})") from error
        refuse_other_use(models, [rates[low], rates[high]])
        hp, build = group[low].hyperparameters.copy(), self._builder()
        self._tasks[key] = TuningTask(
            self.project_name,
            lambda: build(hp.copy()),
            arguments["train"],
            arguments["validation"],
            batch_size=arguments["batch_size"],
            class_weight=arguments["class_weight"],
        )
        return self._tasks[key]

    def _builder(self) -> Callable[[Any], Any]:
        """Return what builds models, without what cannot be sent to a process, as the oracle."""
        if self.workers == 1:
            return self._build_hypermodel
        light = object.__new__(type(self))
        for name in ("hypermodel", "optimizer", "loss", "metrics", "distribution_strategy"):
            setattr(light, name, getattr(self, name))
        return light._build_hypermodel

    def _end_group(self, group: Sequence[Any], task: TuningTask, record: TrainingRecord) -> None:
        model, executions = None, self.executions_per_trial
        for index, trial in enumerate(group):
            lanes = np.arange(index * executions, (index + 1) * executions)
            diverged = lanes[record.diverged[lanes] | (record.best_epoch[lanes] < 0)]
            if diverged.size:
                epoch = int(record.diverged_epoch[diverged[0]])
                when = f"in epoch {epoch + 1}" if epoch >= 0 else "by its last epoch"
                trial.status = "FAILED"
                trial.message = f"diverged {when} at the rate {record.learning_rates[lanes[0]]:g}"
            else:
                if model is None:
                    model = self._try_build(trial.hyperparameters)
                    if not model.built:
                        model(first_rows(task.train[0], 1))
                self._keep_weights(trial, model, record, lanes)
                self._report(trial, record, lanes)
            self.on_trial_end(trial)

    def _report(self, trial: Any, record: TrainingRecord, lanes: np.ndarray) -> None:
        names = ("loss", "val_loss", *record.metrics)
        metrics = {name: float(record.best(name)[lanes].mean()) for name in names}
        step = int(record.best_epoch[lanes].mean())
        self.oracle.update_trial(trial.trial_id, metrics, step=step)
        trial.status = "COMPLETED"

    def _keep_weights(
        self, trial: Any, model: Any, record: TrainingRecord, lanes: np.ndarray
    ) -> None:
        """Save a trial's best weights where `load_model` looks for them."""
        assert record.weights is not None
        scores = record.best()[lanes]
        worst_first = -1 if self.oracle.objective.direction == "max" else 1
        best = lanes[int(np.argmin(worst_first * scores))]
        model.set_weights(record.weights[best])
        model.save_weights(self._get_checkpoint_fname(trial.trial_id))
        config = json.dumps(model.get_build_config())
        Path(self._get_build_config_fname(trial.trial_id)).write_text(config)

    def _tell_reason(self, reason: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            logger.warning("Trials run one at a time: %s.", reason)
