"""Which KerasTuner trials and arguments can train as lanes."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # importing KerasTuner loads TensorFlow

X, Y = np.zeros((10, 2), "float32"), np.zeros((10, 1), "float32")


@pytest.fixture
def groups():
    from tuners.integrations import keras_tuner_grouping

    return keras_tuner_grouping


def make_trial(**values):
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.values = {name.replace("__", "/"): value for name, value in values.items()}
    return keras_tuner.engine.trial.Trial(hp)


def test_trials_that_differ_in_the_rate_alone_are_grouped(groups):
    trials = [
        make_trial(learning_rate=0.1, units=8),
        make_trial(learning_rate=0.2, units=16),
        make_trial(learning_rate=0.3, units=8, tuner__bracket=2, tuner__trial_id="0"),
        make_trial(learning_rate=0.4, units=8, tuner__epochs=3),
        make_trial(adam__learning_rate=0.5, units=16),
    ]
    found = groups.group_trials(trials, "learning_rate")
    assert found == [[trials[0], trials[2]], [trials[1], trials[4]], [trials[3]]]


def test_a_trial_has_one_rate(groups):
    assert groups.rate_name(make_trial(adam__learning_rate=0.5), "learning_rate") == (
        "adam/learning_rate"
    )
    for values in ({"units": 1}, {"learning_rate": 0.1, "adam__learning_rate": 0.2}):
        with pytest.raises(groups.OneAtATime, match="hyperparameters named 'learning_rate'"):
            groups.rate_name(make_trial(**values), "learning_rate")


def test_the_arguments_of_fit_are_read(groups):
    weights = np.ones(10)
    read = groups.fit_arguments((X, Y, 4, 7), {"validation_data": (X, Y), "verbose": 0})
    assert (read["batch_size"], read["epochs"]) == (4, 7)
    assert read["train"] == (X, Y)
    assert read["validation"] == (X, Y)
    read = groups.fit_arguments(
        (X, Y), {"sample_weight": weights, "validation_split": 0.25, "class_weight": {0: 2.0}}
    )
    assert [len(part) for part in read["train"]] == [7, 7, 7]
    assert [len(part) for part in read["validation"]] == [3, 3, 3]
    assert (read["batch_size"], read["epochs"], read["class_weight"]) == (32, 1, {0: 2.0})
    read = groups.fit_arguments(({"a": X, "b": [X]}, Y), {"validation_split": 0.5})
    assert read["validation"][0]["a"].shape == (5, 2)


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ((X, Y), {"validation_split": 0.2, "callbacks": [object()]}, "callbacks"),
        ((X, Y), {"validation_split": 0.2, "initial_epoch": 2}, "given initial_epoch"),
        ((X, Y), {"validation_split": 0.2, "shuffle": False}, "another `shuffle`"),
        ((X, Y), {}, "no validation data"),
        ((X,), {"validation_split": 0.2}, "not arrays x and y"),
        (([[1.0]], [[1.0]]), {"validation_split": 0.2}, "not arrays x and y"),
        ((X, Y), {"unknown": 1}, "does not take these arguments"),
    ],
)
def test_other_arguments_go_one_at_a_time(groups, args, kwargs, reason):
    with pytest.raises(groups.OneAtATime, match=reason):
        groups.fit_arguments(args, kwargs)


def make_model(optimizer, units=1):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    model.compile(optimizer, "mse")
    return model


def test_a_rate_used_elsewhere_is_noticed(groups):
    import keras

    adam, schedules = keras.optimizers.Adam, keras.optimizers.schedules
    rates = [1e-3, 1e-1]
    groups.refuse_other_use([make_model(adam(rate)) for rate in rates], rates)
    decayed = [make_model(adam(rate, weight_decay=rate / 10)) for rate in rates]
    wider = [make_model(adam(rates[0]), 1), make_model(adam(rates[1]), 2)]
    for models in (decayed, wider):
        with pytest.raises(groups.OneAtATime, match="changes more than the optimizer's rate"):
            groups.refuse_other_use(models, rates)
    for other in (adam(0.5), adam(schedules.ExponentialDecay(1e-3, 10, 0.9))):
        with pytest.raises(groups.OneAtATime, match="rate is not the hyperparameter's value"):
            groups.refuse_other_use([make_model(other)], rates[:1])
