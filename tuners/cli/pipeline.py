"""The whole job: range test, search, comparison, report; what is done already is left out."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tuners.cli import run_folder
from tuners.cli.console import Screen
from tuners.cli.errors import ALL_FAILED, DONE, users_input
from tuners.cli.options import JobOptions
from tuners.cli.settings import job_settings
from tuners.cli.tasks import baseline_task, check_task, load_tasks, safe_name
from tuners.cli.tensorflow_logging import load_tensorflow

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from search_spaces import TuningTask
    from tuners.comparison.result import Comparison

Value = TypeVar("Value")

SAME = 1e-9  # share by which a rate read back from a storage may differ


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be done, once all that can be checked without training is checked.

    Args:
        options: The checked options.
        tasks: What is tuned, by optimizer; under None where there is one task.
        folder: Where the report is written.
        address: Of the storage.
        study_name: Of the study.
        settings: What must stay the same when the job is gone on with.
        command: The command that repeats the job.
    """

    options: JobOptions
    tasks: Mapping[str | None, TuningTask]
    folder: Path
    address: str
    study_name: str
    settings: Mapping[str, Any]
    command: str

    @functools.cached_property
    def storage(self) -> BaseStorage:
        """The opened storage.

        Raises:
            UserError: It cannot be opened.
        """
        from tuners.study.storage import open_storage

        with users_input():
            return open_storage(self.address)

    @property
    def locks(self) -> bool:
        """Whether no other process may use the folder, known before the storage is opened."""
        return self.address.startswith("sqlite") or self.options.engine == "keras-tuner"

    @property
    def alone(self) -> str:
        """Why one process only may be at work on the study; "" where several may."""
        from tuners.study.storage import one_process_only

        if self.options.engine == "keras-tuner":
            return "`--engine keras-tuner` works with one process on a study"
        return one_process_only(self.storage)

    @property
    def optimizer(self) -> str:
        """Names of the optimizers, with commas between."""
        return str(self.settings["optimizer"])


def prepare(options: JobOptions, command: str, screen: Screen) -> Job:
    """Return the job that the options ask for; what needs no TensorFlow is checked first.

    Args:
        options: The checked options.
        command: The command line, without passwords.
        screen: Where progress is shown.

    Raises:
        UserError: The data, the task, the folder or what it holds break a rule.
    """
    tasks = load_tasks(options)
    if options.storage is not None and not options.dry_run:
        with users_input():
            from tuners.study.storage import close_storage, open_storage

            close_storage(open_storage(options.storage))
    names = options.optimizers
    if options.task is not None:
        names = (_check_own(options, tasks[None], screen),)
    name = "wine" if options.task is None else tasks[None].name
    out = options.out or str(
        Path("runs")
        / f"{safe_name(name)}-{safe_name('-'.join(names))}-{options.engine}-seed{options.seed}"
    )
    folder = Path(out).expanduser()
    settings = job_settings(options, tasks, ", ".join(names))
    study_name = options.study_name or (name if len(names) == 1 else f"{name}-{'-'.join(names)}")
    run_folder.check_folder(folder, study_name, settings)
    address = options.storage or run_folder.storage_address(folder, options.workers)
    if options.task is None:  # after the folder's check, which needs no model
        _load_tensorflow(screen)
        for task in tasks.values():
            check_task(task, options.objective, options.seed)
    return Job(options, tasks, folder, address, study_name, settings, command)


def _check_own(options: JobOptions, task: TuningTask, screen: Screen) -> str:
    """Check the user's own task; return its optimizer's name, which its folder has."""
    from tuners.study.metadata import task_facts

    _load_tensorflow(screen)
    check_task(task, options.objective, options.seed)
    return str(task_facts(task, options.epochs)["optimizer"]).lower()


def _load_tensorflow(screen: Screen) -> None:
    screen.note("loading TensorFlow")
    load_tensorflow()


def run(job: Job, study: optuna.Study, screen: Screen) -> int:
    """Do what is left of a job, beside other processes that may be at it; return the exit code.

    Args:
        job: What `prepare` returned.
        study: What `open_study` returned.
        screen: Where progress is shown.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was told to the storage is kept.
        ValueError: Another process is at work on a study that one alone can work on.
    """
    from tuners.study.heartbeat import at_work

    with at_work(study, job.alone):
        test_ranges(job, study, screen)
        search_rates(job, study, screen)
        return ALL_FAILED if compare_rates(job, study, screen) is None else DONE


def open_study(job: Job) -> optuna.Study:
    """Return the stored study of a job, or a new one that carries its settings.

    Raises:
        UserError: The storage cannot be used, or the study in it was made otherwise.
    """
    from tuners.study.recording import record_facts, recorded_facts
    from tuners.study.storage import hide_password
    from tuners.training.records import direction

    options = job.options
    study = run_folder.open_study(
        job.storage,
        hide_password(job.address),
        job.study_name,
        direction(options.objective),
        job.settings,
        alone=options.storage is None,
    )
    if "command" not in recorded_facts(study):
        record_facts(study, command=job.command)  # the command of whoever came first
    return study


def start_facts(job: Job) -> dict[str, Any]:
    """Return what is known before anything is trained, by the names of a study's facts."""
    from tuners.study.metadata import machine_facts, task_facts

    options = job.options
    facts = task_facts(next(iter(job.tasks.values())), options.epochs)
    own = ("trials", "epochs", "pairs", "engine", "objective", "seed")
    return {
        **facts,
        **machine_facts(),
        **{name: getattr(options, name) for name in own},
        "task": job.settings["task"],
        "optimizer": job.optimizer,
        "sampler": options.algorithm,
    }


def parameter(label: str | None) -> str:
    """Return the name of the rate among a trial's parameters."""
    return "learning_rate" if label is None else f"learning_rate_{label}"


def test_ranges(job: Job, study: optuna.Study, screen: Screen) -> None:
    """Find and record the bounds of all tasks, or wait for the process that does so."""
    from tuners.study.recording import recorded_bounds
    from tuners.study.work_queue import do_once

    def is_done() -> bool:
        return {parameter(label) for label in job.tasks} <= set(recorded_bounds(study))

    def wait() -> None:
        screen.note("waiting for the range test of another process")

    def find() -> None:
        for label, task in job.tasks.items():
            if parameter(label) not in recorded_bounds(study):
                _find_bounds(job, study, label, task, screen)

    do_once(study, "range test", find, is_done, alone=bool(job.alone), on_wait=wait)


def _find_bounds(
    job: Job, study: optuna.Study, label: str | None, task: TuningTask, screen: Screen
) -> None:
    from tuners.integrations.narrowing import as_bounds
    from tuners.study.recording import record, record_facts, recorded_facts

    if job.options.bounds is not None:
        bounds, _ = as_bounds(job.options.bounds)
        record(study, bounds=bounds, name=parameter(label))
        return
    title = "range test" if label is None else f"range test of {label}"
    started = time.perf_counter()
    with screen.stage(title, "steps") as tell:
        curve = _range_test(job.options, task, tell)
    facts = recorded_facts(study)
    seconds = facts.get("seconds_range_test", 0.0) + time.perf_counter() - started
    steps = facts.get("steps_range_test", 0) + (curve.gradient_steps or 0)
    record_facts(study, seconds_range_test=round(seconds, 3), steps_range_test=steps)
    # the bounds last, since they say that the test is done
    record(study, curve=curve, name=parameter(label))
    record(study, bounds=curve.bounds(), name=parameter(label))


def _labelled(values: Mapping[str | None, Value]) -> dict[str, Value]:
    """Return what belongs to optimizers by name; a single task has no label."""
    return {label: value for label, value in values.items() if label is not None}


def search_rates(job: Job, study: optuna.Study, screen: Screen) -> None:
    """Run what is left of the search."""
    from tuners import search
    from tuners.study.recording import recorded_bounds, recorded_curves

    options, tasks = job.options, job.tasks
    bounds = {label: recorded_bounds(study)[parameter(label)] for label in tasks}
    found = recorded_curves(study)
    curves = {label: found[parameter(label)] for label in tasks if parameter(label) in found}
    one = None in tasks
    with screen.stage("search", "epochs") as tell:
        search(
            tasks[None] if one else _labelled(tasks),
            bounds[None] if one else _labelled(bounds),
            engine=options.engine,
            sampler=options.algorithm if options.engine == "optuna" else "tpe",
            tuner=options.algorithm if options.engine == "keras-tuner" else "bayesian",
            trials=options.trials,
            epochs=options.epochs,
            storage=job.storage,
            study_name=study.study_name,
            seed=options.seed,
            pruner=None if options.pruner == "none" else options.pruner,
            objective=options.objective,
            curve=curves.get(None) if one else _labelled(curves),
            how=options.how,
            on_trial=_trial_lines(options, study, screen),
            on_epoch=tell,
        )


def compare_rates(job: Job, study: optuna.Study, screen: Screen) -> Comparison | None:
    """Compare the best rate with the baseline, unless that is done; None if no trial finished."""
    from tuners import compare
    from tuners.comparison.result import recorded_comparison

    try:
        best = study.best_trial
    except ValueError:  # no trial is complete
        return None
    options = job.options
    label = best.params.get("optimizer") if None not in job.tasks else None
    rate = float(best.params[parameter(label)])
    chosen, rival = (
        job.tasks[label],
        baseline_task(options, job.tasks, label),
    )
    known = recorded_comparison(study)
    if known is not None and _stands(known, options, rate, chosen, rival):
        return known
    if known is not None:
        screen.note(
            f"comparison: {known.pairs} pairs at {known.chosen_learning_rate:.4g} are known, "
            f"{options.pairs} at {rate:.4g} are asked for"
        )
    with screen.stage("comparison", "epochs") as tell, users_input():
        return compare(
            chosen if chosen is rival else (chosen, rival),
            rate,
            baseline=options.baseline,
            pairs=options.pairs,
            epochs=options.epochs,
            study=study,
            objective=options.objective,
            seed=options.pair_seed,
            how=options.how,
            on_epoch=tell,
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
        and (known.pairs >= options.pairs or known.pairs == 0)
    )


def _range_test(options: JobOptions, task: TuningTask, tell: Any) -> Any:
    from tuners import range_test

    return range_test(
        task,
        declared=options.declared,
        seeds=options.range_seeds,
        seed=options.seed,
        how=options.how,
        epochs=options.epochs,
        progress=tell,
    )


def _trial_lines(options: JobOptions, study: optuna.Study, screen: Screen) -> Any:
    """Return what prints a line for each trial that ends from now on."""
    from tuners.report.terminal import trial_line
    from tuners.report.trial_rows import best_row, trial_rows

    direction = study.direction.name.lower()
    best = best_row(trial_rows(study.get_trials(deepcopy=False), None), direction)

    def show(_: optuna.Study, trial: FrozenTrial) -> None:
        nonlocal best
        row = trial_rows([trial], parameter(trial.params.get("optimizer")))[0]
        best = best_row([each for each in (best, row) if each is not None], direction)
        label = trial.params.get("optimizer")
        line = trial_line(
            row,
            total=options.trials,
            best=best["value"] if best else None,
            best_number=best["number"] if best else None,
        )
        screen.note(line if label is None else f"{line}  {label}")

    return show
