from __future__ import annotations

import doctest
import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from search_spaces import wine, wine_task
from search_spaces._data import data_hash
from search_spaces.wine import FEATURES, OPTIMIZERS, build_wine_model, check_optimizer
from search_spaces.wine_csv import COLUMNS, find_wine_csv

# from the published notebook, whose scaler is fitted on all 5,170 training rows
FIRST_ROW = [
    -0.86265684,
    0.56588915,
    0.22079121,
    0.75048207,
    0.07674805,
    2.9415276,
    2.35882933,
    0.788386,
    0.94784355,
    -0.20357893,
    -1.66472797,
    0.57094748,
]


@pytest.fixture(scope="module")
def published():
    return wine_task(validation_fraction=0.0)


@pytest.fixture(scope="module")
def usual():
    return wine_task()


def hashes(task) -> list[str]:
    return [data_hash(part) for part in (task.train, task.validation, task.test)]


def save(path, rows: list[str]):
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return path


def row(quality: float, index: int = 0, kind: str = "white") -> str:
    return ",".join([kind, *[str(index + n / 8) for n in range(11)], str(quality)])


def test_the_published_split_and_scaling_come_back(published):
    x, y = published.train
    assert x.shape == (5170, 12)
    assert y.shape == (5170,)
    np.testing.assert_allclose(x[0], FIRST_ROW, rtol=1e-6)
    test_x, test_y = published.test
    assert test_x.shape == (1293, 12)
    assert (int((test_y == 0).sum()), int((test_y == 1).sum())) == (482, 811)


def test_without_a_validation_part_the_training_rows_stand_in_and_nothing_resplits(published):
    assert published.validation[0] is not published.test[0]
    assert data_hash(published.validation) == data_hash(published.train)
    assert published.resplit is None
    assert [len(part[1]) for part in published.split(3)] == [5170, 5170, 1293]


def test_the_usual_split_is_stratified_and_scaled_by_what_is_trained_on(usual, published):
    (train, y), (validation, validation_y), (test, test_y) = usual.split(None)
    assert [len(labels) for labels in (y, validation_y, test_y)] == [4136, 1034, 1293]
    assert abs(y.mean() - validation_y.mean()) < 1 / 1034
    np.testing.assert_array_equal(test_y, published.test[1])
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-4)
    assert abs(validation.mean(axis=0)).max() > 1e-3
    # undo one scaling, do the other: the test rows themselves are those of the published split
    ours, theirs = test - test.mean(axis=0), published.test[0] - published.test[0].mean(axis=0)
    np.testing.assert_allclose(ours / test.std(axis=0), theirs / theirs.std(axis=0), atol=1e-4)


def test_the_arrays_are_float32_and_labels_are_zero_or_one(usual):
    for x, y in usual.split(None):
        assert (x.dtype, y.dtype, y.ndim) == (np.float32, np.float32, 1)
        assert np.isfinite(x).all()
        assert set(np.unique(y)) == {0.0, 1.0}


def test_the_seed_moves_the_validation_part_and_the_scaling_alone(usual):
    other = wine_task(seed=7)
    assert hashes(other) != hashes(usual)
    np.testing.assert_array_equal(other.test[1], usual.test[1])
    assert [len(part[1]) for part in other.split(None)] == [4136, 1034, 1293]
    assert hashes(wine_task(seed=7)) == hashes(other)


def test_a_resplit_is_the_task_of_that_seed_test_scaling_included(usual):
    other = wine_task(seed=7)
    assert [data_hash(part) for part in usual.split(7)] == hashes(other)
    assert [data_hash(part) for part in usual.split(42)] == hashes(usual)
    train, _, test = usual.split(7)
    # the scaler of a lane's own training rows: standardised there, and shared with the test rows
    np.testing.assert_allclose(train[0].mean(axis=0), 0, atol=1e-5)
    slope = test[0].std(axis=0) / usual.test[0].std(axis=0)
    assert abs(slope - 1).max() > 1e-4
    np.testing.assert_allclose(
        test[0] - test[0].mean(axis=0),
        (usual.test[0] - usual.test[0].mean(axis=0)) * slope,
        atol=1e-4,
    )


def test_repeats_are_counted_and_can_be_dropped(usual):
    assert usual.facts["rows_repeated"] == 1168
    assert usual.facts["repeats"] == "kept"
    assert usual.facts["repeats_shared"] == 330
    unique = wine_task(drop_repeats=True)
    assert sum(len(part[1]) for part in unique.split(None)) == 6463 - 1168
    assert unique.facts["rows_repeated"] == 1168
    assert unique.facts["repeats"] == "dropped"
    assert unique.facts["repeats_shared"] == 0


def test_the_facts_say_what_was_read_in_plain_values(usual):
    content = find_wine_csv().read_bytes()
    assert usual.facts["data_file"] == "winequalityN.csv"
    assert hashlib.sha256(content).hexdigest().startswith(usual.facts["data_sha256"])
    assert len(usual.facts["data_sha256"]) == 12
    assert (usual.facts["rows_read"], usual.facts["rows_incomplete"]) == (6497, 34)
    assert (usual.facts["test_bad"], usual.facts["test_good"]) == (482, 811)
    assert usual.facts["feature_names"] == ", ".join(FEATURES)
    assert {type(value) for value in usual.facts.values()} == {str, int, float}


def test_a_copy_written_another_way_gives_the_same_splits(usual, tmp_path):
    content = find_wine_csv().read_text()
    quoted = content.replace(",", '" , "').replace("\n", '"\r\n"')
    path = tmp_path / "my own copy.csv"
    path.write_bytes(b"\xef\xbb\xbf" + ('"' + quoted[:-1]).encode())
    other = wine_task(path)
    assert hashes(other) == hashes(usual)
    assert other.facts["data_file"] == "my own copy.csv"
    assert str(tmp_path) not in str(other.facts)
    assert hashes(wine_task(str(path))) == hashes(usual)


def test_the_task_can_be_sent_to_another_process(usual):
    again = pickle.loads(pickle.dumps(usual))
    assert [data_hash(part) for part in again.split(5)] == [
        data_hash(part) for part in usual.split(5)
    ]


def test_the_smallest_file_that_can_be_split(tmp_path):
    rows = [row(5 + index % 2, index) for index in range(10)]
    task = wine_task(save(tmp_path / "ten.csv", rows))
    assert [len(part[1]) for part in task.split(None)] == [6, 2, 2]
    x = task.train[0]
    assert np.all(x[:, -1] == 0)  # an input that never varies is only moved to 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [row(5).replace("0.125", "")] * 9,
            "must have complete rows, but each has a blank cell; fill in",
        ),
        ([row(5, n) for n in range(9)], r"but all 9 complete rows are bad; add the other class"),
        ([row(8, n) for n in range(9)], r"but all 9 complete rows are good; add the other class"),
        ([row(8)], "but all 1 complete rows are good"),
        ([row(8), row(3, 1)], "two good and two bad wines .* but has 1 good and 1 bad ones; add"),
        ([row(8, n) for n in range(40)] + [row(3)], "but has 40 good and 1 bad ones; add rows"),
    ],
)
def test_rows_that_cannot_be_split_are_refused(rows, message, tmp_path):
    with pytest.raises(ValueError, match=rf"'.*a\.csv' .*{message}"):
        wine_task(save(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"csv": "nowhere.csv"}, "`csv` must be the path of a file that exists"),
        ({"csv": 5}, "`csv` must be the path of a file, but got 5"),
        ({"optimizer": "adm"}, "`optimizer` must be one of .* got 'adm'; did you mean 'adam'"),
        ({"optimizer": "?"}, r"`optimizer` must be one of .* got '\?'; pass e.g. 'adam'"),
        ({"optimizer": None}, "`optimizer` must be one of .* got None; pass e.g. 'adam'"),
        ({"validation_fraction": 1.0}, "`validation_fraction` must be .* below 1, but got 1.0"),
        ({"validation_fraction": -0.1}, "`validation_fraction` must be .* but got -0.1"),
        ({"validation_fraction": float("nan")}, "`validation_fraction` must be .* but got nan"),
        ({"validation_fraction": "0.2"}, "`validation_fraction` must be .* but got '0.2'"),
        ({"validation_fraction": True}, "`validation_fraction` must be .* but got True"),
        ({"validation_fraction": 1e-6}, "leave two rows .* 1e-06 of 5170 rows is 1; pass e.g. 0.2"),
        ({"validation_fraction": 0.9999}, "leave two rows .* 0.9999 of 5170 rows is 5170"),
        ({"seed": -1}, "`seed` must be a whole number from 0 to 4294967295, but got -1"),
        ({"seed": 2**32}, "`seed` must be a whole number .* but got 4294967296"),
        ({"seed": 1.5}, "`seed` must be a whole number .* but got 1.5"),
        ({"seed": None}, "`seed` must be a whole number .* but got None"),
        ({"seed": True}, "`seed` must be a whole number .* but got True"),
    ],
)
def test_an_argument_that_breaks_its_rule_is_refused(arguments, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        wine_task(**arguments)


def test_a_resplit_refuses_a_seed_that_breaks_its_rule(usual):
    with pytest.raises(ValueError, match=r"`seed` must be a whole number .* but got -1"):
        usual.split(-1)


def test_optimizers_are_known_whatever_their_capitals():
    assert check_optimizer("SGD") == "sgd"
    assert check_optimizer("AdamW") == "adamw"


@pytest.mark.slow
def test_importing_search_spaces_loads_nothing_heavy():
    heavy = ("pandas", "sklearn", "tensorflow", "keras", "optuna", "keras_tuner")
    code = f"import sys, search_spaces; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_model_is_that_of_the_article(usual):
    import keras

    model = usual.build_model()
    assert [layer.units for layer in model.layers] == [128, 256, 256, 1]
    assert [layer.activation.__name__ for layer in model.layers] == ["relu"] * 3 + ["sigmoid"]
    assert model.input_shape == (None, 12)
    # 12 * 128 + 128 + 128 * 256 + 256 + 256 * 256 + 256 + 256 + 1
    assert model.count_params() == 100_737
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
    assert model.loss == "binary_crossentropy"
    scores = model.evaluate(*usual.test, batch_size=1293, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "accuracy"}
    # before training a sigmoid says about one half of everything
    assert scores["loss"] == pytest.approx(np.log(2), abs=0.1)


@pytest.mark.slow
def test_every_named_optimizer_is_one_of_keras_at_its_default_rate():
    import keras

    for name in OPTIMIZERS:
        built = build_wine_model(name).optimizer
        assert type(built).__name__.lower() == name
        assert float(built.learning_rate) == pytest.approx(float(type(built)().learning_rate))
    assert float(keras.optimizers.get("sgd").learning_rate) == pytest.approx(0.01)


def test_the_docstring_examples_run():
    assert doctest.testmod(wine).failed == 0
