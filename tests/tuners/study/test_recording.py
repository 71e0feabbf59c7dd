"""Facts on a study: few attributes, nothing lost between processes, earlier versions read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage

from tuners.report import write_report
from tuners.report.summary import summarize
from tuners.study.recording import (
    record,
    record_facts,
    recorded_bounds,
    recorded_curves,
    recorded_facts,
)
from tuners.study.schema import RUN, WORK, gather_facts
from tuners.study.storage import open_storage

START = {"task": "wine", "optimizer": "adam", "trials": 8, "versions": {"python": "3.11"}}
HOW = {"how": "population", "why": "they agree", "chunk_size": 8}


class Interrupted(InMemoryStorage):
    """A storage in which another process may write just before this one does."""

    before: Callable[[], None] | None = None

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        other, self.before = self.before, None
        if other is not None:
            other()
        super().set_study_user_attr(study_id, key, value)


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="facts", storage=Interrupted())


def writes_first(study: optuna.Study, **facts: Any) -> None:
    """Let another process write facts between our next read and our write."""
    storage: Any = study._storage
    other = optuna.load_study(study_name=study.study_name, storage=storage)
    storage.before = lambda: record_facts(other, **facts)


def test_all_facts_stand_in_two_attributes(study: optuna.Study) -> None:
    record_facts(study, command="run it")
    record_facts(study, **START)
    record_facts(study, **HOW, steps_search=100, pairs=30)
    record_facts(study, steps_search=200)
    assert study.user_attrs.keys() == {RUN, WORK}
    expected = START | HOW | {"command": "run it", "steps_search": 200, "pairs": 30}
    assert recorded_facts(study) == expected


def test_what_is_the_same_is_not_written_again(study: optuna.Study) -> None:
    record_facts(study, **START, **HOW)
    storage: Any = study._storage
    storage.before = lambda: pytest.fail("it was written again")
    record_facts(study, **START, **HOW)
    storage.before = None


def test_a_process_that_joins_undoes_no_work_of_another(study: optuna.Study) -> None:
    record_facts(study, **START)
    writes_first(study, **HOW, steps_search=100)
    record_facts(study, **START | {"trials": 12})  # read before the other one wrote
    assert recorded_facts(study) == START | {"trials": 12} | HOW | {"steps_search": 100}


def test_two_processes_that_end_a_part_at_once_leave_all_of_it(study: optuna.Study) -> None:
    record_facts(study, **START)
    writes_first(study, **HOW)
    record_facts(study, **HOW)  # both trained a batch, and tell in the same way how
    writes_first(study, steps_search=100, seconds_search=1.0)
    record_facts(study, steps_search=200, seconds_search=2.0)  # of the whole study both times
    assert recorded_facts(study) == START | HOW | {"steps_search": 200, "seconds_search": 2.0}


@pytest.fixture
def earlier(tmp_path: Path) -> optuna.Study:
    """A study of two splits and two pairs, as the version wrote it that kept each fact alone."""
    path = tmp_path / "study.journal"
    shutil.copy(Path(__file__).with_name("facts_one_each.journal"), path)
    return optuna.load_study(study_name="tiny", storage=open_storage(f"journal:///{path}"))


def test_a_study_of_an_earlier_version_is_reported_whole(
    earlier: optuna.Study, tmp_path: Path
) -> None:
    facts = recorded_facts(earlier)
    assert len(facts) == 36
    assert (facts["task"], facts["optimizer"], facts["train_rows"]) == ("tiny", "Adam", 60)
    assert facts["command"].endswith("--storage journal:///study.log --out run")
    assert (facts["how"], facts["chunk_size"], facts["pairs"]) == ("population", 8, 2)
    summary = summarize(earlier)
    assert summary["verdict"] == "too_few_pairs"
    assert summary["cost"]["gradient_steps"] == {
        "range_test": 36,
        "search": 108,
        "comparison": 72,
        "total": 216,
    }
    assert [row["learning_rate"] for row in summary["trials"]] == pytest.approx(
        [0.243649, 0.001, 0.653115], rel=1e-4
    )
    assert all(len(row["scores"]) == 2 and row["how"] for row in summary["trials"])
    assert summary["learning_curves"][0]["curves"].keys() >= {"loss", "val_loss"}
    assert recorded_bounds(earlier)["learning_rate"].status == "ok"
    assert len(recorded_curves(earlier)["learning_rate"].learning_rates) == 18
    assert write_report(earlier, tmp_path).stat().st_size > 10_000


def test_a_study_of_an_earlier_version_goes_on(earlier: optuna.Study) -> None:
    before = recorded_facts(earlier)
    record_facts(earlier, trials=5, steps_search=180)
    assert recorded_facts(earlier) == before | {"trials": 5, "steps_search": 180}


def test_the_first_version_kept_all_facts_in_one() -> None:
    assert gather_facts({"facts": {"epochs": 3, "seed": 0}, "fact seed": 1}) == {
        "epochs": 3,
        "seed": 1,
    }
    assert gather_facts({"facts": "none of ours", "bounds": {}}) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bounds": (1e-3, 1e-2)}, "`bounds` must be a LearningRateBounds, but got (0.001, 0.01)"),
        ({"curve": [1.0]}, "`curve` must be a LossCurve, but got [1.0]; pass range_test(...)."),
        ({"choice": 1e-3}, "`choice` must be a Choice, but got 0.001; pass choose(study)."),
        ({"comparison": "better"}, "`comparison` must be a Comparison, but got 'better'; pass"),
    ],
)
def test_what_is_recorded_is_what_its_name_says(study: optuna.Study, given: Any, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        record(study, **given)
    assert study.user_attrs == {}
