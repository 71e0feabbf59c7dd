from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tuners.comparison.judging import give_lost_runs_a_value, judge_arms, look
from tuners.comparison.looks import interval
from tuners.comparison.result import Arm, Comparison

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


def test_what_shows_no_difference_recommends_the_baseline() -> None:
    noise = judge(make_arm([0.1, 0.3] * 5), make_arm([0.3, 0.1] * 5))
    assert (noise.verdict, noise.recommended_learning_rate) == ("no_difference_shown", 0.01)
    equal = judge(make_arm([0.1, 0.3] * 5), make_arm([0.1003, 0.2998] * 5))
    assert (equal.verdict, equal.recommended_learning_rate) == ("equal", 0.01)
    few = judge(make_arm([0.1] * 5), make_arm([0.3] * 5))
    assert (few.verdict, few.recommended_learning_rate) == ("too_few_pairs", 0.01)


def test_equal_is_a_share_of_the_baselines_mean() -> None:
    low, high = make_arm([9.92, 9.94] * 4), make_arm([10.0] * 8)
    assert judge(low, high).verdict == "equal"  # 0.7 % lower
    assert judge(low, high, margin=0.005).verdict == "better"
    assert judge(low, high, margin=0.0).verdict == "better"
    accuracy = judge(low, high, direction="maximize")
    assert accuracy.verdict == "equal"
    assert judge(low, high, direction="maximize", margin=0.005).verdict == "worse"
    # a loss below 0, as a likelihood has: the share is of its size
    negative = judge(make_arm([-10.08, -10.06] * 4), make_arm([-10.0] * 8))
    assert negative.verdict == "equal"


def test_the_reason_says_the_rule_with_its_numbers() -> None:
    noise = np.array([0.01, -0.01] * 4)
    reasons = {
        verdict: judge(make_arm(0.5 - gain + noise), make_arm([0.5] * 8), **settings)
        for verdict, gain, settings in (
            ("better", 0.1, {}),
            ("worse", -0.1, {}),
            ("equal", 0.0, {"margin": 0.05}),
            ("no_difference_shown", 0.0, {"pairs_planned": 30}),
        )
    }
    assert {verdict: found.verdict for verdict, found in reasons.items()} == {
        verdict: verdict for verdict in reasons
    }
    low, high = interval(noise)
    ends = f"{0.1 + low:+.3g} to {0.1 + high:+.3g}"
    assert reasons["better"].reason == f"The interval of the gain, {ends}, lies above 0."
    assert reasons["worse"].reason.endswith(", lies below 0.")
    assert reasons["equal"].reason.endswith(", lies within 5 % of the baseline's test loss.")
    assert reasons["no_difference_shown"].reason.endswith(
        "holds 0 and is not within 1 %. With 30 pairs too, a difference would probably not show."
    )
    few = judge(make_arm([0.1] * 5), make_arm([0.3] * 5))
    assert few.reason == "5 pairs cannot decide; 6 is the fewest, 30 the default."
    assert judge(make_arm([0.1] * 8), make_arm([0.1] * 8)).reason == "All 8 pairs are equal."


def test_pairs_go_on_until_a_look_decides_or_little_is_left() -> None:
    kept = np.zeros((2, 6), bool)
    noise = np.array([0.1, -0.1, 0.1, -0.1, 0.1, -0.1])

    def at(gain: float, pairs: int, most: int) -> tuple[str, bool]:
        gains = np.stack([noise + gain, np.zeros(6)])
        return look(gains[:, :pairs], kept[:, :pairs], most, 0.01)

    assert at(0.9, 5, 30) == ("too_few_pairs", True)
    assert at(0.9, 5, 5) == ("too_few_pairs", False)
    assert at(0.0, 6, 30) == ("no_difference_shown", False)  # futile
    assert at(0.08, 6, 30) == ("no_difference_shown", True)
    assert at(0.08, 6, 6) == ("no_difference_shown", False)
    assert at(0.9, 6, 30) == ("better", False)
    assert look(np.zeros((2, 6)), ~kept, 30, 0.01) == ("no_difference_shown", False)  # all lost


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


def test_when_every_run_diverged_neither_is_recommended() -> None:
    lost = make_arm([math.nan] * 6, [True] * 6)
    comparison = judge(lost, lost)
    assert comparison.differences == (0.0,) * 6
    assert comparison.verdict == "no_difference_shown"
    assert comparison.recommended_learning_rate is None
    assert comparison.reason.startswith("Both arms diverged in all 6 pairs, so neither")
    assert "recommended: neither" in comparison.summary()
    assert judge(lost, make_arm([0.3] * 6)).verdict == "worse"


def test_a_lost_run_is_below_equal_others() -> None:
    lost = np.array([[False, True], [True, False]])
    gains = give_lost_runs_a_value(np.array([[2.0, 9.0], [9.0, 2.0]]), lost)
    assert gains.tolist() == [[2.0, 1.0], [1.0, 2.0]]  # equal ones have no range: less 1


def test_the_interval_of_accuracy_is_that_of_the_pairs_that_have_one() -> None:
    chosen = make_arm([0.1] * 4, accuracy=(0.9, 0.8, None, 0.7))
    baseline = make_arm([0.3] * 4, accuracy=(0.5, 0.6, 0.5, 0.6))
    # gains 0.4, 0.2, 0.1
    low, high = interval([0.4, 0.2, 0.1])
    assert judge(chosen, baseline).accuracy_interval == pytest.approx((low, high))
    assert judge(baseline, chosen).accuracy_interval == pytest.approx((-high, -low))
    lost = make_arm([math.nan] * 4, [True] * 4)  # no run left to count
    assert judge(lost, baseline).accuracy_interval is None
    one = make_arm([0.1] * 4, accuracy=(0.9, None, None, None))
    assert judge(one, baseline).accuracy_interval is None
