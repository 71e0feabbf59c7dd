"""optimize_population: trials of an Optuna study trained as lanes of one program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import FixedTrial, TrialState

from search_spaces.task import TuningTask
from tuners._checks import InputError, check_whole
from tuners._progress import progress_bar
from tuners.training.models import random_state_kept
from tuners.training.pool import training_pool
from tuners.training.rates import config_without_rate
from tuners.training.records import How, TrainingRecord
from tuners.training.runner import train


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A trial whose model was built once: its rate, and what else decides the model."""

    trial: optuna.Trial
    rate: float
    key: str


def optimize_population(
    study: optuna.Study,
    build_model: Callable[[Any], Any],
    data: Any,
    *,
    validation: Any,
    n_trials: int,
    epochs: int,
    batch_size: int = 32,
    objective: str = "val_loss",
    learning_rate_name: str = "learning_rate",
    lanes: int = 8,
    seed: int = 0,
    how: How | None = None,
    workers: int = 1,
    verbose: int = 1,
) -> None:
    """Run trials as `study.optimize` does, those that differ in the rate alone in one program.

    It stands for an objective that builds a model, fits it and returns its best `objective`. Up to
    `lanes` trials are asked for at once, so the sampler sees the outcome of a batch when the batch
    is done. All train with the same seed, so that their values differ by the rate. A value is
    `TrainingRecord.scores`: the best mean over nearby epochs, since the best single epoch favours
    high rates. A trial that diverges is failed. The study's pruner is not asked.

    Args:
        study: The study, narrowed or not; its direction is that of the objective.
        build_model: Builds and compiles a model of an Optuna trial, whose suggestions it takes.
        data: `(x, y)` or `(x, y, sample_weight)` to train on.
        validation: The same, to judge by.
        n_trials: Trials to run, 1 or more.
        epochs: Epochs of each, 1 or more.
        batch_size: Rows to a step, 1 or more.
        objective: "val_loss" or the name of a compiled metric, with "val_" on validation rows.
        learning_rate_name: The name under which `build_model` suggests the rate.
        lanes: Most trials to ask for at once, 1 or more.
        seed: Of weights, batches and dropout, 0 or more.
        how: Force "population" or "sequential"; None lets the model decide.
        workers: Processes that train, each with its share of the cores, 1 or more; with 1 this
            one does. A script needs `if __name__ == "__main__":` for more.
        verbose: 1 shows a progress bar on work over two seconds; 0 is silent.

    Raises:
        ValueError: An argument breaks its rule, or the optimizer's rate is not the suggestion.

    Example:
        >>> import keras, optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> def build_model(trial):
        ...     rate = trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile(keras.optimizers.SGD(rate), "mse")
        ...     return model
        >>> study = optuna.create_study()
        >>> data = np.ones((8, 2)), np.ones(8)
        >>> optimize_population(study, build_model, data, validation=data, n_trials=2, epochs=1)
        >>> [trial.state.name for trial in study.trials]
        ['COMPLETE', 'COMPLETE']
    """
    check_whole(n_trials, "n_trials")
    check_whole(lanes, "lanes")
    check_whole(epochs, "epochs")
    check_whole(workers, "workers")
    tasks: dict[str, TuningTask] = {}
    settings: dict[str, Any] = {"epochs": epochs, "how": how, "objective": objective}
    settings["direction"] = study.direction.name.lower()

    def task_of(drawn: _Drawn) -> TuningTask:
        if drawn.key not in tasks:
            values = dict(drawn.trial.params)
            tasks[drawn.key] = TuningTask(
                study.study_name,
                lambda: build_model(FixedTrial(values)),
                data,
                validation,
                batch_size=batch_size,
            )
        return tasks[drawn.key]

    with training_pool(workers) as pool, progress_bar("trials", bool(verbose)) as tell:
        trainer = train if pool is None else pool.train
        for start in range(0, n_trials, lanes):
            asked = [study.ask() for _ in range(min(lanes, n_trials - start))]
            try:
                drawn = [_draw(trial, build_model, learning_rate_name) for trial in asked]
                done = start
                for key in dict.fromkeys(each.key for each in drawn):
                    group = [each for each in drawn if each.key == key]
                    task, width = task_of(group[0]), min(lanes, n_trials)
                    record = trainer(
                        task,
                        np.array([each.rate for each in group]),
                        np.full(len(group), seed),
                        width=width,
                        **settings,
                    )
                    _tell(study, group, record)
                    done += len(group)
                    tell(done, n_trials)
            except BaseException:
                for trial in asked:
                    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
                raise


def _draw(trial: optuna.Trial, build_model: Callable[[Any], Any], name: str) -> _Drawn:
    with random_state_kept():
        model = build_model(trial)
    if name not in trial.params:
        raise InputError(
            f"`learning_rate_name` must be a name that `build_model` suggests, but {name!r} is not "
            f"among {sorted(trial.params)}; pass that of the rate."
        )
    rate = float(trial.params[name])
    optimizer = getattr(model, "optimizer", None)
    config = None if optimizer is None else config_without_rate(optimizer, rate)
    if config is None:
        held = None if optimizer is None else optimizer.get_config().get("learning_rate")
        raise InputError(
            f"`build_model` must compile its optimizer with the rate that {name!r} suggests, "
            f"{rate:g}, but it has {held!r:.80}; pass e.g. Adam(rate)."
        )
    others = sorted((key, value) for key, value in trial.params.items() if key != name)
    return _Drawn(trial, rate, repr((others, type(optimizer), config)))


def _tell(study: optuna.Study, group: list[_Drawn], record: TrainingRecord) -> None:
    if record.interrupted:
        raise KeyboardInterrupt
    for each, score, diverged in zip(group, record.scores(), record.diverged, strict=True):
        if diverged or not np.isfinite(score):
            each.trial.set_user_attr("diverged", True)
            study.tell(each.trial, state=TrialState.FAIL)
        else:
            study.tell(each.trial, float(score))
