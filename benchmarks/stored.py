"""What benchmarks found, a JSON file each: the documentation draws its tables and charts from them.

A file holds the command, the day, the machine and the versions beside the results. Where
`transcribed` stands too, the numbers were copied from an earlier page and not written by a run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("results")
PLACES = ("--out", "--keep", "--runs")  # options whose values are paths of one machine


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add the option `--out` to a benchmark's options."""
    parser.add_argument(
        "--out", type=Path, help="file for the results, where not the benchmark's own is meant"
    )


def write(name: str, results: Any, out: Path | None, *, whole: bool = True) -> None:
    """Write the results of the benchmark that this process runs.

    Args:
        name: Of the benchmark's own file, without its ending.
        results: Numbers and words in dicts and lists.
        out: Another file; None for the benchmark's own.
        whole: Whether all was run; a part goes into another file only.
    """
    from tuners.study.metadata import machine_facts
    from tuners.study.schema import plain

    if out is None and not whole:
        print("A part of the benchmark is not stored; pass --out to keep it.")
        return
    path = out or FOLDER / f"{name}.json"
    stored = {
        "command": command_line(Path(sys.argv[0]).stem, sys.argv[1:]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **machine_facts(),
        "results": plain(results, 5),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"results: {path.name}")


def command_line(name: str, arguments: list[str]) -> str:
    """Return the command of a benchmark without what names a place on this machine.

    Example:
        >>> command_line("load", ["--fill", "--out", "x.json", "--trials=1000"])
        'python -m benchmarks.load --fill --trials=1000'
    """
    kept, words = [], iter(arguments)
    for word in words:
        if word in PLACES:
            next(words, None)
        elif not word.startswith(tuple(f"{place}=" for place in PLACES)):
            kept.append(word)
    return " ".join(["python -m", f"benchmarks.{name}", *kept])


def read(name: str) -> dict[str, Any]:
    """Return what a benchmark's file holds.

    Raises:
        ValueError: There is no such file; the message names those that there are.
    """
    path = FOLDER / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in FOLDER.glob("*.json")))
        raise ValueError(f"`name` must be one of {known}, but got {name!r}.")
    return dict(json.loads(path.read_text(encoding="utf-8")))
