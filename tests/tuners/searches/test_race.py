"""LearningRateRace: its stages, what it names meanwhile, and that it ends inside its budget."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search_spaces import LearningRateBounds
from tuners import LearningRateRace
from tuners.searches.race import RaceTraining, score_of

BEST = 3e-3
BOUNDS = LearningRateBounds(1e-4, 1e-1, 1e-3, "ok", "by hand")
DECLARED = (1e-5, 1.0)

Loss = Callable[[float, int, float], Any]


def bowl(rate: float, split: int = 0, share: float = 1.0, best: float = BEST) -> float:
    """Return a loss that is lowest at the best rate, with an offset for each split."""
    return 3 - share + 0.3 * math.log10(rate / best) ** 2 + 0.1 * split


def race_of(budget: float = 12, **options: Any) -> LearningRateRace:
    return LearningRateRace(DECLARED, budget=budget, **{"bounds": BOUNDS, **options})


def rounds(race: LearningRateRace, loss: Loss) -> list[list[RaceTraining]]:
    """Run a race to its end and return what it asked for, round by round."""
    asked = []
    while not race.done:
        asked.append(race.ask())
        race.tell([loss(*training) for training in asked[-1]])
        assert len(asked) < 200
    return asked


def plain(trainings: Sequence[RaceTraining]) -> list[tuple[float, int]]:
    return [(each.learning_rate, each.split) for each in trainings]


# --- the stages


def test_places_then_survivors_then_the_centre_and_its_neighbours_on_fresh_splits() -> None:
    found = [plain(each) for each in rounds(race_of(), bowl)]
    assert found == [
        # half a decade apart around the suggestion, none within a quarter of a decade of the ends
        [(3.1623e-4, 0), (1e-3, 0), (3.1623e-3, 0), (1e-2, 0), (3.1623e-2, 0)],
        [(3.1623e-3, 1), (1e-3, 1), (1e-2, 1)],  # the best three, the best first
        [(3.1623e-3, 2), (1.7783e-3, 2), (5.6235e-3, 2)],  # 1e-3 did better than 1e-2
    ]  # and the one training that is left cannot compare


def test_more_splits_follow_while_the_budget_pays_for_two_rates() -> None:
    def undecided(rate: float, split: int, _: float) -> float:
        # on the splits 2, 4, ... the rates above the middle win, on 3, 5, ... those below
        swing = 0.2 * (-1) ** split * math.log10(rate / 3e-3) if split >= 2 else 0.0
        return bowl(rate, split) + swing

    for budget, sizes in (
        (11, [5, 3, 3]),
        (13, [5, 3, 3, 2]),  # two of the three finalists
        (14, [5, 3, 3, 3]),
        (16, [5, 3, 3, 3, 2]),
        (17, [5, 3, 3, 3, 3]),
    ):
        found = rounds(race_of(budget), undecided)
        assert [len(each) for each in found] == sizes
        assert [each[0].split for each in found] == list(range(len(sizes)))


def test_it_ends_when_the_fresh_splits_have_decided() -> None:
    steep = rounds(race_of(1000), lambda rate, split, _: bowl(rate, split) * 1.5)
    # without noise the difference of two rates is the same on three splits, so one is left
    assert [len(each) for each in steep] == [5, 3, 3, 3, 3]


def test_it_ends_where_no_rate_can_matter() -> None:
    generator = np.random.default_rng(0)
    flat = race_of(1000)
    spent = sum(map(len, rounds(flat, lambda *_: 1 + 1e-3 * generator.normal())))
    assert spent < 40  # within a hundredth of the loss they are one


def test_the_walk_leaves_the_bounds_on_both_sides_until_it_is_worse() -> None:
    low = race_of(14)
    found = [plain(each) for each in rounds(low, lambda r, s, h: bowl(r, s, h, best=3e-5))]
    assert found[1:4] == [[(1e-4, 0)], [(3.1623e-5, 0)], [(1e-5, 0)]]
    assert found[4][0] == (3.1623e-5, 1)
    assert low.choice is not None
    assert low.choice < BOUNDS.low
    high = race_of(14)
    found = [plain(each) for each in rounds(high, lambda r, s, h: bowl(r, s, h, best=0.2))]
    assert found[1:4] == [[(0.1, 0)], [(0.31623, 0)], [(1.0, 0)]]
    assert high.choice == 0.17783  # the nearest on the grid of quarter-decades


def test_the_walk_stops_at_the_end_of_what_is_declared() -> None:
    narrow = LearningRateRace((5e-5, 0.2), budget=12, bounds=BOUNDS)
    found = rounds(narrow, lambda rate, split, _: 1 + 0.1 * split - 0.1 * math.log10(rate))
    assert found[1:3] == [[(0.1, 0, 1.0)], [(0.2, 0, 1.0)]]
    assert max(each.learning_rate for round_ in found for each in round_) == 0.2
    assert narrow.choice == 0.2


def test_a_single_place_at_the_low_end_walks_up() -> None:
    point = LearningRateRace((1e-3, 1.0), budget=8, bounds=(1e-3, 1e-3))
    found = [plain(each) for each in rounds(point, bowl)]
    assert found[:3] == [[(1e-3, 0)], [(3.1623e-3, 0)], [(0.01, 0)]]


def test_fewer_places_where_half_of_the_budget_cannot_pay_for_them() -> None:
    sizes = {budget: len(race_of(budget).ask()) for budget in (2, 4, 6, 8, 10)}
    assert sizes == {2: 1, 4: 2, 6: 2, 8: 2, 10: 5}
    assert [each.learning_rate for each in race_of(8).ask()] == [1e-3, 1e-2]  # a decade apart


def test_the_baseline_is_a_place_and_takes_that_of_a_rate_beside_it() -> None:
    def first(rate: float) -> list[float]:
        return [each.learning_rate for each in race_of(baseline=rate).ask()]

    assert first(2e-3) == [3.1623e-4, 1e-3, 2e-3, 3.1623e-3, 1e-2, 3.1623e-2]
    assert first(1 / 999) == [3.1623e-4, 1 / 999, 3.1623e-3, 1e-2, 3.1623e-2]  # as it is written
    assert first(2e-5) == [2e-5, 3.1623e-4, 1e-3, 3.1623e-3, 1e-2, 3.1623e-2]
    assert first(2.0) == first(1e-6) == [3.1623e-4, 1e-3, 3.1623e-3, 1e-2, 3.1623e-2]


def test_a_baseline_beside_a_neighbour_of_the_centre_is_that_neighbour() -> None:
    found = [plain(each) for each in rounds(race_of(14, baseline=1.8e-3), bowl)]
    stage = next(each for each in found if each[0][1] == 2)
    assert 1.8e-3 in [rate for rate, _ in stage] or stage[0][0] == 1.8e-3
    every = {rate for round_ in found for rate, _ in round_}
    assert all(math.log10(high / low) > 0.02 for low, high in pairwise(sorted(every)))


def test_the_split_that_chose_a_finalist_does_not_judge_it() -> None:
    lucky = 1e-2

    def luck(rate: float, split: int, _: float) -> float:
        return bowl(rate, split) - (0.5 if rate == lucky and split < 2 else 0.0)

    race = race_of(17)
    found = rounds(race, luck)
    assert plain(found[2])[0] == (lucky, 2)  # the centre
    assert race.choice == 5.6234e-3  # its neighbour on the side of the best rate


# --- the range test


def test_without_bounds_it_begins_with_short_trainings_over_the_declared_range() -> None:
    race = LearningRateRace(DECLARED, budget=12)
    first = race.ask()
    assert [each.learning_rate for each in first] == pytest.approx(np.geomspace(1e-5, 1, 11), 1e-4)
    assert {(each.split, each.share) for each in first} == {(0, 0.05)}
    assert race.bounds.status == "too_few_points"
    assert (race.bounds.low, race.bounds.high) == DECLARED
    assert race.choice is None
    race.tell([bowl(*each) for each in first])
    assert race.cost == pytest.approx(0.55)
    assert race.bounds.status == "ok"
    assert 1e-4 < race.bounds.low < BEST < race.bounds.high < 1
    assert race.choice == race.bounds.suggestion
    rounds(race, bowl)
    assert race.choice == pytest.approx(BEST, rel=0.1)
    assert race.cost <= 12


@pytest.mark.parametrize(
    ("epochs", "share"), [(None, 0.05), (1, 0.1), (10, 0.1), (12, 1 / 12), (20, 0.05), (200, 0.05)]
)
def test_a_short_training_is_an_epoch_where_that_is_little(
    epochs: int | None, share: float
) -> None:
    race = LearningRateRace(budget=12, epochs=epochs)
    assert race.share == pytest.approx(share)
    asked = race.ask()
    race.tell([[1.0, 2.0]] * len(asked))
    assert race.cost == pytest.approx(len(asked) * share)


def test_the_range_test_leaves_a_full_training() -> None:
    race = LearningRateRace((1e-9, 1.0), budget=2, epochs=5)  # 19 rates at a tenth each
    rounds(race, bowl)
    assert race.cost <= 2
    assert race.choice is not None


def test_a_short_training_that_diverged_has_no_loss() -> None:
    race = LearningRateRace(budget=12)
    asked = race.ask()
    race.tell([math.nan if each.learning_rate > 0.05 else bowl(*each) for each in asked])
    assert race.bounds.high < 0.32
    hopeless = LearningRateRace(budget=12, baseline=1e-3)
    hopeless.tell([math.inf] * 11)
    assert hopeless.bounds.status == "non_finite"
    assert (hopeless.bounds.low, hopeless.bounds.high) == DECLARED


# --- what it names, and what it is told


def test_the_choice_at_every_moment() -> None:
    race = race_of(17, baseline=2e-2)
    assert race.choice == BOUNDS.suggestion  # nothing is known but where to begin
    while not race.done:
        asked = race.ask()
        for training in asked:
            race.tell([bowl(*training)])
            assert race.choice is not None
        assert race.choice == min({each.learning_rate for each in asked} | {race.choice}, key=bowl)
    assert LearningRateRace(baseline=0.02).choice == 0.02
    assert LearningRateRace().choice is None


def test_a_training_that_diverged_on_a_later_split_is_not_named() -> None:
    race = race_of(8)

    def fragile(rate: float, split: int, _: float) -> float:
        return math.nan if split == 1 and rate == 1e-2 else bowl(rate, split, best=1e-2)

    rounds(race, fragile)
    assert race.choice is not None
    assert race.choice != 1e-2
    last = race_of(17)
    # the middle finalist is stable, its lower neighbour diverges on the last of the fresh splits
    rounds(last, lambda r, s, h: math.inf if (s == 3 and r < 2e-3) else bowl(r, s, h))
    assert last.choice is not None
    assert last.choice >= 2e-3


def test_where_everything_diverges_it_walks_down_and_names_the_suggestion() -> None:
    race = race_of(12)
    found = rounds(race, lambda *_: math.nan)
    assert [plain(each) for each in found[1:]] == [[(1e-4, 0)], [(3.1623e-5, 0)], [(1e-5, 0)]]
    assert race.choice == BOUNDS.suggestion
    assert race.cost == 8


def test_equal_losses_do_not_walk_and_end() -> None:
    race = race_of(40)
    found = rounds(race, lambda *_: 1.0)
    assert [len(each) for each in found] == [5, 3, 3, 3, 3]
    assert race.choice == BOUNDS.suggestion  # of equal ones the nearest to it
    zero = race_of(40)
    assert [len(each) for each in rounds(zero, lambda *_: 0.0)] == [5, 3, 3, 3, 3]


def test_what_was_told_first_counts_and_the_rest_is_asked_for_again() -> None:
    race = race_of()
    asked = race.ask()
    race.tell([bowl(*each) for each in asked[:2]])
    assert race.ask() == asked[2:]
    assert race.cost == 2
    race.tell([])
    assert race.ask() == asked[2:]
    whole = race_of()
    whole.tell([bowl(*each) for each in asked])
    race.tell([bowl(*each) for each in asked[2:]])
    assert race.ask() == whole.ask()


def test_a_row_is_scored_by_the_best_half_of_its_epochs() -> None:
    assert score_of(np.array([5.0, 1.0, 9.0, 3.0])) == 3.0  # (5 + 1) / 2
    assert score_of(np.array([2.0])) == 2.0
    assert score_of(np.array([2.0, math.nan])) == math.inf
    one, row = race_of(), race_of()
    for training in one.ask():
        one.tell([bowl(*training)])
        row.tell([[9.0, 8.0, bowl(*training), bowl(*training)]])
    assert one.ask() == row.ask()
    assert one.choice == row.choice
    short = LearningRateRace()
    short.tell([[9.0, bowl(*each)] for each in short.ask()])  # a short one by where it ends
    single = LearningRateRace()
    single.tell([bowl(*each) for each in single.ask()])
    assert short.bounds == single.bounds


def test_the_seed_is_the_number_of_the_first_split() -> None:
    plain_, moved = race_of(17), race_of(17, seed=40)
    found, shifted = rounds(plain_, bowl), rounds(moved, lambda r, s, h: bowl(r, s - 40, h))
    assert [[each.split + 40 for each in round_] for round_ in found] == [
        [each.split for each in round_] for round_ in shifted
    ]
    assert plain_.choice == moved.choice
    assert {each.split for each in LearningRateRace(seed=7).ask()} == {7}


def test_it_shows_itself() -> None:
    race = LearningRateRace(budget=5)
    assert repr(race) == "LearningRateRace(nothing yet after 0.0 of 5 trainings)"
    rounds(race, bowl)
    assert repr(race).startswith("LearningRateRace(0.00")
    assert repr(race).endswith(" of 5 trainings)")


# --- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"declared": (1e-3, 1e-3)}, r"`declared` must hold low < high, but both are 0.001; pass"),
        ({"declared": (1e-3, 1e-4)}, r"`declared` must hold 0 < low <= high"),
        ({"declared": 1e-3}, r"`declared` must be a pair"),
        ({"budget": 1}, r"`budget` must be a number of trainings, 2 or more, but got 1; pass e.g."),
        ({"budget": math.inf}, r"`budget` must be a number of trainings, 2 or more, but got inf"),
        ({"budget": "12"}, r"`budget` must be a number of trainings, 2 or more, but got '12'"),
        ({"budget": math.nan}, r"`budget` must be a number of trainings, 2 or more, but got nan"),
        ({"seed": -1}, r"`seed` must be a whole number of 0 or more, but got -1"),
        ({"seed": 1.5}, r"`seed` must be a whole number of 0 or more, but got 1.5"),
        ({"epochs": 0}, r"`epochs` must be a whole number of 1 or more, but got 0"),
        ({"baseline": 0.0}, r"`baseline` must be positive and finite, but got 0.0"),
        ({"bounds": (1e-2, 1e-3)}, r"`bounds` must hold 0 < low <= high"),
        ({"bounds": 0.1}, r"`bounds` must be a pair"),
        ({"bounds": (1e-6, 1e-3)}, r"The bounds must lie inside `declared` = \[1e-05, 1\]"),
        (
            {"bounds": LearningRateBounds(1e-2, 10.0, 1.0, "ok", "by hand")},
            r"The bounds must lie inside `declared` = \[1e-05, 1\], but got \[0.01, 10\]; clip",
        ),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearningRateRace(**arguments)


def test_bad_losses() -> None:
    race = race_of()
    with pytest.raises(ValueError, match=r"`losses` must be of the 5 trainings .* but got 6"):
        race.tell([1.0] * 6)
    for bad in ([], "much", [[1.0]], ["a"], [[1.0], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="`losses` must hold one number or one row of numbers"):
            race.tell([bad])
    assert race.cost == 0


# --- what holds for any task, range and budget

KINDS = (
    "bowl",
    "cliff",
    "plateau",
    "falls",
    "rises",
    "noise",
    "noise and divergence",
    "diverged",
    "infinite",
    "negative",
)


def task_of(kind: str, seed: int, best: float) -> Loss:
    """Return losses that depend on the training alone, whenever it is asked for."""

    def noise(rate: float, split: int) -> float:
        return float(np.random.default_rng([seed, split, round(1e12 * rate)]).normal())

    def loss(rate: float, split: int, share: float) -> Any:
        place = math.log10(rate / best)
        return {
            "bowl": 3 - share + 0.3 * place**2 + 0.05 * noise(rate, split),
            "cliff": math.nan if place > 0 else 3 - share - 0.1 * place,
            "plateau": 1.0,
            "falls": 20 - place,
            "rises": [20 + place, 19 + place],
            "noise": noise(rate, split),
            "noise and divergence": [1.0, math.nan if noise(rate, split) > 0.3 else 0.5],
            "diverged": math.nan,
            "infinite": math.inf,
            "negative": -5 + 0.3 * place**2 + 0.05 * noise(rate, split),
        }[kind]

    return loss


@st.composite
def races(draw: st.DrawFn) -> LearningRateRace:
    low = 10 ** draw(st.floats(-9, 0))
    high = low * 10 ** draw(st.floats(1e-3, 9))
    bounds = None
    if draw(st.booleans()):
        ends = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
        first, last = (min(max(low * (high / low) ** end, low), high) for end in ends)
        bounds = (first, max(first, last))
    return LearningRateRace(
        (low, high),
        budget=draw(st.one_of(st.integers(2, 40), st.floats(2, 40))),
        bounds=bounds,
        baseline=draw(st.none() | st.floats(-9, 2).map(lambda power: 10**power)),
        epochs=draw(st.none() | st.integers(1, 60)),
        seed=draw(st.integers(0, 5)),
    )


@given(race=races(), kind=st.sampled_from(KINDS), seed=st.integers(0, 99), data=st.data())
@example(  # rounded to five digits its ends lie outside
    race=LearningRateRace((8.7700143e-4, 0.62867691), budget=40, bounds=(8.7700143e-4, 0.62867691)),
    kind="falls",
    seed=0,
    data=None,
)
def test_it_ends_inside_its_budget_and_range_and_resumes_at_any_moment(
    race: LearningRateRace, kind: str, seed: int, data: Any
) -> None:
    low, high = race.declared
    loss = task_of(kind, seed, best=math.sqrt(low * high))
    known: set[tuple[float, int, bool]] = set()
    for _ in range(300):
        asked = race.ask()
        assert race.done == (not asked)
        if not asked:
            break
        for each in asked:
            assert low <= each.learning_rate <= high
            assert 0 < each.share <= 1
            key = (each.learning_rate, each.split, each.share == 1)
            assert key not in known  # nothing is asked for that was told
        told = len(asked) if data is None else data.draw(st.integers(1, len(asked)))
        race.tell([loss(*each) for each in asked[:told]])
        known |= {(each.learning_rate, each.split, each.share == 1) for each in asked[:told]}
        assert race.cost <= race.budget + 1e-9
        assert race.choice is None or low <= race.choice <= high
        again = LearningRateRace.from_dict(json.loads(json.dumps(race.to_dict(), allow_nan=False)))
        assert again.ask() == race.ask()
        assert (again.choice, again.cost, again.bounds) == (race.choice, race.cost, race.bounds)
        race = again  # and goes on as it
    assert race.done
    assert race.bounds.low <= race.bounds.suggestion <= race.bounds.high


@given(st.floats(-6, 1), st.integers(0, 20))
def test_the_same_losses_give_the_same_race(power: float, seed: int) -> None:
    loss = task_of("bowl", seed, best=10**power)
    one, other = LearningRateRace(budget=10), LearningRateRace(budget=10)
    assert rounds(one, loss) == rounds(other, loss)
    assert one.choice == other.choice


def test_in_noisy_bowls_the_choice_lies_near_the_lowest_rate() -> None:
    far = []
    for seed in range(60):
        best = 10 ** np.random.default_rng(seed).uniform(-4, -1)
        race = LearningRateRace(budget=12)
        rounds(race, task_of("bowl", seed, best))  # noise of 0.05: a third of a decade is 0.03
        assert race.choice is not None
        far.append(abs(math.log10(race.choice / best)))
    assert np.median(far) < 0.25
    assert np.quantile(far, 0.9) < 0.6


def test_a_larger_budget_comes_nearer() -> None:
    far = []
    for budget in (4, 8, 16):
        apart = []
        for seed in range(60):
            best = 10 ** np.random.default_rng(seed).uniform(-4, -1)
            race = LearningRateRace(budget=budget)
            rounds(race, task_of("bowl", seed, best))
            apart.append(abs(math.log10((race.choice or 1.0) / best)))
        far.append(float(np.mean(apart)))
    assert far[2] < far[0]
    assert far[2] < far[1] + 0.05


@pytest.mark.parametrize("diverges", [("centre",), ("centre", "below"), ("above",)])
def test_a_finalist_that_diverges_on_a_fresh_split_is_not_named(diverges: tuple[str, ...]) -> None:
    centre = 1e-3
    finalists = {"below": 5.6234e-4, "centre": centre, "above": 1.7783e-3}
    bad = {finalists[name] for name in diverges}

    def loss(rate: float, split: int, share: float) -> Any:
        hit = split == 2 and any(math.isclose(rate, each, rel_tol=1e-3) for each in bad)
        return math.nan if hit else bowl(rate, split, share, best=centre)

    race = LearningRateRace(DECLARED, bounds=BOUNDS, budget=12)
    while not race.done:
        race.tell([loss(*training) for training in race.ask()])
    assert race.choice is not None
    stable = [rate for name, rate in finalists.items() if name not in diverges]
    assert any(math.isclose(race.choice, rate, rel_tol=1e-3) for rate in stable)
    assert not any(math.isclose(race.choice, rate, rel_tol=1e-3) for rate in bad)
