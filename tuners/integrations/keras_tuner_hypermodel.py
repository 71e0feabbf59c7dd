"""Give a KerasTuner hypermodel that asks for no learning rate one of its own."""

from __future__ import annotations

import logging
from typing import Any

import keras_tuner

from search_spaces.learning_rate import LearningRateBounds
from tuners._checks import InputError
from tuners.training.models import random_state_kept

logger = logging.getLogger(__name__)
MOST_BUILDS = 100  # values of choices that are tried in search of a rate


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


def asked_for(tuner: Any, name: str) -> tuple[list[Any], dict[str, Any]]:
    """Return what the hypermodel asks for by a name, and the choices that lead there.

    KerasTuner knows what the default values and conditional scopes lead to. Behind a plain `if`,
    an entry comes up only with other values, so models are built with each value of each choice
    in turn until it does. The random state is as it was afterwards.

    Args:
        tuner: A tuner with a hypermodel.
        name: Name of a hyperparameter, or its last part after scopes.

    Returns:
        The entries, none where no choice leads to one; and the values that were needed.
    """
    kinds = keras_tuner.engine.hyperparameters
    waiting: list[dict[str, Any]] = [{}]
    seen: set[tuple[str, Any]] = set()
    with random_state_kept():
        for given in waiting:  # which grows
            asked = keras_tuner.HyperParameters()
            asked.values = dict(given)
            try:
                tuner.hypermodel.build(asked)
            except Exception:
                if not given:
                    raise
                continue  # the search will meet it, and count it as a failed trial
            found = [entry for entry in asked.space if matches(entry.name, name)]
            if found:
                return found, given
            for entry in asked.space:
                if not isinstance(entry, (kinds.Choice, kinds.Boolean)):
                    continue
                others = [(entry.name, value) for value in entry.values]
                new = [each for each in others if each not in seen]
                seen.update(new)
                waiting += [
                    {**given, key: value} for key, value in new if asked.values.get(key) != value
                ]
            if len(seen) > MOST_BUILDS:
                break
    return [], {}


def lacks_rate(tuner: Any, name: str, is_worker: bool) -> bool:
    """Return whether the hypermodel itself asks for no hyperparameter of that name.

    The oracle's space alone does not tell: on resume it holds the entry that was added before.
    """
    known = [] if is_worker else tuner.oracle.hyperparameters.space
    known = [entry for entry in known if matches(entry.name, name)]
    if tuner.hypermodel is None:
        return not known
    return not any(entry.conditions for entry in known) and not asked_for(tuner, name)[0]


def add_rate(tuner: Any, bounds: LearningRateBounds, name: str, is_worker: bool) -> None:
    """Declare a rate to the oracle, and let the tuner's models use it.

    Its hypermodel is wrapped so that it asks for the rate and sets it. Where a tuner has no
    hypermodel, or compiles in a `fit` or a `run_trial` of its own, that is what has to ask.

    Raises:
        ValueError: The tuner recompiles every model, or the model's optimizer holds no plain rate.
    """
    if getattr(tuner, "optimizer", None):
        raise InputError(
            "`add_missing=True` needs a tuner without `optimizer=`, but this one recompiles every "
            "model with its own, which would discard the rate; set the optimizer where the model "
            "is built."
        )
    later = tuner.hypermodel is None or (_trains_itself(tuner) and not _compiles(tuner.hypermodel))
    if not later:
        tuner.hypermodel = RateHyperModel(tuner.hypermodel, bounds, name)
        with random_state_kept():
            tuner.hypermodel.build(keras_tuner.HyperParameters())  # refuses a schedule now
    if not is_worker:
        space = tuner.oracle.get_space()
        _add_float(space, bounds, name)
        tuner.oracle.hyperparameters = space
    if later:
        logger.warning(
            '%s: declared to the tuner over [%g, %g]; its own training gets it by hp.Float("%s", '
            "...), outside of any scope, whatever range stands there.",
            *(name, bounds.low, bounds.high, name),
        )
    else:
        logger.info("%s: added; the model asked for no such hyperparameter.", name)


def _trains_itself(tuner: Any) -> bool:
    """Return whether a tuner has a `run_trial` of the user's, or its hypermodel a `fit`."""
    hypermodel = tuner.hypermodel
    while isinstance(hypermodel, RateHyperModel):
        hypermodel = hypermodel.inner
    library = type(tuner).run_trial.__module__.split(".")[0] in ("keras_tuner", "tuners")
    return not library or type(hypermodel).fit is not keras_tuner.HyperModel.fit


def _compiles(hypermodel: Any) -> bool:
    with random_state_kept():
        model = hypermodel.build(keras_tuner.HyperParameters())
    return getattr(model, "optimizer", None) is not None


def _add_float(hp: Any, bounds: LearningRateBounds, name: str) -> float:
    low, high = bounds.declared or (bounds.low, bounds.high)  # it is narrowed as any other one
    return hp.Float(name, low, high, sampling="log", default=bounds.suggestion)
