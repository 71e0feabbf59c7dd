"""What the command prints: results on standard output, progress on standard error.

A terminal gets a progress bar; anything else gets plain lines, one in ten seconds at most.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console

from tuners.report.wording import duration

SECONDS_A_LINE = 10.0

Tell = Callable[[int, int], None]


class Screen:
    """The two streams of the command, and what may be printed on them.

    Args:
        quiet: No start block, progress or trial lines.
        json: The same, and nothing but JSON on standard output.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.silent, self.json = quiet or json, json
        self.result = Console(soft_wrap=True, highlight=False)
        self.progress = Console(stderr=True, soft_wrap=True, highlight=False)
        self._bar: Any = None

    def print(self, *renderables: Any) -> None:
        """Print a part of the result on standard output; not with `--json`."""
        if not self.json:
            self.result.print(*renderables, markup=False)

    def print_json(self, text: str) -> None:
        """Print JSON on standard output as it is."""
        self.result.file.write(text.rstrip("\n") + "\n")

    def note(self, *renderables: Any) -> None:
        """Print how it goes on standard error, unless it shall be silent."""
        if not self.silent:
            self.progress.print(*renderables, markup=False)

    def say(self, text: str) -> None:
        """Print a line on standard error, also where progress is silent."""
        self.progress.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Print a warning on standard error."""
        self.say(f"warning: {text}")

    def start(self, job: Any, study: Any) -> None:
        """Print what will be done, in a few lines."""
        options = job.options
        done = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
        gone_on = f", {done} of them done" if done else ""
        self.note(
            f"task        {job.settings['task']}, {job.optimizer}\n"
            f"search      {options.engine} {options.algorithm}, {options.trials} trials of "
            f"{options.epochs} epochs{gone_on}\n"
            f"comparison  {options.pairs} pairs\n"
            f"seed        {options.seed}\n"
            f"out         {job.folder}"
        )

    def finish(self, study: Any, page: Any) -> None:
        """Print the result: `report.json`, or what was found in words."""
        if self.json:
            self.print_json(page.with_suffix(".json").read_text(encoding="utf-8"))
        else:
            self.end(study, page)

    def end(self, study: Any, page: Any) -> None:
        """Print what was found."""
        from tuners.report.summary import summarize

        summary = summarize(study)
        self.print(summary["headline"] + ".")
        self.print(summary["sentence"])
        self.print(f"report: {page}")

    @contextlib.contextmanager
    def stage(self, title: str, unit: str) -> Iterator[Tell]:
        """Show how a stage goes on; yields `tell(done, total)`.

        Args:
            title: What is done, for example "search".
            unit: What is counted, for example "epochs".
        """
        started = time.perf_counter()
        if self.silent:
            yield lambda *_: None
            return
        if self.progress.is_terminal:
            with self._stage_bar(title, unit) as tell:
                yield tell
        else:
            yield _lines(self, title, unit)
        self.note(f"{title}: done in {duration(time.perf_counter() - started)}")

    @contextlib.contextmanager
    def _stage_bar(self, title: str, unit: str) -> Iterator[Tell]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.progress, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextlib.contextmanager
    def ours_alone(self) -> Iterator[None]:
        """Show Python's warnings in one line, and keep what others print off standard output."""

        import optuna

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
