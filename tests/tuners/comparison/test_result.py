from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tuners.comparison.result import (
    Arm,
    Comparison,
    give_lost_runs_a_value,
    judge_arms,
    mean_and_sd,
)
from tuners.comparison.statistics import paired_t_interval

RATES = {"chosen_learning_rate": 0.1, "baseline_learning_rate": 0.01}
SETTINGS: dict[str, Any] = {
    **RATES,
    "direction": "minimize",
    "objective": "val_loss",
    "metric": "loss",
    "measured_on": "test",
    "epochs": 4,
}


def make_arm(values: Any, diverged: Any = None, **changes: Any) -> Arm:
    values = tuple(float(value) for value in values)
    lost = tuple(bool(d) for d in (diverged if diverged is not None else [False] * len(values)))
    return Arm(name="toy", learning_rate=0.1, values=values, diverged=lost, **changes)


def judge(chosen: Arm, baseline: Arm, **changes: Any) -> Comparison:
    seeds = range(1000, 1000 + len(chosen.values))
    return judge_arms(chosen, baseline, seeds=seeds, **(SETTINGS | changes))


def test_positive_differences_favour_the_chosen_rate() -> None:
    low, high = make_arm([0.1] * 8), make_arm([0.3] * 8)
    loss = judge(low, high)
    assert loss.differences == pytest.approx((0.2,) * 8)
    assert (loss.verdict, loss.recommended_learning_rate) == ("better", 0.1)
    accuracy = judge(low, high, direction="maximize", metric="accuracy", objective="val_accuracy")
    assert accuracy.differences == pytest.approx((-0.2,) * 8)
    assert (accuracy.verdict, accuracy.recommended_learning_rate) == ("worse", 0.01)
    assert accuracy.chosen.values == low.values


def test_no_difference_and_too_few_pairs_recommend_the_baseline() -> None:
    equal = judge(make_arm([0.1, 0.3] * 5), make_arm([0.3, 0.1] * 5))
    assert (equal.verdict, equal.recommended_learning_rate) == ("no_difference_shown", 0.01)
    few = judge(make_arm([0.1] * 5), make_arm([0.3] * 5))
    assert (few.verdict, few.recommended_learning_rate) == ("too_few_pairs", 0.01)


def test_a_diverged_run_loses_its_pair() -> None:
    chosen = make_arm([0.1, 0.2, 0.1, math.nan], [False, True, False, True])
    baseline = make_arm([0.3, 0.3, math.inf, math.nan], [False, False, True, True])
    comparison = judge(chosen, baseline)
    # finite runs span 0.1 to 0.3: a lost one counts as 0.3 + 0.2; two lost ones are a tie
    assert comparison.chosen.values == pytest.approx((0.1, 0.5, 0.1, 0.5))
    assert comparison.baseline.values == pytest.approx((0.3, 0.3, 0.5, 0.5))
    assert comparison.differences == pytest.approx((0.2, -0.2, 0.4, 0.0))
    assert comparison.wins == 2.5
    assert comparison.baseline.diverged == (False, False, True, True)


def test_when_every_run_diverged_all_pairs_are_ties() -> None:
    lost = make_arm([math.nan] * 6, [True] * 6)
    comparison = judge(lost, lost)
    assert comparison.differences == (0.0,) * 6
    assert comparison.verdict == "no_difference_shown"


def test_a_lost_run_is_below_equal_others() -> None:
    lost = np.array([[False, True], [True, False]])
    gains = give_lost_runs_a_value(np.array([[2.0, 9.0], [9.0, 2.0]]), lost)
    assert gains.tolist() == [[2.0, 1.0], [1.0, 2.0]]  # equal ones have no range: less 1


def test_it_goes_through_json_and_back() -> None:
    confusion = ((1.5, 0.5), (0.0, 2.0))
    chosen = make_arm(
        [0.1] * 6,
        accuracy=(0.9, None, 0.8, 0.9, 0.9, 0.9),
        confusion=confusion,
        curves={"loss": (0.3, None)},
        metrics={"loss": (0.1,) * 6},
    )
    comparison = judge(chosen, make_arm([0.3] * 6, accuracy=(0.5,) * 6), rows=100)
    stored = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    back = Comparison.from_dict(stored | {"a later key": 1})
    assert back == comparison
    assert back.chosen.confusion == confusion
    assert back.test_noise == pytest.approx(0.05)  # sqrt(0.5 * 0.5 / 100)
    assert not back.optimistic
    assert replace(back, measured_on="validation").optimistic


def test_means_leave_out_what_is_missing() -> None:
    assert mean_and_sd([1.0, None, 3.0, math.nan]) == (2.0, math.sqrt(2))
    assert mean_and_sd([1.0]) == (1.0, None)
    assert mean_and_sd([]) == (None, None)


def test_a_comparison_checks_its_parts() -> None:
    comparison = judge(make_arm([0.1] * 6), make_arm([0.3] * 6))
    with pytest.raises(ValueError, match="`verdict` must be one of better, worse"):
        replace(comparison, verdict="glorious")
    with pytest.raises(ValueError, match="one number for each of the 7 pairs, but got 6"):
        replace(comparison, pairs=7)


def test_the_interval_of_accuracy_is_that_of_the_pairs_that_have_one() -> None:
    chosen = make_arm([0.1] * 4, accuracy=(0.9, 0.8, None, 0.7))
    baseline = make_arm([0.3] * 4, accuracy=(0.5, 0.6, 0.5, 0.6))
    # gains 0.4, 0.2, 0.1
    interval = paired_t_interval([0.4, 0.2, 0.1])
    assert judge(chosen, baseline).accuracy_interval == pytest.approx(interval)
    assert judge(baseline, chosen).accuracy_interval == pytest.approx((-interval[1], -interval[0]))
    lost = make_arm([math.nan] * 4, [True] * 4)  # no run left to count
    assert judge(lost, baseline).accuracy_interval is None
    one = make_arm([0.1] * 4, accuracy=(0.9, None, None, None))
    assert judge(one, baseline).accuracy_interval is None


def test_a_comparison_shows_itself() -> None:
    better = judge(
        make_arm(np.linspace(0.1, 0.2, 8), accuracy=(0.9,) * 8),
        make_arm(np.linspace(0.3, 0.45, 8), accuracy=(0.85, 0.87) * 4),
    )
    low, high = map("{:+.3g}".format, better.interval)
    gain = f"{better.mean_difference:+.3g} ({low} to {high})"
    assert repr(better) == (
        "Comparison(better: 0.1 against the baseline 0.01, 8 of 8 pairs won, mean gain in test "
        f"loss {gain})"
    )
    lines = better.summary().splitlines()
    assert lines[0] == "better: 0.1 against the baseline 0.01"
    assert lines[1].startswith("mean gain in test loss +0.225 (95 % interval +0.2")
    assert lines[2].startswith("gain in accuracy +0.04 (+0.03")
    assert lines[3:] == ["recommended: 0.1", better.reason]
    assert str(better) == better.summary()
    assert better._repr_html_().startswith("<div><p>better: 0.1 against the baseline 0.01<br>mean")
    drawn = better.plot()
    assert drawn.get_xlabel() == "gain in test loss"
    (won,) = (line for line in drawn.lines if line.get_label() == "chosen rate won")
    assert won.get_xdata() == pytest.approx(sorted(better.differences))


def test_a_comparison_without_pairs_shows_itself() -> None:
    same = Comparison(
        verdict="no_difference_shown",
        reason="The search chose the baseline.",
        recommended_learning_rate=0.01,
        pairs=0,
        **SETTINGS,
    )
    assert repr(same) == "Comparison(no difference shown: 0.1 against the baseline 0.01, no pairs)"
    assert same.summary().splitlines()[1:] == ["recommended: 0.01", same.reason]
    assert same.plot().get_title() == "no pairs were trained"
