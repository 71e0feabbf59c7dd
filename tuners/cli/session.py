"""One run of the command from its checked options to its exit code."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuners.cli import pipeline, run_folder
from tuners.cli.console import Screen
from tuners.cli.errors import DONE, FAULT, INTERRUPTED, judge, keep_traceback, users_input
from tuners.cli.options import JobOptions
from tuners.cli.workers import available_cores, others, own_share, report_losses

if TYPE_CHECKING:
    import optuna


def command_line(program: str, arguments: Sequence[str]) -> str:
    """Return the command as it can be typed again, passwords as `***`.

    Args:
        program: Path or name that the command was started by.
        arguments: What followed it.

    Example:
        >>> command_line("run_search.py", ["--seed", "1", "--out", "my runs"])
        "python run_search.py --seed 1 --out 'my runs'"
    """
    from tuners.report.formatting import hide_passwords

    name = Path(program).name
    start = f"python {name}" if name.endswith(".py") else "lr-range-search"
    return " ".join([start, *(shlex.quote(hide_passwords(each)) for each in arguments)])


def carry_out(options: JobOptions, command: str, screen: Screen, again: Sequence[str] = ()) -> int:
    """Do the whole job, or print its plan; return the exit code.

    Args:
        options: The checked options.
        command: What `command_line` returned.
        screen: Where to print.
        again: The script that was started, and what followed its name, for further workers.

    Raises:
        UserError: What the user can cure; nothing was written over.
    """
    from tuners.study.storage import close_storage

    cores = available_cores()
    with screen.ours_alone(), own_share(options.workers):
        job = pipeline.prepare(options, command, screen)
        if options.dry_run:
            return _print_plan(job, screen)
        run_folder.make_folder(job.folder)
        with run_folder.locked(job.folder) if job.locks else contextlib.nullcontext():
            try:
                return _do(job, screen, again, cores)
            except Exception as error:
                if judge(error)[0] == FAULT:
                    kept = keep_traceback(error, job.folder)
                    error.add_note("" if kept is None else f"the traceback is in {kept}; ")
                    error.add_note("the same command goes on where it stopped.")
                raise
            finally:
                if "storage" in vars(job):
                    close_storage(job.storage)


def _do(job: pipeline.Job, screen: Screen, again: Sequence[str], cores: Sequence[int]) -> int:
    study = pipeline.open_study(job)
    _print_start(job, screen)
    try:
        with others(job, again, cores) as logs:
            code = pipeline.run(job, study, screen)
        report_losses(logs, screen)
    except KeyboardInterrupt:
        code = INTERRUPTED
    page = _write_report(study, job.folder)
    if code == INTERRUPTED:
        ended = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
        screen.say(f"stopped after {ended} of {job.options.trials} trials; report: {page}")
        screen.say(f"go on with: {job.command}")
    else:
        screen.finish(study, page)
    return code


def _print_start(job: pipeline.Job, screen: Screen) -> None:
    from tuners.report.terminal import start_block

    screen.note(start_block(pipeline.start_facts(job), out=str(job.folder)))


def _write_report(study: optuna.Study, folder: Path) -> Path:
    from tuners import write_report

    with users_input("`--out`"):
        return write_report(study, folder / run_folder.PAGE)


def _print_plan(job: pipeline.Job, screen: Screen) -> int:
    import json

    from tuners.cli.dry_run import describe_plan, make_plan

    _print_start(job, screen)
    plan = make_plan(job)
    if screen.json:
        screen.print_json(json.dumps(plan, indent=1))
    else:
        screen.print("\n".join(describe_plan(plan)))
    return DONE
