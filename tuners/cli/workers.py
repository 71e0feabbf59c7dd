"""The training processes of a job."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from search_spaces import TuningTask
from tuners.cli.options import JobOptions


@contextlib.contextmanager
def training_pool(options: JobOptions, tasks: Mapping[str | None, TuningTask]) -> Iterator[None]:
    """Yield None: all training happens in this process.

    Args:
        options: The checked options.
        tasks: What is tuned, by optimizer.
    """
    del options, tasks
    yield
