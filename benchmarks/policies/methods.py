"""The methods of the benchmark: policies with a name, a kind and how often they are replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.budgets import BUDGETS, MOST
from benchmarks.policies import keras_tuner, neps, optuna_studies, ours
from benchmarks.policies.bounds import from_range_test
from benchmarks.replay import Play

OURS = "ours"
FEWEST = 4  # trainings with which a race shows anything
RULES = {
    "valley": "fastai's valley",
    "slide": "fastai's slide",
    "steepest": "fastai's steepest",
    "minimum/10": "fastai's minimum/10",
    "torch-lr-finder": "torch-lr-finder",
    "lightning": "Lightning",
}
Kind = Literal["ours", "no search", "rival", "in our bounds", "with our score"]


@dataclass(frozen=True)
class Method:
    """One line of the figure.

    Args:
        name: What tables call it.
        kind: Which group it stands in.
        play: The policy, where it can be asked at any moment what it would name.
        play_for: The policy of each budget, where it plans with it.
        repeats: How many deals of the splits it is replayed on: fewer where it is slow.
        slow: Whether its answers are kept: its sampler takes seconds, and none of our code.
    """

    name: str
    kind: Kind
    play: Play | None = None
    play_for: dict[int, Play] | None = None
    repeats: int = 4
    slow: bool = False


def methods() -> list[Method]:
    """Return all methods, ours first."""
    trials, score = optuna_studies.trials, optuna_studies.our_score
    random, tpe, gp = optuna_studies.random_sampler, optuna_studies.tpe, optuna_studies.gp
    return [
        Method(OURS, "ours", play_for=_races()),
        Method(
            "ours, one after the other",
            "ours",
            play_for={b: ours.one_after_the_other(b) for b in BUDGETS if b >= FEWEST},
        ),
        Method("Keras's default rate", "no search", ours.keras_default),
        Method("our range test's suggestion", "no search", ours.suggestion),
        Method("a ramp's suggestion", "no search", ours.ramp),
        *[Method(words, "no search", ours.rule(name)) for name, words in RULES.items()],
        Method("random", "rival", trials(random, MOST)),
        Method("Optuna TPE", "rival", trials(tpe, MOST)),
        Method("Optuna GP", "rival", trials(gp, MOST), repeats=1, slow=True),
        Method("Optuna CMA-ES", "rival", trials(optuna_studies.cma_es, MOST)),
        Method("KerasTuner Bayesian", "rival", keras_tuner.bayesian(MOST), repeats=1, slow=True),
        Method("KerasTuner Hyperband", "rival", keras_tuner.hyperband()),
        Method(
            "Optuna Hyperband",
            "rival",
            optuna_studies.pruned(optuna_studies.hyperband, 200),
            repeats=2,
        ),
        Method("Optuna ASHA", "rival", optuna_studies.pruned(optuna_studies.asha, 200), repeats=2),
        Method("Optuna TPE, Wilcoxon pruner", "rival", optuna_studies.wilcoxon(MOST, 4)),
        Method("top after one epoch", "rival", optuna_studies.top_after_one_epoch(24)),
        Method("NePS PriorBand", "rival", neps.priorband(MOST), repeats=1, slow=True),
        Method(
            "random in our bounds", "in our bounds", trials(random, MOST, bounds=from_range_test)
        ),
        Method("TPE in our bounds", "in our bounds", trials(tpe, MOST, bounds=from_range_test)),
        Method("random, our score", "with our score", trials(random, MOST, score=score)),
        Method("TPE, our score", "with our score", trials(tpe, MOST, score=score)),
        Method(
            "race, no range test",
            "with our score",
            play_for={b: ours.race(b, tested=False) for b in BUDGETS if b >= FEWEST},
        ),
    ]


def _races() -> dict[int, Play]:
    plays: dict[int, Play] = {budget: ours.race(budget) for budget in BUDGETS if budget >= FEWEST}
    return plays | {1: ours.suggestion}
