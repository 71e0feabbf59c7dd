"""The command `run_search.py`: reads the options, does the steps of the job in order, prints.

What is slow to import is imported by the functions that use it, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from tuners.cli.options import (
    Csv,
    Epochs,
    JobOptions,
    Json,
    Pairs,
    Quiet,
    Seed,
    Storage,
    StudyName,
    at_least,
    with_options,
)
from tuners.cli.tensorflow_logging import tensorflow_silenced

if TYPE_CHECKING:
    from tuners.cli.console import Screen

ABOUT = (
    "Find a learning rate, and show whether it beats the baseline.\n\n"
    "A range test finds the bounds. A race tries learning rates, from the bounds on. Its rates "
    "choose one. Fresh pairs of trainings compare it with the baseline. A report says what was "
    "found.\n\n"
    "Without options this is done for the wine model. Run the same command to resume."
)
EXAMPLES = """Examples:

  python run_search.py --dry-run
  python run_search.py --optimizer sgd --trials 12
  python run_search.py --task my_task.py:task --out runs/mine
  python run_search.py report runs/mine
  python run_search.py dashboard runs/mine
"""


def _without_type(option: Any) -> Any:
    option.metavar = ""  # as our own switches have it
    return option


class _Command(TyperCommand):
    def get_help_option(self, ctx: Any) -> Any:
        return _without_type(super().get_help_option(ctx))


class _Group(TyperGroup):
    def get_help_option(self, ctx: Any) -> Any:
        return _without_type(super().get_help_option(ctx))


app = typer.Typer(
    cls=_Group,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# hidden from the help's tables, which would name its type; the usage line shows it
Folder = Annotated[str | None, typer.Argument(metavar="FOLDER", hidden=True)]


def do_job(options: JobOptions, command: str, screen: Screen) -> int:
    """Do the steps of the job, each of which leaves out what is done; return the exit code.

    Args:
        options: What the user asked for.
        command: The command line, without passwords.
        screen: Where to print.

    Raises:
        InputError: What the user can cure; nothing was written over.
    """
    from tuners.cli import pipeline

    with screen.quiet_output():
        job = pipeline.load(options, command, screen)
        if options.dry_run:
            return pipeline.show_plan(job, screen)
        with pipeline.open_study(job, screen) as run:
            try:
                pipeline.find_bounds(run)
                pipeline.search_rates(run)
                pipeline.choose_rate(run)
                pipeline.compare_rates(run)
            except KeyboardInterrupt:
                return pipeline.report(run, stopped=True)
            return pipeline.report(run)


@app.callback(invoke_without_command=True, help=ABOUT, epilog=EXAMPLES)
@with_options
def search(context: typer.Context, options: JobOptions) -> int:
    """Do the whole job; its help is `ABOUT`."""
    if context.invoked_subcommand is not None:
        _refuse_options(context, context.invoked_subcommand)
        return 0
    from tuners.cli.console import Screen, command_line

    screen = Screen(quiet=options.quiet, json=options.json)
    return do_job(options, command_line(sys.argv[0], context.obj), screen)


@app.command(cls=_Command)
def article(
    data: Csv = None,
    epochs: Epochs = 100,
    pairs: Pairs = 30,
    seed: Seed = 0,
    out: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="Where plots and numbers go. Default: runs/article.",
            show_default=False,
        ),
    ] = "runs/article",
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Repeat the published wine experiment as it was, and judge it with fresh pairs."""
    from tuners.cli.article import carry_out_article
    from tuners.cli.console import Screen

    screen = Screen(quiet=quiet, json=json)
    return carry_out_article(screen, data, out, epochs=epochs, pairs=pairs, seed=seed)


@app.command(cls=_Command)
def report(
    folder: Folder = None,
    storage: Storage = None,
    study_name: StudyName = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="A folder or .html file. Default: the run's folder."),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write the report of a run again; FOLDER is where the run is kept."""
    from tuners.cli import stored
    from tuners.cli.console import Screen

    screen = Screen(quiet=quiet, json=json)
    with screen.quiet_output():
        study = stored.load_study(stored.stored_address(folder, storage), study_name)
        page = stored.report_again(study, out or folder or ".")
        screen.finish(study, page)


@app.command(cls=_Command)
def dashboard(
    folder: Folder = None,
    storage: Storage = None,
    port: Annotated[
        int,
        typer.Option(
            metavar="N", callback=at_least(0, 65535), help="Port of the page. 0 takes any free one."
        ),
    ] = 8080,
) -> None:
    """Show a run in the browser, on this machine only; FOLDER is where the run is kept."""
    from tuners.cli import stored
    from tuners.cli.console import Screen

    screen = Screen()
    with screen.quiet_output():
        stored.show(folder, storage, port, screen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: What follows the command's name; None means this process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with tensorflow_silenced():
        try:
            return app(args=given, obj=given, standalone_mode=False) or 0
        except (Exception, KeyboardInterrupt) as error:
            from tuners.cli.errors import conclude

            return conclude(error)


def _refuse_options(context: typer.Context, command: str) -> None:
    """Check that no options of the whole job stand before a subcommand, which would ignore them."""
    given = [
        f"--{name.replace('_', '-')}"
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise typer.BadParameter(
            f"`{command}` takes its options after its name, but got {', '.join(given)} before it; "
            f"see {command} --help."
        )


if __name__ == "__main__":
    sys.exit(main())
