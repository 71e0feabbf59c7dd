"""README and documentation: snippets run and print what stands under them; figures and links hold.

A page's Python blocks run in order in one fresh process, in an empty folder; one with a title is a
file, for the command. A text block straight after one is what it printed: the same words, and the
same numbers within a factor of ten, durations aside, since seeds, machines and versions move them.
"""

from __future__ import annotations

import ast
import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import run_search
import search_spaces
import tuners
from benchmarks.stored import read

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.M | re.S)
PRINTED = re.compile(r"^```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.M | re.S)
NUMBER = re.compile(r"[-+\u2212]?\b\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
DURATION = re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min|h)(?: \d+ s)?\b")
TENFOLD = 1.0  # decades by which a number may differ from the one shown
MOST_WORDS = 900  # of the README
# what decides a training, and so the rate that suits it
NEEDED = {
    "range_test": {"epochs", "batch_size"},
    "fit": {"epochs", "batch_size"},
    "search": {"epochs", "batch_size"},
    "compare": {"epochs"},
    "TuningTask": {"batch_size"},
}

# runs the blocks that it reads as JSON, and writes what each printed
RUN = """
import contextlib, io, json, sys
blocks, printed, names = json.load(open(sys.argv[1])), [], {"__name__": "page"}
for number, block in enumerate(blocks):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(block, f"block {number + 1}", "exec"), names)
    printed.append(out.getvalue())
json.dump(printed, open(sys.argv[2], "w"))
"""


def blocks_of(page: Path) -> list[tuple[str, str, str]]:
    """Language, title and text of each fenced block of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def printed_blocks(page: Path) -> list[tuple[str, str]]:
    """Each Python block of a page, with the output shown straight after it, "" where none is."""
    return PRINTED.findall(page.read_text(encoding="utf-8"))


def same_output(shown: str, printed: str) -> str | None:
    """How what was printed differs from what is shown, None where it does not."""
    one, other = (DURATION.sub("<time>", text.strip()) for text in (shown, printed))
    words = [NUMBER.sub("<number>", text).split() for text in (one, other)]
    if words[0] != words[1]:
        return f"other words: {printed}"
    for left, right in zip(NUMBER.findall(one), NUMBER.findall(other), strict=True):
        a, b = (float(n.replace(",", "").replace("\u2212", "-")) for n in (left, right))
        if a != b and (a * b <= 0 or abs(math.log10(a / b)) > TENFOLD):
            return f"{right} is not near {left}: {printed}"
    return None


@pytest.mark.parametrize(
    ("shown", "printed", "differs"),
    [
        ("rate 0.01 (3.1 s)", "rate 0.05 (1 min 16 s)", False),
        ("rate 0.01", "rate 0.5", True),
        ("rate 0.01", "loss 0.01", True),
        ("gain +0.01", "gain \u22120.01", True),
        ("0 of 1,000", "0 of 2000", False),
        ("0.001 to 0.1", "0.001", True),
    ],
)
def test_outputs_are_compared_by_words_and_decades(shown: str, printed: str, differs: bool) -> None:
    assert (same_output(shown, printed) is not None) is differs


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if printed_blocks(page)], ids=lambda page: page.stem
)
def test_the_snippets_run_and_print_what_stands_under_them(page: Path, tmp_path: Path) -> None:
    blocks = printed_blocks(page)
    given, made = tmp_path / "blocks.json", tmp_path / "printed.json"
    given.write_text(json.dumps([code for code, _ in blocks]))
    command = [sys.executable, "-W", "error::UserWarning", "-c", RUN, str(given), str(made)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    faults = [
        f"{code}\n{differs}"
        for (code, shown), printed in zip(blocks, json.loads(made.read_text()), strict=True)
        if shown and (differs := same_output(shown, printed))
    ]
    assert not faults, "\n".join(faults)


def calls_in(page: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call in the Python blocks of a page, with the last part of its name."""
    for code in [text for language, _, text in blocks_of(page) if language == "python"]:
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                yield name, node


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_snippets_say_for_which_trainings_they_are(page: Path) -> None:
    for name, call in calls_in(page):
        given = {keyword.arg for keyword in call.keywords}
        assert NEEDED.get(name, set()) <= given, ast.unparse(call)


def shell_lines() -> list[tuple[str, list[str]]]:
    """Each command of the shell blocks, with its page."""
    found = []
    for page in PAGES:
        for language, _, text in blocks_of(page):
            if language == "sh":
                lines = text.replace("\\\n", " ").splitlines()
                found += [(page.stem, shlex.split(line, comments=True)) for line in lines]
    return [(page, words) for page, words in found if words]


def test_shell_blocks_name_commands_and_options_that_there_are() -> None:
    group = typer.main.get_command(run_search.app)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    lines = shell_lines()
    assert len(lines) >= 8
    for page, words in lines:
        if words[0] == "lr-range-search":
            name = words[1] if words[1:] and words[1] in group.commands else None
            command, rest = (group.commands[name], words[2:]) if name else (group, words[1:])
            command.make_context("lr-range-search", list(rest))  # refuses what it does not know
        elif words[0] == "make":
            assert set(words[1:]) <= set(targets), page
        else:
            assert words[:2] == ["pip", "install"], f"{page}: {words}"


@pytest.mark.slow
def test_the_plan_of_your_own_task_is_printed(tmp_path: Path) -> None:
    page = ROOT / "docs" / "own-task.md"
    ((title, text),) = [block[1:] for block in blocks_of(page) if block[1]]
    (tmp_path / title).write_text(text, encoding="utf-8")
    (words,) = (
        words for name, words in shell_lines() if name == page.stem and "--dry-run" in words
    )
    command = [sys.executable, str(ROOT / "run_search.py"), *words[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "range test" in done.stdout
    assert "digits" in done.stderr


def test_the_readme_is_short() -> None:
    words = (ROOT / "README.md").read_text(encoding="utf-8").split()
    assert len(words) < MOST_WORDS


def test_the_readmes_table_is_that_of_the_benchmark() -> None:
    lines = {line["method"]: line["points"] for line in read("quality")["results"]["lines"]}
    rows = []
    for method in ("ours", "Optuna TPE", "KerasTuner Bayesian", "random"):
        found = {point["budget"]: point for point in lines[method]}
        cells = [
            cell
            for budget in (12, 33)
            for cell in (share(found[budget]["mean"], 1), share(found[budget]["equal"], 0))
        ]
        rows.append(f"| {method} | {' | '.join(cells)} |")
    table = "\n".join(rows)
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"write there:\n{table}"


def share(value: float, digits: int) -> str:
    return f"{100 * value:.{digits if value < 0.0995 else 0}f} %"


def test_the_api_page_holds_every_public_name_once() -> None:
    named = re.findall(r"^::: ([\w.]+)$", (ROOT / "docs" / "api.md").read_text(), re.M)
    rooms = (tuners, search_spaces)
    assert sorted(named) == sorted(
        f"{room.__name__}.{name}" for room in rooms for name in room.__all__
    )


@pytest.mark.slow
def test_the_site_is_built_with_every_link_and_every_figure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    pages = {path.parent.name: path.read_text() for path in tmp_path.glob("*/index.html")}
    assert {page.stem for page in PAGES[1:]} <= set(pages)
    for name, text in pages.items():
        assert "{{" not in text, f"{name} shows a template"
        loaded = re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="(?:https?:)?//[^"]*"', text)
        assert loaded == [], f"{name} needs a network"
    assert "var(--blue)" in pages["benchmarks"]
    assert "LR12" in pages["reading-a-report"]
