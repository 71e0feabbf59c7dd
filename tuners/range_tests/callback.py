"""LearningRateRangeTest: a range test inside a user's own `model.fit`."""

from __future__ import annotations

import contextlib
import math
import warnings
from typing import Any

import keras
import numpy as np

from tuners._checks import InputError, check_range, check_whole
from tuners.curves.loss_curve import LossCurve
from tuners.training.models import leaf_optimizers, random_state_kept
from tuners.training.schedules import VariableRate
from tuners.training.state import ModelState

UNSUITED = ("ScheduleFreeAdamW",)  # its rate also weighs the average of its weights


class LearningRateRangeTest(keras.callbacks.Callback):
    """Raise the rate batch by batch in `model.fit`, then leave the model as it was found.

    Each batch's own loss is recorded, not Keras's running mean, which would move every answer to
    higher rates. The fit ends after `steps` batches, or once the loss has diverged; weights,
    optimizer, rate, metrics and random state are then put back, so that the next `fit` is the one
    that would have been. What Keras logs in this fit is the loss of the last batch.

    Under gradient accumulation a rate is held for as many batches as make an update; with
    `steps_per_execution` above 1 it is held for an execution, whose mean loss is one point. A
    schedule compiled into the model is set aside for the test. `fit` calls no callback when user
    code raises or Ctrl-C is pressed: use the callback as a context, or call `restore()`.

    Args:
        min_learning_rate: The first rate, above 0.
        max_learning_rate: The last rate, above the first.
        steps: Batches of the test, 2 or more; the fit needs as many, over any number of epochs.
        loss: The key of the loss in the logs, for models with their own `train_step`.
        declared: The range `(low, high)` that would be searched without the test; None means
            the rates of the test.
        stop_early: Whether to stop once the loss has diverged; a loss that is not finite always
            ends the test.

    Raises:
        ValueError: An argument breaks its rule; or, in `fit`, the model cannot be tested.

    Example:
        >>> test = LearningRateRangeTest(1e-6, 1.0, steps=200)
        >>> with test:  # doctest: +SKIP
        ...     model.fit(x, y, epochs=100, callbacks=[test])
        >>> test.curve.bounds()  # doctest: +SKIP
    """

    def __init__(
        self,
        min_learning_rate: float = 1e-7,
        max_learning_rate: float = 10.0,
        steps: int = 200,
        *,
        loss: str = "loss",
        declared: tuple[float, float] | None = None,
        stop_early: bool = True,
    ) -> None:
        super().__init__()
        low, high = check_range(min_learning_rate, max_learning_rate, "min_learning_rate, max")
        if low == high:
            raise InputError(
                f"`min_learning_rate` must be below `max_learning_rate`, but both are {low:g}."
            )
        self.steps, self.loss, self.declared = check_whole(steps, "steps", 2), loss, declared
        self.low, self.high, self.stop_early = low, high, stop_early
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._kept: ModelState | None = None
        self._randomness = contextlib.ExitStack()

    @property
    def curve(self) -> LossCurve:
        """The losses measured, after `fit`.

        Raises:
            ValueError: No batch was trained yet.
        """
        if not self.rates:
            raise InputError(
                "`curve` needs a fit with this callback, but none has run; "
                "call model.fit(..., callbacks=[test])."
            )
        rates, losses = np.array(self.rates), np.array(self.losses)
        declared = self.declared or (self.low, self.high)
        return LossCurve(rates, losses, declared=declared, gradient_steps=self._batches)

    def __enter__(self) -> LearningRateRangeTest:
        return self

    def __exit__(self, *exception: object) -> None:
        self.restore()

    def restore(self) -> None:
        """Put the model back as it was found; does nothing where that is done already."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            kept.restore()
            self._randomness.close()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keep the model's state and take the rate in hand."""
        self._check_model()
        self.rates, self.losses, self._batches, self._finished = [], [], 0, False
        self._randomness.enter_context(random_state_kept())
        self._kept = ModelState(self.model)
        optimizer = leaf_optimizers(self.model.optimizer)[0]
        self._execution = max(int(getattr(self.model, "steps_per_execution", 1) or 1), 1)
        accumulated = max(int(optimizer.gradient_accumulation_steps or 1), 1)
        self._hold = math.ceil(accumulated / self._execution) * self._execution
        if isinstance(optimizer._learning_rate, keras.Variable):
            self._rate = optimizer._learning_rate
        else:  # only a schedule may replace a schedule, and only a new program notices
            self._rate = keras.Variable(self.low, trainable=False, name="tested_learning_rate")
            optimizer.learning_rate = VariableRate(self._rate)
            self.model.make_train_function(force=True)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the rate, and let the logs count this batch alone."""
        self.model.reset_metrics()
        held = self._batches // self._hold * self._hold
        share = min(held / max(self.steps - self._hold, 1), 1.0)
        rate = self.low * (self.high / self.low) ** share
        self._rate.assign(rate)
        self.rates.append(rate)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the loss of the batch, and stop where the test is done."""
        if self.loss not in (logs or {}):
            raise InputError(
                f"`loss` must be a key of the training logs, but got {self.loss!r}; "
                f"they have {', '.join(sorted(logs or {})) or 'none'}."
            )
        assert logs is not None
        self.losses.append(float(logs[self.loss]))
        self._batches += self._execution
        if self._batches >= self.steps or self._diverged():
            self._finished = True
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the model back; weight averages (EMA) have been written by now."""
        self.restore()
        if not self._finished:
            warnings.warn(
                f"The fit ended after {self._batches} of the {self.steps} batches of the range "
                "test, so the highest rates were not tested; give it more epochs.",
                stacklevel=2,
            )

    def _check_model(self) -> None:
        optimizer = self.model.optimizer
        leaves = leaf_optimizers(optimizer)
        if len(leaves) != 1:
            raise InputError(
                "The range test needs one optimizer with one rate, but the model has "
                f"{len(leaves)}; test a copy compiled with one of them."
            )
        name = type(leaves[0]).__name__
        if name in UNSUITED:
            raise InputError(
                f"The range test cannot read {name}, whose rate also weighs the average of its "
                "weights; train at a few constant rates instead, and read them by LossCurve(..., "
                "kind='sweep').bounds()."
            )
        if not isinstance(
            leaves[0]._learning_rate,
            (keras.Variable, keras.optimizers.schedules.LearningRateSchedule),
        ):
            raise InputError(
                "The range test needs a rate or a LearningRateSchedule, but the optimizer was "
                "compiled with a function; compile it with learning_rate=0.001, for example."
            )

    def _diverged(self) -> bool:
        losses = self.losses
        if not math.isfinite(losses[-1]):
            return True
        head = max(5, self.steps // (20 * self._execution))
        if not self.stop_early or len(losses) < 2 * head:
            return False
        start = float(np.mean(losses[:head]))
        smooth = np.convolve(losses, np.full(head, 1 / head), mode="valid")
        noise = float(np.median(np.abs(np.diff(losses))))
        return bool(smooth[-1] > start + 3 * max(start - float(smooth.min()), 4 * noise))
