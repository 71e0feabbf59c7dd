"""What slow rivals named: kept in a file, since their samplers take seconds a replay.

Their answers follow from a task's truth and from the policy's own code, which an entry's digest
tells; where either is another one, the policy is played again. So the whole replay takes minutes
on any machine, also where a rival's package is not installed.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

from benchmarks.replay import Named, Play
from benchmarks.truth import file_of

PATH = Path(__file__).with_name("kept_rivals.json")
Kept = dict[str, dict[str, Any]]


def load(path: Path = PATH) -> Kept:
    """Return all entries by method and task."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def digest(play: Play, task: str) -> str:
    """Return what an entry depends on: the task's file and the module of the policy."""
    source = Path(inspect.getfile(play)).read_bytes()
    return hashlib.sha256(file_of(task).read_bytes() + source).hexdigest()[:16]


def look_up(kept: Kept, method: str, task: str, key: str) -> list[dict[int, Named]] | None:
    """Return what a method named in each repeat by budget; None where the entry is another's."""
    entry = kept.get(f"{method}: {task}")
    if entry is None or entry["digest"] != key:
        return None
    return [
        {int(budget): Named(*values) for budget, values in repeat.items()}
        for repeat in entry["named"]
    ]


def entry(named: list[dict[int, Named]], key: str) -> dict[str, Any]:
    """Return an entry as the file holds it."""
    values = [
        {
            str(budget): [each.learning_rate, each.tests, each.alone, each.together]
            for budget, each in repeat.items()
        }
        for repeat in named
    ]
    return {"digest": key, "named": values}


def store(kept: Kept, path: Path = PATH) -> None:
    """Write all entries, a line each."""
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(kept[name], separators=(',', ':'))}"
        for name in sorted(kept)
    )
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
