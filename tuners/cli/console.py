"""What the command prints: results on standard output, progress on standard error.

A terminal gets a progress bar; anything else gets plain lines, one in ten seconds at most.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tuners.report.formatting import duration
from tuners.report.summary import summarize
from tuners.report.terminal import as_text, end_block
from tuners.study.passwords import hide_passwords

SECONDS_A_LINE = 10.0
PIPE_WIDTH = 120

Tell = Callable[[int, int], None]


class Screen:
    """The two streams of the command, and what may be printed on them.

    Args:
        quiet: No start block, progress or trial lines.
        json: The same, and nothing but JSON on standard output.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.silent, self.json = quiet or json, json
        self.result, self.progress = _console(stderr=False), _console(stderr=True)

    def print(self, *renderables: Any) -> None:
        """Print a part of the result on standard output; not with `--json`."""
        if not self.json:
            _print(self.result, renderables)

    def print_json(self, text: str) -> None:
        """Print JSON on standard output as it is."""
        self.result.file.write(text.rstrip("\n") + "\n")

    def note(self, *renderables: Any) -> None:
        """Print progress on standard error, unless it shall be silent."""
        if not self.silent:
            _print(self.progress, renderables)

    def say(self, text: str) -> None:
        """Print a line on standard error, also where progress is silent."""
        _print(self.progress, [text])

    def warn(self, text: str) -> None:
        """Print a warning on standard error."""
        self.say(f"warning: {text}")

    def finish(self, study: Any, page: Path) -> None:
        """Print `report.json`; or what was found, with `--quiet` the verdict and the page only."""
        if self.json:
            self.print_json(page.with_suffix(".json").read_text(encoding="utf-8"))
            return
        summary = summarize(study)
        if self.silent:
            self.print(f"{summary['headline']}.")
            self.print(f"report: {page}")
        else:
            self.print(end_block(summary, report=str(page), width=self.result.width))

    @contextlib.contextmanager
    def stage(self, title: str, unit: str) -> Iterator[Tell]:
        """Show the progress of a stage, counted in a unit; yields `tell(done, total)`."""
        started, told = time.perf_counter(), False
        if self.silent:
            yield lambda *_: None
            return
        lines = _lines(self, title, unit)
        columns = (
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            unit,
            TimeElapsedColumn(),
            "left",
            TimeRemainingColumn(),
        )
        plain = not self.progress.is_terminal
        with Progress(*columns, console=self.progress, transient=True, disable=plain) as bar:
            task = bar.add_task(title, total=None)

            def tell(done: int, total: int) -> None:
                nonlocal told
                told = True
                if plain:
                    lines(done, total)
                bar.update(task, completed=done, total=total)

            yield tell
        if told:
            self.note(f"{title}: done in {duration(time.perf_counter() - started)}")

    @contextlib.contextmanager
    def quiet_output(self) -> Iterator[None]:
        """Show Python's warnings in one line, and keep what others print off standard output."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)

        def show(message: Warning | str, *_: Any) -> None:
            self.warn(" ".join(str(message).split()))

        with warnings.catch_warnings():
            warnings.showwarning = show  # type: ignore[assignment]
            for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", kind)
            self.result.file = self.result.file  # fixes the stream before it is redirected
            with contextlib.redirect_stdout(sys.stderr):
                yield


def command_line(program: str, arguments: Sequence[str]) -> str:
    """Return the command as it can be typed again, passwords as `***`.

    Args:
        program: Path or name that the command was started by.
        arguments: What followed it.

    Example:
        >>> command_line("run_search.py", ["--seed", "1", "--out", "my runs"])
        "python run_search.py --seed 1 --out 'my runs'"
    """
    name = Path(program).name
    start = f"python {name}" if name.endswith(".py") else "lr-range-search"
    return " ".join([start, *(shlex.quote(hide_passwords(each)) for each in arguments)])


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = PIPE_WIDTH  # what is read by a program is not folded at 80
    return console


def _print(console: Console, parts: Sequence[Any]) -> None:
    for part in parts:
        if not isinstance(part, str) and not console.is_terminal:
            part = as_text(part, console.width).rstrip("\n")
        console.print(part, markup=False, soft_wrap=isinstance(part, str))


def _lines(screen: Screen, title: str, unit: str) -> Tell:
    started = last = time.perf_counter()
    first: tuple[float, int] | None = None  # the first call waited for a compilation

    def tell(done: int, total: int) -> None:
        nonlocal last, first
        now = time.perf_counter()
        if now - last < SECONDS_A_LINE or not 0 < done < total:
            first = first or (now, done)
            return
        last, left = now, ""
        if first is not None and done > first[1]:
            rest = (now - first[0]) * (total - done) / (done - first[1])
            left = f", about {duration(rest)} left"
        screen.note(f"{title}: {done} of {total} {unit}, {duration(now - started)}{left}")
        first = first or (now, done)

    return tell
