"""Pairs as trials of a study: told once, resumed, the same as without a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from tests.tuners.tasks import dense_model, make_task
from tuners import compare
from tuners.comparison import shared_pairs
from tuners.comparison.pairs import Pair, PairedDesign, train_pairs
from tuners.study.storage import PART_OF, close_storage, open_part, open_storage

pytestmark = pytest.mark.slow

TASK = make_task(dense_model("sgd"))  # one object, so that its lanes are compiled once


def test_a_stopped_comparison_goes_on_and_may_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    study = optuna.create_study(storage=storage, study_name="s")
    pairs_study = open_part(study, "pairs")
    assert pairs_study.user_attrs[PART_OF] == "s"
    settings: dict[str, Any] = {"pairs": 10, "epochs": 2, "seed": 70, "early_looks": False}
    whole = compare(TASK, 0.5, **settings)

    tell, left = shared_pairs._tell, [3]

    def tell_or_stop(*arguments: Any) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        tell(*arguments)

    monkeypatch.setattr(shared_pairs, "_tell", tell_or_stop)
    with pytest.raises(KeyboardInterrupt):
        compare(TASK, 0.5, study=study, **settings)
    monkeypatch.setattr(shared_pairs, "_tell", tell)
    states = [trial.state.name for trial in pairs_study.trials]
    assert states == ["COMPLETE"] * 3 + ["RUNNING"]

    trained, told = [], []
    train = shared_pairs.train_pairs
    monkeypatch.setattr(
        shared_pairs,
        "train_pairs",
        lambda design, seeds, tell: trained.append(list(seeds)) or train(design, seeds, tell),
    )
    result = compare(
        TASK,
        0.5,
        study=study,
        on_epoch=lambda *counts: told.append(counts),
        **settings,
    )
    assert trained == [[73], [74, 75], [76, 77], [78, 79]]
    assert told == sorted(told)
    assert told[-1] == (40, 40)
    assert result.seeds == whole.seeds == tuple(range(70, 80))
    assert result.differences == pytest.approx(whole.differences, abs=1e-5)
    assert result.chosen is not None
    assert whole.chosen is not None
    assert result.chosen.best_epochs == whole.chosen.best_epochs
    assert set(result.chosen.curves) == set(whole.chosen.curves)

    trained.clear()
    more = compare(TASK, 0.5, study=study, **{**settings, "pairs": 12})
    assert trained == [[80, 81]]
    assert more.differences[:10] == result.differences
    trained.clear()
    fewer = compare(TASK, 0.5, study=study, **{**settings, "pairs": 4})
    assert fewer.differences == result.differences[:4]
    assert trained == []
    other = compare(TASK, 0.4, study=study, **{**settings, "pairs": 2})
    assert trained == [[70, 71]]  # another rate is another comparison
    assert other.differences != result.differences[:2]
    close_storage(storage)


def test_pairs_are_kept_to_the_last_digit_and_lost_runs_stay_lost() -> None:
    design = PairedDesign((TASK, TASK), (1e30, 0.5), epochs=2, objective="val_loss", metric="loss")
    for pair in train_pairs(design, np.array([1, 2])):
        assert pair.chosen.diverged
        assert pair.chosen.value is None
        assert not pair.baseline.diverged
        again = Pair.from_dict(json.loads(json.dumps(pair.to_dict())))
        assert again.baseline.value == pair.baseline.value
        assert again.chosen.value is None
        assert again.seed == pair.seed
        assert len(again.baseline.curves["val_loss"]) == 2


def test_a_lost_pair_is_told_as_failed_and_counts() -> None:
    storage = open_storage(None)
    study = optuna.create_study(storage=storage, study_name="s")
    result = compare(TASK, 1e30, baseline=0.5, pairs=2, epochs=2, study=study)
    pairs_study = open_part(study, "pairs")
    assert [trial.state.name for trial in pairs_study.trials] == ["FAIL", "FAIL"]
    assert result.pairs == 2
    assert result.wins == 0
    assert result.chosen is not None
    assert result.chosen.diverged == (True, True)


def test_a_study_of_the_pairs_name_that_is_another_is_refused() -> None:
    storage = open_storage(None)
    study = optuna.create_study(storage=storage, study_name="s")
    taken = optuna.create_study(storage=storage, study_name="s pairs")
    taken.set_user_attr("mine", 1)
    with pytest.raises(ValueError, match="`study_name` 's' needs the name 's pairs' for its"):
        open_part(study, "pairs")
    assert taken.user_attrs == {"mine": 1}
