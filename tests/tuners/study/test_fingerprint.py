"""The fingerprint of a model: equal for the same builder anywhere, another one after each edit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from search_spaces.task import with_data
from tests.tuners.tasks import dense_model, make_task
from tuners.study.fingerprint import model_fingerprint
from tuners.study.metadata import machine_facts, task_facts, task_fingerprint

pytestmark = pytest.mark.slow

PARTS = {"model architecture", "model loss", "model metrics", "optimizer settings"}


def mean_error(y: Any, outputs: Any) -> Any:
    return abs(y - outputs)


def compiled(
    *,
    units: int = 4,
    activation: str = "relu",
    rate: float = 0.1,
    factor: float = 2.0,
    name: str | None = None,
    trainable: bool = True,
    optimizer: Any = "adam",
    loss: Any = "mse",
    metrics: tuple[Any, ...] = ("mae",),
    **options: Any,
) -> Any:
    """Return a model with a layer of each kind that has odd configurations."""
    import keras

    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(units, activation, name=name, trainable=trainable)(inputs)
    hidden = keras.layers.Dropout(rate)(hidden)
    doubled = (lambda x: x * 2.0) if factor == 2.0 else (lambda x: x * 3.0)
    hidden = keras.layers.Lambda(doubled)(hidden) + 1.0
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    model.compile(
        optimizer() if callable(optimizer) else optimizer,
        loss=loss() if isinstance(loss, type) else loss,
        metrics=[each() if isinstance(each, type) else each for each in metrics],
        **options,
    )
    return model


def adam(**options: Any) -> Callable[[], Any]:
    def make() -> Any:
        import keras

        return keras.optimizers.Adam(**options)

    return make


def decaying(steps: int) -> Callable[[], Any]:
    def make() -> Any:
        import keras

        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, steps, 0.9)
        return keras.optimizers.Adam(schedule)

    return make


EDITS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"units": 5}, "model architecture"),
    ({}, {"activation": "tanh"}, "model architecture"),
    ({}, {"rate": 0.2}, "model architecture"),
    ({}, {"factor": 3.0}, "model architecture"),
    ({}, {"name": "first"}, "model architecture"),
    ({}, {"trainable": False}, "model architecture"),
    ({}, {"loss": "mae"}, "model loss"),
    ({}, {"loss": mean_error}, "model loss"),
    ({}, {"loss_weights": [0.5]}, "model loss"),
    ({}, {"metrics": ()}, "model metrics"),
    ({}, {"metrics": ("mae", mean_error)}, "model metrics"),
    ({}, {"weighted_metrics": ["mae"]}, "model metrics"),
    ({}, {"optimizer": "sgd"}, "optimizer settings"),
    ({}, {"optimizer": adam(learning_rate=0.01)}, "optimizer settings"),
    ({}, {"optimizer": adam(clipnorm=1.0)}, "optimizer settings"),
    ({"optimizer": decaying(10)}, {"optimizer": decaying(20)}, "optimizer settings"),
]


@pytest.mark.parametrize(("first", "edit", "part"), EDITS)
def test_an_edit_changes_the_hash_of_its_part_alone(
    first: dict[str, Any], edit: dict[str, Any], part: str
) -> None:
    before, after = (model_fingerprint(compiled(**each)) for each in (first, {**first, **edit}))
    assert set(before) == PARTS
    assert {name for name in PARTS if before[name] != after[name]} == {part}


def without_configuration(units: int) -> Any:
    import keras

    class Mine(keras.Model):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def call(self, x: Any) -> Any:
            return self.inner(x)

    model = Mine(keras.layers.Dense(units))
    model.compile("sgd", "mse")
    model(keras.ops.zeros((1, 3)))
    return model


def described() -> dict[str, dict[str, str]]:
    """Fingerprints of models whose configurations hold names, lambdas, classes and functions."""
    import keras

    class Loss(keras.losses.Loss):
        def __init__(self) -> None:
            super().__init__()
            self.secret = object()

        def call(self, y: Any, outputs: Any) -> Any:
            return abs(y - outputs)

        def get_config(self) -> dict[str, Any]:
            raise RuntimeError("none")

    return {
        "plain": model_fingerprint(compiled()),
        "functions": model_fingerprint(compiled(loss=mean_error, metrics=(mean_error,))),
        "lambda": model_fingerprint(compiled(loss=lambda y, outputs: abs(y - outputs))),
        "objects": model_fingerprint(compiled(optimizer=adam(), metrics=(keras.metrics.AUC,))),
        "no configuration": model_fingerprint(without_configuration(2)),
        "a loss without one": model_fingerprint(compiled(loss=Loss)),
    }


def test_the_same_builder_has_the_same_fingerprint_again_and_in_another_process() -> None:
    here = described()
    assert described() == here  # Keras has counted its names on
    code = (
        "import json; from tests.tuners.study.test_fingerprint import described; "
        "described(); print(json.dumps(described()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == here
    assert len({json.dumps(each) for each in here.values()}) == len(here)


def test_a_model_without_a_configuration_counts_by_its_shapes() -> None:
    def build(units: int) -> Any:
        return model_fingerprint(without_configuration(units))

    assert build(2) == build(2)
    assert build(2)["model architecture"] != build(3)["model architecture"]


def test_the_model_of_a_task_is_built_once() -> None:
    built: list[int] = []
    plain = dense_model()

    def build() -> Any:
        built.append(1)
        return plain()

    task = make_task(build)
    facts = task_facts(task, 3)
    facts["task"] = "changed by the caller"
    assert task_facts(task, 3)["task"] == "small"
    assert task_fingerprint(task, 3).keys() == PARTS
    assert len(built) == 1
    other = with_data(task, build_model=dense_model(width=9))
    assert task_fingerprint(other, 3) != task_fingerprint(task, 3)
    assert machine_facts()["machine"]
