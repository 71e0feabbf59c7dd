"""The figures of the rates that are named, and the rival ways to name one."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest

from benchmarks.search_efficiency import (
    by_keras_tuner,
    by_optuna,
    gather,
    measure,
    show,
    summary,
)
from benchmarks.task_list import TASKS


def valley(rate: float) -> float:
    return 1 + abs(math.log10(rate / 3e-3)) if rate < 0.5 else math.inf


def row(way: str, excess: float, held_out: bool = False) -> dict[str, Any]:
    return {
        "task": TASKS[held_out].name,
        "held_out": held_out,
        "way": way,
        "rate": 1e-3,
        "cost": 24.0,
        "excess": excess,
        "as_good": excess < 0.01,
    }


def test_figures_are_of_all_runs_and_the_mean_is_not_ruled_by_one() -> None:
    found = summary([row("ours", excess) for excess in (0.0, 0.02, 0.04, 1e6)])
    assert (found["equal"], found["median"]) == (0.25, pytest.approx(0.03))
    assert found["mean"] == pytest.approx((0.06 + 10) / 4)


def test_groups_hold_the_ways_that_ran_on_all_their_tasks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = [row("ours", 0.01), row("random", 0.2)]
    held_out = [row("ours", 0.02, True), row("random", 0.4, True), row("KerasTuner", 0.3, True)]
    results = gather(seen + held_out)
    groups = results["groups"]
    assert list(groups["all"]["ways"]) == list(groups["developed on"]["ways"]) == ["ours", "random"]
    assert groups["held out"]["ways"]["KerasTuner"]["median"] == 0.3
    assert results["tasks"][0]["excess"] == {"ours": 0.01, "random": 0.2}
    show(results)
    printed = capsys.readouterr().out
    assert "developed on   ours" in printed
    assert f"{TASKS[1].name} *" in printed
    show(gather(seen))
    assert "held out " not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_rivals_name_a_good_rate_of_a_smooth_valley() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    assert 1e-4 < by_optuna(optuna.samplers.TPESampler(seed=0), valley) < 0.1
    assert 1e-4 < by_keras_tuner(0, valley) < 0.1


@pytest.mark.slow
def test_all_ways_are_judged_by_the_stored_truth() -> None:
    task = next(task for task in TASKS if task.name == "iris adam")
    rows = measure(task, 1, keras_tuner=False)
    assert [found["way"] for found in rows] == ["ours", "Optuna, TPE", "TPE on 4 splits", "random"]
    assert 32 < rows[0]["cost"] < 34  # 8 trials on 4 splits, and the range test
    assert all(found["excess"] >= 0 for found in rows)
