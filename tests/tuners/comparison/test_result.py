from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.tuners.comparison.test_judging import SETTINGS, judge, make_arm
from tuners.comparison.result import Comparison


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


def test_a_comparison_of_an_earlier_version_is_read() -> None:
    stored = judge(make_arm([0.1] * 6), make_arm([0.3] * 6)).to_dict()
    del stored["margin"]
    stored |= {"bootstrap_interval": [0.1, 0.3], "sign_flip_p": 0.03}
    assert Comparison.from_dict(stored).verdict == "better"


def test_a_comparison_checks_its_parts() -> None:
    comparison = judge(make_arm([0.1] * 6), make_arm([0.3] * 6))
    with pytest.raises(ValueError, match="`verdict` must be one of better, worse"):
        replace(comparison, verdict="glorious")
    with pytest.raises(ValueError, match="one number for each of the 7 pairs, but got 6"):
        replace(comparison, pairs=7)


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
    assert lines[2].startswith("gain in accuracy +0.04 (+0.02")
    assert lines[3:] == ["recommended: 0.1", better.reason]
    assert str(better) == better.summary()
    assert better._repr_html_().startswith("<div><p>better: 0.1 against the baseline 0.01<br>mean")
    drawn = better.plot()
    assert drawn.get_xlabel() == "gain in test loss"
    (won,) = (line for line in drawn.lines if line.get_label() == "chosen rate won")
    assert won.get_xdata() == pytest.approx(sorted(better.differences))


def test_arms_are_named_by_what_they_differ_in() -> None:
    def title(chosen: dict[str, Any], baseline: dict[str, Any]) -> str:
        arms = make_arm([0.1] * 6, **chosen), make_arm([0.3] * 6, **baseline)
        return judge(*arms).summary().splitlines()[0]

    adam = {"optimizer": "Adam"}
    assert title(adam, {"optimizer": "SGD"}) == "better: Adam at 0.1 against SGD at 0.01"
    assert title(adam | {"schedule": "CosineDecay"}, adam) == (
        "better: CosineDecay at 0.1 against constant rate at 0.01"
    )
    assert title(adam, adam) == "better: 0.1 against the baseline 0.01"
    small = replace(make_arm([0.3] * 6), name="small")
    assert judge(make_arm([0.1] * 6), small).sides == ("toy at 0.1", "small at 0.01")


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
