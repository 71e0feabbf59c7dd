"""The steps of a job: load, open the study, range test, search, choice, comparison, report.

`run_search.py` calls them in this order. Each leaves out what the study holds already, so that
the same command resumes a job.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces import TuningTask
from search_spaces._input import InputError
from tuners import choose, compare, range_test, search, write_report
from tuners.choosing.choice import recorded_choice
from tuners.cli import errors, run_folder, tasks
from tuners.cli.console import Screen
from tuners.cli.dry_run import TRIALS_AT_ONCE, describe_plan, make_plan
from tuners.cli.option_checks import check_options
from tuners.cli.options import JobOptions
from tuners.cli.tensorflow_logging import load_tensorflow
from tuners.comparison.result import Comparison, recorded_comparison
from tuners.engines import opening
from tuners.figures.words import count
from tuners.integrations.narrowing import as_bounds
from tuners.report.terminal import start_block, trial_line
from tuners.report.trial_rows import best_row, trial_rows
from tuners.searches.plan import rate_parameter
from tuners.study import heartbeat, recording
from tuners.study.metadata import machine_facts, task_facts
from tuners.study.passwords import hide_passwords
from tuners.study.storage import close_storage, one_process_only, open_storage
from tuners.study.work_queue import do_once
from tuners.training.pool import TrainingPool, training_pool

Value = TypeVar("Value")

SAME = 1e-9  # share by which a rate read back from a storage may differ
UNUSABLE = "see to its rights, its space and whether it is a database of Optuna's"
OTHER = "another --study-name or --out"


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be done, once all that can be checked without training is checked.

    Args:
        options: The checked options.
        tasks: What is tuned, by optimizer; under None where there is one task.
        optimizers: Names of the optimizers, with commas between.
        folder: Where the report is written.
        address: Of the storage.
        study_name: Of the study.
        settings: What decides the numbers; must stay the same when the job is resumed.
        command: The command that repeats the job.
    """

    options: JobOptions
    tasks: Mapping[str | None, TuningTask]
    optimizers: str
    folder: Path
    address: str
    study_name: str
    settings: Mapping[str, Any]
    command: str


@dataclass(frozen=True, eq=False)
class Run:
    """A job with its study open: what its steps are given.

    Args:
        job: The job.
        study: Its study.
        storage: Where the study is kept.
        alone: Whether no second process may be at work on the study.
        pool: Processes that train; None where this one does.
        screen: Where progress is shown.
        before: What the study held when it was opened.
    """

    job: Job
    study: optuna.Study
    storage: BaseStorage
    alone: bool
    pool: TrainingPool | None
    screen: Screen
    before: tuple[Any, ...]


def load(options: JobOptions, command: str, screen: Screen) -> Job:
    """Check the options, load the tasks and check them; what needs no TensorFlow comes first.

    Raises:
        InputError: The options, the data, the task or the folder break a rule.
    """
    check_options(options)
    loaded = tasks.load_tasks(options)
    each = list(loaded.values())
    if options.storage is not None and not options.dry_run:
        close_storage(open_storage(options.storage))  # refused before anything slow
    if options.task is None:
        name, optimizers = "wine", options.optimizers
    else:  # the folder's name has the optimizer, which the model alone tells
        _check_models(options, each, screen)
        name = each[0].name
        optimizers = (str(task_facts(each[0], options.epochs)["optimizer"]).lower(),)
    joined = "-".join(optimizers)
    names = f"{tasks.safe_name(name)}-{tasks.safe_name(joined)}"
    out = options.out or f"runs/{names}-{options.engine}-seed{options.seed}"
    folder = Path(out).expanduser()
    study_name = options.study_name or (name if len(optimizers) == 1 else f"{name}-{joined}")
    low, high = options.bounds or options.declared
    settings = opening.asked_settings(each, options) | {
        "range": f"{'bounds' if options.bounds else 'range'} {low:.12g} to {high:.12g}",
        "range_seeds": 0 if options.bounds else options.range_seeds,
    }
    run_folder.check_folder(folder, study_name, settings)
    address = options.storage or run_folder.storage_address(folder)
    if options.task is None:
        _check_models(options, each, screen)
    settings |= opening.model_settings(each, options.epochs)
    return Job(
        options, loaded, ", ".join(optimizers), folder, address, study_name, settings, command
    )


def _check_models(options: JobOptions, each: list[TuningTask], screen: Screen) -> None:
    screen.note("loading TensorFlow")
    load_tensorflow()
    for task in each:
        tasks.check_task(task, options.objective, options.seed)


def show_plan(job: Job, screen: Screen) -> int:
    """Print what the job would do and how long it would take; return the exit code."""
    _print_start(job, screen)
    screen.note("timing a few steps and epochs")
    plan = make_plan(job.options, job.tasks)
    if screen.json:
        screen.print_json(json.dumps(plan, indent=1))
    else:
        screen.print("\n".join(describe_plan(plan)))
    return errors.DONE


@contextlib.contextmanager
def open_study(job: Job, screen: Screen) -> Iterator[Run]:
    """Open the study of a job, and keep others away from it where one process works alone.

    Raises:
        InputError: The storage cannot be used, its study was made otherwise, or another process
            is at work on a study that one alone can work on.
    """
    keras_tuner = job.options.engine == "keras-tuner"
    run_folder.make_folder(job.folder)
    with contextlib.ExitStack() as stack:
        if keras_tuner or job.address.startswith("sqlite"):
            stack.enter_context(run_folder.locked(job.folder))
        stack.enter_context(errors.fault_explained(job.folder))
        storage = open_storage(job.address)
        stack.callback(close_storage, storage)
        study = _stored_study(job, storage)
        _print_start(job, screen)
        alone = one_process_only(storage)
        if job.options.races:
            alone = "a race has one process that decides; with `--trials` several may share"
        if keras_tuner:
            alone = "`--engine keras-tuner` works with one process on a study"
        stack.enter_context(heartbeat.at_work(study, alone))
        if alone or "command" not in recording.recorded_facts(study):
            recording.record_facts(study, command=job.command)  # of several, that of the first
        make_tasks = partial(tasks.named_tasks, job.options)
        pool = stack.enter_context(training_pool(job.options.workers, make_tasks))
        yield Run(job, study, storage, bool(alone), pool, screen, _held(study))


def _stored_study(job: Job, storage: BaseStorage) -> optuna.Study:
    where = hide_passwords(job.address)
    with errors.storage_errors(where, "used", UNUSABLE):
        others = set(run_folder.study_names(storage)) - {job.study_name}
        if job.options.storage is None and others:
            raise InputError(
                f"{where} holds the study {min(others)!r}, not {job.study_name!r}; "
                "pass its --study-name, or another --out."
            )
        return opening.open_study(storage, job.study_name, job.settings, where=where, other=OTHER)


def _print_start(job: Job, screen: Screen) -> None:
    facts = task_facts(next(iter(job.tasks.values())), job.options.epochs)
    for name in ("epochs", "pairs", "engine", "objective", "seed"):
        facts[name] = getattr(job.options, name)
    if job.options.races:
        facts["budget"] = job.options.planned_budget
    else:
        facts["trials"] = job.options.planned_trials
    facts |= {"task": job.settings["task"], "optimizer": job.optimizers}
    facts |= {"sampler": job.options.algorithm, **machine_facts()}
    screen.note(start_block(facts, out=str(job.folder)))


def find_bounds(run: Run) -> None:
    """Find and record the bounds of all tasks, or wait for the process that does so."""

    def missing() -> list[str | None]:
        known = recording.recorded_bounds(run.study)
        return [label for label in run.job.tasks if rate_parameter(label) not in known]

    def test_ranges() -> None:
        for label in missing():
            _test_range(run, label, run.job.tasks[label])

    do_once(
        run.study,
        "range test",
        test_ranges,
        lambda: not missing(),
        alone=run.alone,
        on_wait=lambda: run.screen.note("waiting for the range test of another process"),
    )


def _test_range(run: Run, label: str | None, task: TuningTask) -> None:
    options, study, name = run.job.options, run.study, rate_parameter(label)
    if options.bounds is not None:
        recording.record(study, bounds=as_bounds(options.bounds)[0], name=name)
        return
    title = "range test" if label is None else f"range test of {label}"
    started = time.perf_counter()
    with run.screen.stage(title, "steps") as tell:
        curve = range_test(
            task,
            declared=options.declared,
            seeds=options.range_seeds,
            seed=options.seed,
            how=options.how,
            epochs=options.epochs,
            verbose=0,
            progress=tell,
        )
    facts = recording.recorded_facts(study)
    seconds = facts.get("seconds_range_test", 0.0) + time.perf_counter() - started
    steps = facts.get("steps_range_test", 0) + (curve.gradient_steps or 0)
    recording.record_facts(study, seconds_range_test=round(seconds, 3), steps_range_test=steps)
    # the bounds last, since they say that the test is done
    recording.record(study, curve=curve, name=name)
    recording.record(study, bounds=curve.bounds(), name=name)


def search_rates(run: Run) -> None:
    """Run what is left of the search."""
    options, named = run.job.options, run.job.tasks
    bounds = recording.recorded_bounds(run.study)
    curves = recording.recorded_curves(run.study)
    with run.screen.stage("search", "epochs") as tell:
        search(
            _one_or_named(named),
            _one_or_named({label: bounds[rate_parameter(label)] for label in named}),
            budget=options.planned_budget if options.races else None,
            curve=_one_or_named({label: curves.get(rate_parameter(label)) for label in named}),
            engine=options.engine,
            sampler=options.sampler,
            tuner=options.tuner or "bayesian",
            trials=options.trials,
            epochs=options.epochs,
            splits=options.splits,
            batch=TRIALS_AT_ONCE,
            storage=run.storage,
            study_name=run.job.study_name,
            seed=options.seed,
            pruner=options.pruner,
            objective=options.objective,
            direction=options.direction,
            how=options.how,
            verbose=0,
            on_trial=_trial_lines(run),
            on_epoch=tell,
            baseline=options.baseline,
            pool=run.pool,
        )


def choose_rate(run: Run) -> None:
    """Choose one rate from all finished trials, unless there are none."""
    if run.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        recording.record(run.study, choice=choose(run.study))


def _one_or_named(values: Mapping[str | None, Value]) -> Any:
    """Return what belongs to the only task as it is, and what belongs to several by name."""
    return values[None] if None in values else dict(values)


def _trial_lines(run: Run) -> Callable[[optuna.Study, FrozenTrial], None]:
    """Return what prints a line for each trial that ends from now on."""
    direction = run.study.direction.name.lower()
    best = best_row(trial_rows(run.study.get_trials(deepcopy=False), None), direction)

    def show(_: optuna.Study, trial: FrozenTrial) -> None:
        nonlocal best
        label = trial.params.get("optimizer")
        row = trial_rows([trial], rate_parameter(label))[0]
        best = best_row([each for each in (best, row) if each is not None], direction)
        value, number = (best["value"], best["number"]) if best else (None, None)
        total = None if run.job.options.races else run.job.options.planned_trials
        line = trial_line(row, total=total, best=value, best_number=number)
        run.screen.note(line if label is None else f"{line}  {label}")

    return show


def compare_rates(run: Run) -> None:
    """Compare the chosen rate with the baseline, unless that is done or no trial finished."""
    options, study = run.job.options, run.study
    choice = recorded_choice(study)
    if choice is None:
        return
    label, rate = choice.optimizer, choice.learning_rate
    chosen, rival = run.job.tasks[label], tasks.baseline_task(options, run.job.tasks, label)
    known = recorded_comparison(study)
    if known is not None and _stands(known, options, rate, chosen, rival):
        return
    if known is not None:
        run.screen.note(
            f"comparison: {known.pairs} pairs at {known.chosen_learning_rate:.4g} are known, "
            f"{options.pairs} at {rate:.4g} are asked for"
        )
    with run.screen.stage("comparison", "epochs") as tell:
        compare(
            chosen if chosen is rival else (chosen, rival),
            rate,
            baseline=options.baseline,
            pairs=options.pairs,
            epochs=options.epochs,
            study=study,
            objective=options.objective,
            direction=options.direction,
            seed=options.pair_seed,
            how=options.how,
            early_looks=True,
            verbose=0,
            on_epoch=tell,
            pool=run.pool,
        )


def _stands(
    known: Comparison, options: JobOptions, rate: float, chosen: TuningTask, rival: TuningTask
) -> bool:
    """Whether a stored comparison is the one that is asked for."""

    def same(one: float, other: float | None) -> bool:
        return other is None or abs(one / other - 1) <= SAME

    names = (chosen.name, rival.name)
    return (
        same(known.chosen_learning_rate, rate)
        and same(known.baseline_learning_rate, options.baseline or rival.baseline_learning_rate)
        and (known.chosen is None or (known.chosen.name, known.baseline.name) == names)  # type: ignore[union-attr]
        and known.epochs == options.epochs
        and known.objective == options.objective
        and (max(known.pairs, known.pairs_planned) >= options.pairs or known.pairs == 0)
    )


def report(run: Run, *, stopped: bool = False) -> int:
    """Write the report, print what was found, or that Ctrl-C stopped it; return the exit code."""
    study, screen = run.study, run.screen
    with errors.users_input("`--out`", OSError):
        page = write_report(study, run.job.folder / run_folder.PAGE)
    trials = study.get_trials(deepcopy=False)
    ended = sum(trial.state.is_finished() for trial in trials)
    told = f"{count(ended, 'rate')} tried"
    if not run.job.options.races:
        told = f"{ended} of {max(run.job.options.planned_trials, ended)} trials"
    if stopped:
        screen.say(f"stopped after {told}; report: {page}")
        screen.say(f"Run the same command to resume: {run.job.command}")
        return errors.INTERRUPTED
    if _held(study) == run.before and not screen.silent:
        known = recorded_comparison(study)
        pairs = f"{(known and known.pairs) or 'no'} pairs"
        screen.print(
            f"This run was complete: {told} and {pairs}. Nothing was trained; the report is "
            "written again.",
            "",
        )
    screen.finish(study, page)
    finished = any(trial.state == TrialState.COMPLETE for trial in trials)
    return errors.DONE if finished else errors.ALL_FAILED


def _held(study: optuna.Study) -> tuple[Any, ...]:
    """Return what training adds to: bounds, ended trials, the comparison."""
    attributes, trials = study.user_attrs, study.get_trials(deepcopy=False)
    ended = sum(trial.state.is_finished() for trial in trials)
    return attributes.get("bounds"), ended, attributes.get("comparison")
