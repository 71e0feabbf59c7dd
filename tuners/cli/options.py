"""The options of the whole job, declared once: type, limits, default, help and panel.

Typer reads them from the fields of `JobOptions`. What several options must hold together, and
what needs other rooms to be checked, stands in `tuners.cli.option_checks`. Nothing slow is
imported here, so that `--help` answers at once.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_type_hints

import typer

from tuners.engines.names import (
    Direction,
    Engine,
    Pruner,
    Sampler,
    Tuner,
    default_sampler,
)

LARGEST_SEED = 2**31 - 1

_data = functools.partial(typer.Option, rich_help_panel="Data and model")
_work = functools.partial(typer.Option, rich_help_panel="Range test, search and comparison")
_run = functools.partial(typer.Option, rich_help_panel="The run")

# of the subcommands too
Csv = Annotated[str | None, _data(metavar="CSV", help="Wine CSV; without it our own copy.")]
Pairs = Annotated[int, _work(min=1, help="Pairs of the comparison at most; may grow.")]
Seed = Annotated[int, _work(min=0, max=LARGEST_SEED, help="Decides all that is random.")]
Storage = Annotated[
    str | None, _run(metavar="URL", help="Optuna storage; without it a file in FOLDER.")
]
StudyName = Annotated[str | None, _run(help="Name of the study; without it the task's.")]
Quiet = Annotated[bool, _run("--quiet", help="Print the verdict only.")]
Json = Annotated[bool, _run("--json", help="Print report.json only.")]


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """What the user asked for; `None` stands for what was not given.

    Example:
        >>> JobOptions(trials=8).algorithm
        'qmc'
    """

    data: Csv = None
    task: Annotated[
        str | None, _data(metavar="WHERE:FUNCTION", help="Own task: MODULE or FILE.py and name.")
    ] = None
    optimizer: Annotated[
        str | None,
        _data(metavar="NAME[,NAME]", help="Keras optimizer of the wine model; without it adam."),
    ] = None
    drop_repeats: Annotated[
        bool, _data("--drop-repeats", help="Drop repeated wine rows before the split.")
    ] = False
    batch_size: Annotated[
        int | None, _data(min=1, help="Rows a step; without it the task's (wine: 32).")
    ] = None
    engine: Annotated[Engine, _work(help="Who proposes trials.")] = "optuna"
    sampler: Annotated[Sampler | None, _work(help="Of Optuna; without it qmc.")] = None
    tuner: Annotated[Tuner | None, _work(help="Of KerasTuner; without it bayesian.")] = None
    pruner: Annotated[Pruner, _work(help="What stops trials early, of Optuna.")] = "none"
    objective: Annotated[
        str, _work(metavar="CURVE", help="Score of a trial at its best epoch, e.g. val_accuracy.")
    ] = "val_loss"
    direction: Annotated[
        Direction | None, _work(help="Of the objective; without it by its name.")
    ] = None
    trials: Annotated[int, _work(min=1, help="Trials in all; may grow.")] = 8
    epochs: Annotated[int, _work(min=1, help="Epochs of each training.")] = 30
    splits: Annotated[int, _work(min=1, help="Splits that each trial trains on.")] = 4
    pairs: Pairs = 30
    seed: Seed = 0
    baseline: Annotated[
        float | None, _work(metavar="RATE", help="Rate to beat; without it the compiled one.")
    ] = None
    declared: Annotated[
        tuple[float, float],
        _work("--range", metavar="LOW HIGH", help="Rates allowed, both above 0."),
    ] = (1e-5, 1.0)
    range_seeds: Annotated[
        int, _work(min=1, help="Seeds of the range test; doubled if undecided.")
    ] = 8
    bounds: Annotated[
        tuple[float, float] | None,
        _work(metavar="LOW HIGH", help="Search these rates without a range test."),
    ] = None
    out: Annotated[
        str | None,
        _run(metavar="FOLDER", help="Without it runs/TASK-OPTIMIZER-ENGINE-seedN."),
    ] = None
    storage: Storage = None
    study_name: StudyName = None
    workers: Annotated[int, _run(min=1, help="Processes here that share the training.")] = 1
    how: Annotated[
        Literal["population", "sequential"] | None,
        _run(help="Force training of stacked models, or of one at a time."),
    ] = None
    dry_run: Annotated[
        bool, _run("--dry-run", help="Print plan and estimated time, train nothing.")
    ] = False
    quiet: Quiet = False
    json: Json = False

    @property
    def optimizers(self) -> tuple[str, ...]:
        """The optimizers' names in lower case, one or more."""
        return tuple(part.strip().lower() for part in (self.optimizer or "adam").split(","))

    @property
    def algorithm(self) -> str:
        """What proposes the trials: the sampler or the tuner."""
        if self.engine == "keras-tuner":
            return self.tuner or "bayesian"
        return self.sampler or default_sampler(len(self.optimizers))

    @property
    def pruner_name(self) -> str:
        """The pruner, as a `SearchPlan` calls it."""
        return self.pruner

    @property
    def pair_seed(self) -> int:
        """Seed of the first pair of the comparison, away from the seed of the search."""
        return 1000 * (self.seed + 1) % 2**31


def with_options(command: Callable[[typer.Context, JobOptions], Any]) -> Callable[..., Any]:
    """Return a command that takes each field of `JobOptions` as an option, for Typer to read.

    Args:
        command: Is called with the options as one value.
    """

    def call(context: typer.Context, **values: Any) -> Any:
        return command(context, JobOptions(**values))

    kinds = inspect.Parameter
    types = get_type_hints(JobOptions, include_extras=True)
    context = kinds("context", kinds.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    options = [
        kinds(field.name, kinds.KEYWORD_ONLY, default=field.default, annotation=types[field.name])
        for field in dataclasses.fields(JobOptions)
    ]
    call.__signature__ = inspect.Signature([context, *options])  # type: ignore[attr-defined]
    return call
