"""What may change when a study is resumed, and what may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces import TuningTask
from search_spaces._input import InputError
from tuners.cli.options import JobOptions
from tuners.cli.run_folder import check_folder
from tuners.engines.opening import SETTINGS, asked_settings, open_study

optuna.logging.set_verbosity(optuna.logging.WARNING)


def settings(offset: float = 0.0, trials: int | None = 8, **changes: Any) -> dict[str, Any]:
    x, y = np.arange(8.0).reshape(4, 2) + offset, np.zeros(4)
    task = TuningTask("toy", lambda: None, (x, y), (x, y))
    return asked_settings([task], JobOptions(trials=trials, **changes))


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 99},
        {"pairs": 99},
        {"baseline": 0.5},
        {"how": "sequential"},
        {"workers": 3},
        {"quiet": True},
        {"json": True},
        {"out": "elsewhere"},
        {"direction": "minimize"},
    ],
)
def test_what_may_change_is_no_setting(change: dict[str, Any]) -> None:
    assert settings(**change) == settings()


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"epochs": 7}, "epochs was 30, now 7"),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"engine": "keras-tuner", "tuner": "grid"}, "engine was optuna, now keras-tuner"),
        ({"sampler": "tpe"}, "sampler was qmc, now tpe"),
        ({"splits": 2}, "splits was 4, now 2"),
        ({"pruner": "median"}, "pruner was none, now median"),
        ({"objective": "val_error"}, "objective was val_loss, now val_error"),
        ({"direction": "maximize"}, "direction was minimize, now maximize"),
        ({"offset": 1.0}, "data_hash was "),
        ({"trials": None}, "sampler was qmc, now race"),
    ],
)
def test_what_may_not_change_is_named(change: dict[str, Any], differs: str) -> None:
    storage = optuna.storages.InMemoryStorage()
    made = open_study(storage, "wine", settings(), where="here")
    assert made.user_attrs[SETTINGS] == settings()
    open_study(storage, "wine", settings(), where="here")
    with pytest.raises(InputError, match=rf"'wine' in here was made with other .*\b{differs}"):
        open_study(storage, "wine", settings(**change), where="here")
    assert open_study(storage, "wine", settings()).user_attrs == {SETTINGS: settings()}


def test_the_budget_of_a_race_may_grow_and_its_splits_are_its_own() -> None:
    race = settings(trials=None)
    assert race["sampler"] == "race"
    assert "splits" not in race
    assert settings(trials=None, budget=30) == settings(trials=None, splits=2) == race


def test_settings_are_added_until_there_is_a_trial() -> None:
    storage = optuna.storages.InMemoryStorage()
    open_study(storage, "wine", settings())
    study = open_study(storage, "wine", settings() | {"bounds": "1 to 2"})
    assert study.user_attrs[SETTINGS] == settings() | {"bounds": "1 to 2"}
    study.add_trial(optuna.create_trial(value=0.0))
    open_study(storage, "wine", settings())  # what is not asked is not compared
    with pytest.raises(InputError, match="further was None, now 3"):
        open_study(storage, "wine", settings() | {"further": 3})


def test_a_study_of_somebody_else_is_refused() -> None:
    study = optuna.create_study(study_name="mine")
    study.add_trial(optuna.create_trial(value=0.0))
    with pytest.raises(InputError, match="'mine' names a study whose trials `search` did not make"):
        open_study(study._storage, "mine", settings())
    study.set_user_attr(SETTINGS, "text")
    with pytest.raises(
        InputError, match=r"made with other settings: they cannot be read; use .* or else"
    ):
        open_study(study._storage, "mine", settings(), other="else")


@pytest.mark.parametrize("report", ["null", "[]", "{}", '{"facts": 3}', '"text"'])
def test_a_report_of_something_else_is_refused(report: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(report)
    with pytest.raises(InputError, match=r"report\.json in .* is no report of this command"):
        check_folder(tmp_path, "wine", settings())


def test_a_report_is_compared_by_the_facts_that_it_has(tmp_path: Path) -> None:
    facts = {"epochs": settings()["epochs"], "seed": 0, "machine": "another"}
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"study_name": "wine", "facts": facts}))
    check_folder(tmp_path, "wine", settings())
    path.write_text(json.dumps({"study_name": "wine", "facts": facts | {"seed": 5}}))
    with pytest.raises(InputError, match="seed was 5, now 0"):
        check_folder(tmp_path, "wine", settings())


def test_our_own_studies_are_no_news_for_the_users_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"sqlite:///{tmp_path}/study.db"
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        for storage in (optuna.storages.InMemoryStorage(), optuna.storages.RDBStorage(address)):
            for _ in range(2):  # made, then opened again
                open_study(storage, "quiet", {"direction": "minimize"})
        assert caplog.text == ""
        optuna.create_study()  # the user's own is told as before
        assert "A new study created in memory" in caplog.text
    finally:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        optuna.logging.disable_propagation()
