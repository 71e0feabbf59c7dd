"""The Optuna example, before and after."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("before", marks=pytest.mark.table), "after"])
def test_runs_and_narrows(name: str) -> None:
    script = EXAMPLES / f"optuna_objective_{name}.py"
    run = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(script), "3", "5"],
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
