"""The Optuna example, before and after."""

from __future__ import annotations

import ast
import difflib
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def code_of(name: str) -> list[str]:
    """The lines of a script without its docstring and empty lines."""
    source = (EXAMPLES / name).read_text()
    lines = source.splitlines()[ast.parse(source).body[0].end_lineno :]
    return [line for line in lines if line.strip()]


def test_at_most_three_lines_differ() -> None:
    before, after = code_of("optuna_objective_before.py"), code_of("optuna_objective_after.py")
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert 1 <= len(changed) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["before", "after"])
def test_runs_and_narrows(name: str) -> None:
    script = EXAMPLES / f"optuna_objective_{name}.py"
    run = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(script), "3", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "best loss" in run.stdout
    tried = re.search(r"rates tried: \[(.*)\]", run.stdout)
    assert tried
    rates = [float(rate) for rate in tried[1].split(",")]
    assert len(rates) == 3
    if name == "after":
        assert max(rates) / min(rates) < 1e3  # of five decades
