"""What a long call shows in a terminal or a notebook: a bar once it has taken two seconds."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

SECONDS_UNSEEN = 2.0  # work that ends sooner shows nothing


@contextlib.contextmanager
def progress_bar(title: str, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error while the block runs, and clear it; yields `tell(done, total)`.

    Before the first call, as while the programs compile, the bar has no length. It tells the time
    that has passed, and guesses none that is left. In a pipe or a log nothing is shown.

    Args:
        title: What is going on.
        shown: False shows nothing.
    """
    console = Console(stderr=True)
    notebook = console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
    if not shown or not (notebook or (console.is_terminal and not console.is_jupyter)):
        yield lambda *_: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[share]}"),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(title, total=None, share="")

    def tell(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total, share=f"{100 * done // max(total, 1)} %")

    waiting = threading.Timer(SECONDS_UNSEEN, bar.start)
    waiting.daemon = True
    waiting.start()
    try:
        yield tell
    finally:
        waiting.cancel()
        waiting.join()
        bar.stop()
