"""What a page's figures are given of a study."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from report_studies import make_comparison, make_study, make_trial

from tuners.report.figures import make_mark
from tuners.report.summary import summarize

SCORES = st.lists(st.floats(0.1, 10), min_size=1, max_size=6)


@given(SCORES)
def test_no_drawn_mean_lies_outside_its_splits(scores: list[float]) -> None:
    row = {"role": "search", "state": "COMPLETE", "scores": scores, "splits": None}
    row["value"] = np.mean(scores)
    mark = make_mark(row, 1e-3, far=False)
    assert mark.value is not None
    assert min(scores) - 1e-9 <= mark.value <= max(scores) + 1e-9
    spread = np.std(scores, ddof=1) / math.sqrt(len(scores)) if len(scores) > 1 else 0.0
    assert math.isclose(mark.error, spread, abs_tol=1e-12)


@given(SCORES, st.floats(0.01, 1))
def test_a_value_that_is_no_mean_of_its_scores_has_no_bar(scores: list[float], off: float) -> None:
    value = float(np.mean(scores)) + off
    row = {"role": "baseline", "state": "COMPLETE", "scores": scores, "splits": None}
    row["value"] = value
    assert make_mark(row, 1e-3, far=False).error == 0
    assert make_mark(row, 1e-3, far=False).kind == "baseline's trial"


def test_all_trials_and_gains_of_a_study_are_means_of_what_is_stored() -> None:
    scores = {"scores": [0.44, 0.46, 0.48]}
    trials = [make_trial(1e-3 * (i + 1), 0.46, i, attributes=scores) for i in range(3)]
    summary = summarize(make_study(trials=trials, comparison=make_comparison(0.02)))
    for row in summary["trials"]:
        mark = make_mark(row, row["learning_rate"], far=False)
        assert min(row["scores"]) < mark.value < max(row["scores"])
        assert math.isclose(mark.error, 0.02 / math.sqrt(3))
    comparison = summary["comparison"]
    gains = np.subtract(comparison["baseline"]["values"], comparison["chosen"]["values"])
    assert np.allclose(gains, comparison["differences"])
    assert math.isclose(comparison["mean_difference"], gains.mean(), rel_tol=1e-6)
