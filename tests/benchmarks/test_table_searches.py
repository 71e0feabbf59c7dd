from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import table_searches
from benchmarks.bounds_truth import GRID, Truth
from benchmarks.searchers import MOST_TRIALS
from benchmarks.table_searches import Outcome, Trial, judge, read_trial, run_search

X = np.log10(GRID)
TASK = "quality mlp adam"
RUN = {"task": TASK, "low": 1e-3, "high": 1e-2, "rate": 3e-3, "status": "ok", "steps": 2_400}


def truth() -> Truth:
    losses = 1.0 + 0.5 * (X[:, None] + 2.0) ** 2 + np.array([[-0.01, 0.0, 0.01]])
    losses[X > 0.0] = np.inf
    return Truth(GRID, losses, epochs=20, batches=50)


class Given:
    """Asks for given rates, the last one ever again."""

    def __init__(self, *rates: float) -> None:
        self.rates, self.told = list(rates), list[tuple[float, bool]]()

    def ask(self) -> float:
        return self.rates.pop(0) if len(self.rates) > 1 else self.rates[0]

    def tell(self, loss: float, diverged: bool) -> None:
        self.told.append((loss, diverged))


def test_a_search_ends_with_its_first_rate_within_one_percent() -> None:
    searcher = Given(1.0, 1e-4, 1e-2)
    trials = run_search(truth(), searcher, 0)
    assert [trial.rate for trial in trials] == [1.0, 1e-4, 1e-2]
    assert searcher.told[2] == (pytest.approx(0.99), False)
    assert judge(truth(), trials) == Outcome(3, 3, 0)


def test_diverged_trials_are_counted_and_a_search_may_never_arrive() -> None:
    searcher = Given(5.0)
    trials = run_search(truth(), searcher, 0)
    assert judge(truth(), trials) == Outcome(MOST_TRIALS + 1, MOST_TRIALS + 1, MOST_TRIALS)
    assert all(math.isnan(loss) and diverged for loss, diverged in searcher.told)


def test_a_finite_loss_above_the_lowest_rates_counts_as_diverged() -> None:
    known = truth()
    known.losses[X == 0.0] = 20.0
    assert read_trial(known, 1.0, 0) == Trial(1.0, 20.0, True)
    assert not read_trial(known, 1e-6, 0).diverged


def test_between_a_finite_loss_and_none_the_nearer_holds() -> None:
    for known, near, far in ((truth(), 10**0.1, 10**0.15), (truth(), 1.0, 10**0.25)):
        assert read_trial(known, near, 1).loss == pytest.approx(3.0)
        assert math.isnan(read_trial(known, far, 1).loss)
    known = truth()
    known.losses[:4] = np.inf
    assert math.isnan(read_trial(known, 10**-5.2, 1).loss)
    assert read_trial(known, 10**-5.1, 1).loss == pytest.approx(known.losses[4, 1])


def test_a_search_has_one_seed_and_only_those_that_all_rates_have() -> None:
    known = truth()
    partly = np.full((len(GRID), 2), np.nan)
    partly[X == -2.0] = 0.5
    known = Truth(GRID, np.hstack([known.losses, partly]), known.epochs, known.batches)
    read = [read_trial(known, 1e-2, number).loss for number in range(4)]
    assert read == pytest.approx([0.99, 1.0, 1.01, 0.99])


def test_arrival_within_noise_comes_no_later_than_within_one_percent() -> None:
    known = truth()
    known.losses[:] += np.array([-0.2, 0.0, 0.2])  # a standard error of 0.12
    trials = [Trial(10**-2.45, 1.1, False), Trial(1e-2, 1.0, False)]
    assert judge(known, trials) == Outcome(2, 1, 0)


def test_the_range_test_costs_its_steps_in_trials() -> None:
    costs = table_searches.range_test_costs([RUN], TASK, 3)
    assert costs == pytest.approx([2_400 / (20 * 104)] * 3)


def test_bounds_of_a_run_lie_in_the_declared_range() -> None:
    bounds = table_searches.as_bounds({**RUN, "low": 1e-7, "high": 3.0, "rate": 2.0})
    assert (bounds.low, bounds.suggestion, bounds.high) == (1e-5, 1.0, 1.0)


def test_stored_searches_are_read_again_unless_the_truth_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_searches, "STORED", tmp_path / "stored.json")
    monkeypatch.setattr(table_searches, "SLOW", ("random",))
    found = table_searches.measure([RUN], ["random"], 3)
    stored = json.loads(table_searches.STORED.read_text())
    assert list(stored) == [f"random, default, {TASK}"]
    known = table_searches.load_stored("random", TASK, "default")
    assert None not in known
    assert table_searches.measure([RUN], ["random"], 3) == found

    stored[f"random, default, {TASK}"][1]["losses"][0] = 0.0
    table_searches.STORED.write_text(json.dumps(stored))
    again = table_searches.load_stored("random", TASK, "default")
    assert again[1] is None
    assert table_searches.measure([RUN], ["random"], 3) == found
    assert table_searches.load_stored("random", TASK, "default") == known


def test_slow_samplers_leave_short_epochs_out_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_searches, "STORED", tmp_path / "stored.json")
    monkeypatch.setattr(table_searches, "SLOW", ("random",))
    short = {**RUN, "task": "quality logistic adamw"}
    assert table_searches.measure([short], ["random"], 1) == {}
    assert len(table_searches.measure([short], ["random"], 1, everywhere=True)) == 2
