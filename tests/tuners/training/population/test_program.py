"""A lane of the population against the same lane in `model.fit`."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, optimizers

from search_spaces.task import TuningTask
from tests.tuners.tasks import ROWS, dense_model, make_task, rows
from tuners.training import models
from tuners.training.population import cache
from tuners.training.runner import evaluate, predict, train, train_steps

pytestmark = pytest.mark.slow

# float32 sums differ in their order only; the curves of three epochs stay within this
TOLERANCE = 2e-5


def assert_same_as_fit(task: TuningTask, *, epochs: int = 3, rates: Any = (1e-3, 1e-2)) -> None:
    lanes = {"learning_rates": list(rates), "seeds": [3, 4], "epochs": epochs}
    stacked = train(task, **lanes, how="population")
    alone = train(task, **lanes, how="sequential")
    assert (stacked.how, alone.how) == ("population", "sequential")
    np.testing.assert_allclose(stacked.loss, alone.loss, atol=TOLERANCE, rtol=TOLERANCE)
    np.testing.assert_allclose(stacked.val_loss, alone.val_loss, atol=TOLERANCE, rtol=TOLERANCE)
    assert set(stacked.metrics) == set(alone.metrics)
    for name in alone.metrics:
        # one row of 30 or 75 may fall on the other side of 0.5
        atol = TOLERANCE if name.endswith("_loss") else 0.04
        np.testing.assert_allclose(stacked.metrics[name], alone.metrics[name], atol=atol)
    np.testing.assert_array_equal(stacked.best_epoch, alone.best_epoch)


def compiled(model: Any, loss: Any = "binary_crossentropy", **options: Any) -> Any:
    model.compile("adam", loss, **options)
    return model


def convolution() -> Any:
    return compiled(
        keras.Sequential(
            [
                layers.Input((6, 6, 1)),
                layers.Conv2D(3, 3, activation="relu"),
                layers.Flatten(),
                layers.Dense(1, activation="sigmoid"),
            ]
        )
    )


def test_convolutions_agree_with_fit() -> None:
    assert_same_as_fit(make_task(convolution, kind="images"))


def test_convolutions_that_fill_the_cache_run_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "CACHE_BYTES", 20_000)  # one lane's patches have 16 times 576 bytes
    record = train(make_task(convolution, kind="images"), [1e-3], [0], epochs=1)
    assert record.how == "sequential"
    assert "too large for two lanes in the cache" in record.why


def test_class_weights_agree_with_fit_given_them_itself() -> None:
    task = make_task(dense_model("adam"), class_weight={0: 1.0, 1: 4.0})
    assert_same_as_fit(task)
    model = dense_model("adam")()
    x, y = rows()
    model.optimizer.learning_rate = 1e-6  # so that the order of the batches hardly counts
    history = model.fit(
        x, y, batch_size=16, class_weight={0: 1.0, 1: 4.0}, verbose=0, shuffle=False
    ).history
    ours = train(task, [1e-6], [0], epochs=1).loss
    # both untrained: the loss is of the same size, four times heavier on one class
    assert ours[0, 0] == pytest.approx(history["loss"][0], rel=0.4)
    plain = train(make_task(dense_model("adam")), [1e-6], [0], epochs=1).loss
    assert ours[0, 0] > 1.5 * plain[0, 0]


def dropout() -> Any:
    return compiled(
        keras.Sequential(
            [
                layers.Input((8,)),
                layers.Dense(32, activation="relu"),
                layers.Dropout(0.5),
                layers.GaussianNoise(0.1),
                layers.Dense(1, activation="sigmoid"),
            ]
        )
    )


def test_dropout_draws_its_own_masks_for_each_lane() -> None:
    record = train(make_task(dropout), [1e-3, 1e-3, 1e-3], [1, 1, 2], epochs=2)
    assert record.how == "population"
    np.testing.assert_array_equal(record.loss[0], record.loss[1])
    assert (record.loss[0] != record.loss[2]).all()


def test_dropout_and_noise_draw_what_a_compiled_fit_draws() -> None:
    def build() -> Any:
        model = dropout()
        model.jit_compile = True  # on a CPU Keras leaves it off, and draws other numbers
        return model

    assert_same_as_fit(make_task(build))


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    widths=st.lists(st.integers(1, 9), max_size=2),
    activation=st.sampled_from(["relu", "tanh", "gelu", "softplus"]),
    optimizer=st.sampled_from(["sgd", "adam", "rmsprop", "nadam"]),
    batch_size=st.integers(7, 100),
)
def test_random_small_architectures_agree_with_fit(
    widths: list[int], activation: str, optimizer: str, batch_size: int
) -> None:
    def build() -> Any:
        hidden = [layers.Dense(width, activation=activation) for width in widths]
        model = keras.Sequential([layers.Input((8,)), *hidden, layers.Dense(1)])
        model.compile(optimizer, "mse")
        return model

    assert_same_as_fit(make_task(build, batch_size=batch_size), epochs=2)


def constrained() -> Any:
    model = keras.Sequential([layers.Input((8,)), layers.Dense(1, kernel_constraint="max_norm")])
    model.compile("sgd", "mse")
    return model


class OwnStep(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def own_step() -> Any:
    model = OwnStep()
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (constrained, "a weight has a constraint"),
        (own_step, "the model has its own `train_step`"),
        (dense_model(lambda: optimizers.Adam(clipnorm=1.0)), "`clipnorm` mixes"),
        (dense_model(lambda: optimizers.Adafactor()), "Adafactor mixes the elements"),
        (dense_model(run_eagerly=True), "run_eagerly=True"),
        (
            dense_model(lambda: optimizers.LossScaleOptimizer(optimizers.SGD())),
            "the optimizer scales its loss",
        ),
    ],
)
def test_what_cannot_be_stacked_says_why(build: Any, reason: str) -> None:
    task = make_task(build)
    record = train(task, [1e-3], [0], epochs=1)
    assert record.how == "sequential"
    assert reason in record.why
    assert np.isfinite(record.loss).all()
    with pytest.raises(ValueError, match='`how="population"` cannot be done'):
        train(task, [1e-3], [0], epochs=1, how="population")


def test_a_wrong_stacked_step_is_found_by_trying() -> None:
    class Mixes(optimizers.SGD):  # divides by the norm of a whole weight: lanes would share it
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            gradient = gradient / (keras.ops.norm(keras.ops.reshape(gradient, (-1,))) + 1e-6)
            super().update_step(gradient, variable, learning_rate)

    record = train(make_task(dense_model(lambda: Mixes())), [1e-3], [0], epochs=1)
    assert record.how == "sequential"
    assert "does not agree with Keras" in record.why


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return make_task(dense_model())


def test_a_lane_that_diverges_leaves_its_neighbours_alone(task: TuningTask) -> None:
    def build() -> Any:
        model = keras.Sequential([layers.Input((8,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    linear = make_task(build)
    record = train(linear, [0.01, 1e10, 0.01, 0.02], [0, 0, 0, 1], epochs=4, keep_weights="best")
    assert record.diverged.tolist() == [False, True, False, False]
    assert record.diverged_epoch[1] >= 0
    assert np.isnan(record.loss[1, record.diverged_epoch[1] :]).all()
    np.testing.assert_array_equal(record.loss[0], record.loss[2])
    alone = train(linear, [0.01, 0.01, 0.01, 0.02], [0, 0, 0, 1], epochs=4)
    np.testing.assert_array_equal(record.loss[[0, 2, 3]], alone.loss[[0, 2, 3]])


def test_a_finite_blow_up_counts_as_diverged(task: TuningTask) -> None:
    record = train(task, [0.1, 1e4], [0, 0], epochs=2)
    assert record.diverged.tolist() == [False, True]


def linear(start: list[np.ndarray]) -> Any:
    """Return a builder of a linear regression that begins with these weights."""

    def build() -> Any:
        model = keras.Sequential([layers.Input((8,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.set_weights(start)
        return model

    return build


@pytest.mark.filterwarnings("ignore:Two seeds build the same initial weights")
def test_a_pretrained_model_that_cannot_improve_has_not_diverged() -> None:
    x, _ = rows()
    y = (x[:, :1] + 0.1 * np.random.default_rng(0).normal(size=(len(x), 1))).astype("float32")
    bias = np.ones((len(x), 1), "float32")
    best = np.linalg.lstsq(np.hstack([x, bias]), y, rcond=None)[0].astype("float32")
    build = linear([best[:-1], best[-1]])
    fitted = TuningTask("fitted", build, (x, y), (x, y), batch_size=16)
    for how in ("population", "sequential"):
        record = train(fitted, [1e-3, 0.1, 2.0], [0, 0, 0], epochs=3, how=how)
        assert (record.val_loss > record.initial_val_loss[:, None]).all()  # the least squares
        assert record.diverged_epoch.tolist() == [-1, -1, -1]
        assert record.diverged.tolist() == [False, False, True]  # the last explodes, but is finite


@pytest.mark.filterwarnings("ignore:Two seeds build the same initial weights")
def test_a_validation_loss_that_is_not_finite_ends_a_lane_both_ways() -> None:
    x, y = rows()
    build = linear([np.zeros((8, 1), "float32"), np.zeros(1, "float32")])
    far = x.copy()
    far[0] = 1e25  # squared it is infinite, as soon as a weight is no longer 0
    task = TuningTask("far", build, (x, y), (far, y), batch_size=16)
    for how in ("population", "sequential"):
        record = train(task, [0.01, 1e-30], [0, 0], epochs=3, how=how, keep_weights="best")
        assert np.isfinite(record.initial_val_loss).all()
        assert record.diverged_epoch.tolist() == [0, -1]
        assert record.diverged.tolist() == [True, False]
        assert record.best_epoch[0] == -1
        for curve in (record.loss, record.val_loss, *record.metrics.values()):
            assert np.isnan(curve[0]).all()
            assert np.isfinite(curve[1]).all()


def test_a_given_direction_decides_the_best_epoch(task: TuningTask) -> None:
    for how in ("population", "sequential"):
        settings = {"epochs": 3, "how": how, "objective": "loss", "keep_weights": "best"}
        down = train(task, [0.1], [0], **settings)
        up = train(task, [0.1], [0], direction="maximize", **settings)
        assert (down.best_epoch[0], up.best_epoch[0]) == (2, 0)
        assert not np.array_equal(up.weights[0][0], down.weights[0][0])


def test_chunks_and_padding_do_not_change_a_lane(
    task: TuningTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(task, np.full(9, 0.05), range(9), epochs=2)
    monkeypatch.setattr(cache, "MAX_LANES", 4)
    parts = train(task, np.full(9, 0.05), range(9), epochs=2)
    assert (whole.chunk_size, parts.chunk_size) == (16, 4)
    np.testing.assert_allclose(whole.loss, parts.loss, rtol=1e-5)


def test_one_program_serves_chunks_batches_of_trials_and_the_range_test() -> None:
    x, y = rows()

    def resplit(seed: int) -> tuple[Any, Any]:
        order = np.random.default_rng(seed).permutation(ROWS)
        return (x[order], y[order]), (x[order[:30]], y[order[:30]])

    fresh = make_task(dense_model(), resplit=resplit)
    train(fresh, np.full(8, 0.05), range(8), epochs=1)
    (program,) = cache._programs[fresh].compiled.values()
    traces = program.traces
    train(fresh, np.geomspace(0.01, 0.1, 8), [5] * 8, epochs=2, keep_weights="best")
    train(fresh, np.full(16, 0.05), range(16), epochs=1)  # a comparison
    assert (
        list(cache._programs[fresh].compiled.values()) == [program]
        or len(cache._programs[fresh].compiled) == 2
    )  # 16 lanes of this small model fit one chunk, and are another program
    train_steps(fresh, np.geomspace(1e-4, 1, 10)[:, None].repeat(8, 1), range(8))
    assert program.traces == traces


def test_global_random_state_is_left_as_it_was(task: TuningTask) -> None:
    keras.utils.set_random_seed(11)
    np.random.seed(5)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    expected = keras.random.normal((2,)).numpy(), tf.random.normal((2,)).numpy()
    keras.utils.set_random_seed(11)
    random.setstate(before[0])
    np.random.seed(5)  # noqa: NPY002
    train(make_task(dense_model()), [1e-3], [123], epochs=1)
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    np.testing.assert_array_equal(keras.random.normal((2,)).numpy(), expected[0])
    np.testing.assert_array_equal(tf.random.normal((2,)).numpy(), expected[1])


def test_same_batches_and_own_batches(task: TuningTask) -> None:
    own = train(task, [1e-9, 1e-9], [0, 1], epochs=1)
    same = train(task, [1e-9, 1e-9], [0, 1], epochs=1, same_batches=True)
    np.testing.assert_array_equal(own.loss[0], same.loss[0])
    steps = np.full((4, 2), 1e-9)
    ours, shared = (
        train_steps(task, steps, [0, 1]),
        train_steps(task, steps, [0, 1], same_batches=True),
    )
    assert (ours.loss[:, 1] != shared.loss[:, 1]).any()


def test_kept_weights_are_those_of_the_best_epoch(task: TuningTask) -> None:
    record = train(task, [0.5, 0.05], [0, 1], epochs=4, keep_weights="best")
    assert record.weights is not None
    values = evaluate(task, record.weights, task.validation)
    np.testing.assert_allclose(values["loss"], record.best(), rtol=1e-5)
    np.testing.assert_allclose(values["accuracy"], record.best("val_accuracy"), atol=1e-6)
    outputs = predict(task, record.weights, task.validation)
    assert outputs.shape == (2, 30, 1)
    model = task.build_model()
    model.set_weights(record.weights[1])
    np.testing.assert_allclose(outputs[1], model.predict(task.validation[0], verbose=0), atol=1e-5)
    x, y = rows()
    each = evaluate(task, record.weights, [task.validation, (x[30:60], y[30:60])])
    np.testing.assert_allclose(each["loss"][0], values["loss"][0], rtol=1e-5)


def test_a_lane_without_weights_is_named(task: TuningTask) -> None:
    with pytest.raises(ValueError, match=r"those of lanes \[1\] are empty"):
        evaluate(task, [[np.zeros(1)], []], task.validation)
    with pytest.raises(ValueError, match=r"list of one for each of the 2 lanes"):
        predict(task, [[np.zeros(1)]] * 2, [task.validation])


def test_rising_rates_agree_with_train_on_batch(task: TuningTask) -> None:
    rates = np.geomspace(1e-3, 1.0, 12)[:, None].repeat(2, 1)
    stacked = train_steps(task, rates, [0, 1])
    alone = train_steps(task, rates, [0, 1], how="sequential")
    assert (stacked.how, alone.how) == ("population", "sequential")
    np.testing.assert_allclose(stacked.loss, alone.loss, atol=TOLERANCE)


def test_stopped_lanes_leave_and_are_not_diverged(task: TuningTask) -> None:
    def stop(epoch: int, scores: np.ndarray) -> np.ndarray:
        return np.array([epoch >= 1, False])

    record = train(task, [0.05, 0.05], [0, 1], epochs=4, stop_lanes=stop, keep_weights="best")
    assert np.isnan(record.val_loss[0, 2:]).all()
    assert record.weights is not None
    kept = evaluate(task, record.weights, task.validation)["loss"]
    np.testing.assert_allclose(kept, record.best(), rtol=1e-5)
    assert not record.diverged.any()
    whole = train(task, [0.05, 0.05], [0, 1], epochs=4)
    np.testing.assert_array_equal(record.loss[1], whole.loss[1])
    np.testing.assert_array_equal(record.loss[0, :2], whole.loss[0, :2])


@pytest.mark.parametrize("how", ["population", "sequential"])
def test_ctrl_c_keeps_the_finished_epochs(task: TuningTask, how: Any) -> None:
    def interrupt(done: int, total: int) -> None:
        assert total == 6
        if done >= 4:
            raise KeyboardInterrupt

    record = train(task, [0.05, 0.05], [0, 1], epochs=3, how=how, on_epoch=interrupt)
    assert record.interrupted
    assert np.isfinite(record.loss).sum() == 4


def test_a_dataset_streams_through_fit_and_the_record_says_so() -> None:
    x, y = rows()
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    streamed = TuningTask("streamed", dense_model(), data, data, materialise=False)
    record = train(streamed, [0.05], [0], epochs=2)
    assert record.how == "sequential"
    assert "tf.data.Dataset" in record.why
    assert np.isfinite(record.val_loss).all()


def test_seeds_that_build_the_same_weights_are_warned_of() -> None:
    def build() -> Any:
        model = keras.Sequential(
            [
                layers.Input((8,)),
                layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(1)),
            ]
        )
        model.compile("sgd", "mse")
        return model

    with pytest.warns(UserWarning, match="Two seeds build the same initial weights"):
        train(make_task(build), [0.01, 0.01], [0, 1], epochs=1)


def test_an_objective_that_is_not_compiled_lists_those_that_are(task: TuningTask) -> None:
    with pytest.raises(ValueError, match=r"`objective` must be one of .*val_accuracy"):
        train(task, [0.01], [0], epochs=1, objective="val_auc")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: None, "must return a compiled keras.Model, but got NoneType"),
        (
            lambda: keras.Sequential([layers.Input((8,)), layers.Dense(1)]),
            "must return a compiled model",
        ),
    ],
)
def test_a_bad_builder_is_named(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(make_task(build), [0.01], [0], epochs=1)


def test_splits_of_unequal_size_are_refused() -> None:
    x, y = rows()

    def resplit(seed: int) -> tuple[Any, Any]:
        return (x[: 40 + seed], y[: 40 + seed]), (x[:30], y[:30])

    own = TuningTask("own", dense_model(), *resplit(0), batch_size=16, resplit=resplit)
    with pytest.raises(ValueError, match="`resplit` must give every seed the same number of train"):
        train(own, [0.05, 0.05], [0, 1], epochs=1)
    assert np.isfinite(train(own, [0.05, 0.05], [0, 1], epochs=1, resplit=False).loss).all()


def test_what_many_tasks_leave_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "TASKS_KEPT", 2)
    one, two, three = (make_task(dense_model()) for _ in range(3))
    before = train(one, [0.05], [0], epochs=1)
    train(two, [0.05], [0], epochs=1)
    train(one, [0.05], [1], epochs=1)
    monkeypatch.setattr(models, "CACHED_BYTES", 1)
    train(three, [0.05], [0], epochs=1)
    kept = {task: bool(cache._programs[task].compiled) for task in (one, two, three)}
    assert kept == {one: True, two: False, three: True}
    assert [len(models._initial[task]) for task in (one, two, three)] == [0, 0, 1]
    # what was forgotten is made again
    np.testing.assert_array_equal(train(one, [0.05], [0], epochs=1).loss, before.loss)
    assert train(two, [0.05], [0], epochs=1).how == "population"
