"""The stored truth: written and read alike, refused where set aside, as large as it should be."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import truth as truths
from benchmarks.task_list import TASKS
from benchmarks.tasks import RATES as ALL_RATES
from benchmarks.tasks import BenchmarkTask
from benchmarks.truth import (
    CURVES,
    default_rate,
    file_of,
    load_truth,
    overview,
    rounded_bits,
    set_aside,
    stored_tasks,
    write_truth,
)
from tests.benchmarks.truths import RATES, make_truth


def store(folder: Path, **changes: Any) -> None:
    known = make_truth()
    facts: dict[str, Any] = {
        "task": "valley",
        "data_set": "valley",
        "batches": 20,
        "default": 1e-2,
        "offset": 0.5,
        "ramp_trainings": [0.8],
    }
    arrays = {curve: getattr(known, curve) for curve in CURVES}
    arrays["ramp_rates_0"] = known.ramps[0].learning_rates
    arrays["ramp_losses_0"] = known.ramps[0].losses
    write_truth(
        "valley",
        arrays,
        start=known.start,
        diverged=known.diverged,
        rates=RATES,
        facts=facts | changes,
        folder=folder,
    )


def test_a_truth_is_stored_and_loaded_as_it_is(tmp_path: Path) -> None:
    store(tmp_path)
    known, loaded = make_truth(), load_truth("valley", folder=tmp_path)
    for curve in CURVES:
        np.testing.assert_allclose(getattr(loaded, curve), getattr(known, curve), rtol=3e-4)
    np.testing.assert_array_equal(loaded.diverged, known.diverged)
    np.testing.assert_allclose(loaded.ramps[0].losses, known.ramps[0].losses, rtol=3e-4)
    assert (loaded.splits, loaded.epochs, loaded.offset) == (8, 10, 0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["valley.npz"]  # no part is left


def test_what_is_set_aside_is_read_by_a_finished_method_only(tmp_path: Path) -> None:
    aside = sorted(set_aside())[0]
    store(tmp_path, data_set=aside)
    with pytest.raises(ValueError, match=rf"'valley' is of the data set '{aside}', which is set"):
        load_truth("valley", folder=tmp_path)
    assert load_truth("valley", folder=tmp_path, finished=True).data_set == aside


def test_an_unknown_task_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"stored truth, but got 'unknown'.*benchmarks.truth"):
        load_truth("unknown", folder=tmp_path)


@given(st.lists(st.floats(1e-30, 1e30), min_size=1), st.booleans())
def test_stored_numbers_keep_twelve_bits_and_their_sign(values: list[float], minus: bool) -> None:
    exact = np.array(values) * (-1 if minus else 1)
    np.testing.assert_allclose(rounded_bits(exact), exact, rtol=2.0**-12)
    assert np.isnan(rounded_bits([np.nan, np.inf])).tolist() == [True, False]


def test_the_test_loss_counts_at_the_best_validation_epoch() -> None:
    val_loss = np.array([[[3.0, 1.0, 2.0], [np.nan, np.nan, np.nan]]])
    test_loss = np.array([[[4.0, 5.0, 6.0], [1.0, 1.0, 1.0]]])
    found = make_truth(val_loss=val_loss, test_loss=test_loss)
    assert found.reached.tolist() == [[5.0, np.inf]]
    assert found.kept_last.tolist() == [[6.0, 1.0]]


def test_the_list_has_many_worlds_and_at_most_three_tasks_of_each() -> None:
    assert len(TASKS) == len({file_of(task.name) for task in TASKS}) >= 100
    sets = Counter(task.data_set for task in TASKS)
    assert len(sets) >= 40
    assert max(sets.values()) <= 3
    assert 0.3 < len(set_aside()) / len(sets) < 0.35
    assert set_aside() <= set(sets)
    assert {task.optimizer for task in TASKS} == {
        "SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Nadam", "Adamax", "Lion",
    }  # fmt: skip
    for task in TASKS:
        assert task.rates == ALL_RATES or len(task.rates) == 12


def test_every_task_has_its_file_and_all_of_them_are_small() -> None:
    found = overview()
    assert found["tasks"] == len(TASKS)
    assert found["megabytes"] < 40
    assert found["schedules"] >= 8
    assert found["averaged"] >= 3
    assert found["steps"][0] <= 100
    assert found["steps"][1] >= 5_000
    for task in TASKS:  # shapes alone: no loss of what is set aside is looked at
        with np.load(file_of(task.name)) as stored:
            assert stored["diverged"].shape == (len(task.rates), task.splits)
            assert json.loads(str(stored["facts"]))["data_set"] == task.data_set


def test_stored_tasks_are_those_developed_on_unless_asked() -> None:
    seen, aside = stored_tasks(), stored_tasks(aside=True)
    assert {task.name for task in seen} | {task.name for task in aside} == {t.name for t in TASKS}
    assert not {task.data_set for task in seen} & set_aside()
    assert {task.data_set for task in aside} == set_aside()


def named(name: str) -> BenchmarkTask:
    return next(task for task in TASKS if task.name == name)


@pytest.mark.slow
def test_the_default_is_that_of_keras_or_the_usual_peak() -> None:
    assert default_rate(named("cancer logistic sgd")) == pytest.approx(0.01)
    assert default_rate(named("iris mlp adam")) == pytest.approx(0.001)
    assert default_rate(named("concrete cosine rmsprop")) == pytest.approx(0.001)


@pytest.mark.slow
def test_a_task_is_trained_and_its_curves_are_what_training_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truths, "FOLDER", tmp_path)
    monkeypatch.setattr(truths, "RAMPS", 1)
    small = BenchmarkTask(
        "iris small",
        "iris",
        named("iris mlp adam").layers,
        "Adam",
        32,
        2,
        splits=2,
        rates=(1e-3, 1e-2),
    )
    assert truths.train_truth(small) > 0
    found = load_truth("iris small", folder=tmp_path)
    assert found.test_loss.shape == (2, 2, 2)
    assert np.isfinite(found.test_metric).all()
    assert found.facts["metric"] == "sparse_categorical_accuracy"
    assert ((found.test_metric >= 0) & (found.test_metric <= 1)).all()
    assert (found.test_loss[1, :, -1] < found.start[1]).all()  # 1e-2 learns in six steps
