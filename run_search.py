"""The command `run_search.py`: reads options, calls the steps in order, prints."""

# the callback's options are read from its context, all at once
# ruff: noqa: ARG001

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tuners.cli import errors
from tuners.cli.console import Screen
from tuners.cli.options import JobOptions as Default
from tuners.cli.options import from_command
from tuners.cli.tensorflow_logging import tensorflow_silenced

DATA = "Data and model"
WORK = "Range test, search and comparison"
RUN = "The run"
ABOUT = (
    "Find a learning rate, and show whether it beats the baseline.\n\n"
    "A range test narrows the range, a search samples inside the bounds, fresh pairs compare the "
    "best rate with the baseline, and a report says what was found. Without options it does so "
    "for the wine model. The same command goes on where it stopped."
)

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _option(panel: str, *names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, metavar=metavar)


def _data(*names: str, **settings: Any) -> Any:
    return _option(DATA, *names, **settings)


def _work(*names: str, **settings: Any) -> Any:
    return _option(WORK, *names, **settings)


def _run(*names: str, **settings: Any) -> Any:
    return _option(RUN, *names, **settings)


Text = str | None
Pair = tuple[float, float]

Data = Annotated[Text, _data(metavar="CSV", help="Wine CSV; without it our own copy.")]
Task = Annotated[
    Text, _data(metavar="WHERE:FUNCTION", help="Own task: MODULE:FUNCTION or FILE.py:FUNCTION.")
]
Optimizer = Annotated[
    Text, _data(metavar="NAME[,NAME]", help="Keras optimizer of the wine model; without it adam.")
]
DropRepeats = Annotated[
    bool, _data("--drop-repeats", help="Drop repeated wine rows before the split.")
]
BatchSize = Annotated[
    int | None, _data(metavar="ROWS", help="Rows a step; without it the task's (wine: 32).")
]
Engine = Annotated[str, _work(metavar="NAME", help="Who proposes trials: optuna or keras-tuner.")]
Sampler = Annotated[
    Text, _work(metavar="NAME", help="Of Optuna: tpe (without it), gp, random, qmc, cmaes.")
]
Tuner = Annotated[
    Text,
    _work(metavar="NAME", help="Of KerasTuner: bayesian (without it), random, hyperband, grid."),
]
Pruner = Annotated[
    str,
    _work(metavar="NAME", help="none, median, percentile, successive_halving or hyperband."),
]
Objective = Annotated[
    str, _work(metavar="CURVE", help="Score of a trial at its best epoch, e.g. val_accuracy.")
]
Trials = Annotated[int, _work(metavar="N", help="Trials in all; may grow.")]
Epochs = Annotated[int, _work(metavar="N", help="Epochs of each training.")]
Pairs = Annotated[int, _work(metavar="N", help="Pairs of the comparison; may grow.")]
Seed = Annotated[int, _work(metavar="N", help="Decides all that is random, 0 or more.")]
Baseline = Annotated[
    float | None, _work(metavar="RATE", help="Rate to beat; without it the compiled one.")
]
Range = Annotated[Pair, _work("--range", metavar="LOW HIGH", help="Rates allowed, both above 0.")]
RangeSeeds = Annotated[int, _work(metavar="N", help="Seeds that the range test averages.")]
Bounds = Annotated[
    Pair | None, _work(metavar="LOW HIGH", help="Search these rates without a range test.")
]
Out = Annotated[
    Text,
    _run(
        metavar="FOLDER",
        help="For report and study.db; without it runs/TASK-OPTIMIZER-ENGINE-seedN.",
    ),
]
Storage = Annotated[Text, _run(metavar="URL", help="Optuna storage; without it a file in FOLDER.")]
StudyName = Annotated[Text, _run(metavar="NAME", help="Name of the study; without it the task's.")]
Workers = Annotated[int, _run(metavar="N", help="Processes here that share the study.")]
How = Annotated[
    Text, _run(metavar="WAY", help="Force population (models stacked) or sequential training.")
]
DryRun = Annotated[bool, _run("--dry-run", help="Print plan and estimated time, train nothing.")]
Quiet = Annotated[bool, _run("--quiet", help="Print the verdict only.")]
Json = Annotated[bool, _run("--json", help="Print report.json only.")]


@app.callback(invoke_without_command=True, help=ABOUT)
def search(
    context: typer.Context,
    data: Data = Default.data,
    task: Task = Default.task,
    optimizer: Optimizer = Default.optimizer,
    drop_repeats: DropRepeats = Default.drop_repeats,
    batch_size: BatchSize = Default.batch_size,
    engine: Engine = Default.engine,
    sampler: Sampler = Default.sampler,
    tuner: Tuner = Default.tuner,
    pruner: Pruner = Default.pruner,
    objective: Objective = Default.objective,
    trials: Trials = Default.trials,
    epochs: Epochs = Default.epochs,
    pairs: Pairs = Default.pairs,
    seed: Seed = Default.seed,
    baseline: Baseline = Default.baseline,
    declared: Range = Default.declared,
    range_seeds: RangeSeeds = Default.range_seeds,
    bounds: Bounds = Default.bounds,
    out: Out = Default.out,
    storage: Storage = Default.storage,
    study_name: StudyName = Default.study_name,
    workers: Workers = Default.workers,
    how: How = Default.how,
    dry_run: DryRun = Default.dry_run,
    quiet: Quiet = Default.quiet,
    json: Json = Default.json,
) -> None:
    """Do the whole job; its help is `ABOUT`."""
    from tuners.cli.session import carry_out, command_line

    if context.invoked_subcommand is not None:
        errors.refuse_options(_given(context), context.invoked_subcommand)
        return
    options = from_command(context.params)
    screen = Screen(quiet=options.quiet, json=options.json)
    command = command_line(sys.argv[0], context.obj)
    raise typer.Exit(carry_out(options, command, screen, [__file__, *context.obj]))


@app.command()
def article(
    data: Data = None,
    epochs: Annotated[int, typer.Option(metavar="N", help="Epochs of each training.")] = 100,
    pairs: Pairs = Default.pairs,
    seed: Seed = Default.seed,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="For plots and numbers.")] = (
        "runs/article"
    ),
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Repeat the published experiment on the wine data as it was, and judge it by fresh pairs."""
    from tuners.cli.article import ArticleOptions, carry_out_article

    options = ArticleOptions(data, epochs, pairs, seed, out)
    raise typer.Exit(carry_out_article(options, Screen(quiet=quiet, json=json)))


@app.command()
def report(
    folder: Annotated[Text, typer.Argument(help="Folder of a run.", show_default=False)] = None,
    storage: Storage = None,
    study_name: StudyName = None,
    out: Annotated[Text, typer.Option(metavar="PLACE", help="Folder or .html file.")] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write the report of a stored study again."""
    from tuners.cli import stored

    screen = Screen(quiet=quiet, json=json)
    with screen.ours_alone():
        study = stored.load_study(stored.stored_address(folder, storage), study_name)
        page = stored.report_again(study, out or folder or ".")
        screen.finish(study, page)


@app.command()
def dashboard(
    folder: Annotated[Text, typer.Argument(help="Folder of a run.", show_default=False)] = None,
    storage: Storage = None,
    port: Annotated[int, typer.Option(help="Port to listen on, 0: any.")] = 8080,
) -> None:
    """Show a stored study in the browser with optuna-dashboard, on this machine only."""
    from tuners.cli import stored

    screen = Screen()
    with screen.ours_alone():
        stored.show(folder, storage, port, screen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: What follows the command's name; None means this process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with tensorflow_silenced():
        return errors.guarded(lambda: app(args=given, obj=given, standalone_mode=False))


def _given(context: typer.Context) -> list[str]:
    """Return the options that were given on the command line."""
    return [
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]


if __name__ == "__main__":
    sys.exit(main())
