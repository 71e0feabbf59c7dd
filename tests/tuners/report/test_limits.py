"""Large studies: page and report.json stay small, and say what they leave out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_studies import make_comparison, make_study, make_trial, make_trials

from tuners import write_report
from tuners.report.limits import MOST_EPOCHS, MOST_TRIALS, leave_out, spread_out
from tuners.report.summary import summarize

MOST_BYTES = 2_000_000


@given(st.lists(st.integers(), max_size=60), st.integers(2, 20))
def test_what_is_spread_out_keeps_order_and_both_ends(items: list[int], most: int) -> None:
    numbered = list(enumerate(items))
    kept = spread_out(numbered, most)
    assert len(kept) == min(len(items), most)
    assert kept == sorted(set(kept))
    assert kept[:1] + kept[-1:] == numbered[:1] + numbered[-1:] if items else kept == []


def test_a_study_of_the_usual_size_is_kept_whole() -> None:
    summary = summarize(make_study())
    kept = leave_out(summary)
    assert kept == summary | {"trials_left_out": 0, "epochs_every": 1}


@pytest.mark.slow
def test_ten_thousand_trials_stay_under_two_megabytes(tmp_path: Path) -> None:
    study = make_study(trials=make_trials(10_000, epochs=1), comparison=make_comparison())
    page = write_report(study, tmp_path)
    assert page.stat().st_size < MOST_BYTES
    assert (tmp_path / "report.json").stat().st_size < MOST_BYTES
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["trials"]) == MOST_TRIALS
    assert (report["trials_in_all"], report["trials_left_out"]) == (10_000, 8_000)
    assert sum(report["cost"]["trials"].values()) == 10_000  # counted before any is left out
    finished = [trial for trial in study.trials if trial.value is not None]
    best = {trial.number for trial in sorted(finished, key=lambda trial: trial.value)[:1000]}
    assert best <= {row["number"] for row in report["trials"]}
    assert report["best_so_far"][-1]["best"] == pytest.approx(
        min(trial.value for trial in finished)
    )
    assert {step["best"] for step in report["best_so_far"]} == {
        step["best"] for step in summarize(study)["best_so_far"]
    }
    words = page.read_text()
    assert "The best 200 and all 588 failed of 10,000 trials." in words
    assert "Of the 10000 trials it holds 2000: the best, and evenly spaced ones" in words
    assert "801 of them are drawn: the best 200, others evenly spaced." in words
    # two drawings of 801 marks, and of 600 in either panel of the best so far; ticks and pairs
    assert words.count("<use") < 2 * 801 + 4 * 600 + 400
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 10_001


@pytest.mark.slow
def test_trials_that_nearly_all_failed_stay_under_two_megabytes(tmp_path: Path) -> None:
    from optuna.trial import TrialState

    trials = [make_trial(1e-3, None, i, state=TrialState.FAIL) for i in range(4000)]
    page = write_report(make_study(trials=[*trials, *make_trials(5)]), tmp_path)
    assert page.stat().st_size < MOST_BYTES
    assert "The best 5 and 1,000 failed of 4,005 trials." in page.read_text()


@pytest.mark.slow
def test_curves_of_many_epochs_are_thinned_and_say_so(tmp_path: Path) -> None:
    epochs = 20_000
    arm = make_comparison().chosen
    assert arm is not None
    long = dataclasses.replace(arm, curves={"val_loss": tuple([0.123456] * epochs)})
    comparison = dataclasses.replace(make_comparison(), chosen=long, epochs=epochs)
    study = make_study(trials=make_trials(6, epochs=epochs), comparison=comparison)
    page = write_report(study, tmp_path)
    assert page.stat().st_size < MOST_BYTES
    assert (tmp_path / "report.json").stat().st_size < MOST_BYTES
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["epochs_every"] == 20
    assert len(report["comparison"]["chosen"]["curves"]["val_loss"]) == MOST_EPOCHS
    whole = summarize(study)["learning_curves"][0]["curves"]["val_loss"]
    assert report["learning_curves"][0]["curves"]["val_loss"] == whole[::20]
    assert "it holds every 20th epoch; the storage has them all" in page.read_text()
