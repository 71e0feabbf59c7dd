"""The measures of quality: cuts, quantiles, intervals that draw data sets, differences by task."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality import (
    Row,
    describe_bounds,
    describe_task,
    difference,
    gather,
    gather_bounds,
    interval,
    replay_task,
    show,
    summary,
)
from benchmarks.truth import set_aside, stored_tasks
from tests.benchmarks.truths import make_truth

OURS = "ours"


def row(excess: float, task: str = "a", method: str = OURS, budget: int = 33) -> Row:
    return Row(task, task, method, budget, excess, excess <= 0.01, 1.0, 2.0, 3.0)


def test_a_mean_is_cut_and_quantiles_are_not() -> None:
    found = summary([row(excess) for excess in (0.0, 0.02, 0.04, 1e6)])
    assert found["mean"] == pytest.approx((0.06 + 1) / 4)
    assert (found["median"], found["worst"]) == (pytest.approx(0.03), 1e6)
    assert (found["equal"], found["cost"]) == (0.25, 6.0)
    assert found["mean_interval"] == pytest.approx((found["mean"],) * 2)  # one data set


def test_intervals_draw_data_sets_and_not_runs() -> None:
    values = np.repeat([0.0, 1.0], 50)
    alone = interval(values, np.arange(100).astype(str))
    together = interval(values, np.repeat(["a", "b"], 50))
    assert 0.35 < alone[0] < 0.45  # a binomial of 100 halves: 0.5 -+ 0.1
    assert together == (0.0, 1.0)


def test_methods_are_compared_task_by_task() -> None:
    one = [row(0.3, "a"), row(0.5, "a"), row(2.0, "b")]
    other = [row(0.1, "a"), row(0.5, "b"), row(9.0, "not in the first")]
    found = difference(one, other)
    assert found["mean"] == pytest.approx((0.3 + 0.5) / 2)
    assert found["interval"] == pytest.approx((0.3, 0.5))


def test_lines_and_their_differences_are_gathered_and_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [row(0.1), row(0.2, budget=12)]
    rows += [row(0.4, method="random"), row(0.5, method="random", budget=12)]
    results = gather(rows, [describe_task(make_truth(name="a"))])
    assert [line["method"] for line in results["lines"]] == [OURS, "random"]
    assert [p["budget"] for p in results["lines"][0]["points"]] == [12, 33]
    apart = {each["budget"]: each["mean"] for each in results["against"]}
    assert apart == pytest.approx({12: 0.3, 33: 0.3})
    assert results["tasks"][0]["ours"] == 0.1
    show(results)
    printed = capsys.readouterr().out
    assert "1 tasks of 1 data sets" in printed
    assert "random" in printed


def test_a_task_says_how_well_it_tells_rates_apart() -> None:
    clean = describe_task(make_truth())
    assert clean["best"] == pytest.approx(1e-3)
    assert (clean["tells"], clean["steps"]) == (True, 200)
    truth = make_truth()
    noise = np.random.default_rng(0).normal(0, 0.3, truth.test_loss.shape)
    noisy = describe_task(make_truth(test_loss=truth.test_loss + noise))
    assert not noisy["tells"]
    assert noisy["paired_error"] > 0.02


def test_bounds_are_judged_by_the_rates_inside_them() -> None:
    *short, found = describe_bounds(make_truth())
    assert [each["kind"] for each in short] == ["short trainings"] * 4
    assert all(each["held"] and each["cost"] < 1.5 for each in short)
    assert found["held"]
    assert not found["undecided"]
    far = make_truth(learning_rates=make_truth().learning_rates * 1e-4)
    *_, missed = describe_bounds(far)
    assert not missed["held"]
    both = gather_bounds([found, {**missed, "data_set": "other", "undecided": True}])
    assert (both["held"], both["held_and_decided"], both["undecided"]) == (0.5, 0.5, 0.5)


def test_a_stored_task_is_replayed_and_what_is_set_aside_is_not() -> None:
    name = stored_tasks()[0].name
    rows, new = replay_task(name, [OURS, "random"], False)
    assert new == {}  # neither is slow
    assert {each.method for each in rows} == {OURS, "random"}
    assert {each.budget for each in rows if each.method == "random"} == {
        0, 1, 2, 4, 8, 12, 16, 24, 33,
    }  # fmt: skip
    assert all(each.tests + each.alone + each.together <= each.budget + 1 for each in rows)
    aside = stored_tasks(aside=True)[0]
    assert aside.data_set in set_aside()
    with pytest.raises(ValueError, match="is set aside"):
        replay_task(aside.name, ["random"], False)
