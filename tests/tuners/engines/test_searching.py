"""search(): arguments, storages and studies made with other settings."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces import LearningRateBounds, TuningTask
from search_spaces.task import with_data
from tuners import LossCurve, search
from tuners.engines.names import default_budget, races
from tuners.engines.opening import SETTINGS
from tuners.figures.words import rate
from tuners.study.metadata import task_facts, task_hash
from tuners.study.recording import recorded_facts

BOUNDS = LearningRateBounds(1e-3, 0.3, 0.05, "ok", "by hand")


def build(width: int = 1) -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(width)])
    model.compile(keras.optimizers.SGD(0.01), loss="mse")
    return model


def wider() -> Any:
    return build(2)


@pytest.fixture(scope="module")
def task() -> TuningTask:
    x = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
    y = x.sum(axis=1)
    return TuningTask("line", build, (x[:16], y[:16]), (x[16:], y[16:]), batch_size=8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "optunna"}, r"`engine` must be one of optuna, .* did you mean 'optuna'"),
        ({"sampler": "tpee"}, r"`sampler` must be one of .* did you mean 'tpe'"),
        ({"engine": "keras-tuner", "tuner": "bayes"}, r"`tuner` must .* did you mean 'bayesian'"),
        ({"engine": "keras-tuner", "pruner": "median"}, r"`pruner` is for the Optuna engine"),
        ({"pruner": "halving"}, r"`pruner` must be one of none, .*'successive_halving'"),
        ({"how": "both"}, r"`how` must be one of population, sequential, but got 'both'"),
        ({"direction": "up"}, r"`direction` must be one of minimize, maximize, but got 'up'"),
        ({"trials": 0}, r"`trials` must be a whole number of 1 or more, but got 0"),
        ({"epochs": 1.5}, r"`epochs` must be a whole number of 1 or more, but got 1.5"),
        ({"splits": 0}, r"`splits` must be a whole number of 1 or more, but got 0"),
        ({"baseline": 0.0}, r"`baseline` must be positive and finite, but got 0.0"),
        ({"batch": -1}, r"`batch` must be a whole number of 1 or more, but got -1"),
        (
            {"budget": 1},
            r"`budget` must be a number of trainings, 2 or more, but got 1; pass e.g. 12",
        ),
        ({"budget": "12"}, r"`budget` must be a number of trainings, 2 or more, but got '12'"),
        ({"budget": 9, "trials": 4}, r"`budget` is for a race, but got 9 with `trials`, a sampler"),
        ({"budget": 9, "sampler": "tpe"}, r"`budget` is for a race, but got 9 .* leave one of the"),
        ({"budget": 9, "pruner": "median"}, r"`budget` is for a race, but got 9"),
        ({"budget": 9, "engine": "keras-tuner"}, r"`budget` is for a race, but got 9"),
        ({"seed": -1}, r"`seed` must be a whole number of 0 or more, but got -1"),
    ],
)
def test_bad_options(task: TuningTask, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(task, BOUNDS, **arguments)


def test_bad_tasks_and_bounds(task: TuningTask) -> None:
    with pytest.raises(ValueError, match="`task` must be a TuningTask, or several by name"):
        search("wine", BOUNDS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`bounds` must be LearningRateBounds, a LossCurve or"):
        search(task, None)
    with pytest.raises(ValueError, match=r"`bounds` must have the names of `task`, \['a'\], but"):
        search({"a": task}, {"b": BOUNDS})
    with pytest.raises(ValueError, match="`bounds` must have the names of `task`"):
        search({"a": task}, BOUNDS)
    with pytest.raises(ValueError, match=r"`task\['a'\]` must be a TuningTask, but got str"):
        search({"a": "wine"}, {"a": BOUNDS})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"`task` may be several tasks .* engine='optuna' only"):
        search({"a": task}, {"a": BOUNDS}, engine="keras-tuner")


def test_a_storage_that_cannot_be_reached(task: TuningTask) -> None:
    with pytest.raises(ValueError, match=r"`storage` could not be opened: .*me:\*\*\*@") as caught:
        search(task, BOUNDS, storage="postgresql+psycopg://me:hush@no.such.host.invalid/wine")
    assert "hush" not in str(caught.value)


@pytest.mark.slow
def test_importing_search_does_not_load_tensorflow() -> None:
    code = "import sys; from tuners import search, narrow; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_study_of_other_settings_is_refused(task: TuningTask, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "storage": f"sqlite:///{tmp_path}/study.db",
        "study_name": "mine",
        "trials": 1,
        "epochs": 1,
    }
    study = search(task, BOUNDS, **arguments)
    before = (len(study.trials), study.user_attrs)
    changed: list[tuple[dict[str, Any], str]] = [
        ({"epochs": 2}, "epochs was 1, now 2"),
        ({"seed": 3}, "seed was 0, now 3"),
        ({"sampler": "random"}, "sampler was qmc, now random"),
        ({"splits": 2, "batch": 8}, "splits was 4, now 2; batch was 4, now 8"),
        ({"objective": "loss"}, "objective was val_loss, now loss"),
        ({"pruner": "median"}, "pruner was none, now median"),
        ({"direction": "maximize"}, "direction was minimize, now maximize"),
        ({"task": with_data(task, build_model=wider)}, "model architecture was"),
        ({"engine": "keras-tuner"}, "engine was optuna, now keras-tuner; tuner was None"),
        ({"bounds": (1e-3, 0.2)}, "bounds of learning_rate was 0.001 to 0.3, now 0.001 to 0.2"),
        ({"task": with_data(task, batch_size=4)}, "batch_size was 8, now 4"),
        ({"task": with_data(task, train=task.validation)}, "data_hash was"),
        ({"task": with_data(task, facts={"optimizer": "other"})}, "optimizer was SGD, now other"),
    ]
    for change, message in changed:
        options = {"task": task, "bounds": BOUNDS, **arguments, **change}
        with pytest.raises(ValueError, match=message) as caught:
            search(**options)
        assert "`study_name` 'mine' in sqlite:///" in str(caught.value)
    search(task, BOUNDS, **{**arguments, "study_name": "kt"}, engine="keras-tuner", tuner="random")
    with pytest.raises(ValueError, match="batch was 4, now 8"):
        search(
            task,
            BOUNDS,
            **{**arguments, "study_name": "kt", "batch": 8},
            engine="keras-tuner",
            tuner="random",
        )
    loaded = optuna.load_study(storage=arguments["storage"], study_name="mine")
    assert (len(loaded.trials), loaded.user_attrs) == before

    theirs = optuna.create_study(storage=arguments["storage"], study_name="theirs")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="'theirs' names a study whose trials `search` did not"):
        search(task, BOUNDS, **{**arguments, "study_name": "theirs"})


@pytest.mark.slow
def test_the_direction_may_be_given(task: TuningTask) -> None:
    study = search(task, BOUNDS, trials=1, epochs=1, direction="maximize")
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert recorded_facts(study)["direction"] == "maximize"


@pytest.mark.slow
def test_facts_and_default_name(task: TuningTask) -> None:
    started = {"trials": 1, "epochs": 1}
    study = search(with_data(task, facts={"colour": "red"}), (1e-3, 0.1), **started)
    assert study.study_name == "line"
    facts = recorded_facts(study)
    assert facts["colour"] == "red"
    assert facts["data_hash"] == task_hash(task)
    assert facts["versions"]["optuna"] == optuna.__version__
    assert facts["started"].endswith("+00:00")
    assert study.user_attrs[SETTINGS]["bounds of learning_rate"] == "0.001 to 0.1"
    assert study.user_attrs["bounds"]["learning_rate"]["reason"] == "Given by the user."


@pytest.mark.slow
def test_facts_of_a_schedule_and_of_datasets(task: TuningTask) -> None:
    import keras
    import tensorflow as tf

    def scheduled() -> Any:
        model = build()
        schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
        model.compile(keras.optimizers.SGD(schedule), loss="mse")
        return model

    facts = task_facts(with_data(task, build_model=scheduled), epochs=3)
    assert facts["baseline_learning_rate"] == 0.5
    data = tf.data.Dataset.from_tensor_slices(task.train).batch(8)
    streamed = TuningTask("stream", build, data, task.validation, materialise=False)
    facts = task_facts(streamed, epochs=3)
    assert "train_rows" not in facts
    assert (facts["validation_rows"], facts["optimizer"]) == (8, "SGD")


@pytest.mark.slow
def test_verbose_prints_what_was_found_and_a_dear_range_test_is_warned_of(
    task: TuningTask, capfd: Any
) -> None:
    rates = np.geomspace(1e-7, 100, 200)
    losses = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2
    dear = LossCurve(rates, losses, gradient_steps=9)
    with pytest.warns(UserWarning, match="9 gradient steps, but 4 trainings .* take only 8; leave"):
        study = search(task, dear, trials=2, epochs=1, splits=2)
    printed = capfd.readouterr().out
    assert printed == (
        f"2 finished trials on 2 splits, the best at {rate(study.best_params['learning_rate'])} "
        f"with val_loss {study.best_value:.4g} (a selection score)\n"
    )
    search(task, BOUNDS, trials=1, epochs=1, splits=1, verbose=0)
    assert capfd.readouterr().out == ""
    with pytest.raises(ValueError, match="`budget` must leave a training for each task"):
        search(task, replace(dear, training_steps=3), budget=2, epochs=1)


@pytest.mark.slow
def test_a_race_warns_of_a_dear_range_test_too(task: TuningTask) -> None:
    rates = np.geomspace(1e-7, 100, 200)
    losses = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2
    dear = LossCurve(rates, losses, gradient_steps=7)
    with pytest.warns(UserWarning, match="7 gradient steps, but 3 trainings of 1 epochs take on"):
        study = search(task, dear, budget=3, epochs=1, verbose=0)
    assert study.user_attrs["gradient_steps"] <= 6


@pytest.mark.parametrize(
    ("given", "race"),
    [
        ((None, "optuna", None, None), True),
        ((None, "optuna", None, "none"), True),
        ((4, "optuna", None, None), False),
        ((None, "optuna", "tpe", None), False),
        ((None, "optuna", None, "median"), False),
        ((None, "keras-tuner", None, None), False),
    ],
)
def test_it_races_where_nothing_asks_for_a_fixed_design(given: Any, race: bool) -> None:
    assert races(*given) is race


def test_each_further_task_has_places_and_a_second_split_of_its_own() -> None:
    assert [default_budget(tasks) for tasks in (1, 2, 3)] == [12, 19, 26]
