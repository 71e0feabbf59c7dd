"""How a learning rate is searched: range test, training, search, comparison, record, report.

- `range_test`, `LossCurve`, `LearningRateRangeTest`: losses by rate, and bounds from them.
- `train`, `TrainingRecord`: many rates and seeds trained in one compiled program.
- `search`, `narrow`, `NarrowedSampler`, `OptunaOracle`, `PopulationTuner`: search inside bounds.
- `compare`, `Comparison`: the chosen rate against the baseline, in pairs.
- `record`, `write_report`: onto an Optuna study, and from it to a page.

Names are imported when they are first used, so that TensorFlow is loaded only when something
trains or a class extends Keras or KerasTuner.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers, which do not run __getattr__
    from tuners.comparison import Comparison, compare
    from tuners.loss_curve import LossCurve
    from tuners.narrowed_sampler import NarrowedSampler
    from tuners.narrowing import narrow
    from tuners.optuna_oracle import OptunaOracle
    from tuners.population_tuner import PopulationTuner
    from tuners.range_callback import LearningRateRangeTest
    from tuners.range_testing import range_test
    from tuners.report import write_report
    from tuners.searching import search
    from tuners.study_record import record
    from tuners.training import TrainingRecord, train

_HOMES = {
    "LossCurve": "tuners.loss_curve",
    "range_test": "tuners.range_testing",
    "LearningRateRangeTest": "tuners.range_callback",
    "train": "tuners.training",
    "TrainingRecord": "tuners.training",
    "search": "tuners.searching",
    "compare": "tuners.comparison",
    "Comparison": "tuners.comparison",
    "NarrowedSampler": "tuners.narrowed_sampler",
    "narrow": "tuners.narrowing",
    "OptunaOracle": "tuners.optuna_oracle",
    "PopulationTuner": "tuners.population_tuner",
    "record": "tuners.study_record",
    "write_report": "tuners.report",
}

__all__ = [
    "LossCurve",
    "range_test",
    "LearningRateRangeTest",
    "train",
    "TrainingRecord",
    "search",
    "compare",
    "Comparison",
    "NarrowedSampler",
    "narrow",
    "OptunaOracle",
    "PopulationTuner",
    "record",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tuners' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
