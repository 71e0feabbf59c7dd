"""A user's script that calls every public name; mypy reads it, nothing runs it."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna

from search_spaces import LearningRateBounds, TuningTask, wine_task
from tuners import (
    Choice,
    Comparison,
    LearningRateRace,
    LearningRateRangeTest,
    LossCurve,
    NarrowedSampler,
    OptunaOracle,
    PopulationTuner,
    RacePruner,
    RaceSampler,
    TrainingRecord,
    choose,
    compare,
    narrow,
    optimize_population,
    range_test,
    record,
    search,
    train,
    write_report,
)


def build_model() -> Any: ...


def build_from_trial(trial: optuna.Trial) -> Any: ...


def objective(trial: optuna.Trial) -> float:
    return LearningRateBounds(1e-4, 1e-2, 1e-3, "ok", "by hand").suggest(trial)


def main(model: Any, tuner: Any, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> Path:
    task: TuningTask = wine_task(optimizer="sgd")
    own = TuningTask("own", build_model, (x, y), (x, y), (x, y), batch_size=8, resplit="shuffle")
    curve: LossCurve = range_test(build_model, x, y, epochs=10, batch_size=32, verbose=0)
    bounds: LearningRateBounds = curve.bounds()
    print(bounds.low, bounds.decades, curve.suggest("valley"), curve.smoothed().shape)
    curve.plot().set_title(str(curve))
    LossCurve.from_json(curve.to_json("curve.json"))
    bounds.plot()
    callback = LearningRateRangeTest(1e-6, 10.0, steps=100)
    model.fit(x, y, callbacks=[callback])
    print(callback.curve.bounds())
    study: optuna.Study = narrow(optuna.create_study(), curve, baseline=1e-3)
    study.optimize(objective, n_trials=3)
    optuna.create_study(sampler=NarrowedSampler({"lr": bounds}, optuna.samplers.TPESampler()))
    narrow(tuner, (1e-4, 1e-2), name="lr")
    oracle = OptunaOracle(study, objective="val_loss", max_trials=3)
    PopulationTuner(oracle, build_model, lanes=4).search(x, y, epochs=3)
    optimize_population(study, build_from_trial, (x, y), validation=(x, y), n_trials=4, epochs=3)
    trained: TrainingRecord = train(own, [1e-3, 1e-2], [0, 1], epochs=3)
    print(trained.best(), trained.scores(), trained.how)
    found: optuna.Study = search(task, bounds, trials=4, epochs=5, splits=2, curve=curve)
    raced: optuna.Study = search(task, bounds, budget=12, epochs=5)
    race = LearningRateRace((1e-5, 1.0), budget=12, baseline=1e-3, epochs=5)
    while not race.done:
        race.tell([[rate + split] * 3 for rate, split, share in race.ask() if share > 0])
    print(raced.trials, race.choice, race.cost, race.bounds.low, race.to_dict())
    optuna.create_study(sampler=RaceSampler(bounds, baseline=1e-3), pruner=RacePruner())
    choice: Choice = choose(found)
    low, high = choice.plateau
    print(low, high, choice.baseline_inside)
    comparison: Comparison = compare(task, choice.learning_rate, epochs=5, study=found)
    verdict: str = comparison.verdict
    print(verdict, comparison.summary(), comparison.plot())
    record(found, curve=curve, bounds=bounds, choice=choice, comparison=comparison)
    record(tuner, choice=choose(tuner))
    return write_report(found, "report.html")
