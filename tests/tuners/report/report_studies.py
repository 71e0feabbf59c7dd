"""Real Optuna studies made of created trials, without any training."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from search_spaces import LearningRateBounds
from tuners.comparison.judging import judge_arms
from tuners.comparison.result import Arm, Comparison
from tuners.curves.loss_curve import LossCurve
from tuners.study.recording import record, record_facts

START = datetime.datetime(2026, 3, 14, 9, 26, 53)
BOUNDS = LearningRateBounds(
    1.1e-4,
    9.5e-3,
    1.3e-3,
    "ok",
    "The mean loss of 8 seeds falls from 1.1e-4 and is at its lowest near 0.0095.",
    declared=(1e-5, 1.0),
    low_interval=(7e-5, 1.6e-4),
    high_interval=(6.1e-3, 1.3e-2),
    seeds=8,
)


def make_curve(seeds: int = 8, steps: int = 120, kind: str = "ramp") -> LossCurve:
    generator = np.random.default_rng(7)
    rates = np.geomspace(1e-6, 10, steps)
    clean = 0.69 - 0.2 / (1 + (7e-4 / rates) ** 1.2) + 0.02 * (rates / 0.05) ** 1.5
    losses = clean[:, None] + generator.normal(0, 0.05, (steps, seeds)) * (1 + rates[:, None])
    return LossCurve(rates, np.minimum(losses, 30), kind=kind, declared=(1e-5, 1.0))


def make_comparison(gain: float = 0.0, pairs: int = 30, **changes: Any) -> Comparison:
    generator = np.random.default_rng(11)
    shared = generator.normal(0.46, 0.006, pairs)
    values = [
        shared + generator.normal(0, 0.004, pairs) - gain,
        shared + generator.normal(0, 0.004, pairs),
    ]
    arms = []
    for i, rate in enumerate((1.62e-3, 1e-3)):
        accuracy = np.clip(generator.normal(0.779 + gain * (i == 0), 0.008, pairs), 0, 1)
        epochs = np.arange(40)
        train = 0.62 * np.exp(-epochs / 9) + 0.3
        arms.append(
            Arm(
                name="wine",
                learning_rate=rate,
                values=tuple(values[i].tolist()),
                validation=tuple((values[i] + 0.005).tolist()),
                metrics={"loss": tuple(values[i].tolist())},
                accuracy=tuple(accuracy.tolist()),
                confusion=((348.2, 133.8), (140.6, 670.4)),
                best_epochs=tuple([17 + i] * pairs),
                diverged=(False,) * pairs,
                curves={"loss": tuple(train.tolist()), "val_loss": tuple((train + 0.05).tolist())},
            )
        )
    settings: dict[str, Any] = {
        "seeds": range(1000, 1000 + pairs),
        "direction": "minimize",
        "chosen_learning_rate": 1.62e-3,
        "baseline_learning_rate": 1e-3,
        "objective": "val_loss",
        "metric": "loss",
        "measured_on": "test",
        "epochs": 40,
        "resplit": True,
        "rows": 1293,
        "how": "population",
        "why": "the first steps agree with Keras",
        "chunk_size": 8,
        "seconds": 41.7,
    }
    return judge_arms(arms[0], arms[1], **(settings | changes))


def make_facts(**changes: Any) -> dict[str, Any]:
    return {
        "task": "wine",
        "objective": "val_loss",
        "direction": "minimize",
        "epochs": 40,
        "batch_size": 32,
        "baseline_learning_rate": 1e-3,
        "engine": "optuna",
        "sampler": "tpe",
        "seed": 0,
        "trials": 24,
        "pairs": 30,
        "data_hash": "5f2c9d81a0be",
        "train_rows": 4136,
        "validation_rows": 1034,
        "test_rows": 1293,
        "repeats_shared": 0,
        "features": 12,
        "optimizer": "adam",
        "model_parameters": 100_865,
        "how": "population",
        "why": "the first steps of two lanes agree with Keras",
        "chunk_size": 8,
        "versions": {"python": "3.11.9", "tensorflow": "2.21.0", "keras": "3.15.1"},
        "machine": "Linux x86_64, 2 cores",
        "command": "lr-range-search --seed 0",
        "started": "2026-03-14 09:26",
        "seconds_range_test": 2.4,
        "seconds_search": 23.8,
        "seconds_comparison": 41.7,
        "epochs_search": 960,
        "epochs_comparison": 2400,
        "steps_range_test": 1600,
    } | changes


def make_trial(
    rate: float | None,
    value: float | None,
    number: int = 0,
    *,
    state: TrialState = TrialState.COMPLETE,
    role: str = "search",
    epochs: int = 40,
    best_epoch: int = 17,
    curves: bool = True,
    attributes: dict[str, Any] | None = None,
    low: float = 1.1e-4,
    high: float = 9.5e-3,
    name: str = "learning_rate",
    seed: int | None = 0,
) -> optuna.trial.FrozenTrial:
    steps = np.arange(epochs)
    user: dict[str, Any] = {"role": role, "diverged": state is TrialState.FAIL, "epochs": epochs}
    user |= {"best_epoch": best_epoch, "seconds": 0.9 + 0.01 * (number % 7), "how": "population"}
    if seed is not None:
        user["seed"] = seed
    if value is not None:
        user["scores"] = [value]
        if curves:
            user["curves"] = {
                "loss": [round(float(v), 6) for v in value - 0.06 + 0.25 * np.exp(-steps / 7)],
                "val_loss": [
                    round(float(v), 6)
                    for v in value + 0.0001 * (steps - best_epoch) ** 2 + 0.1 * np.exp(-steps / 5)
                ],
            }
    started = START + datetime.timedelta(seconds=number)
    trial = create_trial(
        state=state,
        value=value if state is not TrialState.FAIL else None,
        params={} if rate is None else {name: rate},
        distributions={} if rate is None else {name: FloatDistribution(low, high, log=True)},
        user_attrs=user | (attributes or {}),
    )
    trial.datetime_start = started
    if state.is_finished():
        trial.datetime_complete = started + datetime.timedelta(seconds=0.9)
    return trial


def make_trials(count: int = 24, seed: int = 0, **changes: Any) -> list[optuna.trial.FrozenTrial]:
    generator = np.random.default_rng(seed)
    rates = np.exp(generator.uniform(math.log(1.15e-4), math.log(9e-3), count))
    rates[: count // 2] = np.exp(generator.normal(math.log(1.4e-3), 0.5, count // 2))
    rates = np.clip(rates, 1.15e-4, 9.4e-3)
    trials = []
    for number, rate in enumerate(rates):
        value = 0.448 + 0.012 * math.log10(rate / 1.5e-3) ** 2 + generator.normal(0, 0.003)
        role = {0: "baseline", 1: "suggestion"}.get(number, "search")
        rate = {0: 1e-3, 1: 1.3e-3}.get(number, float(rate))
        failed = number % 17 == 13
        trials.append(
            make_trial(
                float(rate),
                None if failed else value,
                number,
                state=TrialState.FAIL if failed else TrialState.COMPLETE,
                role=role,
                **changes,
            )
        )
    return trials


def make_study(
    *,
    trials: list[optuna.trial.FrozenTrial] | None = None,
    curve: LossCurve | None = None,
    bounds: LearningRateBounds | None = BOUNDS,
    comparison: Comparison | None = None,
    facts: dict[str, Any] | None = None,
    name: str = "wine-adam",
    direction: str = "minimize",
    bare: bool = False,
) -> optuna.Study:
    """Return a study in memory; `bare` leaves out everything that is not asked for."""
    study = optuna.create_study(study_name=name, direction=direction)
    for trial in make_trials() if trials is None and not bare else trials or []:
        study.add_trial(trial)
    if not bare:
        record(
            study,
            curve=curve or make_curve(),
            bounds=bounds,
            comparison=comparison or make_comparison(),
        )
        record_facts(study, **make_facts())
    if facts is not None:
        record_facts(study, **facts)
    if bare and comparison is not None:
        record(study, comparison=comparison)
    return study
