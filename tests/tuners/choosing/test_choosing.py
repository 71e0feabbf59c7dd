"""choose(): one rate from all trials of a study, whoever made it."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces import LearningRateBounds
from tuners import Choice, choose, record
from tuners.choosing import choosing
from tuners.choosing.choice import recorded_choice
from tuners.study.recording import record_facts

BEST = 1e-3
RATES = np.geomspace(1e-5, 1e-1, 25)
GENERATOR = np.random.default_rng(0)
OFFSETS = np.array([0.0, 0.2, -0.1, 0.3])


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Any:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def loss(rate: float, noise: float = 0.02, best: float = BEST) -> np.ndarray:
    """Return the loss on four splits, lowest at the best rate."""
    scatter = noise * np.random.default_rng(round(1e9 * rate)).normal(size=4)
    return 1 + 0.3 * math.log10(rate / best) ** 2 + OFFSETS + scatter


def trial(
    rate: float, value: Any = None, name: str = "learning_rate", **options: Any
) -> FrozenTrial:
    """Return a finished trial; its value is the mean of its scores, where it has them."""
    attributes = dict(options.pop("user_attrs", {}))
    if options.pop("scored", "scores" in attributes) and value is None:
        value = float(np.mean(attributes["scores"]))
    params = {name: rate, **options.pop("params", {})}
    distributions = {
        name: FloatDistribution(1e-8, 10, log=True),
        **options.pop("distributions", {}),
    }
    return create_trial(
        params=params, distributions=distributions, value=value, user_attrs=attributes, **options
    )


def study_of(trials: list[FrozenTrial], **options: Any) -> optuna.Study:
    study = optuna.create_study(**options)
    study.add_trials(trials)
    return study


def with_scores(sign: float = 1.0, noise: float = 0.02, **attributes: Any) -> list[FrozenTrial]:
    return [
        trial(rate, user_attrs={"scores": (sign * loss(rate, noise)).tolist(), **attributes})
        for rate in RATES
    ]


def test_trials_with_scores_are_compared_split_by_split() -> None:
    choice = choose(study_of(with_scores()))
    assert (choice.trials, choice.splits) == (25, 4)
    assert abs(math.log10(choice.learning_rate / BEST)) < 0.2
    for low, high in (choice.plateau, choice.interval):
        assert low <= choice.learning_rate <= high
    assert choice.plateau[0] > RATES[0]
    assert choice.plateau[1] < RATES[-1]
    assert "25 trials" in choice.reason
    assert "compared on 4 splits" in choice.reason
    assert choice.baseline_inside is None
    assert (choice.parameter, choice.optimizer, choice.direction) == (
        "learning_rate",
        None,
        "minimize",
    )
    assert len(choice.rates) == len(choice.fitted) == len(choice.band[0]) <= 200
    assert choice.rates == pytest.approx(RATES)
    assert choice.rates[np.argmin(choice.fitted)] == pytest.approx(choice.learning_rate, rel=1e-3)


def test_the_best_finished_trial_is_named_and_none_between_those_tried() -> None:
    trials = with_scores()
    trials.append(trial(0.05, user_attrs={"scores": (loss(BEST) - 0.3).tolist()}))
    study = study_of(trials)
    choice = choose(study)
    assert choice.learning_rate == study.best_params["learning_rate"] == 0.05
    assert choice.plateau == (0.05, 0.05)  # its neighbours are far worse
    assert choice.trials == 26
    assert "the best is at 0.05; no other rate tried performs equally well" in choice.reason


def test_a_study_of_ones_own_has_single_values_and_the_reason_says_so() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(asked: optuna.Trial) -> float:
        asked.suggest_int("units", 1, 64)
        return float(loss(asked.suggest_float("lr", 1e-5, 1e-1, log=True))[0])

    study.optimize(objective, n_trials=30)
    choice = choose(study)
    assert (choice.parameter, choice.splits, choice.trials) == ("lr", 1, 30)
    assert abs(math.log10(choice.learning_rate / BEST)) < 0.4
    assert "without splits" in choice.reason
    assert choice.objective == "objective value"


def test_scores_of_some_trials_only_are_left_aside() -> None:
    trials = with_scores()
    trials.append(trial(2e-3, 0.9))
    assert choose(study_of(trials)).splits == 1
    odd = [*with_scores(), trial(2e-3, 0.9, user_attrs={"scores": [0.9, None, 0.8, 0.9]})]
    assert choose(study_of(odd)).splits == 1


def raced(rate: float, splits: Sequence[int], state: str = "PRUNED", **more: Any) -> FrozenTrial:
    """Return a trial as a race leaves it: what it has seen of six splits, the first ones easy."""
    offsets = np.array([-0.5, -0.4, 0.0, 0.2, -0.1, 0.3])
    scores = [1 + 0.3 * math.log10(rate / BEST) ** 2 + float(offsets[each]) for each in splits]
    attributes = {"scores": scores, "splits": list(splits), **more}
    value = float(np.mean([v for s, v in zip(splits, scores, strict=True) if s >= 2] or scores))
    return trial(rate, value, user_attrs=attributes, state=TrialState[state])


def a_race() -> list[FrozenTrial]:
    return [
        raced(1e-4, [0]),
        raced(3e-4, [0, 1]),
        raced(1e-3, [0, 1, 2, 3, 4], "COMPLETE"),
        raced(3e-3, [0, 1], role="baseline"),
        raced(1e-2, [0]),
        raced(5e-4, [2, 3, 4], "COMPLETE"),
        raced(2e-3, [2, 3, 4], "COMPLETE"),
    ]


def test_what_a_race_pruned_is_compared_on_the_splits_that_it_has() -> None:
    choice = choose(study_of(a_race()))
    assert choice.learning_rate == 1e-3
    assert (choice.trials, choice.splits) == (7, 5)
    assert choice.rates == (1e-4, 3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 1e-2)
    # without noise the levels lie as far apart as the curve, in logarithms nearly so,
    # although those that left early have seen the easy splits only
    assert np.argmin(choice.fitted) == 3
    assert (np.diff(choice.fitted[:4]) < 0).all()
    assert (np.diff(choice.fitted[3:]) > 0).all()
    assert choice.baseline_learning_rate == 3e-3  # whose trial was pruned
    assert choice.baseline_inside is False


def test_a_pruned_trial_is_never_named() -> None:
    lucky = raced(1e-2, [0])
    lucky.user_attrs["scores"] = [0.01]
    choice = choose(study_of([*a_race(), lucky]))
    assert choice.learning_rate == 1e-3
    with pytest.raises(ValueError, match="must hold a finished trial with a learning rate"):
        choose(study_of([raced(1e-3, [0, 1]), raced(1e-2, [0])]))


def test_a_trial_that_a_later_one_took_up_counts_once() -> None:
    # a smaller budget had finished 5e-4 with one lucky split
    early = raced(5e-4, [2], "COMPLETE")
    early.value = 0.5
    again = raced(5e-4, [2, 3, 4], "COMPLETE", continues=0)
    others = [each for each in a_race() if each.params["learning_rate"] != 5e-4]
    study = study_of([early, *others, again])
    assert study.best_params["learning_rate"] == 5e-4  # Optuna's best still is that of one split
    choice = choose(study)
    assert choice.learning_rate == 1e-3
    assert choice.trials == 7


def test_scores_of_unequal_length_are_of_the_first_splits() -> None:
    choice = choose(study_of([*with_scores(), trial(2e-3, user_attrs={"scores": [0.9, 1.2]})]))
    assert (choice.splits, choice.trials) == (4, 26)


def test_maximizing_finds_the_same_rate_and_keeps_the_sign() -> None:
    down = choose(study_of(with_scores()))
    up = choose(study_of(with_scores(-1.0), direction="maximize"))
    assert up.direction == "maximize"
    assert up.learning_rate == down.learning_rate
    assert max(up.fitted) < 0
    assert up.rates[np.argmax(up.fitted)] == pytest.approx(up.learning_rate, rel=1e-3)
    assert (np.array(up.band[0]) <= np.array(up.fitted)).all()
    assert (np.array(up.band[1]) >= np.array(up.fitted)).all()


def test_the_baseline_on_the_plateau_or_off_it_or_unknown() -> None:
    inside, outside, unknown = study_of(with_scores()), study_of(with_scores()), study_of([])
    record_facts(inside, baseline_learning_rate=1.1e-3, objective="val_loss")
    choice = choose(inside)
    assert (choice.baseline_inside, choice.baseline_learning_rate) == (True, 1.1e-3)
    assert choice.objective == "val_loss"
    assert "and the baseline 0.0011 is one of them" in choice.reason
    record_facts(outside, baseline_learning_rate=3e-2)
    choice = choose(outside)
    assert choice.baseline_inside is False
    assert "but the baseline 0.03 is not one of them" in choice.reason
    unknown.add_trials(with_scores())
    record_facts(unknown, baseline_learning_rate=None)
    assert choose(unknown).baseline_inside is None


def test_a_trial_of_the_baseline_goes_before_the_facts() -> None:
    scores = loss(3e-2).tolist()
    trials = [*with_scores(), trial(3e-2, user_attrs={"scores": scores, "role": "baseline"})]
    study = study_of(trials)
    record_facts(study, baseline_learning_rate=1e-3)
    choice = choose(study)
    assert (choice.baseline_learning_rate, choice.baseline_inside) == (3e-2, False)


def optimizer_trials(**best: tuple[float, float]) -> list[FrozenTrial]:
    """Return trials of several optimizers: name=(best rate, how much worse it is)."""
    choices = CategoricalDistribution(tuple(best))
    return [
        trial(
            rate,
            name=f"learning_rate_{optimizer}",
            params={"optimizer": optimizer},
            distributions={"optimizer": choices},
            user_attrs={"scores": (loss(rate, best=place) + worse).tolist()},
        )
        for optimizer, (place, worse) in best.items()
        for rate in RATES
    ]


def test_of_several_optimizers_the_best_trial_of_all_is_chosen() -> None:
    study = study_of(optimizer_trials(adam=(1e-3, 0.2), sgd=(2e-2, 0.0), lion=(1e-4, 0.4)))
    record_facts(study, baseline_learning_rate=1e-3)  # of another optimizer, perhaps
    choice = choose(study)
    assert (choice.optimizer, choice.parameter, choice.trials) == ("sgd", "learning_rate_sgd", 25)
    assert abs(math.log10(choice.learning_rate / 2e-2)) < 0.3
    assert "with sgd" in choice.reason
    assert choice.reason.endswith("; the next best optimizer is adam.")
    assert choice.baseline_inside is None
    assert choice.baseline_learning_rate is None


def test_trials_that_failed_were_pruned_or_count_for_nothing_are_ignored() -> None:
    plain = choose(study_of(with_scores()))
    bad = {"user_attrs": {"scores": [0.01] * 4, "diverged": True}}
    extra = [
        trial(5e-2, scored=False, state=TrialState.FAIL, **bad),
        trial(5e-2, 0.01, state=TrialState.PRUNED, **bad),
        trial(5e-2, user_attrs={"scores": [0.01] * 4, "role": "stale"}),
        trial(5e-2, math.inf),
    ]
    assert choose(study_of([*with_scores(), *extra])) == plain


def test_the_recorded_name_is_the_rate_among_several_parameters() -> None:
    trials = [
        trial(
            rate,
            name="eta",
            params={"learning_rate_decay": 0.5},
            distributions={"learning_rate_decay": FloatDistribution(0.1, 0.9)},
            user_attrs={"scores": loss(rate).tolist()},
        )
        for rate in RATES
    ]
    study = study_of(trials)
    record(study, bounds=LearningRateBounds(1e-5, 1e-1, 1e-3, "ok", "by hand"), name="eta")
    assert choose(study).parameter == "eta"


def test_one_trial_is_its_own_answer() -> None:
    choice = choose(study_of([trial(1.23e-3, 0.5)]))
    assert choice.learning_rate == pytest.approx(1.23e-3)
    assert choice.plateau == pytest.approx((1.23e-3, 1.23e-3))
    assert choice.trials == 1


def test_a_study_without_a_finished_trial_with_a_rate_is_refused() -> None:
    message = "`study` must hold a finished trial with a learning rate, but 'bare' holds none among"
    units = create_trial(
        params={"units": 3}, distributions={"units": IntDistribution(1, 9)}, value=1.0
    )
    for trials in ([], [trial(1e-3, state=TrialState.FAIL)], [units]):
        with pytest.raises(ValueError, match=f"{message} {len(trials)} trials; run a search"):
            choose(study_of(trials, study_name="bare"))


def test_a_study_of_several_objectives_is_refused() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], study_name="two")
    with pytest.raises(ValueError, match="`study` must have one objective, but 'two' has 2"):
        choose(study)


def test_what_was_chosen_comes_back_from_the_study() -> None:
    study = study_of(optimizer_trials(adam=(1e-3, 0.2), sgd=(2e-2, 0.0)))
    choice = choose(study)
    record(study, choice=choice)
    kept = recorded_choice(study)
    assert kept is not None
    assert (kept.learning_rate, kept.optimizer, kept.reason) == (
        choice.learning_rate,
        choice.optimizer,
        choice.reason,
    )
    assert kept.plateau == pytest.approx(choice.plateau)
    assert kept.fitted == pytest.approx(choice.fitted)
    assert Choice.from_dict(kept.to_dict()) == kept
    assert choose(study) == choice  # the record does not change it


def test_the_same_trials_give_the_same_choice_in_any_order() -> None:
    trials = with_scores()
    one = choose(study_of(trials))
    order = np.random.default_rng(3).permutation(len(trials))
    other = choose(study_of([trials[place] for place in order]))
    assert (other.learning_rate, other.plateau, other.reason) == (
        one.learning_rate,
        one.plateau,
        one.reason,
    )
    assert other.interval == pytest.approx(one.interval)
    assert other.fitted == pytest.approx(one.fitted)  # sums of another order differ in last bits


def test_the_docstring_example_runs() -> None:
    assert doctest.testmod(choosing).failed == 0


@pytest.mark.slow
def test_it_is_imported_without_tensorflow() -> None:
    code = """
import sys
import tuners.choosing.choosing
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
