"""What the user asked the command for, checked as far as it can be without the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tuners.cli.errors import UserError, nearest

if TYPE_CHECKING:
    from tuners.training.records import How

ENGINES = ("optuna", "keras-tuner")
TUNERS = ("bayesian", "random", "hyperband", "grid")
LARGEST_SEED = 2**31 - 1
LONGEST_NAME = 500

Pair = tuple[float, float]


@dataclass(frozen=True)
class JobOptions:
    """The options of the whole job; `None` stands for what was not given.

    Args:
        data: Path of a wine CSV; None for our own copy.
        task: `MODULE:FUNCTION` or `FILE.py:FUNCTION` of the user's own task.
        optimizer: Names of Keras optimizers with commas between; None means adam.
        drop_repeats: Drop rows that repeat an earlier one before the split.
        batch_size: Rows to a training step; None means the task's.
        engine: "optuna" or "keras-tuner".
        sampler: Of the Optuna engine; None means tpe.
        tuner: Of the KerasTuner engine; None means bayesian.
        pruner: Of the Optuna engine; "none" never stops a trial early.
        objective: What a trial is scored by, at its best epoch.
        trials: Trials of the study in all.
        epochs: Epochs of each training.
        pairs: Pairs of the comparison.
        seed: Decides everything that is random.
        baseline: The rate to beat; None means what the model was compiled with.
        declared: The range `(low, high)` that the bounds stay inside.
        range_seeds: Seeds that the range test averages.
        bounds: Bounds `(low, high)` to search without a range test.
        out: Folder of the run; None means `runs/<task>-<optimizer>-<engine>-seed<N>`.
        storage: Address of Optuna's storage; None means `study.db` in the folder, and
            `study.journal` for several workers.
        study_name: Name of the study; None means the task's.
        workers: Processes on this machine that share the study.
        how: "population" or "sequential"; None lets the model decide.
        dry_run: Print the plan and train nothing.
        quiet: Print the verdict and the report's path only.
        json: Print `report.json` only.

    Raises:
        UserError: An option breaks its rule; the message names it.

    Example:
        >>> JobOptions(trials=8).trials
        8
    """

    data: str | None = None
    task: str | None = None
    optimizer: str | None = None
    drop_repeats: bool = False
    batch_size: int | None = None
    engine: str = "optuna"
    sampler: str | None = None
    tuner: str | None = None
    pruner: str = "none"
    objective: str = "val_loss"
    trials: int = 24
    epochs: int = 30
    pairs: int = 30
    seed: int = 0
    baseline: float | None = None
    declared: Pair = (1e-5, 1.0)
    range_seeds: int = 8
    bounds: Pair | None = None
    out: str | None = None
    storage: str | None = None
    study_name: str | None = None
    workers: int = 1
    how: How | None = None
    dry_run: bool = False
    quiet: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        for name in ("trials", "epochs", "pairs", "range_seeds", "workers", "batch_size"):
            check_count(getattr(self, name), name)
        check_seed(self.seed)
        object.__setattr__(self, "declared", _check_range(self.declared, "range"))
        if self.bounds is not None:
            object.__setattr__(self, "bounds", _check_range(self.bounds, "bounds"))
        if self.baseline is not None and not 0 < self.baseline < math.inf:
            raise UserError(
                f"`--baseline` must be positive and finite, but got {self.baseline:g}; "
                "pass e.g. 1e-3."
            )
        check_choice(self.engine, ENGINES, "engine")
        self._check_engine()
        if self.how is not None:
            check_choice(self.how, ("population", "sequential"), "how")
        if not self.objective.strip():
            raise UserError("`--objective` must name a curve, but got ''; pass e.g. val_loss.")
        self._check_sources()
        self._check_storage()

    @property
    def optimizers(self) -> tuple[str, ...]:
        """The optimizers' names in lower case, one or more."""
        return tuple(part.strip().lower() for part in (self.optimizer or "adam").split(","))

    @property
    def algorithm(self) -> str:
        """What proposes the trials: the sampler or the tuner."""
        if self.engine == "keras-tuner":
            return self.tuner or "bayesian"
        return self.sampler or "tpe"

    @property
    def pair_seed(self) -> int:
        """Seed of the first pair of the comparison, away from the seed of the search."""
        return 1000 * (self.seed + 1) % 2**31

    def _check_engine(self) -> None:
        keras_tuner = self.engine == "keras-tuner"
        for name, wrong, other in (
            ("sampler", keras_tuner, "`--tuner` for KerasTuner's own"),
            ("tuner", not keras_tuner, "`--engine keras-tuner`, or `--sampler` for Optuna's own"),
        ):
            if wrong and getattr(self, name) is not None:
                raise UserError(
                    f"`--{name}` {getattr(self, name)!r} does not go with "
                    f"`--engine {self.engine}`; use {other}."
                )
        if keras_tuner:
            check_choice(self.algorithm, TUNERS, "tuner")
            if self.pruner != "none":
                raise UserError(
                    f"`--pruner` {self.pruner!r} does not go with `--engine keras-tuner`; "
                    "use `--tuner hyperband`."
                )
            if len(self.optimizers) > 1:
                raise UserError(
                    "`--optimizer` may name several optimizers with `--engine optuna` only, "
                    f"but got {self.optimizer!r} with keras-tuner; name one."
                )
            return
        from tuners.engines.samplers import PRUNERS, SAMPLERS, check_sampler

        check_choice(self.algorithm, SAMPLERS, "sampler")
        check_choice(self.pruner, PRUNERS, "pruner")
        try:
            check_sampler(self.algorithm)
        except ValueError as error:  # an extra that is not installed
            raise UserError(str(error).replace("`sampler`", "`--sampler`")) from None

    def _check_sources(self) -> None:
        if self.task is not None:
            for name in ("data", "optimizer"):
                if getattr(self, name) is not None:
                    raise UserError(
                        f"`--{name}` is for the wine task and cannot go with `--task`, but got "
                        f"{getattr(self, name)!r}; leave one of them out."
                    )
            if self.drop_repeats:
                raise UserError(
                    "`--drop-repeats` is for the wine task and cannot go with `--task`; "
                    "drop repeated rows in the task's own function."
                )
            return
        from search_spaces.wine import OPTIMIZERS

        for name in self.optimizers:
            check_choice(name, OPTIMIZERS, "optimizer")
        if len(set(self.optimizers)) < len(self.optimizers):
            raise UserError(
                f"`--optimizer` must name each optimizer once, but got {self.optimizer!r}."
            )

    def _check_storage(self) -> None:
        if self.out is not None and (not self.out.strip() or "\0" in self.out):
            raise UserError(f"`--out` must be a folder, but got {self.out!r}; pass e.g. runs/mine.")
        if self.storage is not None and "://" not in self.storage:
            raise UserError(
                f"`--storage` must be an address, but got {self.storage!r}; "
                "pass e.g. sqlite:///study.db."
            )
        check_study_name(self.study_name)
        if self.workers > 1 and self.engine == "keras-tuner":
            raise UserError(
                f"`--workers` must be 1 with `--engine keras-tuner`, but got {self.workers}; "
                "use `--engine optuna`."
            )
        if self.workers > 1 and (self.storage or "").startswith("sqlite"):
            raise UserError(
                f"`--workers` must be 1 with SQLite, but got {self.workers}; leave `--storage` out "
                "for a journal file, or pass journal:///FILE or a PostgreSQL address."
            )


def from_command(values: Mapping[str, Any]) -> JobOptions:
    """Return the options from what the command line gave; None keeps an option's default.

    Raises:
        UserError: An option breaks its rule.
    """
    return replace(JobOptions(), **{k: v for k, v in values.items() if v is not None})


def check_count(value: int | None, name: str) -> None:
    """Check that an option is 1 or more, or was not given.

    Raises:
        UserError: It is not.
    """
    if value is not None and value < 1:
        option = name.replace("_", "-")
        raise UserError(f"`--{option}` must be 1 or more, but got {value}; pass e.g. 8.")


def check_seed(seed: int) -> None:
    """Check that a seed is a whole number from 0 to 2**31 - 1.

    Raises:
        UserError: It is not.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"`--seed` must be from 0 to {LARGEST_SEED}, but got {seed}; pass e.g. 0.")


def check_choice(value: str, known: tuple[str, ...], name: str) -> None:
    """Check that an option is one of the known names; else suggest the nearest.

    Raises:
        UserError: It is none of them.

    Example:
        >>> check_choice("optuna", ENGINES, "engine")
    """
    if value not in known:
        listed, hint = ", ".join(known), nearest(value, known)
        raise UserError(f"`--{name}` must be one of {listed}, but got {value!r}{hint}")


def check_study_name(name: str | None) -> None:
    """Check that a study's name can be kept by every storage.

    Raises:
        UserError: It is empty, too long, or holds what is no text.
    """
    if name is None:
        return
    if not name.strip() or len(name) > LONGEST_NAME:
        raise UserError(
            f"`--study-name` must have 1 to {LONGEST_NAME} characters, but has "
            f"{len(name) if name.strip() else 'nothing but blanks'}; pass e.g. wine."
        )
    if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise UserError(
            f"`--study-name` must be text without NUL or broken characters, but got {name!r}."
        )


def _check_range(pair: Pair, name: str) -> Pair:
    low, high = pair
    if not 0 < low < high < math.inf:
        raise UserError(
            f"`--{name}` must hold 0 < LOW < HIGH < infinity, but got {low:g} {high:g}; "
            f"pass e.g. --{name} 1e-5 1."
        )
    return float(low), float(high)
