"""The callback in real fits; the next fit must be the one that would have been."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tuners.range_tests.callback import LearningRateRangeTest

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * RNG.standard_normal(40)).astype("float32")


def build(optimizer, **options) -> keras.Model:
    keras.utils.set_random_seed(3)
    if options.get("steps_per_execution", 1) > 1:  # such programs compile slowly
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer=optimizer, loss="mse", metrics=["mae"], **options)
        return model
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse", metrics=["mae"], **options)
    return model


def history(model, epochs=2) -> list[float]:
    losses = model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0).history
    return losses["loss"] + losses["mae"]


def schedule() -> keras.optimizers.schedules.LearningRateSchedule:
    return keras.optimizers.schedules.ExponentialDecay(0.05, 4, 0.9)


CASES = {
    "adam": (lambda: keras.optimizers.Adam(0.01), {}),
    "sgd with averages": (
        lambda: keras.optimizers.SGD(
            0.01, momentum=0.9, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3
        ),
        {},
    ),
    "accumulation": (lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=3), {}),
    "jit": (lambda: keras.optimizers.Adam(0.01), {"jit_compile": True}),
    "eager": (lambda: keras.optimizers.Adam(0.01), {"run_eagerly": True}),
    "a schedule": (lambda: keras.optimizers.SGD(schedule()), {}),
    "several steps to an execution": (
        lambda: keras.optimizers.Adam(0.01),
        {"steps_per_execution": 2},
    ),
}


def check_left_as_found(make, options, trained=False) -> None:
    def prepare() -> keras.Model:
        model = build(make(), **options)
        if trained:
            history(model, 1)
        return model

    model = prepare()
    saved = [variable.numpy() for variable in model.variables]
    keras.utils.set_random_seed(5)
    test = LearningRateRangeTest(1e-5, 1.0, steps=6)
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[test])
    assert len(test.rates) >= 3
    for ours, theirs in zip(model.variables, saved, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)
    keras.utils.set_random_seed(5)
    tested = history(model)
    model = prepare()
    keras.utils.set_random_seed(5)
    assert history(model) == tested


@pytest.mark.parametrize("name", CASES)
def test_the_next_fit_is_the_one_that_would_have_been(name) -> None:
    # a program traced before the test is where a schedule would be lost
    check_left_as_found(*CASES[name], trained=name == "a schedule")


def test_mixed_precision_is_left_as_found() -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        check_left_as_found(lambda: "adam", {})
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_random_state_goes_on_as_without_the_test() -> None:
    import random

    model = build("adam")
    keras.utils.set_random_seed(5)
    random.random(), np.random.rand()  # noqa: NPY002
    python, numpy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    with LearningRateRangeTest(1e-5, 1.0, steps=3) as test:
        model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[test])
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002


def test_losses_are_those_of_the_batches_and_rates_reach_both_ends() -> None:
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    plain.compile("sgd", "mse")
    start = plain.get_weights()
    test = LearningRateRangeTest(1e-6, 1e-2, steps=10)
    # batches of 16, 16, 8; four passes for ten batches
    plain.fit(X, Y, batch_size=16, epochs=4, shuffle=False, verbose=0, callbacks=[test])
    curve = test.curve
    np.testing.assert_allclose(curve.learning_rates, np.geomspace(1e-6, 1e-2, 10), rtol=1e-6)
    plain.set_weights(start)
    for step in range(10):
        rows = slice(16 * (step % 3), 16 * (step % 3) + 16)
        plain.optimizer.learning_rate = float(curve.learning_rates[step])
        plain.reset_metrics()
        loss = plain.train_on_batch(X[rows], Y[rows])
        assert curve.losses[step] == pytest.approx(float(loss), rel=1e-4)
    assert curve.gradient_steps == 10


def test_a_generator_without_length_and_a_held_rate_under_accumulation() -> None:
    def batches():
        while True:
            yield X[:8], Y[:8]

    model = build(keras.optimizers.SGD(0.01, gradient_accumulation_steps=4))
    test = LearningRateRangeTest(1e-5, 1e-2, steps=16)
    model.fit(batches(), steps_per_epoch=30, shuffle=False, verbose=0, callbacks=[test])
    rates = test.curve.learning_rates.reshape(4, 4)
    assert (rates == rates[:, :1]).all()
    assert rates[0, 0] == pytest.approx(1e-5)
    assert rates[-1, 0] == pytest.approx(1e-2)


def test_it_stops_once_the_loss_has_diverged_and_the_rate_comes_back() -> None:
    model = build(keras.optimizers.SGD(0.0123))
    test = LearningRateRangeTest(1e-5, 1e6, steps=200)
    model.fit(X, Y, batch_size=16, epochs=100, verbose=0, callbacks=[test])
    assert len(test.rates) < 200
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0123)
    assert test.curve.bounds(declared=(1e-5, 1.0)).status == "ok"


class Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None) -> None:
        if batch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("scheduled", [False, True])
def test_an_interrupted_fit_is_put_back_by_the_context(scheduled) -> None:
    model = build(keras.optimizers.SGD(schedule() if scheduled else 0.05))
    saved = [variable.numpy() for variable in model.variables]
    rate = model.optimizer._learning_rate
    test = LearningRateRangeTest(1e-3, 1.0, steps=50)
    with pytest.raises(KeyboardInterrupt), test:
        model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[test, Interrupt()])
    for ours, theirs in zip(model.variables, saved, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)
    assert model.optimizer._learning_rate is rate
    test.restore()  # nothing left to do


def test_a_fit_that_is_too_short_warns() -> None:
    model = build("adam")
    with pytest.warns(UserWarning, match="ended after 3 of the 50 batches"):
        model.fit(X, Y, batch_size=16, verbose=0, callbacks=[LearningRateRangeTest(1e-5, 1, 50)])


def test_a_wrong_loss_key_is_named() -> None:
    model = build("adam")
    test = LearningRateRangeTest(1e-5, 1.0, 5, loss="my_loss")
    with pytest.raises(ValueError, match="they have loss, mae"), test:
        model.fit(X, Y, batch_size=16, verbose=0, callbacks=[test])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0, 10), "0 < low <= high"),
        ((1.0, 0.1, 10), "0 < low <= high"),
        ((0.1, 0.1, 10), "must be below"),
        ((0.1, 1.0, 1), "`steps` must be"),
        ((0.1, 1.0, 2.5), "`steps` must be"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        LearningRateRangeTest(*arguments)


def test_a_curve_before_any_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="`curve` needs a fit"):
        _ = LearningRateRangeTest(1e-5, 1.0, 10).curve


def test_rates_that_cannot_be_tested_are_refused_with_the_reason() -> None:
    test = LearningRateRangeTest(1e-5, 1.0, 10)
    model = build(keras.optimizers.SGD(lambda: 0.1))
    with pytest.raises(ValueError, match="compiled with a function"):
        model.fit(X, Y, verbose=0, callbacks=[test])
    model = build(keras.optimizers.ScheduleFreeAdamW())
    with pytest.raises(ValueError, match="cannot read ScheduleFreeAdamW"):
        model.fit(X, Y, verbose=0, callbacks=[test])


def test_several_optimizers_are_refused() -> None:
    class Two:
        optimizers = (keras.optimizers.SGD(), keras.optimizers.Adam())

    test = LearningRateRangeTest(1e-5, 1.0, 10)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.optimizer = Two()
    test.set_model(model)
    with pytest.raises(ValueError, match="needs one optimizer"):
        test.on_train_begin()
