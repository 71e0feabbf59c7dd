"""What is simulated and replayed of the verdict: small runs, and claims of the stored results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.stored import read
from benchmarks.verdict import (
    EFFECTS,
    SHAPES,
    grown,
    judge,
    old_rule,
    replay,
    sensitivity,
    shares,
    simulate,
    told,
)
from tests.benchmarks.truths import make_truth
from tuners.comparison import looks
from tuners.comparison.judging import judge_arms
from tuners.comparison.result import Arm


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return dict(read("verdict")["results"])


def rows_of(stored: dict[str, Any], rule: str, shape: str) -> dict[float, dict[str, Any]]:
    rows = stored["simulated"]["rules"]
    return {row["effect"]: row for row in rows if (row["rule"], row["shape"]) == (rule, shape)}


def test_the_simulated_rule_is_that_of_compare() -> None:
    generator = np.random.default_rng(0)
    for effect in (0.0, 0.3, 1.5):
        baseline = 1 + 0.1 * generator.normal(size=30)
        differences = 0.015 * (generator.normal(size=30) + effect)
        (verdict,), (pairs,) = judge(differences[None], baseline[None])
        arms = [
            Arm("toy", rate, tuple(values[:pairs]), diverged=(False,) * pairs)
            for rate, values in ((0.1, baseline - differences), (0.01, baseline))
        ]
        found = judge_arms(
            *arms,
            seeds=range(pairs),
            direction="minimize",
            chosen_learning_rate=0.1,
            baseline_learning_rate=0.01,
            pairs_planned=30,
            objective="val_loss",
            metric="loss",
            measured_on="test",
            epochs=1,
        )
        # judged by losses above 0, whose sign is turned; the share is of the size
        assert found.verdict == verdict
        assert pairs in looks.looks(30)


def test_each_comparison_ends_with_the_first_look_that_ends_it() -> None:
    clear, late, none = np.full(30, 1.0), np.full(30, 1.0), np.zeros(30)
    late[:6] = [2.0, 0.1, 2.0, 0.1, 2.0, 0.1]  # a t of 2.5, promising
    none[::2], none[1::2] = 1.0, -1.0
    verdicts, pairs = judge(np.stack([clear, late, none]))
    assert verdicts.tolist() == ["better", "better", "no_difference_shown"]
    assert pairs[0] == 6 < pairs[1]
    assert pairs[2] == 6  # futile
    assert judge(none[None], futility=False)[1].tolist() == [30]


def test_the_rule_before_wanted_wins_and_the_mean() -> None:
    small_wins = np.append([-1.0, -1.0], np.full(28, 0.01))  # wins, but no gain on average
    few_wins = np.array([-0.01, 0.9] * 14 + [0.9, 0.9])  # a gain, but few wins
    verdicts, pairs = old_rule(np.stack([small_wins, few_wins, np.linspace(0.9, 1.1, 30)]))
    assert verdicts.tolist() == ["no_difference_shown", "no_difference_shown", "better"]
    assert pairs.tolist() == [30, 30, 16]  # 8 wins of 8 are too few for 99.9 %
    assert judge(few_wins[None], futility=False)[0].tolist() == ["better"]
    assert judge(few_wins[None], futility=False, wins=True)[0].tolist() == ["no_difference_shown"]


def test_a_small_simulation_has_every_row() -> None:
    found = simulate(50)
    assert len(found["rules"]) == 3 * len(SHAPES) * len(EFFECTS)
    assert [row["value"] for row in found["sensitivity"]] == [0.0, 0.05, 0.1, 0.2, 0.0, 0.1, 0.2]
    empty = {"groups": []}
    assert len(list(told({"simulated": found, "replayed": empty}))) == 63 + 18 + 5 + 21


def test_other_values_of_a_constant_leave_none_behind() -> None:
    before = looks.level(30)
    rows = sensitivity("KEPT", (0.0, 0.5), np.random.default_rng(0).normal(size=(2_000, 30)))
    assert rows[0]["effects"]["0.5"]["better"] > rows[1]["effects"]["0.5"]["better"]
    assert looks.KEPT == 0.1
    assert looks.level(30) == before


def test_pairs_that_grow_keep_the_error() -> None:
    rows = {row["way"]: row for row in grown(np.random.default_rng(1), 10_000)}
    for way in ("up to 30 pairs", "30 pairs, then 120"):
        # 2.5 %, and three standard errors of a simulated share
        assert rows[way]["better"] < 0.025 + 3 * 0.0016


def test_a_replay_knows_the_truth() -> None:
    # rates differ by the same on all splits, but for little noise: all ends at once, and rightly
    known = make_truth()
    noise = 1e-4 * np.random.default_rng(0).normal(size=known.test_loss.shape)
    found = replay(iter([make_truth(test_loss=known.test_loss + noise)]), draws=2)
    rows = {row["group"]: row for row in found["groups"]}
    assert found["tasks"] == 1
    assert rows["it is better"]["as_is"]["worse"] == 0
    assert rows["the chosen rate is not better"]["as_is"]["better"] == 0
    far = rows["they differ by 1 % or more"]
    assert far["as_is"] == {"better": 0.5, "worse": 0.5, "equal": 0.0, "pairs": 6.0}
    assert far["rates"] <= found["rates"]


def test_shares_are_of_all_comparisons() -> None:
    verdicts = np.array(["better", "equal", "worse", "better"])
    assert shares((verdicts, np.array([6, 8, 6, 8]))) == {
        "better": 0.5,
        "worse": 0.25,
        "equal": 0.25,
        "pairs": 7.0,
    }


def test_false_verdicts_are_rare_over_all_looks(stored: dict[str, Any]) -> None:
    for shape in ("normal", "Student's t, 3 degrees of freedom"):
        same = rows_of(stored, "this rule", shape)[0.0]
        assert max(same["better"], same["worse"]) <= 0.025
    for row in stored["simulated"]["equal"]:
        assert row["at_the_margin"]["equal"] <= 0.025
    for row in stored["simulated"]["grown"]:
        assert "one pair more" in row["way"] or row["better"] <= 0.025


def test_few_pairs_do(stored: dict[str, Any]) -> None:
    normal = rows_of(stored, "this rule", "normal")
    assert normal[0.0]["pairs"] <= 12
    assert normal[1.1]["pairs"] <= 11.05
    assert normal[1.1]["better"] >= 0.97
    double = rows_of(stored, "with wins too", "normal")
    assert double[0.5]["better"] < normal[0.5]["better"] - 0.1
    assert double[1.1]["pairs"] > normal[1.1]["pairs"] + 3


def test_replays_are_rarely_wrong(stored: dict[str, Any]) -> None:
    groups = {row["group"]: row for row in stored["replayed"]["groups"]}
    assert groups["the chosen rate is not better"]["as_is"]["better"] <= 0.025
    assert groups["it is better"]["as_is"]["worse"] <= 0.025
    assert groups["they differ by 1 % or more"]["as_is"]["equal"] <= 0.025
    alike = groups["the rates differ by under 0.3 %"]
    assert alike["swapped"]["better"] <= 0.025
    assert max(alike["as_is"]["pairs"], alike["swapped"]["pairs"]) <= 12
