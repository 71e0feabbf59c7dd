from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuners.curves.loss_curve import LossCurve

RATES = np.geomspace(1e-6, 10, 200)
CLEAN = 2.3 - 1.4 / (1 + (1e-2 / RATES) ** 2) + (RATES / 0.5) ** 2


def noisy(sd: float, seeds: int = 8, seed: int = 0) -> np.ndarray:
    return CLEAN[:, None] + sd * np.random.default_rng(seed).standard_normal((200, seeds))


def test_bounds_of_a_clean_ramp_hold_the_steepest_descent_and_stop_before_the_blow_up() -> None:
    bounds = LossCurve(RATES, CLEAN, declared=(1e-5, 1.0)).bounds()
    assert bounds.status == "ok"
    assert bounds.low < 1e-2 < bounds.high < 0.3
    assert bounds.declared == (1e-5, 1.0)
    assert bounds.seeds == 1


def test_bounds_hold_the_steepest_descent_in_nearly_every_noisy_curve() -> None:
    covered = 0
    for seed in range(40):
        bounds = LossCurve(RATES, noisy(0.15, seed=seed)).bounds()
        covered += bounds.decided and bounds.low < 1e-2 < bounds.high < 0.3
    assert covered >= 39


def test_one_seed_answers_with_wider_bounds_than_eight() -> None:
    one = LossCurve(RATES, noisy(0.15)[:, 0]).bounds()
    eight = LossCurve(RATES, noisy(0.15)).bounds()
    assert one.decided
    assert eight.decided
    assert one.decades > eight.decades


def test_intervals_over_seeds_hold_the_bounds_and_widen_with_the_noise() -> None:
    widths = []
    for sd in (0.03, 0.3):
        bounds = LossCurve(RATES, noisy(sd)).bounds()
        assert bounds.low_interval is not None
        assert bounds.high_interval is not None
        assert bounds.low_interval[0] <= bounds.low <= bounds.low_interval[1]
        assert bounds.high_interval[0] <= bounds.high <= bounds.high_interval[1]
        widths.append(math.log10(bounds.low_interval[1] / bounds.low_interval[0]))
    assert widths[0] < widths[1]


def test_raw_losses_are_kept_and_frozen() -> None:
    losses = noisy(0.1, seeds=3)
    curve = LossCurve(RATES, losses)
    np.testing.assert_array_equal(curve.losses, losses)
    assert curve.seeds == 3
    with pytest.raises(ValueError, match="read-only"):
        curve.losses[0, 0] = 1.0
    losses[0, 0] = 99.0
    assert curve.losses[0, 0] != 99.0


def test_smoothed_does_not_lag_behind_the_clean_curve() -> None:
    smooth = LossCurve(RATES, noisy(0.1)).smoothed()
    assert smooth.shape == (200,)
    half = 2.3 - 0.7
    found = RATES[np.flatnonzero(smooth < half)[0]]
    assert abs(math.log10(found / 1e-2)) < 0.1


def test_a_stored_curve_comes_back_with_the_same_bounds(tmp_path) -> None:
    losses = noisy(0.1, seeds=2)
    losses[190:] = np.nan
    losses[185:, 1] = np.inf
    ramp = LossCurve(RATES, losses, declared=(1e-5, 1.0), gradient_steps=400)
    back = LossCurve.from_json(ramp.to_json(tmp_path / "curve.json"))
    assert back.bounds() == ramp.bounds()
    assert back.gradient_steps == 400
    json.loads((tmp_path / "curve.json").read_text(), parse_constant=pytest.fail)


def test_a_sweep_keeps_its_ramp_and_sorts_its_rates() -> None:
    ramp = LossCurve(RATES, CLEAN)
    sweep = LossCurve(
        [0.1, 0.01, 0.03], [[3.0, 3.1], [1.0, 1.1], [2.0, 2.1]], kind="sweep", coarse=ramp
    )
    assert sweep.learning_rates.tolist() == [0.01, 0.03, 0.1]
    assert sweep.losses[:, 0].tolist() == [1.0, 2.0, 3.0]
    back = LossCurve.from_dict({**sweep.to_dict(), "unknown": 1})
    assert back.coarse is not None
    np.testing.assert_array_equal(back.coarse.losses, ramp.losses)


def test_from_dict_names_what_is_missing() -> None:
    with pytest.raises(ValueError, match="must have `losses`"):
        LossCurve.from_dict({"learning_rates": [0.1]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1e-3, 1e-2], [1.0]), "`losses` must be .* one row for each of the 2 rates"),
        (([1e-3], [[[1.0]]]), "`losses` must be"),
        (([1e-3], [[]]), "`losses` must be"),
        (([], []), "`learning_rates` must be one row"),
        (([0.0, 1.0], [1, 1]), "positive, finite"),
        (([-1.0, 1.0], [1, 1]), "positive, finite"),
        (([np.nan, 1.0], [1, 1]), "positive, finite"),
        (([[1e-3]], [1]), "one row"),
        (([1e-2, 1e-3], [1, 1]), "must never fall"),
        (([1e-3], ["much"]), "`losses` must be numbers"),
        (([1e-3, 1e-2], [[1], [1, 2]]), "`losses` must be numbers"),
        (([1e-3], None), "`losses` must be"),
    ],
)
def test_wrong_curves_are_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        LossCurve(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cosine"}, "`kind` must be one of ramp, sweep, per_epoch"),
        ({"declared": (1.0, 0.1)}, "`declared` must hold"),
        ({"declared": 0.1}, "`declared` must be a pair"),
        ({"coarse": 3}, "`coarse` must be a LossCurve"),
    ],
)
def test_wrong_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        LossCurve([0.1, 0.2], [1.0, 1.0], **options)


@pytest.mark.slow
def test_a_curve_works_without_tensorflow_and_keras() -> None:
    code = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
import numpy as np
from tuners import LossCurve
rates = np.geomspace(1e-6, 10, 200)
curve = LossCurve(rates, 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2)
assert curve.bounds().status == "ok"
for rule in ("valley", "slide", "steepest", "minimum", "minimum/10", "article"):
    assert curve.suggest(rule) > 0
curve.plot()
LossCurve.from_dict(curve.to_dict()).smoothed()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


finite = st.floats(-1e6, 1e6, allow_nan=False)
anything = st.floats(allow_nan=True, allow_infinity=True)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 60).flatmap(lambda n: st.lists(anything, min_size=n, max_size=n)),
    st.sampled_from(["ramp", "sweep", "per_epoch"]),
    st.tuples(st.floats(1e-12, 1e6), st.floats(1e-12, 1e6)).map(sorted),
)
def test_any_losses_give_bounds_inside_the_declared_range(losses, kind, declared) -> None:
    rates = np.geomspace(1e-6, 10, len(losses))
    bounds = LossCurve(rates, losses, kind=kind, declared=tuple(declared)).bounds()
    assert 0 < bounds.low <= bounds.suggestion <= bounds.high < math.inf
    assert declared[0] <= bounds.low
    assert bounds.high <= declared[1]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(5e-324, 1.7e308), min_size=1, max_size=60).map(sorted),
    st.randoms(use_true_random=False),
)
def test_any_rates_give_bounds(rates, random) -> None:
    losses = [random.gauss(0, 1) for _ in rates]
    bounds = LossCurve(rates, losses).bounds()
    assert 0 < bounds.low <= bounds.suggestion <= bounds.high < math.inf


@settings(deadline=None, max_examples=40)
@given(
    st.floats(-1e3, 1e3),
    st.floats(1e-4, 1e4),
    st.integers(0, 99),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from([1, 4]),
)
@pytest.mark.slow
def test_a_shift_or_a_scaling_of_the_loss_changes_nothing(shift, scale, seed, sd, seeds) -> None:
    losses = noisy(sd, seeds, seed)
    bounds = LossCurve(RATES, losses).bounds()
    moved = LossCurve(RATES, losses * scale + shift * scale).bounds()
    for name in ("low", "suggestion", "high"):
        assert getattr(moved, name) == pytest.approx(getattr(bounds, name), rel=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(anything, min_size=2, max_size=2), min_size=1, max_size=40))
def test_any_curve_survives_its_json(rows) -> None:
    curve = LossCurve(np.geomspace(1e-5, 1, len(rows)), rows)
    text = json.dumps(curve.to_dict(), allow_nan=False)
    assert LossCurve.from_dict(json.loads(text)).bounds() == curve.bounds()
