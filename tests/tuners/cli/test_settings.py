"""What may change when a run is gone on with, and what may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces import TuningTask
from tuners.cli.errors import Refused
from tuners.cli.options import JobOptions
from tuners.cli.settings import JOB, check_report, check_study, job_settings

optuna.logging.set_verbosity(optuna.logging.WARNING)


def settings(offset: float = 0.0, **changes: Any) -> dict[str, Any]:
    x, y = np.arange(8.0).reshape(4, 2) + offset, np.zeros(4)
    task = TuningTask("toy", lambda: None, (x, y), (x, y))
    return job_settings(JobOptions(**changes), {None: task}, "adam")


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 99},
        {"pairs": 99},
        {"baseline": 0.5},
        {"how": "sequential"},
        {"quiet": True},
        {"json": True},
        {"out": "elsewhere"},
    ],
)
def test_what_may_change_is_no_setting(change: dict[str, Any]) -> None:
    assert settings(**change) == settings()


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"epochs": 7}, "epochs"),
        ({"seed": 1}, "seed"),
        ({"engine": "keras-tuner", "tuner": "grid"}, "engine"),
        ({"sampler": "qmc"}, "sampler"),
        ({"pruner": "median"}, "pruner"),
        ({"objective": "val_accuracy"}, "objective"),
        ({"declared": (1e-4, 1.0)}, "range"),
        ({"bounds": (1e-5, 1.0)}, "range"),
        ({"range_seeds": 3}, "range_seeds"),
        ({"offset": 1.0}, "data_hash"),
    ],
)
def test_what_may_not_change_is_named(change: dict[str, Any], differs: str) -> None:
    study = optuna.create_study(study_name="wine")
    check_study(study, settings(), "here")
    study.set_user_attr(JOB, settings())
    check_study(study, settings(), "here")
    with pytest.raises(Refused, match=rf"'wine' in here was made with other .*\b{differs} was "):
        check_study(study, settings(**change), "here")


def test_a_study_of_somebody_else_is_refused() -> None:
    study = optuna.create_study()
    study.set_user_attr("mine", 1)
    with pytest.raises(Refused, match="was not made by this command"):
        check_study(study, settings(), "here")
    study.set_user_attr(JOB, "text")
    with pytest.raises(Refused, match="unreadable"):
        check_study(study, settings(), "here")


@pytest.mark.parametrize("report", [None, [], {}, {"facts": 3}, "text"])
def test_a_report_of_something_else_is_refused(report: Any) -> None:
    with pytest.raises(Refused, match=r"report\.json is no report of this command"):
        check_report(report, "wine", settings(), "report.json")


def test_a_report_is_compared_by_the_facts_that_it_has() -> None:
    facts = {"epochs": settings()["epochs"], "seed": 0, "machine": "another"}
    check_report({"study_name": "wine", "facts": facts}, "wine", settings(), "it")
    with pytest.raises(Refused, match="seed was 5, now 0"):
        check_report({"study_name": "wine", "facts": facts | {"seed": 5}}, "wine", settings(), "it")
