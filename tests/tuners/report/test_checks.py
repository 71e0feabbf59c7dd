from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from optuna.trial import TrialState
from report_studies import (
    BOUNDS,
    make_comparison,
    make_facts,
    make_study,
    make_trial,
    make_trials,
)

from search_spaces import LearningRateBounds
from tuners.report.summary import summarize


def find(code: str, **study: Any) -> dict[str, Any]:
    checks = summarize(make_study(**study))["checks"]
    return next(check for check in checks if check["code"] == code)


def near(place: float) -> float:
    """A rate at this place (0 low, 1 high) of the bounds' log scale."""
    return BOUNDS.low * (BOUNDS.high / BOUNDS.low) ** place


def at(*places: float, spread: float = 0.001) -> list[Any]:
    """Trials from best to worst at these places of the bounds."""
    return [make_trial(near(p), 0.44 + spread * i, i) for i, p in enumerate(places)]


def test_every_check_is_listed_once_with_all_its_parts() -> None:
    checks = summarize(make_study())["checks"]
    assert [check["code"] for check in checks] == [f"LR{i:02d}" for i in range(1, 13)]
    for check in checks:
        assert all(check[part] for part in ("title", "threshold", "meaning", "cure"))
        assert check["outcome"] in ("passed", "failed", "not applicable")
        assert (check["number"] is None) == (check["outcome"] == "not applicable")


def test_a_title_names_the_property_that_a_run_should_have() -> None:
    titles = [check["title"] for check in summarize(make_study())["checks"]]
    assert titles[0] == "Best rates inside the bounds"
    assert len(set(titles)) == len(titles)
    faults = {"no", "not", "near", "missing", "unequal", "undecided", "noise", "repeats", "share"}
    for title in titles:  # it stands beside a tick as well as beside a cross
        assert not faults & set(title.lower().split())


def test_an_empty_study_passes_and_fails_nothing() -> None:
    checks = summarize(make_study(bare=True))["checks"]
    assert {check["outcome"] for check in checks} == {"not applicable"}


@pytest.mark.parametrize(
    ("places", "outcome", "count", "side"),
    [
        ((0.01, 0.5, 0.02, 0.5, 0.03, 0.5), "failed", 3, "lowest"),
        ((0.99, 0.98, 0.97, 0.96, 0.95, 0.5), "failed", 5, "highest"),
        ((0.01, 0.02, 0.99, 0.98, 0.5, 0.01), "passed", 2, "lowest"),
        ((0.5, 0.5, 0.4, 0.6, 0.5, 0.01), "passed", 0, ""),
    ],
)
def test_lr01_best_rate_near_a_bound(
    places: tuple[float, ...], outcome: str, count: int, side: str
) -> None:
    check = find("LR01", trials=at(*places))
    assert (check["outcome"], check["number"]) == (outcome, count)
    assert side in check["meaning"]


def test_lr01_names_the_edge_of_stability() -> None:
    trials = at(0.93, 0.94, 0.95, 0.93, 0.5)
    trials += [make_trial(near(0.98), None, 9, state=TrialState.FAIL)]
    check = find("LR01", trials=trials)
    assert "edge of stability" in check["meaning"]
    assert "warm-up" in check["cure"]


def test_lr01_reads_the_range_of_the_objective_where_no_bounds_are() -> None:
    trials = at(0.99, 0.98, 0.97, 0.96, 0.95)
    assert find("LR01", trials=trials, bare=True)["outcome"] == "failed"


def test_lr02_share_of_failed_trials() -> None:
    trials = [*make_trials(8), make_trial(0.008, None, 9, state=TrialState.FAIL)]
    check = find("LR02", trials=trials)
    assert (check["outcome"], check["number"]) == ("failed", pytest.approx(1 / 9))
    assert find("LR02")["outcome"] == "passed"


@pytest.mark.parametrize(
    ("epoch", "outcome"), [(3, "failed"), (4, "passed"), (29, "passed"), (30, "failed")]
)
def test_lr03_best_epoch_at_an_end(epoch: int, outcome: str) -> None:
    trial = make_trial(1e-3, 0.4, epochs=40, best_epoch=epoch)
    check = find("LR03", trials=[trial], bare=True)
    assert (check["outcome"], check["number"]) == (outcome, (epoch + 1) / 40)
    assert check["cure"].startswith("Train for fewer" if epoch == 3 else "Train for more")


def test_lr03_prefers_the_pairs() -> None:
    check = find("LR03")
    assert check["number"] == 18 / 40
    assert "pairs" in check["meaning"]


@pytest.mark.parametrize(
    ("gain", "pairs", "allowed", "outcome"),
    [
        (0.0, 5, 5, "failed"),
        (0.0, 8, 20, "failed"),
        (0.0, 8, 30, "passed"),  # more pairs would not have shown a difference
        (0.02, 6, 6, "passed"),  # a clear one needs no more
    ],
)
def test_lr04_few_pairs(gain: float, pairs: int, allowed: int, outcome: str) -> None:
    check = find("LR04", comparison=make_comparison(gain, pairs, pairs_planned=allowed))
    assert (check["outcome"], check["number"]) == (outcome, allowed)
    assert check["meaning"] == f"The verdict rests on {pairs} pairs, of at most {allowed}."


def test_lr05_gain_within_the_noise() -> None:
    check = find("LR05", comparison=make_comparison(0.0))
    assert check["outcome"] == "failed"
    # p = 0.78: sqrt(0.78 * 0.22 / 1293) = 0.0115
    assert check["meaning"] == (
        "The accuracies differ by 0.20 points; the test set of 1,293 rows cannot resolve less than "
        "1.16."
    )
    assert find("LR05", comparison=make_comparison(0.05))["outcome"] == "passed"
    assert find("LR05", comparison=make_comparison(0.05, rows=0))["outcome"] == "not applicable"


def test_lr06_selection_score_against_retrained_score() -> None:
    trials = [make_trial(1.62e-3, 0.40), make_trial(1e-3, 0.5, 1)]
    check = find("LR06", trials=trials)
    assert check["outcome"] == "failed"
    assert check["number"] > 2
    honest = [make_trial(1.62e-3, 0.465), make_trial(1e-3, 0.5, 1)]
    assert find("LR06", trials=honest)["outcome"] == "passed"
    other = [make_trial(3e-3, 0.40), make_trial(1e-3, 0.5, 1)]
    assert find("LR06", trials=other)["outcome"] == "not applicable"


def test_lr07_repeats() -> None:
    check = find("LR07", facts=make_facts(repeats_shared=330))
    assert (check["outcome"], check["number"]) == ("failed", 330)
    words = "330 of 1,293 test rows (25.5\u00a0%) are duplicated in training."
    assert check["meaning"] == words
    assert find("LR07", facts=make_facts(repeats_shared=12))["outcome"] == "passed"
    assert find("LR07", facts=make_facts(repeats_shared=None))["outcome"] == "not applicable"


def test_lr08_undecided_range_test() -> None:
    bounds = LearningRateBounds(1e-5, 1.0, 1e-3, "too_noisy", "The seeds disagree.")
    check = find("LR08", bounds=bounds)
    assert (check["outcome"], check["number"]) == ("failed", 1)
    assert check["meaning"] == "too_noisy: The seeds disagree."
    assert find("LR08")["outcome"] == "passed"


def test_lr09_unequal_budgets() -> None:
    trials = [make_trial(1e-3, 0.45, 0, epochs=40), make_trial(2e-3, 0.44, 1, epochs=10)]
    check = find("LR09", trials=trials)
    assert (check["outcome"], check["number"]) == ("failed", 4)
    seeds = [
        make_trial(1e-3, 0.45, 0),
        make_trial(2e-3, 0.44, 1, attributes={"scores": [0.44, 0.45, 0.43]}),
    ]
    assert find("LR09", trials=seeds)["outcome"] == "failed"
    pruned = [trials[0], make_trial(2e-3, 0.44, 1, epochs=10, state=TrialState.PRUNED)]
    assert find("LR09", trials=pruned)["outcome"] == "passed"


def test_lr10_missing_seed() -> None:
    trials = [make_trial(1e-3, 0.45, 0, seed=None), make_trial(2e-3, 0.44, 1)]
    check = find("LR10", trials=trials)
    assert (check["outcome"], check["number"]) == ("failed", 1)
    assert find("LR10", facts=make_facts(seed=None))["outcome"] == "failed"
    assert find("LR10")["outcome"] == "passed"


def test_maximised_objectives_turn_the_order() -> None:
    places = (0.01, 0.02, 0.03, 0.5, 0.5, 0.5)
    trials = [make_trial(near(p), 0.9 - 0.01 * i, i) for i, p in enumerate(places)]
    check = find("LR01", trials=trials, bare=True, direction="maximize", bounds=None)
    assert math.isclose(check["number"], 3) or check["outcome"] == "passed"
    summary = summarize(make_study(trials=trials, bare=True, direction="maximize"))
    assert summary["best_trial"]["number"] == 0


def test_lr11_comparisons_on_the_same_test_rows() -> None:
    once = make_comparison(0.02)
    assert find("LR11", comparison=once)["outcome"] == "passed"
    twice = find("LR11", comparison=replace(once, times_judged=2))
    assert (twice["outcome"], twice["number"]) == ("failed", 2)
    assert "made 2 comparisons on its test rows" in twice["meaning"]
    assert find("LR11", bare=True)["outcome"] == "not applicable"


@pytest.mark.parametrize(
    ("resplit", "splits", "outcome", "words"),
    [
        (True, 4, "passed", "trained on 4 splits"),
        (True, 1, "failed", "trained with one split"),
        (False, 4, "failed", "4 seeds of weights and order on one split"),
        (None, None, "not applicable", "does not say"),
    ],
)
def test_lr12_one_split(resplit: Any, splits: Any, outcome: str, words: str) -> None:
    check = find("LR12", facts=make_facts(resplit=resplit, splits=splits))
    assert check["outcome"] == outcome
    assert words in check["meaning"]
