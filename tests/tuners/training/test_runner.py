from __future__ import annotations

import numpy as np
import pytest

from search_spaces import TuningTask
from tests.tuners.tasks import dense_model, make_task, rows
from tuners.training.records import direction
from tuners.training.runner import evaluate, train, train_steps


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("val_loss", "minimize"),
        ("loss", "minimize"),
        ("val_mean_squared_error", "minimize"),
        ("val_accuracy", "maximize"),
        ("val_auc", "maximize"),
        ("val_r2_score", "maximize"),
        ("val_f1_score", "maximize"),
        ("val_f1", "maximize"),
        ("val_AUC_1", "maximize"),
        ("val_head_accuracy_2", "maximize"),
        ("val_error2", "minimize"),  # holds "r2"
        ("val_inaccuracy", "minimize"),
        ("val_dissimilarity", "minimize"),
        ("val_accuracy_loss", "minimize"),  # of an output named so
    ],
)
def test_direction_is_read_from_the_name(objective: str, expected: str) -> None:
    assert direction(objective) == expected


def test_a_given_direction_wins() -> None:
    assert direction("val_profit") == "minimize"
    assert direction("val_profit", "maximize") == "maximize"
    assert direction("val_accuracy", "minimize") == "minimize"
    with pytest.raises(ValueError, match="`direction` must be one of minimize, maximize, but got"):
        direction("val_loss", "down")


@pytest.mark.slow
def test_the_direction_of_every_metric_of_keras_is_the_one_it_says() -> None:
    import keras

    found = {}
    for kind in vars(keras.metrics).values():
        try:
            metric = kind()
        except (TypeError, ValueError):  # a function, or it asks for arguments
            continue
        if getattr(metric, "_direction", None) is not None:
            found[metric.name] = f"{metric._direction}".replace("up", "maximize")
    assert len(found) > 25
    assert {name: direction(name) for name in found} == {
        name: way.replace("down", "minimize") for name, way in found.items()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rates": [1e-3], "seeds": [0, 1]}, "two lists of the same length"),
        ({"learning_rates": [], "seeds": []}, "two lists of the same length"),
        ({"learning_rates": [0.0], "seeds": [0]}, "`learning_rates` must be positive and finite"),
        ({"learning_rates": [np.inf], "seeds": [0]}, "positive and finite, but got inf"),
        ({"learning_rates": [1e-3], "seeds": [-1]}, "`seeds` must be whole numbers of 0 or more"),
        ({"learning_rates": [1e-3], "seeds": [0.5]}, "`seeds` must be whole numbers of 0 or more"),
        ({"epochs": 0}, "`epochs` must be a whole number of 1 or more, but got 0"),
        ({"batches": 0}, "`batches` must be a whole number of 1 or more, but got 0"),
        ({"schedule_epochs": 0}, "`schedule_epochs` must be a whole number of 1 or more"),
        (
            {"epochs": 3, "schedule_epochs": 2},
            "`schedule_epochs` must be at least `epochs`=3, .* but got 2; pass the epochs of the",
        ),
        ({"keep_weights": "all"}, "`keep_weights` must be"),
        ({"how": "fast"}, "`how` must be one of population, sequential, but got 'fast'; pass None"),
        ({"direction": "down"}, "`direction` must be one of minimize, maximize, but got 'down'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    task = make_task(dense_model())
    with pytest.raises(ValueError, match=message):
        train(task, **{"learning_rates": [1e-3], "seeds": [0], "epochs": 1, **arguments})


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (np.ones(3), r"must have shape \(steps, lanes\), but got shape \(3,\)"),
        (np.array([[1e-3], [0.0]]), "`learning_rates` must be positive and finite"),
    ],
)
def test_bad_step_rates_are_named(rates: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_steps(make_task(dense_model()), rates, [0])


@pytest.mark.slow
def test_a_dataset_that_gives_its_batches_once_is_refused() -> None:
    import tensorflow as tf

    x, y = rows()
    batches = iter([(x[:16], y[:16])] * 3)
    kinds = tuple(tf.TensorSpec(part.shape, part.dtype) for part in (x[:16], y[:16]))
    once = tf.data.Dataset.from_generator(lambda: batches, output_signature=kinds)
    task = TuningTask("once", dense_model(), once, (x, y), materialise=False)
    with pytest.raises(ValueError, match=r"`train` must give its batches again .* gave none; make"):
        train_steps(task, np.full((9, 1), 0.01), [0])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["population", "sequential"])
def test_test_curves_are_the_losses_of_the_test_rows_after_each_epoch(how: str) -> None:
    x, y = rows()
    task = make_task(dense_model("adam"), test=(x[40:], y[40:]))
    record = train(
        task, [0.01, 0.1], [0, 1], epochs=3, how=how, test_curves=True, keep_weights="final"
    )
    assert record.metrics["test_loss"].shape == (2, 3)
    last = evaluate(task, record.weights, task.test)["loss"]
    np.testing.assert_allclose(record.metrics["test_loss"][:, -1], last, rtol=1e-4)
    plain = train(task, [0.01, 0.1], [0, 1], epochs=3, how=how)
    np.testing.assert_array_equal(plain.val_loss, record.val_loss)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["population", "sequential"])
def test_the_beginning_of_a_training_has_its_schedule_scaled_over_the_whole(how: str) -> None:
    def warmed():
        from keras.optimizers import SGD, schedules

        return SGD(schedules.CosineDecay(0.0, 10, warmup_target=0.5, warmup_steps=10))

    task = make_task(dense_model(warmed))
    lanes = [0.03, 0.3], [0, 1]
    whole = train(task, *lanes, epochs=4, how=how)
    part = train(task, *lanes, epochs=2, how=how, schedule_epochs=4)
    np.testing.assert_allclose(part.loss, whole.loss[:, :2], rtol=1e-5)
    np.testing.assert_allclose(part.val_loss, whole.val_loss[:, :2], rtol=1e-5)
    short = train(task, *lanes, epochs=1, how=how)  # its maximum is over its own epoch
    assert (np.abs(short.val_loss[:, 0] - whole.val_loss[:, 0]) > 1e-4).all()


@pytest.mark.slow
def test_some_batches_of_an_epoch_are_the_first_of_the_seeds_order() -> None:
    task = make_task(dense_model())  # of 4 full batches and a short one
    lanes = [0.03, 0.3], [0, 1]
    steps = train_steps(task, np.tile(lanes[0], (3, 1)), lanes[1])
    for how in ("population", "sequential"):
        part = train(task, *lanes, epochs=2, how=how, batches=3)
        np.testing.assert_allclose(part.loss[:, 0], steps.loss.mean(axis=0), rtol=1e-4)
        assert not np.allclose(part.loss[:, 0], part.loss[:, 1])
        whole, more = (train(task, *lanes, epochs=1, how=how, batches=b) for b in (None, 9))
        np.testing.assert_array_equal(whole.val_loss, more.val_loss)


def test_test_curves_need_test_rows() -> None:
    with pytest.raises(ValueError, match="`test_curves` needs test rows, but `task` has none"):
        train(make_task(dense_model()), [0.1], [0], epochs=1, test_curves=True)
