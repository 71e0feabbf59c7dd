"""What a job would do, and about how long it would take: the answer of `--dry-run`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from search_spaces import TuningTask
from tuners.cli import STARTED
from tuners.cli.options import JobOptions
from tuners.cli.timing import Pace, time_epochs, time_test
from tuners.comparison.looks import FEWEST_PAIRS
from tuners.comparison.pairs import PAIRS_AT_ONCE
from tuners.range_tests.short_trainings import sweep_size
from tuners.report.formatting import duration
from tuners.searches.racing import WIDTH
from tuners.training.rows import batches_of

TRIALS_AT_ONCE = 4  # that the search trains together
REPORTING = 0.5  # seconds of storage and report to one of loading, in three measurements


@dataclass(frozen=True)
class Part:
    """A part of a job.

    Args:
        name: What the plan calls it.
        lanes: Models that it trains, at most.
        epochs: Of each; 0 for a part that counts in steps.
        steps: Of each.
        seconds_at_least: With what may end it early.
        seconds: Without.
    """

    name: str
    lanes: int
    epochs: int
    steps: int
    seconds_at_least: float
    seconds: float


def make_plan(options: JobOptions, tasks: Mapping[str | None, TuningTask]) -> dict[str, Any]:
    """Return the lanes, steps and epochs of each part, and seconds from programs that were timed.

    Nothing is written. Trained are a few steps and epochs of each program.

    Returns:
        `parts`, each a `Part` as a dict; `how` models are trained; `seconds_to_load`, which the
        report is counted to; and in all `seconds`, and `seconds_at_least` where the comparison
        ends with its first look.
    """
    loading = (time.perf_counter() - STARTED) * (1 + REPORTING)
    each = list(tasks.values())
    tested = tasks if options.bounds is None else {}
    parts = [_range_test(options, label, task) for label, task in tested.items()]
    together = min(TRIALS_AT_ONCE, options.planned_trials) * options.splits
    width = WIDTH if options.races else -(-together // options.workers)
    paces = [time_epochs(task, width, options.how) for task in each]
    parts.append(_search(options, each, paces))
    parts.append(_comparison(options, each[0], paces, alone=len(each) == 1))
    return {
        "parts": [asdict(part) for part in parts],
        "how": paces[0].how,
        "seconds_to_load": loading,
        "seconds": loading + sum(part.seconds for part in parts),
        "seconds_at_least": loading + sum(part.seconds_at_least for part in parts),
    }


def _range_test(options: JobOptions, label: str | None, task: TuningTask) -> Part:
    """Return the range test: short trainings of all rates, lanes of one program."""
    batches = batches_of(task)
    rates, seeds, epochs, trained = sweep_size(
        options.epochs, batches, options.declared, options.range_seeds or 1
    )
    lanes = len(rates) * seeds
    pace = time_epochs(task, lanes, options.how)
    seconds = pace.compiling + pace.seconds(pace.chunks(lanes), epochs) * trained / batches
    name = "range test" if label is None else f"range test of {label}"
    return Part(name, lanes, epochs, epochs * trained, seconds, seconds)


def _search(options: JobOptions, tasks: Sequence[TuningTask], paces: Sequence[Pace]) -> Part:
    seconds = sum(pace.compiling for pace in paces)
    steps = max(map(batches_of, tasks)) * options.epochs
    if options.races:
        rounds = [pace.seconds(pace.chunks(WIDTH), options.epochs) for pace in paces]
        most = options.planned_budget
        # two rounds of each task, a walk and a third round of one; each is as long as a full one
        least = seconds + 2 * sum(rounds) + max(rounds)
        return Part("search", most, options.epochs, steps, least, least + max(rounds))
    if _baseline_first(options):
        alone = paces[0].again(tasks[0], options.splits, options.how)
        seconds += alone.compiling + alone.seconds(alone.chunks(options.splits), options.epochs)
    for trials in trial_batches(options, paces[0]):
        share = -(-trials * options.splits // (len(paces) * options.workers))
        seconds += sum(pace.seconds(pace.chunks(share), options.epochs) for pace in paces)
    lanes = options.planned_trials * options.splits
    return Part("search", lanes, options.epochs, steps, seconds, seconds)


def _baseline_first(options: JobOptions) -> bool:
    """Whether the baseline trains before the other trials, in a smaller program."""
    return options.engine == "keras-tuner" and options.planned_trials > 1


def trial_batches(options: JobOptions, pace: Pace) -> list[int]:
    """Return how many trials the search trains at once, without a baseline that trains first.

    Args:
        options: What the user asked for.
        pace: Of the training.
    """
    whole, rest = divmod(options.planned_trials - _baseline_first(options), TRIALS_AT_ONCE)
    if _baseline_first(options) and pace.lanes > 1 and rest:
        rest = TRIALS_AT_ONCE  # this engine fills its batches up
    return [TRIALS_AT_ONCE] * whole + [rest] * (rest > 0)


def _comparison(
    options: JobOptions, task: TuningTask, paces: Sequence[Pace], *, alone: bool
) -> Part:
    """Return the comparison, of one task alone or of two whose arms train one after the other."""
    arms = 2 if alone else 1  # of one program
    pace = paces[0].again(task, arms * PAIRS_AT_ONCE, options.how)
    compiling, testing = time_test(task, pace, arms * PAIRS_AT_ONCE)

    def train(pairs: int) -> float:
        batches = -(-pairs // (PAIRS_AT_ONCE * options.workers))
        chunks = (3 - arms) * batches * pace.chunks(arms * PAIRS_AT_ONCE)
        return pace.seconds(chunks, options.epochs) + (3 - arms) * batches * testing

    start, steps = pace.compiling + compiling, batches_of(task) * options.epochs
    seconds, least = (
        start + train(pairs) for pairs in (options.pairs, min(options.pairs, FEWEST_PAIRS))
    )
    return Part("comparison", 2 * options.pairs, options.epochs, steps, least, seconds)


def describe_plan(plan: Mapping[str, Any]) -> list[str]:
    """Return the plan as lines of text."""
    lines = [f"{'part':<22} {'models':>7} {'epochs':>7} {'steps':>8}   about"]
    for part in plan["parts"]:
        numbers = f"{part['lanes']:>7} {part['epochs'] or '-':>7} {part['steps'] or '-':>8}"
        lines.append(f"{part['name']:<22} {numbers}   {_between(part)}")
    lines.append(f"{'loading and report':<22} {'':>24}   {about(plan['seconds_to_load'])}")
    lines.append(f"in all about {_between(plan)}")
    if plan["seconds_at_least"] < plan["seconds"]:
        lines[-1] += f"; the shorter time if the first {FEWEST_PAIRS} pairs decide"
    stacked = plan["how"] == "population"
    return [*lines, f"{'Many models train at once' if stacked else 'The models train one by one'}."]


def _between(part: Mapping[str, Any]) -> str:
    ends = [about(part[name]) for name in ("seconds_at_least", "seconds")]
    return " to ".join(dict.fromkeys(ends))


def about(seconds: float) -> str:
    """Return a time without digits that an estimate does not have.

    Example:
        >>> about(7.3), about(83.0), about(4000.0)
        ('7 s', '1 min 25 s', '1 h 05 min')
    """
    for below, unit in ((10, 1), (120, 5), (600, 10), (3600, 60)):
        if seconds < below:
            return duration(max(round(seconds / unit), 1) * unit).replace(".0 s", " s")
    return duration(300 * round(seconds / 300))
