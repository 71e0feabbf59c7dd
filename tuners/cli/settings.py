"""Which settings of a run must stay the same when it is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuners.cli.errors import Refused
from tuners.cli.options import JobOptions

if TYPE_CHECKING:
    import optuna

    from search_spaces import TuningTask

JOB = "job"
# what a report.json tells of the settings, by the names of its facts
FACTS = ("task", "data_hash", "epochs", "engine", "sampler", "seed", "objective", "batch_size")


def job_settings(
    options: JobOptions, tasks: Mapping[str | None, TuningTask], optimizer: str
) -> dict[str, Any]:
    """Return the settings that a study was made with and must be gone on with, as plain values.

    `--trials` and `--pairs` may grow, `--baseline` changes the comparison alone, and `--how`,
    `--workers`, `--quiet` and `--json` change no result: they are left out.

    Args:
        options: The checked options.
        tasks: What is tuned.
        optimizer: The optimizers' names.
    """
    from tuners.study.metadata import task_hash

    each = list(tasks.values())
    low, high = options.bounds or options.declared
    kind = "bounds" if options.bounds else "range"
    return {
        "task": ",".join(task.name for task in each),
        "data_hash": ",".join(dict.fromkeys(task_hash(task) for task in each)),
        "optimizer": optimizer,
        "batch_size": ",".join(dict.fromkeys(str(task.batch_size) for task in each)),
        "range": f"{kind} {low:.12g} to {high:.12g}",
        "range_seeds": 0 if options.bounds else options.range_seeds,
        "epochs": options.epochs,
        "engine": options.engine,
        "sampler": options.algorithm,
        "pruner": options.pruner,
        "objective": options.objective,
        "seed": options.seed,
    }


def differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return what differs, a phrase each.

    Example:
        >>> differences({"epochs": 40, "seed": 0}, {"epochs": 30, "seed": 0})
        ['epochs was 40, now 30']
    """
    return [
        f"{name} was {known.get(name)}, now {wanted.get(name)}"
        for name in dict.fromkeys([*wanted, *known])
        if known.get(name) != wanted.get(name)
    ]


def check_study(study: optuna.Study, settings: Mapping[str, Any], where: str) -> None:
    """Check that a study is new or was made with these settings.

    Args:
        study: The study as stored.
        settings: What `job_settings` returned.
        where: The storage as an error calls it.

    Raises:
        Refused: It was made otherwise; what differs is listed.
    """
    trials = study.get_trials(deepcopy=False)
    attributes = study.user_attrs  # once, and after the trials: others may be making it just now
    known = attributes.get(JOB)
    if known is None:
        if attributes or trials:
            raise Refused(
                f"the study {study.study_name!r} in {where} was not made by this command; "
                "pass another --study-name or --out."
            )
        return
    differing = differences(known, settings) if isinstance(known, Mapping) else ["unreadable"]
    if differing:
        raise Refused(
            f"the study {study.study_name!r} in {where} was made with other settings: "
            f"{'; '.join(differing)}; use the same settings, or another --study-name or --out."
        )


def check_report(report: Any, study_name: str, settings: Mapping[str, Any], where: str) -> None:
    """Check that a report which would be written over is one of the same run.

    Args:
        report: What `report.json` holds.
        study_name: Name of the study of this run.
        settings: What `job_settings` returned.
        where: The file as an error calls it.

    Raises:
        Refused: It is another run's, or not one of this command's.
    """
    facts = report.get("facts") if isinstance(report, Mapping) else None
    if not isinstance(facts, Mapping):
        raise Refused(f"{where} is no report of this command; pass another --out.")
    stored = {"study": report.get("study_name")} | {k: facts[k] for k in FACTS if k in facts}
    wanted = {"study": study_name} | {k: settings[k] for k in FACTS if k in facts}
    differing = differences(
        {name: str(value) for name, value in stored.items()},
        {name: str(value) for name, value in wanted.items()},
    )
    if differing:
        raise Refused(
            f"{where} reports a run made with other settings: {'; '.join(differing)}; "
            "use the same settings, or another --out."
        )
