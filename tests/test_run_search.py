"""The command as a user types it. What needs no TensorFlow runs here in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import typer

import run_search
from benchmarks.resume import BUILD
from tuners.cli.options import JobOptions, with_options

ROOT = Path(__file__).resolve().parent.parent
TASK = f"""import dataclasses
{BUILD}
def task(build=build, change=lambda x: x):
    print("a task of the user's prints what it likes")
    rng = np.random.default_rng(0)
    x = change(rng.normal(size=(100, 3)).astype("float32"))
    y = (x.sum(axis=1) > 0).astype("float32")
    parts = [(x[rows], y[rows]) for rows in (slice(60), slice(60, 80), slice(80, 100))]
    return TuningTask("tiny <b>task</b>", build, *parts, batch_size=10)


def not_a_task():
    return 5


def no_return():
    task()


def needs_rows(rows):
    return task()


def no_validation():
    return TuningTask("tiny", build, (np.ones((9, 3)), np.ones(9)))


def unequal():
    both = np.ones((9, 3)), np.ones(9)
    return TuningTask("tiny", build, (both[0], both[1][:5]), both)


def resplits():
    return dataclasses.replace(task(), resplit=lambda: None)


def few_classes():
    import keras

    def outputs():
        layers = [keras.Input((3,)), keras.layers.Dense(2, "softmax")]
        model = keras.Sequential(layers)
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    made = task(outputs)
    return dataclasses.replace(made, train=(made.train[0], made.train[1] * 9))


def raises():
    raise RuntimeError("no data\\ntoday")


def leaves():
    raise SystemExit(7)


def uncompiled():
    import keras

    return task(lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))


def no_model():
    return task(lambda: None)


def builder_fails():
    return task(lambda: 1 / 0)


def blank_cells():
    return task(change=lambda x: np.where(x > 1, np.nan, x))


def wrong_shape():
    return task(change=lambda x: x[:, :2])
"""
SMALL = ["--epochs", "2", "--trials", "2", "--pairs", "2", "--bounds", "1e-3", "1e-1"]

# arguments, then what the one line on standard error must hold: rule, value, cure
REFUSED: list[tuple[str, list[str]]] = [
    (
        "--trials 0",
        ["`--trials` must be a whole number of 1 or more", "got 0", "e.g. --trials"],
    ),
    ("--epochs -3", ["`--epochs` must be a whole number of 1 or more", "got -3"]),
    ("--splits 0", ["`--splits` must be a whole number of 1 or more", "got 0"]),
    ("--pairs 0", ["`--pairs` must be a whole number of 1 or more", "got 0"]),
    ("--range-seeds 0", ["`--range-seeds` must be a whole number of 1 or more", "got 0"]),
    ("--batch-size 0", ["`--batch-size` must be a whole number of 1 or more", "got 0"]),
    ("--seed -1", ["`--seed` must be a whole number from 0 to 2147483647", "got -1"]),
    ("--seed 2147483648", ["`--seed` must be a whole number from 0 to", "got 2147483648"]),
    ("--trials many", ["`--trials` must be a whole number", "got 'many'", "--help"]),
    ("--batch-size 1.5", ["`--batch-size` must be a whole number", "got '1.5'", "--help"]),
    ("--baseline high", ["`--baseline` must be a number", "got 'high'"]),
    ("--range low high", ["`--range` must be numbers", "got 'low'"]),
    ("--range 1e-3", ["`--range` must be followed by 2 values", "--help"]),
    ("--bounds 1e-3,1e-1", ["`--bounds` must be followed by 2 values", "--help"]),
    ("--range 1e-3 1e-2 1e-1", ["no command '1e-1'", "--help"]),
    ("--out", ["`--out` must be followed by a value", "--help"]),
    ("--quiet=yes", ["--quiet", "does not take a value"]),
    ("--xyz", ["no option `--xyz`", "--help"]),
    ("repot runs/x", ["no command 'repot'", "mean 'report'"]),
    ("junk.csv", ["no command 'junk.csv'", "mean --data junk.csv?"]),
    ("--trails 3", ["no option `--trails`", "mean '--trials'"]),
    ("nonsense", ["nonsense"]),
    ("--range 1 1e-3", ["`--range` must hold 0 < LOW < HIGH", "got 1 0.001", "--range 0.001 1"]),
    ("--range 0 1", ["`--range`", "got 0 1", "--range 1e-5 1"]),
    ("--range 1e-3 1e-3", ["`--range`", "got 0.001 0.001"]),
    ("--bounds nan 1", ["`--bounds`", "got nan 1"]),
    ("--bounds 1e-3 inf", ["`--bounds`", "got 0.001 inf"]),
    ("--baseline 0", ["`--baseline` must be positive", "got 0"]),
    ("--baseline nan", ["`--baseline` must be positive", "got nan"]),
    ("--engine optunna", ["`--engine` must be one of optuna", "got 'optunna'", "mean 'optuna'"]),
    ("--sampler tp", ["`--sampler` must be one of tpe", "got 'tp'", "mean 'tpe'"]),
    ("--engine keras-tuner --tuner bayes", ["--tuner", "mean 'bayesian'"]),
    ("--direction min", ["--direction", "mean 'minimize'"]),
    ("--engine keras-tuner --sampler tpe", ["`--sampler` 'tpe' does not go", "--tuner"]),
    ("--tuner random", ["`--tuner` 'random' does not go", "--engine keras-tuner"]),
    ("--engine keras-tuner --pruner median", ["`--pruner` 'median'", "hyperband"]),
    ("--pruner meridian", ["--pruner", "mean 'median'"]),
    ("--engine keras-tuner --optimizer adam,sgd", ["`--optimizer`", "name one"]),
    ("--optimizer adm", ["`--optimizer`", "'adm'", "mean 'adam'"]),
    ("--optimizer adam,", ["`--optimizer`", "''"]),
    ("--optimizer adam,adam", ["`--optimizer` must name each optimizer once"]),
    ("--how sequentially", ["--how", "mean 'sequential'"]),
    ("--objective=", ["`--objective` must name a curve"]),
    ("--workers 2 --engine keras-tuner", ["`--workers` must be 1 with `--engine keras-tuner`"]),
    ("--workers 0", ["`--workers` must be a whole number of 1 or more", "got 0"]),
    ("--out=", ["`--out` must be a folder", "''"]),
    ("--out user.py", ["`--out` must be a folder", "'user.py' is a file"]),
    ("--out user.py/deep/er", ["`--out` must be a folder", "'user.py' is a file"]),
    ("--out what?", ["`--out` must not have ?", "what?"]),
    ("--study-name=", ["`--study-name` must have 1 to 500 characters"]),
    (f"--study-name {'x' * 501}", ["`--study-name` must have 1 to 500", "has 501"]),
    ("--storage study.db", ["`--storage` must be an address", "'study.db'", "sqlite:///"]),
    ("--storage nosuch://u:secret@h/x", ["`--storage` could not be opened", "u:***@h"]),
    ("--storage sqlite:///nowhere/at/all.db", ["`--storage` could not be opened"]),
    ("--storage sqlite:///user.py", ["`--storage` must be a file of Optuna's", "not a database"]),
    ("--data missing.csv", ["`--data`", "no 'missing.csv'"]),
    ("--data user.py", ["`--data`", "must have the column 'type'"]),
    ("--data empty.csv", ["`--data`", "empty"]),
    ("--data junk.csv", ["`--data`"]),
    ("--data .", ["`--data`", "must be a file that can be read"]),
    ("--task user.py:task --data x.csv", ["`--data` is for the wine task", "--task"]),
    ("--task user.py:task --optimizer sgd", ["`--optimizer` is for the wine task"]),
    ("--task user.py:task --drop-repeats", ["`--drop-repeats` is for the wine task"]),
    ("--task user.py", ["`--task` must be MODULE:FUNCTION", "'user.py'"]),
    ("--task user.py:", ["`--task` must be MODULE:FUNCTION"]),
    ("--task user.py:tsk", ["has no 'tsk'", "mean 'task'"]),
    ("--task no_file.py:task", ["there is no file 'no_file.py'"]),
    ("--task no.such.module:task", ["no module 'no.such.module'", "FILE.py:FUNCTION"]),
    ("--task user.ipynb:task", ["no module 'user.ipynb'", "FILE.py:FUNCTION"]),
    ("--task needs.py:task", ["failed on import", "No module named 'not_installed'", "line 1)"]),
    ("--task bad.py:task", ["failed on import", "ZeroDivisionError", "(bad.py, line 2)"]),
    ("--task leaving.py:task", ["ended the program on import (exit code 0)"]),
    ("--task syntax.py:task", ["failed on import", "SyntaxError"]),
    ("--task user.py:not_a_task", ["must return a TuningTask, but returned int"]),
    ("--task user.py:no_return", ["must return a TuningTask, but returned None"]),
    ("--task user.py:needs_rows", ["'user.py:needs_rows'", "no arguments, but needs rows"]),
    ("--task user.py:no_validation", ["missing 1 required positional", "(user.py, line"]),
    ("--task user.py:unequal", ["'user.py:unequal': `train` must hold arrays with the same"]),
    ("--task user.py:raises", ["failed when called", "RuntimeError: no data today"]),
    ("--task user.py:leaves", ["ended the program when called (exit code 7)"]),
    ("--seed 3 report x", ["`report` takes its options after its name", "--seed"]),
    ("report", ["either the folder of a run or `--storage`", "neither"]),
    ("report . --storage sqlite:///x.db", ["either the folder of a run or `--storage`", "both"]),
    ("report .", ["must hold a study.db"]),
    ("report --storage x.db", ["`--storage` must be an address"]),
    ("report --storage sqlite:///none.db", ["`--storage` must hold a study", "'none.db'"]),
    ("dashboard", ["either the folder of a run or `--storage`"]),
    ("report nowhere", ["must hold a study.db", "'nowhere' is no folder"]),
    ("dashboard .", ["must hold a study.db", "'.' has none"]),
    ("dashboard . --port web", ["`--port` must be a whole number", "got 'web'", "8080"]),
    ("dashboard . --port 65536", ["`--port` must be a whole number from 0 to 65535", "65536"]),
    ("article --epochs 0", ["`--epochs` must be a whole number of 1 or more", "got 0"]),
    ("article --pairs 0", ["`--pairs` must be a whole number of 1 or more", "got 0"]),
    ("article --seed -1", ["`--seed` must be a whole number from 0", "got -1"]),
    ("article --out=", ["`--out` must be a folder"]),
    ("article --data missing.csv", ["`--data`", "no 'missing.csv'"]),
]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a task file and what a stranger may have lying about."""
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def write_files(folder: Path) -> None:
    (folder / "user.py").write_text(TASK)
    (folder / "bad.py").write_text("x = 0\ny = 1 / x\n")
    (folder / "needs.py").write_text("import not_installed\n")
    (folder / "leaving.py").write_text("import sys\nsys.exit(0)\n")
    (folder / "syntax.py").write_text("def task(:\n")
    (folder / "empty.csv").write_text("")
    (folder / "junk.csv").write_bytes(bytes(range(256)) * 40)


def listing(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=[row[0][:40] for row in REFUSED])
def test_bad_input_is_refused_in_one_line(
    arguments: str, words: list[str], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(workplace)
    assert run_search.main(arguments.split(" ")) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("a task of the user's")]
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in err
    assert "secret" not in err
    for word in words:
        assert word in lines[0]
    assert listing(workplace) == before


@pytest.mark.slow
def test_a_folder_with_another_run_is_refused_before_anything_is_written(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workplace / "out"
    folder.mkdir()
    for name, content, words in (
        ("report.html", "<html>", "holds a report.html of something else"),
        ("report.json", "{", "cannot be read"),
        ("report.json", "[1]", "is no report of this command"),
        ("report.json", '{"study_name": "wine", "facts": {"epochs": 7}}', "epochs was 7, now 30"),
        ("report.json", '{"study_name": "beer", "facts": {}}', "study was beer, now wine"),
    ):
        (folder / name).write_text(content)
        before = listing(workplace)
        assert run_search.main(["--out", "out"]) == 2
        assert words in capsys.readouterr().err
        assert listing(workplace) == before
        (folder / name).unlink()


@pytest.mark.slow
def test_the_report_of_a_stored_study_is_written_again(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workplace / "run"
    folder.mkdir()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{folder}/study.db"
    name = "<script>alert(1)</script>"
    study = optuna.create_study(storage=storage, study_name=name)
    study.optimize(lambda trial: trial.suggest_float("learning_rate", 1e-4, 1, log=True), 3)
    assert run_search.main(["report", "run"]) == 0
    assert "report.html" in capsys.readouterr().out
    assert "<script>alert" not in (folder / "report.html").read_text()
    assert run_search.main(["report", "--storage", storage, "--out", "again.html", "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["study_name"] == name
    assert (workplace / "again.html").is_file()
    assert run_search.main(["report", "run", "--quiet"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert run_search.main(["report", "run", "--study-name", "<script>alert(2)</script>"]) == 2
    assert "did you mean" in capsys.readouterr().err
    optuna.create_study(storage=storage, study_name="second")
    assert run_search.main(["report", "run"]) == 2
    assert "holds 2 studies; pass --study-name" in capsys.readouterr().err
    assert run_search.main(["report", "run", "--study-name", "second", "--out", "user.py"]) == 2
    assert "'user.py'" in capsys.readouterr().err


def test_a_storage_without_a_study_is_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    optuna.storages.RDBStorage("sqlite:///bare.db")
    assert run_search.main(["report", "--storage", "sqlite:///bare.db"]) == 2
    assert "must hold a study, but holds none" in capsys.readouterr().err


def test_help_names_every_option_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_search.main(["--help"]) == 0
    text = capsys.readouterr().out
    data = "data task optimizer drop-repeats batch-size"
    work = "engine sampler tuner pruner objective direction trials epochs splits pairs seed"
    more = "baseline range range-seeds bounds out storage study-name workers how dry-run quiet json"
    listed = f"{data} {work} {more}".split()
    for name in listed:
        assert f"--{name} " in text
    for command in ("article", "report", "dashboard"):
        assert command in text
        assert run_search.main([command, "--help"]) == 0
        text += capsys.readouterr().out
    for noise in ("<", "[x>", "int range"):  # a type is no help
        assert noise not in text


def test_the_commands_that_help_shows_are_understood() -> None:
    asked: list[JobOptions] = []
    app = typer.Typer()
    app.command()(with_options(lambda _, options: asked.append(options)))
    examples = [line.split()[2:] for line in run_search.EXAMPLES.splitlines()[1:] if line]
    assert 3 <= len(examples) <= 6
    for arguments in examples:
        if arguments[0].startswith("-"):
            app(args=arguments, standalone_mode=False)
        else:
            assert arguments[0] in ("report", "dashboard")
    assert asked[0] == JobOptions(dry_run=True)
    assert asked[-1].task == "my_task.py:task"


@pytest.mark.slow
def test_help_loads_nothing_heavy() -> None:
    code = "import sys, run_search; run_search.main(['--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    heavy = {"tensorflow", "keras", "pandas", "sklearn", "optuna", "scipy", "matplotlib", "numpy"}
    assert not heavy & set(done.stdout.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("uncompiled", "was not compiled; call"),
        ("no_model", "must return a compiled keras.Model, but got NoneType"),
        ("builder_fails", "failed when called: ZeroDivisionError"),
        (
            "blank_cells",
            "the loss must be finite before any update, but is nan on the first rows of `train`",
        ),
        ("wrong_shape", "the model must take its `train` data, but fails on their first rows"),
        ("few_classes", "(InvalidArgumentError: Received a label value of 9"),
        ("resplits", "task 'tiny <b>task</b>': `resplit(seed)` failed when called: TypeError"),
    ],
)
def test_a_task_that_cannot_be_trained_is_refused(
    function: str, words: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(workplace)
    assert run_search.main(["--task", f"user.py:{function}", *SMALL]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert words in errors[0]
    assert listing(workplace) == before


@pytest.mark.slow
def test_an_objective_that_is_not_measured_is_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(workplace)
    arguments = ["--task", "user.py:task", "--objective", "val_acuracy", *SMALL]
    assert run_search.main(arguments) == 2
    assert "did you mean 'val_accuracy'" in capsys.readouterr().err
    assert listing(workplace) == before


@pytest.mark.slow
def test_a_real_run_shows_our_lines_only_and_prints_json_only(tmp_path: Path) -> None:
    write_files(tmp_path)
    environment = {name: v for name, v in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, str(ROOT / "run_search.py"), "--task", "user.py:task", *SMALL]

    def call(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    done = call()
    assert done.returncode == 0, done.stderr
    known = ("a task of the", "loading", "data ", "model ", "search", "compare ", "seed ", "files ")
    trials = (" 1/2  ok", " 2/2  ok", "comparison")
    strange = [line for line in done.stderr.splitlines() if not line.startswith((*known, *trials))]
    assert not strange
    assert "Traceback" not in done.stderr
    assert "recommended" in done.stdout
    folder = tmp_path / "runs" / "tiny-b-task-b-adam-optuna-seed0"
    assert sorted(path.name for path in folder.iterdir()) == [
        "report.html",
        "report.json",
        "study.db",
    ]
    again = call("--json")
    assert again.returncode == 0
    assert again.stderr.splitlines() == ["a task of the user's prints what it likes"]
    report = json.loads(again.stdout)
    assert report == json.loads((folder / "report.json").read_text())
    assert report["command"].endswith("--bounds 1e-3 1e-1 --json")
    assert len(report["trials"]) == 2
    assert report["comparison"]["pairs"] == 2
