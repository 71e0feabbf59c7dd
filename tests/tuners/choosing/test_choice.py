"""Choice: its rules, its plain form, and its place on a study."""

from __future__ import annotations

import doctest
import json
import math
from dataclasses import replace
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from tuners import Choice, record
from tuners.choosing import choice as choice_module
from tuners.choosing.choice import recorded_choice

CHOICE = Choice(
    1e-3,
    (8e-4, 2e-3),
    (5e-4, 5e-3),
    True,
    "by hand",
    baseline_learning_rate=1e-3,
    trials=3,
    splits=4,
    objective="val_loss",
    rates=(1e-4, 1e-3, 1e-2),
    fitted=(0.5, 0.3, 0.9),
    band=((0.4, 0.25, 0.7), (0.6, 0.35, 1.1)),
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, "`learning_rate` must be positive and finite, but got 0"),
        ({"learning_rate": math.nan}, "`learning_rate` must be positive and finite, but got nan"),
        ({"interval": (2e-3, 1e-3)}, "`interval` must hold"),
        ({"interval": 1e-3}, "`interval` must be a pair"),
        ({"plateau": (0.0, 1.0)}, "`plateau` must hold"),
        ({"baseline_learning_rate": -1.0}, "`baseline_learning_rate` must be positive and finite"),
        ({"rates": (1e-3,)}, "`rates`, `fitted` and both ends of `band` must have the same length"),
        ({"band": ((0.1,), (0.2,))}, r"same length, but got 3, 3 and \[1, 1\]"),
    ],
)
def test_what_breaks_its_rule_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CHOICE, **changes)


def test_decades_are_those_of_the_plateau() -> None:
    assert CHOICE.decades == pytest.approx(1.0)
    assert replace(CHOICE, plateau=(1e-3, 1e-3)).decades == 0.0


def test_the_plain_form_is_strict_json_and_comes_back() -> None:
    text = json.dumps(CHOICE.to_dict(), allow_nan=False)
    back = Choice.from_dict({**json.loads(text), "unknown": 1})
    assert back == CHOICE
    assert isinstance(back.band[0], tuple)
    bare = Choice(1e-3, (1e-3, 1e-3), (1e-3, 1e-3), None, "one trial", optimizer="sgd")
    assert Choice.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare


@given(st.lists(st.tuples(st.floats(1e-12, 1e6), *3 * [st.floats(-1e9, 1e9)]), max_size=5))
def test_any_curve_comes_back_within_twelve_digits(places: Any) -> None:
    rates, fitted, low, high = (
        (tuple(each) for each in zip(*places, strict=True)) if places else (((),) * 4)
    )
    made = replace(CHOICE, rates=rates, fitted=fitted, band=(low, high))
    back = Choice.from_dict(made.to_dict())
    assert back.rates == pytest.approx(rates, rel=1e-11)
    assert back.fitted == pytest.approx(fitted, rel=1e-11)
    assert Choice.from_dict(back.to_dict()) == back


def test_a_study_keeps_a_choice_in_any_storage(tmp_path: Any) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db", study_name="kept")
    assert recorded_choice(study) is None
    record(study, choice=CHOICE)
    record(study)  # nothing given, nothing changed
    again = optuna.load_study(storage=f"sqlite:///{tmp_path}/study.db", study_name="kept")
    assert recorded_choice(again) == CHOICE
    other = replace(CHOICE, learning_rate=2e-3)
    record(study, choice=other)
    assert recorded_choice(again) == other


@pytest.mark.parametrize("stored", [3, "much", {}, {"learning_rate": 1e-3}, {"band": 1}])
def test_something_else_on_a_study_is_an_error_that_names_the_study(stored: Any) -> None:
    study = optuna.create_study(study_name="odd")
    study.set_user_attr("choice", stored)
    with pytest.raises(ValueError, match="the study 'odd' must carry `choice` as this version"):
        recorded_choice(study)


def test_the_docstring_example_runs() -> None:
    assert doctest.testmod(choice_module).failed == 0


FITTED = Choice(
    1.07e-4,
    (8e-5, 2e-4),
    (5.3e-5, 2.1e-4),
    False,
    "The best is at 1.07e-4.",
    baseline_learning_rate=1e-3,
    objective="val_loss",
    rates=(5e-5, 1e-4, 2e-4),
    fitted=(0.5, 0.4, 0.45),
    band=((0.48, 0.38, 0.43), (0.52, 0.42, 0.47)),
)


def test_a_choice_shows_itself() -> None:
    words = (
        "learning rate 1.07e-4, equal within noise 5.3e-5 to 2.1e-4, the baseline not among them"
    )
    assert repr(FITTED) == f"Choice({words})"
    assert str(FITTED) == f"{words}. {FITTED.reason}"
    assert FITTED._repr_html_().startswith(f"<div><p>{FITTED.reason}</p><img src=")
    several = replace(FITTED, optimizer="sgd", baseline_inside=None, plateau=(1e-4, 1e-4))
    assert repr(several) == "Choice(sgd with learning rate 1.07e-4)"


def test_a_choice_is_drawn_with_its_curve_and_its_baseline_where_there_are_any() -> None:
    ax = FITTED.plot()
    labels = " ".join(text.get_text() for text in ax.get_legend().get_texts())
    assert "baseline 0.001" in labels
    assert "plateau" in labels
    assert ax.get_ylabel() == "val_loss"
    low, high = ax.get_xlim()
    assert low < 5e-5 < 1e-3 < high
    own = Figure().add_subplot()
    bare = Choice(1e-3, (8e-4, 2e-3), (5e-4, 3e-3), None, "by hand")
    assert bare.plot(own) is own
