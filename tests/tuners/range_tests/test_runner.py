from __future__ import annotations

import random
import re

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from search_spaces import TuningTask
from tests.tuners.range_tests.small import frozen
from tuners.curves.loss_curve import LossCurve
from tuners.range_tests.runner import range_test

RNG = np.random.default_rng(0)
X = RNG.standard_normal((160, 4)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * RNG.standard_normal(160)).astype("float32")
QUICK = {"epochs": 30, "batch_size": 32}
QUICK_RAMP = {"mode": "ramp", "steps": 60, "seeds": 2, "epochs": 30}


def build(optimizer="adam", plain=False, **options) -> keras.Model:
    layers = (
        [keras.layers.Dense(1)]
        if plain
        else [keras.layers.BatchNormalization(), keras.layers.Dropout(0.1), keras.layers.Dense(1)]
    )
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer=optimizer, loss="mse", **options)
    return model


def linear() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(), "mse")
    return model


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask("linear", linear, (X[:120], Y[:120]), (X[120:], Y[120:]), batch_size=16)


@pytest.mark.slow
def test_a_ramp_has_bounds_inside_the_declared_range(task) -> None:
    told, options = [], {"mode": "ramp", "steps": 60}
    curve = range_test(task, declared=(1e-4, 0.5), progress=lambda *n: told.append(n), **options)
    assert (curve.kind, curve.coarse) == ("ramp", None)
    assert curve.losses.shape == (60, 8)
    assert curve.learning_rates[0] == pytest.approx(1e-6)
    assert curve.learning_rates[-1] == pytest.approx(50.0)
    bounds = curve.bounds()
    assert bounds.status == "ok"
    assert 1e-4 <= bounds.low < 0.1 < bounds.high <= 0.5
    assert curve.gradient_steps == np.isfinite(curve.losses).sum() <= 60 * 8
    assert told[-1] == (480, 480)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sweep", "ramp"])
def test_the_same_seed_gives_the_same_curve_and_another_seed_another(task, mode) -> None:
    given = {"mode": mode, "seeds": 2, "epochs": 30}
    first, again = (range_test(task, seed=3, **given) for _ in range(2))
    other = range_test(task, seed=5, **given)
    np.testing.assert_array_equal(first.losses, again.losses)
    assert first.losses.shape == other.losses.shape
    assert not np.array_equal(first.losses[:, 0], other.losses[:, 0], equal_nan=True)


@pytest.mark.slow
def test_per_epoch_holds_each_rate_for_an_epoch(task) -> None:
    curve = range_test(task, mode="per_epoch", declared=(1e-4, 1.0), epochs=20, seeds=8)
    assert curve.kind == "per_epoch"
    assert curve.losses.shape == (20, 2)
    assert curve.learning_rates[0] == pytest.approx(1e-4)
    assert curve.learning_rates[-1] == pytest.approx(1.0)
    assert curve.gradient_steps <= 2 * 20 * 8  # two trainings: so few seeds


@pytest.mark.slow
def test_a_builder_sets_a_tenth_of_the_rows_aside() -> None:
    curve = range_test(linear, X, Y, epochs=100)
    assert isinstance(curve, LossCurve)
    assert curve.bounds().status == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["builder", "model"])
@pytest.mark.filterwarnings("error:Two seeds build the same initial weights")
def test_each_seed_leaves_out_rows_of_its_own_unless_validation_is_given(source) -> None:
    def constant() -> keras.Model:  # gives 0, so that a loss tells the target of its batch
        dense = keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)
        model = keras.Sequential([keras.Input((1,)), dense])
        model.compile("sgd", "mae")
        return model

    number, x = np.arange(1.0, 21.0), np.zeros((20, 1))
    given = {"mode": "ramp", "declared": (1e-5, 1e-4), "batch_size": 1, "steps": 18, "seeds": 3}

    def seen(**options) -> list[tuple[float, ...]]:
        start = constant() if source == "model" else constant
        curve = range_test(start, x, number, **given, **options)
        return [tuple(np.sort(losses)) for losses in curve.losses.T[:3]]

    own = seen()
    assert all(len(set(losses)) == 18 for losses in own)  # a tenth of 20 rows is left out
    assert len(set(own)) == 3
    shared = seen(validation=(x[:2], number[:2]), how="sequential")
    assert all(len(set(losses)) == 18 for losses in shared)  # 18 of the 20
    rest = TuningTask("rest", constant, (x[2:], number[2:]), (x[:2], number[:2]), batch_size=1)
    kept = range_test(rest, **{key: given[key] for key in given if key != "batch_size"})
    assert {tuple(np.sort(losses)) for losses in kept.losses.T} == {tuple(number[2:])}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sweep", "ramp", "per_epoch"])
def test_a_model_is_left_as_it_was_found(mode) -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 4, 0.9)

    def fitted() -> keras.Model:
        keras.utils.set_random_seed(1)
        chosen = "adam" if mode == "per_epoch" else keras.optimizers.SGD(schedule, momentum=0.9)
        model = build(chosen, plain=mode == "per_epoch")
        model.fit(X, Y, verbose=0)
        keras.utils.set_random_seed(2)
        return model

    model = fitted()
    expected = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    state, numpy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    range_test(model, X, Y, mode=mode, seeds=2, **QUICK)
    for variable, value in zip(
        (*model.variables, *model.optimizer.variables), expected, strict=True
    ):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert random.getstate() == state
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002
    tested = model.fit(X, Y, verbose=0).history["loss"]
    assert fitted().fit(X, Y, verbose=0).history["loss"] == tested


@pytest.mark.slow
def test_seeds_of_a_model_vary_the_order_only() -> None:
    held = (X[:16], Y[:16])
    quick = {**QUICK_RAMP, "epochs": 60}
    curve = range_test(linear(), X, Y, validation=held, batch_size=160, **quick)
    # one batch holds all rows, so the order does not matter
    np.testing.assert_allclose(curve.losses[:20, 0], curve.losses[:20, 1], rtol=1e-4)


class Raises(keras.losses.Loss):
    def call(self, y_true, y_pred):
        raise RuntimeError("the user's own fault")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sweep", "ramp"])
def test_a_model_is_left_as_found_where_user_code_raises_or_ctrl_c_is_pressed(mode) -> None:
    model = linear()
    before = [variable.numpy() for variable in model.variables]
    model.compile("adam", Raises())
    with pytest.raises(RuntimeError, match="own fault"):
        range_test(model, X, Y, mode=mode, **QUICK)

    def interrupt(done, total) -> None:
        raise KeyboardInterrupt

    model.compile("adam", "mse")
    with pytest.raises(KeyboardInterrupt):
        range_test(model, X, Y, mode=mode, progress=interrupt, **QUICK)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.slow
def test_a_dataset_is_read_or_streams() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)
    with pytest.raises(ValueError, match="`y` must be left out"):
        range_test(linear, dataset, Y)
    with pytest.raises(ValueError, match="`batch_size` must be left out where `x` is a dataset"):
        range_test(linear, dataset, batch_size=8)
    streamed = range_test(linear, dataset, materialise=False, epochs=30)
    with pytest.warns(UserWarning, match="Read into arrays once: `x`. Random `map`"):
        read = range_test(linear, dataset, epochs=30)
    for curve in (streamed, read, range_test(linear, dataset, materialise=True, epochs=30)):
        assert curve.learning_rates.shape == (11,)
        assert curve.bounds().status == "ok"
    ramps = [range_test(linear, dataset, materialise=m, **QUICK_RAMP) for m in (True, False)]
    for curve in ramps:
        assert curve.learning_rates.shape == (60,)
        assert np.isfinite(curve.losses[0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sweep", "ramp"])
def test_a_loss_that_is_nan_before_any_update_is_refused(mode) -> None:
    bad = np.full(160, np.nan, "float32")
    with pytest.raises(ValueError, match="finite loss before any update"):
        range_test(linear, X, bad, mode=mode, **QUICK)


@pytest.mark.slow
def test_a_model_that_learns_nothing_is_undecided_and_keeps_the_declared_range() -> None:
    curve = range_test(frozen, X, Y)
    assert curve.bounds().status == "no_descent"
    assert (curve.bounds().low, curve.bounds().high) == (1e-5, 1.0)
    ramp = range_test(frozen, X, Y, mode="ramp", steps=20, seeds=1)
    assert ramp.bounds().status in ("no_descent", "too_noisy")
    assert (ramp.bounds().low, ramp.bounds().high) == (1e-5, 1.0)


@pytest.mark.slow
def test_a_tuner_is_tested_in_its_own_range(tmp_path, capsys) -> None:
    def of_hp(hp) -> keras.Model:
        model = linear()
        model.optimizer.learning_rate = hp.Float("lr", 1e-4, 1e-2, sampling="log")
        return model

    tuner = keras_tuner.RandomSearch(of_hp, "val_loss", max_trials=2, directory=tmp_path)
    curve = range_test(tuner, X, Y, **QUICK)
    assert curve.declared == (1e-4, 1e-2)
    assert (curve.learning_rates[0], curve.learning_rates[-1]) == (1e-4, 1e-2)
    assert "Declared 0.0001 to 0.01, the range of `lr`." in capsys.readouterr().out
    assert 1e-4 <= curve.bounds().low <= curve.bounds().high <= 1e-2
    assert range_test(tuner, X, Y, declared=(1e-3, 0.5), **QUICK).declared == (1e-3, 0.5)
    assert range_test(linear, X, Y, **QUICK).declared == (1e-5, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"declared": (1.0, 0.1)}, "`declared` must hold"),
        ({"declared": (0.1, 0.1)}, "must hold low < high"),
        ({"declared": 0.1}, "must be a pair"),
        ({"steps": 1}, "`steps` must be a whole number of 2 or more, but got 1"),
        ({"steps": 9}, "`steps` must be left out of mode='sweep', .* 9; pass mode='ramp' for a"),
        ({"steps": 9, "mode": "per_epoch"}, "`steps` must be left out of mode='per_epoch'"),
        ({"seeds": 0}, "`seeds` must be"),
        ({"seed": -1}, "`seed` must be"),
        ({"epochs": 0}, "`epochs` must be"),
        ({"mode": "rmap"}, "did you mean 'ramp'"),
        ({"mode": "spiral"}, "`mode` must be one of sweep, ramp, per_epoch, but got 'spiral'"),
        ({"x": X}, "must be left out for a TuningTask"),
        ({"batch_size": 8}, r"brings its own \(16\), but got 8"),
    ],
)
def test_wrong_options_are_refused(task, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        range_test(task, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model", X, Y), "`source` must be a TuningTask"),
        (("model",), "`source` must be a TuningTask"),
        ((linear,), "`x` must hold the training inputs"),
        ((linear, X), "`y` must hold the training targets"),
        ((linear, X, Y[:5]), "same number of rows"),
        ((linear, X[:1], Y[:1]), "2 or more"),
        ((linear, X.tolist(), Y), r"hold single numbers; pass e\.g\. numpy\.asarray"),
        ((X, Y, linear), "`source` must be a TuningTask, .* but got ndarray"),
    ],
)
def test_wrong_sources_are_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        range_test(*arguments)


@pytest.mark.slow
def test_models_that_cannot_be_tested_are_refused_with_the_cure() -> None:
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="it was not compiled"):
        range_test(plain, X, Y)

    class Own(keras.Model):
        def __init__(self, dense):
            super().__init__()
            self.dense = dense

        def call(self, x):
            return self.dense(x)

    own = Own(keras.layers.Dense(1))
    own.compile("sgd", "mse")
    own(X[:1])
    with pytest.raises(ValueError, match="pass the function that builds it"):
        range_test(own, X, Y)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "size"), [("sweep", "11 rates"), ("ramp", "8 seeds")])
def test_verbose_prints_the_answer_in_one_line_and_0_nothing(task, mode, size, capfd) -> None:
    curve = range_test(task, epochs=30, mode=mode)
    bounds, printed = curve.bounds(), capfd.readouterr()
    assert printed.out == f"{curve.describe()}\n"
    assert re.fullmatch(
        rf"learning rate [\d.e-]+ to [\d.e-]+, try [\d.e-]+ \({size}, [01]\.\d trainings' steps, "
        r"\d+\.\d s\)\n",
        printed.out,
    )
    assert printed.err == ""
    assert curve.trainings == pytest.approx(curve.gradient_steps / (30 * 8))
    assert "Assumed" not in bounds.reason
    range_test(task, epochs=30, mode=mode, verbose=0)
    assert capfd.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "note"),
    [
        ({}, "Assumed epochs=30 and batch_size=32."),
        ({"epochs": 30}, "Assumed batch_size=32."),
        ({"batch_size": 16}, "Assumed epochs=30."),
        ({"epochs": 20, "batch_size": 16}, ""),
    ],
)
def test_what_was_assumed_of_the_trainings_to_come_is_said(given, note, capsys) -> None:
    curve = range_test(linear, X, Y, **given)
    assert (curve.note, curve.epochs) == (note, given.get("epochs", 30))
    assert curve.bounds().reason.endswith(note)
    assert capsys.readouterr().out.rstrip().endswith(note or "s)")
    assert curve.training_steps == curve.epochs * (9 if "batch_size" in given else 5)


@pytest.mark.slow
def test_shorter_trainings_of_larger_batches_get_higher_rates() -> None:
    given = {"verbose": 0, "declared": (1e-5, 10.0)}
    long = range_test(linear, X, Y, epochs=60, batch_size=8, **given).bounds()
    short = range_test(linear, X, Y, epochs=30, batch_size=72, **given).bounds()
    assert short.suggestion > 2 * long.suggestion


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hp", "trial", "hypermodel", "tuner", "model", "unbuilt"])
def test_whatever_builds_a_model_can_be_tested(kind, tmp_path) -> None:
    def of_hp(hp) -> keras.Model:
        hp.Float("learning_rate", 1e-4, 1.0, sampling="log")
        return linear()

    class Linear(keras_tuner.HyperModel):
        def build(self, hp):
            return of_hp(hp)

    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    source = {
        "hp": of_hp,
        "trial": lambda trial: linear() if trial.suggest_int("units", 1, 3) else None,
        "hypermodel": Linear(),
        "tuner": keras_tuner.RandomSearch(of_hp, "val_loss", directory=tmp_path),
        "model": linear(),
        "unbuilt": unbuilt,
    }[kind]
    curve = range_test(source, X, Y, epochs=30, batch_size=32, verbose=0)
    assert curve.bounds().status == "ok"
    assert 1e-3 < curve.bounds().suggestion < 1.0
