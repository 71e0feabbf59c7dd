"""How a learning rate is searched: range test, training, search, choice, comparison, report.

- `range_test`, `LossCurve`, `LearningRateRangeTest`: losses by rate, and bounds from them.
- `train`, `TrainingRecord`: many rates and seeds trained in one compiled program.
- `search`, `narrow`, `NarrowedSampler`, `OptunaOracle`: search from bounds on.
- `LearningRateRace`, `RaceSampler`, `RacePruner`: the method itself, for any framework or study.
- `PopulationTuner`, `optimize_population`: your own search, many trials in one program.
- `choose`, `Choice`: one rate from all trials, and the rates that are as good.
- `compare`, `Comparison`: the chosen rate against the baseline, in pairs.
- `record`, `write_report`: onto an Optuna study, and from it to a page.

Names are imported when they are first used, so that TensorFlow is loaded only when something
trains or a class extends Keras or KerasTuner.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers, which do not run __getattr__
    from tuners.choosing.choice import Choice
    from tuners.choosing.choosing import choose
    from tuners.comparison.comparing import compare
    from tuners.comparison.result import Comparison
    from tuners.curves.loss_curve import LossCurve
    from tuners.engines.searching import search
    from tuners.integrations.keras_tuner_oracle import OptunaOracle
    from tuners.integrations.keras_tuner_population import PopulationTuner
    from tuners.integrations.narrowing import narrow
    from tuners.integrations.optuna_population import optimize_population
    from tuners.integrations.optuna_sampler import NarrowedSampler
    from tuners.range_tests.callback import LearningRateRangeTest
    from tuners.range_tests.runner import range_test
    from tuners.report import write_report
    from tuners.searches.race import LearningRateRace
    from tuners.searches.sampler import RacePruner, RaceSampler
    from tuners.study.recording import record
    from tuners.training.records import TrainingRecord
    from tuners.training.runner import train

_HOMES = {
    "LossCurve": "tuners.curves.loss_curve",
    "range_test": "tuners.range_tests.runner",
    "LearningRateRangeTest": "tuners.range_tests.callback",
    "train": "tuners.training.runner",
    "TrainingRecord": "tuners.training.records",
    "search": "tuners.engines.searching",
    "LearningRateRace": "tuners.searches.race",
    "RaceSampler": "tuners.searches.sampler",
    "RacePruner": "tuners.searches.sampler",
    "choose": "tuners.choosing.choosing",
    "Choice": "tuners.choosing.choice",
    "compare": "tuners.comparison.comparing",
    "Comparison": "tuners.comparison.result",
    "NarrowedSampler": "tuners.integrations.optuna_sampler",
    "narrow": "tuners.integrations.narrowing",
    "OptunaOracle": "tuners.integrations.keras_tuner_oracle",
    "PopulationTuner": "tuners.integrations.keras_tuner_population",
    "optimize_population": "tuners.integrations.optuna_population",
    "record": "tuners.study.recording",
    "write_report": "tuners.report",
}

__all__ = [
    "LossCurve",
    "range_test",
    "LearningRateRangeTest",
    "train",
    "TrainingRecord",
    "search",
    "LearningRateRace",
    "RaceSampler",
    "RacePruner",
    "choose",
    "Choice",
    "compare",
    "Comparison",
    "NarrowedSampler",
    "narrow",
    "OptunaOracle",
    "PopulationTuner",
    "optimize_population",
    "record",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        try:
            return getattr(importlib.import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            if error.name in ("tensorflow", "keras", "keras_tuner"):
                from tuners._checks import needs

                raise ModuleNotFoundError(needs(name, error.name), name=error.name) from None
            raise
    raise AttributeError(f"module 'tuners' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
