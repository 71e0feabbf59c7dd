"""What a job would do, and about how long it would take: the answer of `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search_spaces import TuningTask
from tuners.cli.options import JobOptions
from tuners.range_tests.runner import ramp_size
from tuners.report.formatting import duration
from tuners.training.models import steps_per_epoch
from tuners.training.runner import train_steps

TIMED_STEPS, TIMED_LANES = 20, 8


def make_plan(options: JobOptions, tasks: Mapping[str | None, TuningTask]) -> dict[str, Any]:
    """Return the lanes, steps and epochs of each part, and seconds from timed steps.

    Nothing is trained but the timed steps, and nothing is written.

    Returns:
        `parts`, a list of dicts with name, lanes, steps (of a lane), epochs (of a lane) and
        seconds; `seconds_a_step` of one lane; `seconds_to_compile`; `seconds` in all.
    """
    an_epoch = max(steps_per_epoch(task) for task in tasks.values())
    epochs = options.epochs
    work: list[tuple[str, int, int, int]] = []
    for label in tasks if options.bounds is None else ():
        name = "range test" if label is None else f"range test of {label}"
        steps, seeds = ramp_size(epochs, an_epoch, options.range_seeds)
        work.append((name, seeds, steps, 0))
    work.append(("search", options.trials * options.splits, epochs * an_epoch, epochs))
    work.append(("comparison", 2 * options.pairs, epochs * an_epoch, epochs))
    first, step, how = time_steps(options, next(iter(tasks.values())))
    names = ("name", "lanes", "steps", "epochs", "seconds")
    parts: list[dict[str, Any]] = [
        dict(zip(names, (*part, round(part[1] * part[2] * step, 1)), strict=True)) for part in work
    ]
    compiling = first * len(tasks)
    return {
        "parts": parts,
        "how": how,
        "seconds_a_step": step,
        "seconds_to_compile": round(compiling, 1),
        "seconds": round(compiling + sum(part["seconds"] for part in parts), 1),
    }


def time_steps(options: JobOptions, task: TuningTask) -> tuple[float, float, str]:
    """Return seconds of a first step, seconds of one lane's step after it, and how they ran."""
    lanes = 1 if task.streams else TIMED_LANES
    seeds, rates = np.arange(lanes), np.full((2, lanes), options.declared[0])
    first = train_steps(task, rates, seeds, how=options.how)
    many = train_steps(task, np.repeat(rates, TIMED_STEPS // 2, axis=0), seeds, how=first.how)
    return first.seconds, many.seconds / (TIMED_STEPS * lanes), many.how


def describe_plan(plan: dict[str, Any]) -> list[str]:
    """Return the plan as lines of text."""
    return [
        "part                     lanes    steps  epochs   about",
        *(
            f"{part['name']:<22} {part['lanes']:>7} {part['steps']:>8} {part['epochs'] or '-':>7}"
            f"   {duration(part['seconds'])}"
            for part in plan["parts"]
        ),
        f"compiling: about {duration(plan['seconds_to_compile'])}",
        f"in all about {duration(plan['seconds'])}, at {1e6 * plan['seconds_a_step']:.0f} "
        f"microseconds a step of one model, trained as {plan['how']}",
    ]
