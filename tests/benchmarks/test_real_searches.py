from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bounds_truth import load_truth
from benchmarks.real_searches import Trials, agreement, run_in_lock_step, show_real, tabular
from benchmarks.searchers import make_searcher
from benchmarks.table_searches import as_bounds

TASK = "quality logistic adamw"
RUN = {"task": TASK, "low": 1e-3, "high": 1e-1, "rate": 1e-2, "status": "ok", "steps": 2_400}


def test_searches_in_lock_step_on_the_table_are_the_same_as_one_by_one() -> None:
    truth = load_truth(TASK)

    def search(numbers: list[int]) -> Trials:
        searchers = [make_searcher("tpe", "narrowed", n, as_bounds(RUN)) for n in numbers]
        return run_in_lock_step(searchers, np.array(numbers), tabular(truth), 6)

    together = search([0, 1])
    assert together.rates.shape == together.losses.shape == together.diverged.shape == (2, 6)
    for number in (0, 1):
        alone = search([number])
        assert (alone.rates[0] == together.rates[number]).all()
        assert (alone.losses[0] == together.losses[number]).all()
    assert (together.rates[:, 0] == 1e-2).all()


def test_arrivals_are_by_a_trials_own_loss_or_by_its_rate() -> None:
    truth = load_truth(TASK)
    best, rate = float(truth.mean.min()), float(truth.rates[truth.best])
    trials = Trials(
        np.array([[1e-6, rate, 1e-6], [1e-6, 1e-6, 1e-6], [rate, rate, rate]]),
        np.array([[2 * best, 2 * best, best], [np.nan, 1.005, 1.02], [1.02, 1.0, 2.0]]),
        np.array([[False, False, False], [True, False, False], [False, False, False]]),
    )
    assert trials.arrivals(np.array([0, 1, 1])).tolist() == [3, 2, 2]
    assert trials.arrivals(np.array([0, 1, 2])).tolist() == [3, 2, 2]
    assert trials.rate_arrivals(truth).tolist() == [2, 4, 1]


def test_agreement_is_said_in_words() -> None:
    truth = load_truth(TASK)
    rates = np.array([truth.rates[8:12]])
    table = truth.mean[8:12][None]
    said = agreement(Trials(rates, table * 1.02, np.array([[False, False, False, True]])), truth)
    assert said.startswith("3 trained losses are 2.00% off the table's mean in the median, 2.0%")
    assert said.endswith("diverged in 75.0% of 4")


@pytest.mark.slow
def test_trained_trials_are_printed_beside_those_of_the_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_real([RUN], (TASK,), searches=1, rounds=2)
    printed = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(TASK) for line in printed) == 5
    assert "2 trials" in printed[0]
    assert printed[-1].startswith(f"{TASK}: ")
