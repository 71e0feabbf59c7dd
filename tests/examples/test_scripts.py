"""What holds for every pair of example scripts, and runs of those that are plain scripts."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ALONE = {"pytorch_race.py", "which_optimizer.py"}  # what is plugged into no script of before
PAIRS = sorted(path.name.removesuffix("_before.py") for path in EXAMPLES.glob("*_before.py"))


def code_of(name: str) -> list[str]:
    """The lines of a script without its docstring and empty lines."""
    source = (EXAMPLES / name).read_text()
    lines = source.splitlines()[ast.parse(source).body[0].end_lineno :]
    return [line for line in lines if line.strip()]


def run(name: str, *arguments: str) -> str:
    """What a script prints; a warning of ours fails it."""
    command = [sys.executable, "-W", "error::UserWarning", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def number(label: str, text: str) -> float:
    found = re.search(rf"{label} ([0-9.e+-]+)", text)
    assert found, text
    return float(found[1])


def test_every_script_has_its_pair_and_its_line_in_the_readme() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    pairs = {f"{pair}_{when}.py" for pair in PAIRS for when in ("before", "after")}
    assert names == pairs | ALONE
    assert len(PAIRS) == 6
    readme = (EXAMPLES / "README.md").read_text()
    assert [name for name in (*PAIRS, *ALONE) if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("pair", PAIRS)
def test_at_most_three_lines_differ(pair: str) -> None:
    before, after = code_of(f"{pair}_before.py"), code_of(f"{pair}_after.py")
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert 1 <= len(changed) <= 3, changed
    assert sum("tuners" in line for line in before) == 0


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_a_docstring_says_what_the_script_does(name: str) -> None:
    docstring = ast.get_docstring(ast.parse((EXAMPLES / name).read_text()))
    assert docstring
    assert docstring.splitlines()[0].endswith(".")


@pytest.mark.slow
def test_plain_fit_trains_better_with_the_rate_of_the_range_test() -> None:
    before, after = run("plain_fit_before.py", "2"), run("plain_fit_after.py", "2")
    assert number("learning rate", before) == pytest.approx(0.01)  # Keras's default for SGD
    assert number("learning rate", after) > 0.01
    assert number("loss", after) < number("loss", before)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_sklearn_partial_fit(when: str) -> None:
    printed = run(f"sklearn_partial_fit_{when}.py", "11", "2")
    assert 1e-3 < number("learning rate", printed) < 0.3
    assert number("accuracy", printed) > 0.9


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("when", ["before", "after"])
def test_pytorch_loop(when: str) -> None:
    printed = run(f"pytorch_loop_{when}.py", "200", "3")
    assert 1e-3 < number("learning rate", printed) < 1.0
    assert number("accuracy", printed) > 0.8


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_pytorch_race() -> None:
    printed = run("pytorch_race.py", "3")
    assert 0.01 < number("learning rate", printed) <= 1.0
    assert number("chosen loss", printed) < number("default loss", printed)


@pytest.mark.slow
def test_which_optimizer_asks_four_questions() -> None:
    lines = run("which_optimizer.py", "1", "2", "3").splitlines()
    assert [line[-1] for line in lines[::2]] == ["?"] * 4
    answers = lines[1::2]
    assert all(answer.startswith("too few pairs: ") for answer in answers)  # 2 pairs
    assert "Adam at 0.001 against ScheduleFreeAdamW at 0.0025, " in answers[0]
    assert "ScheduleFreeAdamW at 0.0025, " in answers[1]
    assert "CosineDecay at " in answers[3]
