"""The replay on a truth by a formula: what is told, what is paid, how a rate is judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.replay import (
    Curve,
    Named,
    Setting,
    Steps,
    Training,
    World,
    blend,
    named_within,
    played,
    replay,
)
from tests.benchmarks.truths import BEST, EPOCHS, make_truth
from tests.tuners.training.test_scores import make


def test_a_training_is_told_as_far_as_it_went() -> None:
    world = World(make_truth(), 0)
    whole, part = world.curve(Training(1e-3)), world.curve(Training(1e-3, share=0.3))
    assert (len(whole.val_loss), len(part.val_loss)) == (EPOCHS, 3)
    np.testing.assert_array_equal(whole.val_loss[:3], part.val_loss)
    assert whole.lowest == pytest.approx(1 + 0.01 * world.seen[0])
    assert len(world.curve(Training(1e-3, share=1e-9)).val_loss) == 1  # one epoch at least


def test_between_two_rates_the_log_loss_is_interpolated() -> None:
    world = World(make_truth(), 0)
    one, two = 10**-3.0, 10**-2.75
    middle = world.curve(Training(float(np.sqrt(one * two)))).val_loss
    ends = [world.curve(Training(rate)).val_loss for rate in (one, two)]
    np.testing.assert_allclose(middle, np.sqrt(ends[0] * ends[1]))


def test_a_divergence_scores_the_worst_that_it_had_and_is_no_lucky_epoch() -> None:
    found = World(make_truth(), 0).curve(Training(5.0))
    assert found.diverged
    assert (found.lowest, found.score) == (np.inf, pytest.approx(2.0))


def test_our_score_is_that_of_a_training_record() -> None:
    values = np.random.default_rng(0).uniform(1, 2, (1, 9))
    for diverged in (False, True):
        curve = Curve(values[0], values[0], 1.0, diverged)
        record = make(values, diverged=np.array([diverged]))
        assert curve.score == pytest.approx(float(record.scores()[0]))


def test_splits_that_may_be_seen_are_not_those_that_judge() -> None:
    for splits in (3, 6, 8, 16):
        world = World(make_truth(splits), 1)
        assert not set(world.seen) & set(world.judges)
        assert len(world.judges) == splits // 2


def test_the_excess_is_a_share_of_the_best_rates_test_loss() -> None:
    world = World(make_truth(), 0)
    level = 1.1 + 0.01 * np.mean(range(8))
    assert world.excess(BEST) == (0.0, True)
    excess, equal = world.excess(1e-2)
    assert (excess, equal) == (pytest.approx(0.25 / level), False)
    assert world.excess(3.0)[0] == np.inf
    assert not world.excess(3.0)[1]
    shifted = World(make_truth(offset=1.0), 0)
    assert shifted.excess(1e-2)[0] == pytest.approx(0.25 / (level + 1.0))


def test_as_good_means_within_one_percent_or_the_noise_of_the_difference() -> None:
    truth = make_truth()
    assert World(truth, 0).excess(BEST * 10**0.1)[1]  # some 0.6 % above, on the chord
    noisy = truth.test_loss + np.random.default_rng(0).normal(0, 0.5, truth.test_loss.shape)
    world = World(make_truth(test_loss=noisy), 0)
    found = [world.excess(float(rate)) for rate in truth.learning_rates]
    assert any(equal and excess > 0.01 for excess, equal in found)


def ladder(setting: Setting) -> Steps:
    """Trains one rate in three pieces, then the same again in full, then two at once."""
    for share in (0.2, 0.5, 1.0):
        yield 1e-3, [Training(1e-3, 0, share)]
    yield 2e-3, [Training(1e-3, 0, 1.0)]
    yield 3e-3, [Training(1e-2, 0), Training(1e-2, 1)]
    return 4e-3


def test_what_goes_on_pays_for_new_epochs_and_what_is_repeated_pays_again() -> None:
    named = replay(played(ladder), World(make_truth(), 0))
    assert [each.cost for each in named] == pytest.approx([0, 0.2, 0.5, 1.0, 2.0, 4.0])
    assert [each.learning_rate for each in named] == [1e-3, 1e-3, 1e-3, 2e-3, 3e-3, 4e-3]
    assert (named[-1].alone, named[-1].together) == (pytest.approx(2.0), pytest.approx(2.0))


def test_a_range_test_is_paid_for_by_its_seeds() -> None:
    def whole(setting: Setting) -> Steps:
        return setting.range_test().bounds().suggestion
        yield

    def quarter(setting: Setting) -> Steps:
        assert setting.range_test(seeds=2).table.shape[1] == 2
        return 1e-3
        yield

    world = World(make_truth(), 0)
    (named,) = replay(played(whole), world)
    assert named.tests == pytest.approx(0.8)
    assert named.learning_rate is not None
    assert 1e-5 < named.learning_rate < 1
    assert replay(played(quarter), world)[0].cost == pytest.approx(0.2)
    with pytest.raises(ValueError, match="`curve` must be stored for a policy that does a range"):
        replay(played(whole), World(make_truth(ramps=()), 0))


def test_a_budget_ends_a_replay_and_the_last_answer_within_it_counts() -> None:
    named = replay(played(ladder), World(make_truth(), 0), most=0.5)
    assert named[-1].cost == pytest.approx(0.5)
    whole = replay(played(ladder), World(make_truth(), 0))
    assert named_within(whole, 2.0, 0.7).learning_rate == 3e-3
    assert named_within([Named(None, 0.0, 3.0)], 5.0, 0.7) == Named(0.7)


def test_whatever_asks_and_tells_is_replayed() -> None:
    class Halving:
        """The higher of two rates for as long as it is better: no generator, as a race is."""

        def __init__(self, setting: Setting) -> None:
            self.choice, self.done = setting.default, False
            self.best = np.inf

        def ask(self) -> list[Training]:
            return [Training(self.choice / 2)]

        def tell(self, curves: list[Curve]) -> None:
            self.done = curves[0].score >= self.best
            if not self.done:
                self.best, self.choice = curves[0].score, self.choice / 2

    named = replay(Halving, World(make_truth(), 0))
    assert named[-1].learning_rate == pytest.approx(BEST, rel=0.5)
    assert named[-1].cost == len(named) - 1


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0, 0.5))
def test_blends_lie_between_their_ends(near: float, far: float, weight: float) -> None:
    found = float(blend(np.array(near), np.array(far), weight))
    assert min(near, far) * 0.999 <= found <= max(near, far) * 1.001
    assert blend(np.array(near), np.array(np.inf), weight) == near


def test_each_task_and_repeat_has_a_seed_of_its_own() -> None:
    names = [f"task {number}" for number in range(50)]
    seeds = {World(make_truth(name=n), r).setting().seed for n in names for r in range(4)}
    assert len(seeds) > 190  # of 200, in 100,000: two meet now and then
    assert World(make_truth(), 0).setting().seed == World(make_truth(), 0).setting().seed
