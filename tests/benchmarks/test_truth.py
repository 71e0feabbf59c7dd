"""The truth of the benchmarks: what is best, what is as good, what one split shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import truth as truths
from benchmarks.task_list import TASKS
from benchmarks.tasks import split_rows
from benchmarks.truth import GRID, SEEDS, Truth, load_truth, pick_tasks, store_truth

X = np.log10(GRID)


def make_truth() -> Truth:
    """Lowest at 1e-2, alike on three splits but for an offset, divergent above 3."""
    losses = 1.0 + 0.5 * (X[:, None] + 2.0) ** 2 + np.array([[-0.01, 0.0, 0.01]])
    validation = losses - 0.1
    losses[X > 0.5] = validation[X > 0.5] = np.inf
    return Truth(losses, validation, epochs=20, batches=50)


def test_the_truth_knows_its_best_rate_and_those_that_are_as_good() -> None:
    known = make_truth()
    assert GRID[known.best] == pytest.approx(1e-2)
    assert known.tolerance == pytest.approx(1.01)
    assert known.as_good(1e-2)
    assert not known.as_good(1e-3)
    assert json.dumps(known.as_good(1e-2)) == "true"  # as the runs are stored
    assert known.excess(1e-2) == 0.0
    assert known.excess(1e-3) == pytest.approx(0.5, rel=0.01)
    assert known.excess(9.0) > 1e3
    low, high = known.as_good_rates
    assert low == high == pytest.approx(1e-2)
    assert known.steps == 1_000


def test_coverage_wants_a_rate_as_good_as_the_best_inside() -> None:
    known = make_truth()
    assert known.covered(1e-3, 1e-1)
    assert known.covered(1e-2, 1e-2)
    assert not known.covered(3e-2, 1e-1)


def test_a_search_sees_the_validation_loss_of_one_split() -> None:
    known = make_truth()
    assert known.seen(1e-2, 0) == pytest.approx(0.89)
    assert known.seen(1e-2, 5) == pytest.approx(0.91)  # split 5 of 3 is the last
    assert known.seen(3.3, 1) == pytest.approx(known.validation[X <= 0.5][-1, 1])
    assert known.seen(10.0, 1) == np.inf


def test_a_truth_is_stored_and_loaded_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truths, "PATH", tmp_path / "truth.json")
    known = make_truth()
    store_truth("a task", known)
    loaded = load_truth("a task")
    np.testing.assert_allclose(loaded.test, known.test, rtol=1e-3)
    np.testing.assert_allclose(loaded.seen(1e-2, 1), known.seen(1e-2, 1), rtol=1e-3)
    assert (loaded.epochs, loaded.batches) == (20, 50)
    with pytest.raises(ValueError, match=r"stored truth, but got 'unknown'.*benchmarks.truth"):
        load_truth("unknown")


def test_every_task_has_a_stored_truth_and_some_are_held_out() -> None:
    assert len(TASKS) == len({task.name for task in TASKS})
    assert len(pick_tasks(None, held_out=True)) == 10
    for task in TASKS:
        stored = load_truth(task.name)
        assert stored.test.shape == stored.validation.shape == (len(GRID), len(SEEDS))
        assert stored.epochs == task.epochs
        assert np.isfinite(stored.test[stored.best]).all()


@pytest.mark.parametrize("data", ["digits", "digit images", "diabetes", "quality classes"])
def test_splits_draw_all_rows_anew_and_scale_by_those_that_train(data: str) -> None:
    (x, y), (x_validation, _), (x_test, _) = split_rows(data, 0)
    assert len(x) == 3 * len(x_test) or abs(len(x) - 3 * len(x_validation)) <= 3
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-3)
    again, other = split_rows(data, 0), split_rows(data, 1)
    np.testing.assert_array_equal(again[0][0], x)
    assert not np.array_equal(other[0][1], y)
    assert np.abs(x_test).max() < 1e3  # a pixel that is blank in training blows nothing up


@pytest.mark.slow
def test_every_task_builds_a_compiled_model_for_its_data() -> None:
    for benchmark in TASKS:
        model = benchmark.task().build_model()
        assert model.compiled
        assert model.output_shape[-1] >= 1
