"""Hostile input, tried for real through the command: a clear line or a good result, never a loss.

Whatever a case does, no traceback is shown, an error is one line, and what lay in the folder
before lies there afterwards with the same bytes. More of the kind: `REFUSED` in test_run_search.py
(options), `HOSTILE` in search_spaces/test_wine_csv.py (cells) and tuners/test_cmaes_state.py.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import run_search
from search_spaces.wine_csv import COLUMNS
from tuners import write_report
from tuners.study import storage

SECRET = "hunter2"
SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
HEADER = ",".join(COLUMNS)
ROW = "red,7.4,0.7,0.5,1.9,0.076,11,34,0.9978,3.51,0.56,9.4,5"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with something of the user's in it."""
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return tmp_path


def listing(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def refuse(
    arguments: list[str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    *words: str,
    code: int = 2,
) -> str:
    """Run a command that must be refused in one line with nothing written; return the line."""
    before = listing(folder)
    capsys.readouterr()
    assert run_search.main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, err[-2000:]
    assert errors[0] == lines[-1]
    assert len(errors[0]) < 2500
    assert "Traceback" not in err
    assert SECRET not in err
    for word in words:
        assert word in errors[0]
    assert listing(folder) == before
    return errors[0]


def make_study(
    address: str = "sqlite:///study.db", name: str = "wine", trials: int = 3, **attributes: Any
) -> optuna.Study:
    """Store a small study that Optuna alone made."""
    from tuners.study.storage import open_storage

    study = optuna.create_study(storage=open_storage(address), study_name=name)
    for key, value in attributes.items():
        study.set_user_attr(key, value)
    study.optimize(lambda trial: trial.suggest_float("learning_rate", 1e-4, 1, log=True), trials)
    return study


def check_page(folder: Path) -> dict[str, Any]:
    """Return report.json once no word of the study has become part of the page's structure."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<script") <= 2
    assert "<img" not in page
    assert "<script>alert" not in page
    assert SECRET not in page
    assert len(page) < 2_000_000
    text = (folder / "report.json").read_text(encoding="utf-8")
    assert SECRET not in text
    return json.loads(text)


# --- names -------------------------------------------------------------------------------------

NAMES = {
    "HTML": SCRIPT,
    "quotes": 'it\'s "quoted" `here`',
    "newlines": "two\nlines\r\nand\ttabs",
    "emoji": "\U0001f377\U0001f377 wine \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "500 characters": "x" * 500,
    "500 emoji": "\U0001f377" * 500,
    "SQL": "'; DROP TABLE studies; --",
    "a path": "../../../etc/passwd",
    "a template": "{{ 7 * 7 }} {% raw %} ${HOME} %s {0}",
    "right to left": "\u202egnp.exe",
    "terminal codes": "\x1b[2J\x1b[31mred",
    "a formula": "=cmd|' /C calc'!A1",
    "an option": "--help",
    "combining marks": "a" + "\u0301" * 200,
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A storage of each kind: SQLite with one study of Optuna's own, a journal with many names."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = tmp_path_factory.mktemp("stored")
    make_study(f"sqlite:///{folder}/one.db", facts={"task": "x"})._storage.remove_session()
    make_study(f"journal:///{folder}/one.log", facts={"task": "x"})
    for name in NAMES.values():
        make_study(f"journal:///{folder}/names.log", name)
    return {
        "sqlite": folder / "one.db",
        "journal": folder / "one.log",
        "names": folder / "names.log",
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", NAMES)
def test_a_study_of_any_name_is_reported(
    case: str, stored: dict[str, Path], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(stored["names"], "names.log")
    arguments = ["report", "--storage", "journal:///names.log", f"--study-name={NAMES[case]}"]
    assert run_search.main([*arguments, "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "\x1b[2J" not in out
    assert check_page(workplace / "out")["study_name"] == NAMES[case]
    assert sorted(path.name for path in workplace.iterdir()) == ["names.log", "notes.txt", "out"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 501, "must have 1 to 500 characters, but has 501"),
        ("a\0b", "text without NUL"),
        ("\udc80", "without NUL or broken characters"),
        (" \n\t", "nothing but blanks"),
    ],
    ids=["501 characters", "NUL", "surrogate", "blanks"],
)
@pytest.mark.parametrize("command", ["job", "report"])
def test_a_name_that_no_storage_keeps_is_refused(
    name: str, words: str, command: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == "job":
        refuse([f"--study-name={name}"], workplace, capsys, words)
    else:
        make_study("journal:///study.log")
        address = "journal:///study.log"
        refuse(["report", "--storage", address, f"--study-name={name}"], workplace, capsys)


# --- studies that something else wrote -----------------------------------------------------------

ODD: list[Any] = [
    5,
    True,
    "text",
    SCRIPT,
    [],
    [1, None, "x"],
    {},
    {"learning_rate": 5},
    {"learning_rate": {}},
    {"learning_rate": None},
    {SCRIPT: {SCRIPT: [SCRIPT]}},
    {"learning_rate": {"low": "a", "high": [], "suggestion": {}, "status": 1, "reason": 2}},
    {"learning_rate": {"learning_rates": [1, 2], "losses": "x", "kind": 7, "further": 1}},
    {"chosen": 5, "baseline": [], "pairs": "many", "differences": {}},
    {"trials": "many", "pairs": [], "seed": {}, "epochs": -1, "objective": 5, "command": 7},
    {"a": {"b": {"c": {"d": [[[[1]]]]}}}},
    10**400,
    float("inf"),
    float("nan"),
]
MANY = [ODD[::4], pytest.param(ODD, marks=pytest.mark.table)]  # each draws a page
ENTRIES = ("facts", "bounds", "curve", "choice", "comparison")
ATTRIBUTES = (*ENTRIES, "settings", "gradient_steps", "worker x", SCRIPT)


@pytest.mark.slow
@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("values", MANY, ids=["some", "all"])
def test_any_attribute_of_a_study_is_reported(
    values: list[Any], attribute: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study("journal:///study.log")
    for place, value in enumerate(values if attribute in ENTRIES else values[:4]):
        study.set_user_attr(attribute, value)
        if place == 0:
            arguments = ["report", "--storage", "journal:///study.log", "--out", "o"]
            assert run_search.main(arguments) == 0
            assert "Traceback" not in capsys.readouterr().err
        else:
            write_report(study, workplace / "o")
        check_page(workplace / "o")


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("values", MANY, ids=["some", "all"])
def test_facts_of_any_kind_are_reported(values: list[Any], known: bool, workplace: Path) -> None:
    study = make_study("journal:///study.log")
    names = "task objective trials seed test_rows repeats_shared baseline_learning_rate command"
    names += " seconds_search steps_range_test epochs_search versions optimizer engine started"
    for value in values:
        facts = dict.fromkeys(names.split() if known else ["further", SCRIPT, "lr02"], value)
        study.set_user_attr("facts", facts)
        write_report(study, workplace)
        check_page(workplace)


ROLES = ["role", "seed", "diverged", "epochs", "best_epoch", "seconds", "curves", "scores", "how"]
ROLES += ["best_values"]


@pytest.mark.slow
@pytest.mark.parametrize("attribute", ROLES)
def test_any_attribute_of_a_trial_is_reported(attribute: str, workplace: Path) -> None:
    study = optuna.create_study(study_name=SCRIPT)
    space = {"learning_rate": optuna.distributions.FloatDistribution(1e-4, 1.0, log=True)}
    for value in [*ODD, {"val_loss": [1, "x", None, 1e400]}, {"loss": []}, -1, 1e300]:
        study.add_trial(
            optuna.trial.create_trial(
                value=0.5,
                params={"learning_rate": 0.1},
                distributions=dict(space),
                user_attrs={attribute: value},
            )
        )
    write_report(study, workplace)
    assert len(check_page(workplace)["trials"]) == len(ODD) + 4


def test_odd_parameters_are_reported(workplace: Path) -> None:
    study = optuna.create_study(study_name=SCRIPT)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_categorical(SCRIPT, [SCRIPT, "=cmd|' /C calc'!A1", None, True, 1.5])
        trial.suggest_float("lr" + "x" * 400, -1e300, 1e300)
        for number in range(60):
            trial.suggest_int(f"{number}{SCRIPT}", -(10**9), 10**9)
        return [1e300, -1e300, float("inf"), 0.0][trial.number % 4]

    study.optimize(objective, 8)
    write_report(study, workplace)
    check_page(workplace)


def test_a_study_of_several_objectives_is_reported(workplace: Path) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), 3)
    write_report(study, workplace)
    check_page(workplace)


# --- task files ----------------------------------------------------------------------------------

TASKS: dict[str, tuple[str | bytes, list[str]]] = {
    "raises on import": ("raise RuntimeError('no')", ["failed on import: RuntimeError: no"]),
    "exits on import": ("import sys; sys.exit(3)", ["ended the program on import (exit code 3)"]),
    "exits with a text": ("raise SystemExit('bye\\nnow')", ["ended the program on import"]),
    "leaves by quit": ("quit()", ["ended the program on import"]),
    "raises what is no Exception": (
        "class Odd(BaseException): pass\nraise Odd('x')",
        ["failed on import", "Odd"],
    ),
    "generator exit": ("raise GeneratorExit", ["failed on import: GeneratorExit"]),
    "an error without words": (
        "class E(Exception):\n def __str__(self): raise ValueError('ha')\nraise E",
        ["failed on import: E: E"],
    ),
    "an error of megabytes": (
        "raise ValueError('x' * 5_000_000)",
        ["failed on import: ValueError"],
    ),
    "an error with markup": ("raise ValueError('[red]<b>\\x1b[2J\\nx')", ["failed on import"]),
    "an error with a password": (
        f"raise ValueError('postgresql://me:{SECRET}@host/x')",
        ["postgresql://me:***@host/x"],
    ),
    "a syntax error": ("def task(:", ["failed on import: SyntaxError"]),
    "NUL bytes": (b"x = 1\0", ["failed on import"]),
    "junk bytes": (bytes(range(128, 256)) * 9, ["failed on import: SyntaxError"]),
    "UTF-16": ("def task(): pass".encode("utf-16"), ["failed on import"]),
    "endless recursion": ("def f(): f()\nf()", ["failed on import: RecursionError"]),
    "nothing": ("", ["has no 'task'"]),
    "no function": ("task = 5", ["must name a function", "has no 'task'"]),
    "returns None": ("def task(): pass", ["must return a TuningTask, but returned None; return"]),
    "returns a class": (
        "from search_spaces import TuningTask\ndef task(): return TuningTask",
        ["must return a TuningTask, but returned type"],
    ),
    "needs arguments": (
        "def task(x): pass",
        ["must need no arguments, but needs x; give it a default"],
    ),
    "prints megabytes": ("print('x' * 3_000_000)\ndef task(): pass", ["but returned None;"]),
    "closes its output": (
        "import sys\nsys.stdout = None\ndef task(): pass",
        ["but returned None;"],
    ),
    "goes elsewhere": ("import os\nos.chdir('/')\ndef task(): pass", ["but returned None;"]),
    "warns": ("import warnings\nwarnings.warn('old')\ndef task(): pass", ["but returned None;"]),
    "an attribute that fails": (
        "def __getattr__(name): raise RuntimeError('no ' + name)",
        ["RuntimeError: no task"],
    ),
}


@pytest.mark.filterwarnings("ignore:old:UserWarning", "ignore:invalid escape")
@pytest.mark.parametrize("case", TASKS)
def test_a_task_file_that_misbehaves_is_refused(
    case: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, words = TASKS[case]
    (workplace / "user.py").write_bytes(content.encode() if isinstance(content, str) else content)
    kept = sys.stdout
    line = refuse(["--task", "user.py:task"], workplace, capsys, *words)
    assert sys.stdout is kept
    assert "\x1b[2J" not in line


def test_ctrl_c_in_a_task_file_ends_with_130(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "user.py").write_text("raise KeyboardInterrupt")
    before = listing(workplace)
    assert run_search.main(["--task", "user.py:task"]) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert listing(workplace) == before


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("folder.py:task", "there is no file 'folder.py'"),
        ("x" * 5000 + ".py:task", "`--task` "),
        ("a\0b.py:task", "`--task` "),
        ("a\0b:task", "`--task` "),
        ("..:task", "failed on import"),
        (".user:task", "failed on import"),
        ("user.py:__class__", "`--task` "),
        ("user.py:task()", "must be MODULE:FUNCTION"),
        ("user.py:\u202etask", "must be MODULE:FUNCTION"),
        (":task", "must be MODULE:FUNCTION"),
    ],
)
def test_a_task_that_is_no_place_is_refused(
    spec: str, words: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "folder.py").mkdir()
    (workplace / "user.py").write_text("")
    refuse(["--task", spec], workplace, capsys, words)


# --- CSVs ----------------------------------------------------------------------------------------


def cells(change: Callable[[list[str]], list[str]]) -> bytes:
    return f"{HEADER}\n{ROW}\n{','.join(change(ROW.split(',')))}\n".encode()


CSVS: dict[str, tuple[bytes, str]] = {
    "junk": (bytes(range(1, 256)) * 40, "must be text in UTF-8"),
    "a formula": (cells(lambda row: [*row[:-2], "=cmd|' /C calc'!A0", "5"]), "formula"),
    "NUL bytes": (cells(lambda row: ["red\0", *row[1:]]), "is NUL"),
    "decimal commas": (cells(lambda row: [row[0], '"7,4"', *row[2:]]), "write decimal points"),
    "decimal commas, semicolons": (
        f"{HEADER}\n{ROW}\n".replace(",", ";").replace(".", ",").encode(),
        "write decimal points",
    ),
    "duplicate columns": (f"{HEADER},pH\n{ROW},3\n".encode(), "must have each column once"),
    "10,000 other columns": (
        ",".join(f"c{i}" for i in range(10_000)).encode() + b"\n1\n",
        "must have the column 'type'",
    ),
    "empty": (b"", "is empty"),
    "a byte-order mark alone": (b"\xef\xbb\xbf", "is empty"),
    "a header alone": (f"{HEADER}\n".encode(), "must have a row after its header"),
    "a wrong target": (cells(lambda row: [*row[:-1], "good"]), "'quality'"),
    "no target": (HEADER.rpartition(",")[0].encode() + b"\nred\n", "the column 'quality'"),
    "one row": (f"{HEADER}\n{ROW}\n".encode(), "row"),
    "rows of one class": ((f"{HEADER}\n" + f"{ROW}\n" * 50).encode(), ""),
    "two rows": (cells(lambda row: [*row[:-1], "8"]), "row"),
    "only blanks": ((f"{HEADER}\n" + "," * 12 + "\n").encode() * 1, "row"),
    "a constant target out of range": (cells(lambda row: [*row[:-1], "1e15"]), ""),
    "a zip": (b"PK\x03\x04" + bytes(200), "is NUL"),
    "a page": (f"<html>{SCRIPT}</html>".encode(), "must have the column"),
}


@pytest.mark.parametrize("case", CSVS)
def test_a_csv_that_breaks_a_rule_is_refused(
    case: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, words = CSVS[case]
    (workplace / "wine.csv").write_bytes(content)
    line = refuse(["--data", "wine.csv", "--dry-run"], workplace, capsys, words)
    assert "`--data`" in line


# --- storages ------------------------------------------------------------------------------------


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


ADDRESSES: dict[str, str] = {
    "unknown driver": f"nosuch+driver://me:{SECRET}@host/wine",
    "unknown driver of a known database": f"postgresql+nosuch://me:{SECRET}@host/wine",
    "no server": f"postgresql+psycopg://me:{SECRET}@127.0.0.1:PORT/wine?connect_timeout=2",
    "a password in the query": f"postgresql+psycopg://127.0.0.1:PORT/w?user=me&password={SECRET}",
    "a password with an at": f"nosuch://me:{SECRET}@{SECRET}@host/wine",
    "a password with a slash": f"nosuch://me:{SECRET}/{SECRET}@host/wine",
    "a password with quotes": f"nosuch://me:a'{SECRET}\"b@host/wine",
    "a password with blanks": f"nosuch://me:a {SECRET} b@host/wine",
    "a password encoded": "nosuch://me:%68unter2@host/wine",
    "no user": f"nosuch://:{SECRET}@host/wine",
    "a port that is none": f"postgresql+psycopg://me:{SECRET}@host:port/wine",
    "a line end": f"nosuch://me:{SECRET}@host/wine\nx",
    "an address of nothing": "://",
    "a blank address": " :// ",
    "a NUL": f"sqlite:///a\0b?password={SECRET}",
    "a folder": "sqlite:///folder",
    "a journal that is a folder": "journal:///folder",
    "a journal in no folder": "journal:///nowhere/at/all.log",
    "a journal without a name": "journal:///",
    "SQLite of another kind": "sqlite+nosuch:///x.db",
    "Redis": f"redis://me:{SECRET}@127.0.0.1:PORT",
    "a web page": f"https://me:{SECRET}@example.invalid/",
}


@pytest.mark.slow  # many drivers to load
@pytest.mark.parametrize("command", ["job", "report", "dashboard"])
@pytest.mark.parametrize("case", ADDRESSES)
def test_a_storage_that_cannot_be_had_is_refused_without_its_password(
    case: str,
    command: str,
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "PATIENCE", 0)
    (workplace / "folder").mkdir()
    address = ADDRESSES[case].replace("PORT", str(unused_port()))
    start = [] if command == "job" else [command]
    if command == "dashboard":
        pytest.importorskip("optuna_dashboard")
    away = address.startswith("postgresql+psycopg") and "127.0.0.1" in address
    refuse([*start, "--storage", address], workplace, capsys, "stor", code=1 if away else 2)


def half_a_line(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


BROKEN: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "SQLite of junk": ("sqlite", lambda p: p.write_bytes(b"junk" * 3000), "not a database"),
    "SQLite cut in half": (
        "sqlite",
        lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
        "",
    ),
    "SQLite with its middle gone": (
        "sqlite",
        lambda p: p.write_bytes(p.read_bytes()[:4096] + bytes(p.stat().st_size - 4096)),
        "",
    ),
    "SQLite of somebody else": ("sqlite", lambda p: sql(p, "DROP TABLE studies"), ""),
    "SQLite of another program": (
        "sqlite",
        lambda p: (p.unlink(), sql(p, "CREATE TABLE accounts (id)")),
        "",
    ),
    "a version from the future": (
        "sqlite",
        lambda p: sql(p, "UPDATE alembic_version SET version_num = 'v99.0.0.a'"),
        "",
    ),
    "an older version": (
        "sqlite",
        lambda p: sql(p, "UPDATE alembic_version SET version_num = 'v0.9.0.a'"),
        "",
    ),
    "a missing column": (
        "sqlite",
        lambda p: sql(p, "ALTER TABLE trials RENAME COLUMN state TO status"),
        "",
    ),
    "attributes that are no JSON": (
        "sqlite",
        lambda p: sql(p, "UPDATE study_user_attributes SET value_json = '{oops'"),
        "",
    ),
    "a distribution that is none": (
        "sqlite",
        lambda p: sql(p, 'UPDATE trial_params SET distribution_json = \'{"name": "X"}\''),
        "",
    ),
    "a journal of junk": ("journal", lambda p: p.write_bytes(bytes(range(256)) * 9), ""),
    "a journal with a junk line inside": (
        "journal",
        lambda p: p.write_bytes(p.read_bytes().replace(b"\n", b"\n{junk\n", 1)),
        "",
    ),
    "a thesis": ("journal", lambda p: p.write_bytes(b"Chapter one\n\nIn the"), ""),
    "a journal of other lines": ("journal", lambda p: p.write_text('{"a": 1}\n[2]\n5\n'), ""),
    "a journal of unknown operations": (
        "journal",
        lambda p: p.write_text('{"op_code": 99, "worker_id": "x"}\n'),
        "",
    ),
}


def sql(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.slow  # a database made for each
@pytest.mark.parametrize("command", ["job", "report"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_storage_is_refused_and_left_as_it_is(
    case: str,
    command: str,
    stored: dict[str, Path],
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind, damage, words = BROKEN[case]
    shutil.copy(stored[kind], "study.file")
    damage(workplace / "study.file")
    start = [] if command == "job" else ["report"]
    refuse([*start, "--storage", f"{kind}:///study.file"], workplace, capsys, words)


def test_half_a_line_at_the_end_of_a_journal_is_no_loss(workplace: Path) -> None:
    make_study("journal:///study.journal")
    path = workplace / "study.journal"
    path.write_bytes(path.read_bytes() + b'{"op_code": 6, "tri')
    assert run_search.main(["report", "--storage", "journal:///study.journal", "--out", "o"]) == 0
    assert len(check_page(workplace / "o")["trials"]) == 3


# --- options -------------------------------------------------------------------------------------

NUMBERS = ["-1", "0", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 400, "", " ", "1_0", "0x10"]
NUMBERS += ["\u0663", "\u00bd", "1,5", "1;DROP", SCRIPT, "1\n2", "\0", "--", "--trials", "1 2"]
COUNTS = ("--trials", "--epochs", "--splits", "--pairs", "--range-seeds", "--batch-size")
COUNTS += ("--workers", "--seed")
VALID = {"\u0663", "1_0", "0", " "}  # Python reads the first two as 3 and 10


@pytest.mark.parametrize("option", [*COUNTS, "--baseline", "--range", "--bounds"])
def test_odd_numbers_are_refused(
    option: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in NUMBERS:
        if number in VALID and option in ("--seed", "--baseline", *COUNTS):
            continue
        values = [number, "1"] if option in ("--range", "--bounds") else [number]
        if option in ("--range", "--bounds") and number in VALID | {"1e-400"}:
            values = ["1", number]
        refuse([option, *values, "--data", "none.csv"], workplace, capsys)


@pytest.mark.parametrize("option", ["--port"])
def test_odd_ports_are_refused(
    option: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna_dashboard")
    make_study("journal:///study.log")
    for number in ("-1", "65536", "9" * 400, "nan", "http", ""):
        refuse(
            ["dashboard", "--storage", "journal:///study.log", option, number], workplace, capsys
        )


# a surrogate cannot be typed in a UTF-8 terminal, but a file system may hold one
WORDS = st.text(st.characters(exclude_characters="\0"), max_size=40)


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [*COUNTS, "--engine", "--sampler", "--tuner", "--pruner", "--how", "--optimizer"]
        ).flatmap(lambda option: st.tuples(st.just(option), WORDS)),
        min_size=1,
        max_size=4,
    )
)
def test_any_words_for_options_end_in_one_line(given_options: list[tuple[str, str]]) -> None:
    import io

    errors = io.StringIO()
    # the data do not exist, so that nothing is ever begun
    arguments = [part for option in given_options for part in option]
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = run_search.main([*arguments, "--data", "/nonexistent/wine.csv"])
    assert code in (0, 2)  # 0: the words were --help
    assert "Traceback" not in errors.getvalue()
    if code:
        assert len(errors.getvalue().splitlines()) == 1, errors.getvalue()


# --- whole jobs: what a run of ours finds when it is resumed -------------------------------------

TASK = """
import numpy as np
from search_spaces import TuningTask


def build():
    import keras

    layers = [keras.Input((2,)), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(layers)
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    return model


def task():
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    parts = [(x[rows], y[rows]) for rows in (slice(20), slice(20, 40), slice(40, 60))]
    return TuningTask("</script><b>'tiny'\\n" + "\\U0001f377" * 300, build, *parts, batch_size=10)
"""
JOB = ["--task", "tiny.py:task", "--epochs", "1", "--trials", "2", "--pairs", "1", "--quiet"]
JOB += ["--splits", "2", "--bounds", "1e-2", "1.0", "--how", "sequential", "--out", "run"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run under a hostile task name and study name, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.py").write_text(TASK)
    kept = list(sys.path)
    with contextlib.chdir(folder):
        assert run_search.main([*JOB, f"--study-name={NAMES['HTML']}\n\U0001f377"]) == 0
    sys.path[:] = kept
    return folder


@pytest.mark.slow
def test_a_job_of_hostile_names_is_done(finished: Path, workplace: Path) -> None:
    report = check_page(finished / "run")
    assert report["study_name"] == f"{NAMES['HTML']}\n\U0001f377"
    assert len(report["trials"]) == 2
    assert report["comparison"]["pairs"] == 1
    # a whole job was done in this process, and it listens nowhere
    found = psutil.Process().net_connections("inet")
    assert not [each for each in found if each.status == psutil.CONN_LISTEN]
    made = sorted(path.name for path in (finished / "run").iterdir())
    assert made == ["report.html", "report.json", "study.db"]


def tamper(path: Path, table: str, key: str, value: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        statement = f"UPDATE {table} SET value_json = ? WHERE key = ?"
        assert connection.execute(statement, (value, key)).rowcount
        connection.commit()


OTHER_VERSIONS = {
    "a fact of another type": ("facts: run", '{"optimizer": [5]}'),
    "facts of another type": ("facts: run", "[5]"),
    "bounds of another type": ("bounds", "5"),
    "bounds that lack a key": ("bounds", '{"learning_rate": {"low": 0.1}}'),
    "bounds that break their rule": (
        "bounds",
        '{"learning_rate": {"low": 2, "high": 1, "suggestion": 9, "status": "", "reason": ""}}',
    ),
    "a choice of another type": ("choice", "7"),
    "a choice that lacks keys": ("choice", '{"learning_rate": 0.1}'),
    "a choice that breaks its rule": (
        "choice",
        '{"learning_rate": -1, "interval": [1, 2], "plateau": [1, 2], "reason": 5}',
    ),
    "a comparison of another type": ("comparison", "7"),
    "a comparison that lacks keys": ("comparison", '{"pairs": 1}'),
    "settings with further keys": ("settings", '{"further": 1}'),
    "settings of another type": ("settings", "[1]"),
    "settings that lack keys": ("settings", '{"task": "x"}'),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", OTHER_VERSIONS)
def test_a_run_of_another_version_is_refused_or_resumed(
    case: str, finished: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, workplace, dirs_exist_ok=True)
    key, value = OTHER_VERSIONS[case]
    tamper(workplace / "run" / "study.db", "study_user_attributes", key, value)
    before = listing(workplace)
    capsys.readouterr()
    code = run_search.main([*JOB, f"--study-name={NAMES['HTML']}\n\U0001f377"])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert code in (0, 2), err
    if code == 2:
        assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
        assert {name: listing(workplace)[name] for name in before if name != "run/study.db"} == {
            name: before[name] for name in before if name != "run/study.db"
        }
    else:
        assert len(check_page(workplace / "run")["trials"]) == 2


def test_what_this_version_cannot_read_is_refused_by_its_name() -> None:
    from tuners.choosing.choice import recorded_choice
    from tuners.comparison.result import recorded_comparison
    from tuners.study.recording import recorded_bounds, recorded_curves

    study = optuna.create_study(study_name="old")
    for key, read in (
        ("bounds", recorded_bounds),
        ("curve", recorded_curves),
        ("choice", recorded_choice),
        ("comparison", recorded_comparison),
    ):
        for value in (5, [1], "x", {"learning_rate": 5}):
            study.set_user_attr(key, value)
            with pytest.raises(
                ValueError, match=rf"the study 'old' must carry `{key}` as this .*; it was made by"
            ):
                read(study)
