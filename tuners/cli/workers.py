"""The training processes of a job: `--workers N`."""

from __future__ import annotations

import contextlib
from functools import partial

from search_spaces import TuningTask
from tuners.cli.options import JobOptions
from tuners.cli.tasks import baseline_task, load_tasks
from tuners.training.pool import TrainingPool, training_pool


def job_pool(options: JobOptions) -> contextlib.AbstractContextManager[TrainingPool | None]:
    """Return the processes that train a job's lanes, as a context; with one worker there are none.

    Args:
        options: The checked options, from which each process builds the tasks for itself.
    """
    return training_pool(options.workers, partial(named_tasks, options))


def named_tasks(options: JobOptions) -> dict[str, TuningTask]:
    """Return all tasks of a job by name, the one that a chosen rate is compared with among them."""
    tasks = load_tasks(options)
    compared = [baseline_task(options, tasks, label) for label in tasks]
    return {task.name: task for task in [*compared, *tasks.values()]}
