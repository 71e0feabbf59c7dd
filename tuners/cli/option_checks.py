"""What options must hold that their types cannot say: rules of one value, rules that tie several.

A message names the option, the value and the cure; it ends the command with exit code 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from search_spaces._input import InputError
from search_spaces.wine import OPTIMIZERS
from tuners._checks import check_choice
from tuners.cli.options import JobOptions
from tuners.engines.samplers import check_sampler

LONGEST_NAME = 500


def check_options(options: JobOptions) -> None:
    """Check all that can be checked without the data.

    Raises:
        InputError: An option breaks its rule.
    """
    for broken, message in [*_rates(options), *_engine(options), *_source(options)]:
        if broken:
            raise InputError(message)
    if options.task is None:
        for name in options.optimizers:
            check_choice(name, OPTIMIZERS, "--optimizer")
    if options.engine == "optuna":
        try:
            check_sampler(options.algorithm)
        except InputError as error:  # an extra that is not installed
            raise InputError(str(error).replace("`sampler`", "`--sampler`")) from None
    check_folder_name(options.out)
    check_address(options.storage)
    check_study_name(options.study_name)


def _rates(options: JobOptions) -> Iterator[tuple[bool, str]]:
    for name, pair in (("range", options.declared), ("bounds", options.bounds)):
        low, high = pair or (1.0, 2.0)
        yield (
            not 0 < low < high < math.inf,
            f"`--{name}` must hold 0 < LOW < HIGH < infinity, but got {low:g} {high:g}; "
            f"pass e.g. --{name} 1e-5 1.",
        )
    baseline = options.baseline
    yield (
        baseline is not None and not 0 < baseline < math.inf,
        f"`--baseline` must be positive and finite, but got {baseline}; pass e.g. 1e-3.",
    )
    yield (
        not options.objective.strip(),
        "`--objective` must name a curve, but got ''; pass e.g. val_loss.",
    )


def _engine(options: JobOptions) -> Iterator[tuple[bool, str]]:
    engine, wrong = options.engine, f"does not go with `--engine {options.engine}`; use"
    other = engine == "keras-tuner"
    yield (
        other and options.sampler is not None,
        f"`--sampler` {options.sampler!r} {wrong} `--tuner` for KerasTuner's own.",
    )
    yield (
        not other and options.tuner is not None,
        f"`--tuner` {options.tuner!r} {wrong} `--engine keras-tuner`, or `--sampler`.",
    )
    yield (
        other and options.pruner != "none",
        f"`--pruner` {options.pruner!r} {wrong} `--tuner hyperband`.",
    )
    yield (
        other and len(options.optimizers) > 1,
        "`--optimizer` may name several optimizers with `--engine optuna` only, "
        f"but got {options.optimizer!r} with keras-tuner; name one.",
    )
    yield (
        other and options.workers > 1,
        f"`--workers` must be 1 with `--engine keras-tuner`, but got {options.workers}; "
        "use `--engine optuna`.",
    )


def _source(options: JobOptions) -> Iterator[tuple[bool, str]]:
    wine = "is for the wine task and cannot go with `--task`"
    for name, value in (("data", options.data), ("optimizer", options.optimizer)):
        yield (
            options.task is not None and value is not None,
            f"`--{name}` {wine}, but got {value!r}; leave one of them out.",
        )
    yield (
        options.task is not None and options.drop_repeats,
        f"`--drop-repeats` {wine}; drop repeated rows in the task's own function.",
    )
    yield (
        len(set(options.optimizers)) < len(options.optimizers),
        f"`--optimizer` must name each optimizer once, but got {options.optimizer!r}.",
    )


def check_folder_name(folder: str | None) -> None:
    """Check that a folder has a name that a file system can hold, or none was given.

    Raises:
        InputError: It is empty or has a NUL.
    """
    if folder is not None and (not folder.strip() or "\0" in folder):
        raise InputError(f"`--out` must be a folder, but got {folder!r}; pass e.g. runs/mine.")


def check_address(storage: str | None) -> None:
    """Check that a storage is given by an address, not by a file's name, or not at all.

    Raises:
        InputError: It is not.
    """
    if storage is not None and "://" not in storage:
        raise InputError(
            f"`--storage` must be an address, but got {storage!r}; pass e.g. sqlite:///study.db."
        )


def check_study_name(name: str | None) -> None:
    """Check that a study's name can be kept by every storage, or none was given.

    Raises:
        InputError: It is empty, too long, or holds what is no text.
    """
    if name is None:
        return
    if not name.strip() or len(name) > LONGEST_NAME:
        raise InputError(
            f"`--study-name` must have 1 to {LONGEST_NAME} characters, but has "
            f"{len(name) if name.strip() else 'nothing but blanks'}; pass e.g. wine."
        )
    if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise InputError(
            f"`--study-name` must be text without NUL or broken characters, but got {name!r}."
        )
