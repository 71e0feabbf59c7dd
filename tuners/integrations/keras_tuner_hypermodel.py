"""Give a KerasTuner hypermodel that asks for no learning rate one of its own."""

from __future__ import annotations

import logging
from typing import Any

import keras_tuner

from search_spaces.learning_rate import LearningRateBounds
from tuners._checks import InputError
from tuners.training.models import random_state_kept

logger = logging.getLogger(__name__)


class RateHyperModel(keras_tuner.HyperModel):
    """A hypermodel whose compiled optimizer gets its rate from a hyperparameter of its own.

    Args:
        inner: The hypermodel that asks for no rate; its `fit` and declarations are kept.
        bounds: Range and default of the added log-sampled `Float`.
        rate_name: Its name.
    """

    def __init__(self, inner: Any, bounds: LearningRateBounds, rate_name: str) -> None:
        super().__init__(name=inner.name)
        self.inner, self.bounds, self.rate_name = inner, bounds, rate_name

    def build(self, hp: Any) -> Any:
        """Return the inner model with the hyperparameter's rate on its optimizer."""
        model = self.inner.build(hp)
        rate = _add_float(hp, self.bounds, self.rate_name)
        try:
            model.optimizer.learning_rate = rate
        except (AttributeError, TypeError) as error:
            raise keras_tuner.errors.FatalValueError(
                "`add_missing=True` needs a compiled model whose optimizer holds one plain rate, "
                f"but setting it on {type(model.optimizer).__name__} failed ({error}); ask for "
                f'hp.Float("{self.rate_name}", ...) where the model is built instead.'
            ) from error
        return model

    def declare_hyperparameters(self, hp: Any) -> None:
        """Pass on to the inner hypermodel."""
        self.inner.declare_hyperparameters(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Train as the inner hypermodel does."""
        return self.inner.fit(hp, model, *args, **kwargs)


def matches(full_name: str, name: str) -> bool:
    """Return whether `name` is a hyperparameter's full name or its last part after scopes."""
    return full_name == name or full_name.rsplit("/", 1)[-1] == name


def lacks_rate(tuner: Any, name: str, is_worker: bool) -> bool:
    """Return whether the hypermodel itself asks for no hyperparameter of that name.

    The oracle's space alone does not tell: on resume it holds the entry that was added before.
    """
    if tuner.hypermodel is None:
        return False
    known = [] if is_worker else tuner.oracle.hyperparameters.space
    if any(matches(entry.name, name) and entry.conditions for entry in known):
        return False
    asked = keras_tuner.HyperParameters()
    with random_state_kept():
        tuner.hypermodel.build(asked)
    return not any(matches(entry.name, name) for entry in asked.space)


def add_rate(tuner: Any, bounds: LearningRateBounds, name: str, is_worker: bool) -> None:
    """Wrap the tuner's hypermodel so that it asks for a rate, and declare it to the oracle.

    Raises:
        ValueError: The tuner recompiles every model, or the model's optimizer holds no plain rate.
    """
    if getattr(tuner, "optimizer", None):
        raise InputError(
            "`add_missing=True` needs a tuner without `optimizer=`, but this one recompiles every "
            "model with its own, which would discard the rate; set the optimizer where the model "
            "is built."
        )
    tuner.hypermodel = RateHyperModel(tuner.hypermodel, bounds, name)
    with random_state_kept():
        tuner.hypermodel.build(keras_tuner.HyperParameters())  # refuses a schedule now, not later
    if not is_worker:
        space = tuner.oracle.get_space()
        _add_float(space, bounds, name)
        tuner.oracle.hyperparameters = space
    logger.info("%s: added; the model asked for no such hyperparameter.", name)


def _add_float(hp: Any, bounds: LearningRateBounds, name: str) -> float:
    low, high = bounds.low, bounds.high
    return hp.Float(name, low, high, sampling="log", default=bounds.suggestion)
