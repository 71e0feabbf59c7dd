"""The plan of a job: what is reckoned from the pace of its programs; no time is asserted."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from tests.tuners.tasks import dense_model, make_task
from tuners.cli import dry_run
from tuners.cli.dry_run import describe_plan, make_plan, trial_batches
from tuners.cli.options import JobOptions
from tuners.cli.timing import Pace, time_epochs, time_test

STACKED = Pace("population", lanes=8, compiling=5.0, setup=0.5, unit=0.25)
ALONE = Pace("sequential", lanes=1, compiling=0.0, setup=2.0, unit=1.0)


def test_the_docstring_examples_run() -> None:
    assert doctest.testmod(dry_run).failed == 0


def test_a_part_of_a_chunk_costs_a_whole_one() -> None:
    assert [STACKED.chunks(lanes) for lanes in (1, 8, 9, 16)] == [1, 1, 2, 2]
    assert STACKED.seconds(STACKED.chunks(9), 10) == 2 * (0.5 + 10 * 0.25)
    assert ALONE.seconds(ALONE.chunks(9), 10) == 9 * (2.0 + 10 * 1.0)


@pytest.mark.parametrize(
    ("engine", "trials", "pace", "expected"),
    [
        ("optuna", 8, STACKED, [4, 4]),
        ("optuna", 6, ALONE, [4, 2]),
        ("optuna", 1, STACKED, [1]),
        ("keras-tuner", 1, STACKED, [1]),
        ("keras-tuner", 6, STACKED, [4, 4]),  # a batch of one is filled up
        ("keras-tuner", 6, ALONE, [4, 1]),
        ("keras-tuner", 5, STACKED, [4]),  # and the baseline before
    ],
)
def test_trials_train_in_batches(engine: str, trials: int, pace: Pace, expected: list[int]) -> None:
    assert trial_batches(JobOptions(engine=engine, trials=trials), pace) == expected


def test_a_plan_is_described_with_the_range_that_a_look_leaves() -> None:
    part = {"name": "comparison", "lanes": 60, "epochs": 30, "steps": 3900}
    part |= {"seconds_at_least": 21.0, "seconds": 81.0}
    search = part | {"name": "search", "seconds_at_least": 64.0, "seconds": 64.0}
    whole = {"seconds_to_load": 12.0, "seconds_at_least": 97.0, "seconds": 157.0}
    lines = describe_plan({"parts": [search, part], "how": "population", **whole})
    assert " ".join(lines[1].split()) == "search 60 30 3900 1 min 05 s"
    assert " ".join(lines[2].split()) == "comparison 60 30 3900 20 s to 1 min 20 s"
    assert lines[4] == (
        "in all about 1 min 35 s to 2 min 40 s; the shorter time if the first 6 pairs decide"
    )
    assert lines[5] == "Many models train at once."
    whole["seconds_at_least"] = 157.0
    lines = describe_plan({"parts": [search], "how": "sequential", **whole})
    assert lines[-2:] == ["in all about 2 min 40 s", "The models train one by one."]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["population", "sequential"])
def test_a_plan_covers_all_parts_of_a_job(how: str) -> None:
    x, y = np.ones((20, 8), "float32"), np.ones(20, "float32")
    task = make_task(dense_model("sgd"), test=(x, y))
    options = JobOptions(trials=5, splits=2, pairs=10, epochs=2, range_seeds=4, how=how)
    plan = make_plan(options, {None: task})
    assert plan["how"] == how
    shapes = [(part["name"], part["lanes"], part["epochs"]) for part in plan["parts"]]
    # trainings of ten steps, of which short ones are one step of an epoch: 11 rates, and as many
    # seeds as cost two trainings at most
    assert shapes == [("range test", 11, 1), ("search", 10, 2), ("comparison", 20, 2)]
    assert plan["parts"][0]["steps"] == 1
    assert plan["parts"][1]["steps"] == 2 * 5  # 75 rows at 16 are 5 steps
    for name in ("seconds_at_least", "seconds"):
        total = plan["seconds_to_load"] + sum(part[name] for part in plan["parts"])
        assert plan[name] == pytest.approx(total)
    comparison = plan["parts"][2]
    assert comparison["seconds_at_least"] < comparison["seconds"]  # 10 pairs have a look after 6
    race = make_plan(JobOptions(budget=9, pairs=1, epochs=2, how=how), {None: task})
    assert [part["lanes"] for part in race["parts"]] == [11, 9, 2]
    assert race["parts"][1]["seconds_at_least"] < race["parts"][1]["seconds"]
    bare = make_plan(
        JobOptions(trials=1, splits=1, pairs=1, epochs=1, bounds=(1e-3, 1e-1), how=how),
        {"sgd": task, "adam": make_task(dense_model("adam"))},
    )
    assert [part["name"] for part in bare["parts"]] == ["search", "comparison"]
    assert bare["seconds"] == bare["seconds_at_least"]


@pytest.mark.slow
def test_a_pace_knows_the_lanes_of_its_program() -> None:
    task = make_task(dense_model("sgd"))
    pace = time_epochs(task, 6, None)
    assert (pace.how, pace.lanes) == ("population", 8)
    assert pace.again(task, 7, None).compiling == 0
    assert pace.again(task, 2, None).lanes == 2
    assert time_epochs(task, 3, "sequential").lanes == 1
    assert time_test(task, pace, 4) == (0.0, 0.0)  # it has no test rows
