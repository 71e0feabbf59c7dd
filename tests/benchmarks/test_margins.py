"""The distances of the bounds are those that the stored truth gives."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.margins import Case, held, narrowest, ramps, sweeps
from tuners.curves import ramp, sweep


def test_bounds_hold_where_a_good_rate_lies_between_their_ends() -> None:
    cases = [Case(-2.0, -3.0, np.array([-3.0])), Case(-0.5, -0.2, np.array([-0.2]))]
    assert held(cases, 1.0, 0.0) == 0.5
    assert held(cases, 1.0, 0.3) == 1.0
    assert narrowest(cases, 1.0) == (1.0, 0.3)
    assert narrowest(cases[1:], 1.0) == (0.0, 0.3)
    assert held([Case(0.5, 0.0, np.array([0.0]))], 0.1, 0.1) == 1.0  # cut at the declared range


@pytest.mark.slow
def test_the_bounds_hold_on_the_truth_as_often_as_their_reasons_say() -> None:
    short, eight, one = sweeps(), ramps(), ramps(1)
    assert held(short, sweep.BELOW, sweep.ABOVE) >= 0.97
    apart = np.array([case.best - case.lowest for case in short])
    assert np.median(apart) == pytest.approx(-sweep.SUGGESTED, abs=0.1)
    assert held(eight, ramp.BELOW, ramp.ABOVE) >= 0.95
    assert held(one, ramp.BELOW + ramp.ONE_SEED, ramp.ABOVE) >= 0.95
    apart = np.array([case.best - case.lowest for case in eight])
    assert np.median(apart) == pytest.approx(-ramp.SUGGESTED, abs=0.1)
