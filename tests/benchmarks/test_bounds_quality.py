from __future__ import annotations

import numpy as np
import pytest

from benchmarks import bounds_truth
from benchmarks.bounds_quality import line, show, summary
from benchmarks.bounds_tasks import BLIND, TASKS
from benchmarks.bounds_truth import GRID, MORE_SEEDS, Truth, load_truth, near_best, store_truth

X = np.log10(GRID)


def truth() -> Truth:
    losses = 1.0 + 0.5 * (X[:, None] + 2.0) ** 2 + np.array([[-0.01, 0.0, 0.01]])
    losses[X > 0.5] = np.inf
    return Truth(GRID, losses, epochs=20, batches=50)


def run(low: float, rate: float, high: float, status: str = "ok") -> dict:
    known = truth()
    pick = {"rate": rate, "regret": known.regret(rate), "as_good": known.as_good(rate)}
    return {
        "task": TASKS[0].name,
        "seconds": 1.0,
        "steps": 2_400,
        "status": status,
        "low": low,
        "high": high,
        **pick,
        "covered": known.covered(low, high),
        "rules": dict.fromkeys(
            (
                "valley",
                "slide",
                "steepest",
                "minimum",
                "minimum/10",
                "torch-lr-finder",
                "lightning",
            ),
            pick,
        ),
    }


def test_the_truth_knows_its_best_rate_and_those_that_are_as_good() -> None:
    known = truth()
    assert GRID[known.best] == pytest.approx(1e-2)
    assert known.tolerance == pytest.approx(1.01)
    assert known.as_good(1e-2)
    assert not known.as_good(1e-3)
    assert known.regret(1e-2) == 0.0
    assert known.regret(1e-3) == pytest.approx(0.5, rel=0.01)
    assert known.regret(9.0) > 1e3
    low, high = known.as_good_rates
    assert low == high == pytest.approx(1e-2)


def test_coverage_wants_a_rate_as_good_as_the_best_inside() -> None:
    known = truth()
    assert known.covered(1e-3, 1e-1)
    assert known.covered(1e-2, 1e-2)
    assert not known.covered(3e-2, 1e-1)


def test_rates_near_the_best_are_known_better_by_more_seeds() -> None:
    rough = truth()
    near = near_best(rough)
    np.testing.assert_allclose(GRID[near], 10 ** np.array([-2.5, -2.25, -2.0, -1.75, -1.5]))
    more = np.full((len(GRID), 9), np.nan)
    more[near] = rough.losses[near].mean(axis=1, keepdims=True)
    more[rough.best] += 0.2  # so that the neighbours are better
    known = Truth(GRID, rough.losses, 20, 50, more)
    assert known.mean[rough.best] == pytest.approx((3 * 1.0 + 9 * 1.2) / 12)
    assert GRID[known.best] in (GRID[rough.best - 1], GRID[rough.best + 1])
    far = GRID < 1e-4
    np.testing.assert_array_equal(known.mean[far], rough.mean[far])


def test_a_truth_is_stored_and_loaded_as_it_is(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bounds_truth, "PATH", tmp_path / "truth.json")
    more = np.full((len(GRID), len(MORE_SEEDS)), np.nan)
    more[3:6] = 0.5
    more[4, 2] = np.inf
    known = Truth(GRID, truth().losses, TASKS[0].epochs, 50, more)
    store_truth(TASKS[0], known)
    loaded = load_truth(TASKS[0].name)
    np.testing.assert_allclose(loaded.losses, known.losses, rtol=1e-4)
    np.testing.assert_array_equal(loaded.more, more)
    assert loaded.epochs == known.epochs


def test_an_undecided_run_is_covered_in_one_figure_and_missed_in_the_other() -> None:
    rows = [run(3e-3, 1e-2, 3e-2), run(1e-5, 3e-3, 1.0, status="no_descent")]
    found = summary(rows, {TASKS[0].name: truth()})
    assert found["coverage"] == 1.0
    assert found["strict"] == 0.5
    assert found["undecided"] == 0.5
    assert found["width"] == pytest.approx((1 + 5) / 2)
    assert found["cost"] == pytest.approx(2_400 / (24 * 20 * 50))
    assert TASKS[0].name in line(TASKS[0].name, found, (1e-3, 1e-2))


def test_every_task_has_a_stored_truth_and_a_third_is_held_out() -> None:
    assert len(TASKS) >= 12
    assert sum(task.held_out for task in TASKS) >= len(TASKS) // 3
    assert set(BLIND) <= {task.name for task in TASKS if task.held_out}
    for task in TASKS:
        stored = load_truth(task.name)
        assert stored.more is not None
        assert not np.isnan(stored.more[stored.best]).any()
        assert stored.epochs == task.epochs
        assert stored.batches == task.batches
        assert np.isfinite(stored.mean[stored.best])
    with pytest.raises(ValueError, match="bounds_quality --truth"):
        load_truth("unknown")


def test_the_tables_are_printed(capsys) -> None:
    show([run(3e-3, 1e-2, 3e-2)], [TASKS[0]])
    printed = capsys.readouterr().out
    for word in ("cover", "strict", "regret", "valley", "lightning", TASKS[0].name):
        assert word in printed


@pytest.mark.slow
def test_every_task_builds_a_compiled_model_for_its_data() -> None:
    for benchmark in TASKS:
        task = benchmark.task()
        model = task.build_model()
        assert model.compiled
        assert model.output_shape[-1] >= 1
