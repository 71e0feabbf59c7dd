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
    DEFAULT_TRIALS,
    Direction,
    Engine,
    Pruner,
    Sampler,
    Tuner,
    default_budget,
    default_sampler,
    races,
)

LARGEST_SEED = 2**31 - 1

_data = functools.partial(typer.Option, rich_help_panel="Data and model")
_work = functools.partial(typer.Option, rich_help_panel="Range test, search and comparison")
_run = functools.partial(typer.Option, rich_help_panel="The run")


def at_least(least: int, most: int | None = None) -> Callable[..., int | None]:
    """Return a check of a whole number for Typer, whose own limits clutter the help.

    Args:
        least: Smallest value allowed.
        most: Largest value allowed; None for no limit.
    """

    def check(param: typer.CallbackParam, value: int | None) -> int | None:
        if value is None or (least <= value and (most is None or value <= most)):
            return value
        from search_spaces._input import check_whole

        name, example = param.opts[0], param.default or 32
        cure = f"pass e.g. {name} {example}"
        return check_whole(value, name, least, most, cure=cure)

    return check


_count = at_least(1)

# of the subcommands too
Csv = Annotated[
    str | None,
    _data(metavar="CSV", help="File of the wine data. Default: our own copy."),
]
Epochs = Annotated[int, _work(metavar="N", callback=_count, help="Epochs of every training.")]
Pairs = Annotated[
    int,
    _work(
        metavar="N",
        callback=_count,
        help="Pairs in the comparison, at most. A larger number later adds pairs.",
    ),
]
Seed = Annotated[
    int,
    _work(
        metavar="N",
        callback=at_least(0, LARGEST_SEED),
        help="Decides everything that is random. The same seed gives the same run.",
    ),
]
Storage = Annotated[
    str | None,
    _run(metavar="URL", help="Optuna storage. Default: the file study.db in the folder."),
]
StudyName = Annotated[
    str | None, _run(metavar="NAME", help="Name of the study. Default: the name of the task.")
]
Quiet = Annotated[bool, _run("--quiet", metavar="", help="Print the verdict and nothing else.")]
Json = Annotated[
    bool, _run("--json", metavar="", help="Print the report as JSON and nothing else.")
]


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """What the user asked for; `None` stands for what was not given.

    Example:
        >>> JobOptions().algorithm, JobOptions(trials=8).algorithm
        ('race', 'qmc')
    """

    data: Csv = None
    task: Annotated[
        str | None,
        _data(
            metavar="FILE.py:FUNCTION",
            help="Your own task: a file or module, and its function that returns a TuningTask.",
        ),
    ] = None
    optimizer: Annotated[
        str | None,
        _data(metavar="NAME,...", help="Optimizer of the wine model, or several. Default: adam."),
    ] = None
    drop_repeats: Annotated[
        bool,
        _data("--drop-repeats", metavar="", help="Drop repeated wine rows before they are split."),
    ] = False
    batch_size: Annotated[
        int | None,
        _data(metavar="N", callback=_count, help="Rows in a step. Default: the task's own."),
    ] = None
    engine: Annotated[
        Engine, _work(metavar="NAME", help="Who proposes the trials: optuna or keras-tuner.")
    ] = "optuna"
    sampler: Annotated[
        Sampler | None,
        _work(
            metavar="NAME",
            help="How Optuna proposes trials: tpe, gp, random, qmc or cmaes. Default: a race, and "
            "with --trials qmc, or tpe for several optimizers.",
        ),
    ] = None
    tuner: Annotated[
        Tuner | None,
        _work(
            metavar="NAME",
            help="How KerasTuner proposes: bayesian, random, hyperband or grid. Default: bayesian.",
        ),
    ] = None
    pruner: Annotated[
        Pruner,
        _work(
            metavar="NAME",
            help="How Optuna stops weak trials early: none, median, percentile, "
            "successive_halving or hyperband.",
        ),
    ] = "none"
    objective: Annotated[
        str, _work(metavar="NAME", help="What scores a trial, for example val_accuracy.")
    ] = "val_loss"
    direction: Annotated[
        Direction | None,
        _work(
            metavar="NAME",
            help="Whether to minimize or maximize the objective. Default: known from its name.",
        ),
    ] = None
    budget: Annotated[
        int | None,
        _work(
            metavar="N",
            callback=at_least(2),
            help="Trainings that range test and search may spend, at most. A larger number later "
            "adds some. Default: 12, and 7 more for each further optimizer.",
        ),
    ] = None
    trials: Annotated[
        int | None,
        _work(
            metavar="N",
            callback=_count,
            help="Try so many learning rates, each on all splits, in place of a race. A larger "
            "number later adds trials. Default with --sampler or keras-tuner: 8.",
        ),
    ] = None
    epochs: Epochs = 30
    splits: Annotated[
        int,
        _work(metavar="N", callback=_count, help="Splits of every trial, with --trials."),
    ] = 4
    pairs: Pairs = 30
    seed: Seed = 0
    baseline: Annotated[
        float | None,
        _work(metavar="RATE", help="Learning rate to beat. Default: the model's own."),
    ] = None
    declared: Annotated[
        tuple[float, float],
        _work(
            "--range",
            metavar="LOW HIGH",
            show_default=False,
            help="Learning rates that are allowed. Default: 1e-5 1.",
        ),
    ] = (1e-5, 1.0)
    range_seeds: Annotated[
        int | None,
        _work(
            metavar="N",
            callback=_count,
            help="Splits of the range test. Default: 1, and one more where it does not decide.",
        ),
    ] = None
    bounds: Annotated[
        tuple[float, float] | None,
        _work(metavar="LOW HIGH", help="Search these learning rates, without a range test."),
    ] = None
    out: Annotated[
        str | None,
        _run(
            metavar="FOLDER",
            help="Where the run is kept. Default: runs/TASK-OPTIMIZER-ENGINE-seedN.",
        ),
    ] = None
    storage: Storage = None
    study_name: StudyName = None
    workers: Annotated[
        int,
        _run(metavar="N", callback=_count, help="Processes of this machine that share the work."),
    ] = 1
    how: Annotated[
        Literal["population", "sequential"] | None,
        _run(
            metavar="NAME",
            help="Train many models at once (population) or one by one (sequential). Default: at "
            "once, where the model allows it.",
        ),
    ] = None
    dry_run: Annotated[
        bool,
        _run("--dry-run", metavar="", help="Print the plan and its time. Nothing is kept."),
    ] = False
    quiet: Quiet = False
    json: Json = False

    @property
    def optimizers(self) -> tuple[str, ...]:
        """The optimizers' names in lower case, one or more."""
        return tuple(part.strip().lower() for part in (self.optimizer or "adam").split(","))

    @property
    def algorithm(self) -> str:
        """What proposes the trials: the race, the sampler or the tuner."""
        if self.races:
            return "race"
        if self.engine == "keras-tuner":
            return self.tuner or "bayesian"
        return self.sampler or default_sampler(len(self.optimizers))

    @property
    def races(self) -> bool:
        """Whether the search is a race: nothing asks for a fixed design."""
        return races(self.trials, self.engine, self.sampler, self.pruner)

    @property
    def planned_trials(self) -> int:
        """Trials of a fixed design."""
        return DEFAULT_TRIALS if self.trials is None else self.trials

    @property
    def planned_budget(self) -> int:
        """Trainings that a race may spend, its range tests among them."""
        return default_budget(len(self.optimizers)) if self.budget is None else self.budget

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
