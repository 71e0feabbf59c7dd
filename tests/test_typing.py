"""A user's own type checker sees our types, in strict mode too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import search_spaces
import tuners

SCRIPT = Path(__file__).with_name("typed_script.py")


@pytest.mark.slow
def test_a_script_that_calls_every_public_name_passes_mypy_strict(tmp_path) -> None:
    text = SCRIPT.read_text()
    for name in (*tuners.__all__, *search_spaces.__all__):
        assert text.count(name) >= 2, name
    (tmp_path / "right.py").write_text(text)
    wrong = text.replace('"report.html")', "3)").replace("epochs=10", 'epochs="10"')
    (tmp_path / "wrong.py").write_text(wrong)
    # as a user does: strict, in a folder of theirs, without our settings
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", ".cache"]
    done = subprocess.run(
        [*command, "right.py", "wrong.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 2, done.stdout
    assert all(line.startswith("wrong.py") and "[arg-type]" in line for line in errors)
