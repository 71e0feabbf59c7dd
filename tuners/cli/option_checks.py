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
    for broken, message in _rules(options):
        if broken:
            raise InputError(message)
    if options.task is None:
        for name in options.optimizers:
            check_choice(name, OPTIMIZERS, "--optimizer")
    if options.engine == "optuna" and not options.races:
        check_sampler(options.algorithm)  # whose extra may not be installed
    check_folder_name(options.out)
    check_address(options.storage)
    check_study_name(options.study_name)


def _rules(options: JobOptions) -> Iterator[tuple[bool, str]]:
    """Yield whether each rule is broken, and what to say then."""
    for name, pair in (("range", options.declared), ("bounds", options.bounds)):
        low, high = pair or (1.0, 2.0)
        words = f"`--{name}` must hold 0 < LOW < HIGH < infinity, but got {low:g} {high:g}; "
        example = f"{high:g} {low:g}" if 0 < high < low < math.inf else "1e-5 1"
        yield not 0 < low < high < math.inf, words + f"pass e.g. --{name} {example}."
    rate, names = options.baseline, options.optimizers
    words = f"`--baseline` must be positive and finite, but got {rate}; pass e.g. 1e-3."
    yield rate is not None and not 0 < rate < math.inf, words
    words = "`--objective` must name a curve, but got ''; pass e.g. val_loss."
    yield not options.objective.strip(), words
    words = f"`--optimizer` must name each optimizer once, but got {options.optimizer!r}."
    yield len(set(names)) < len(names), words
    words = f"`--budget` is for a race, but got {options.budget} with --trials, --sampler, "
    words += "--pruner or keras-tuner; leave one of the two out."
    yield options.budget is not None and not options.races, words
    wrong, other = f"does not go with `--engine {options.engine}`", options.engine != "optuna"
    for broken, name, cure in (
        (other and options.sampler, "sampler", "use `--tuner` for KerasTuner's own"),
        (not other and options.tuner, "tuner", "use `--engine keras-tuner`, or `--sampler`"),
        (other and options.pruner != "none", "pruner", "use `--tuner hyperband`"),
        (other and len(names) > 1, "optimizer", "name one"),
    ):
        yield bool(broken), f"`--{name}` {getattr(options, name)!r} {wrong}; {cure}."
    words = f"`--workers` must be 1 with `--engine keras-tuner`, but got {options.workers}; "
    yield other and options.workers > 1, words + "use `--engine optuna`."
    for name in ("data", "optimizer", "drop_repeats"):
        words = f"`--{name.replace('_', '-')}` is for the wine task and cannot go with `--task`, "
        words += f"but got {getattr(options, name)!r}; leave one of them out."
        yield options.task is not None and getattr(options, name) not in (None, False), words


def check_folder_name(folder: str | None) -> None:
    """Check that a folder has a name that a file system can hold, or none was given."""
    if folder is not None and (not folder.strip() or "\0" in folder):
        raise InputError(f"`--out` must be a folder, but got {folder!r}; pass e.g. runs/mine.")


def check_address(storage: str | None) -> None:
    """Check that a storage is given by an address, not by a file's name, or not at all."""
    if storage is not None and "://" not in storage:
        raise InputError(
            f"`--storage` must be an address, but got {storage!r}; pass e.g. sqlite:///study.db."
        )


def check_study_name(name: str | None) -> None:
    """Check that a study's name can be kept by every storage, or none was given."""
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
