"""The whole job on a tiny task: done, resumed, refused, stopped, failed."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

import run_search
from benchmarks.resume import BUILD
from run_search import do_job
from tuners.cli.console import Screen
from tuners.cli.options import JobOptions
from tuners.cli.run_folder import locked

pytestmark = pytest.mark.slow

TASK = f"""
import functools
{BUILD}
@functools.cache  # one object, so that its compiled programs serve all tests here
def task():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    parts = [(x[rows], y[rows]) for rows in (slice(60), slice(60, 80), slice(80, 100))]
    return TuningTask("tiny", build, *parts, batch_size=10)
"""
RUN = ["--task", "tiny_shared:task", "--epochs", "2", "--range-seeds", "2", "--splits", "2"]
SMALL = [*RUN, "--trials", "2", "--pairs", "2"]
BOUNDS = ["--bounds", "1e-3", "1e-1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with the task, which all tests here share."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "tiny_shared.py").write_text(TASK)
    kept = list(sys.path)
    with contextlib.chdir(folder):
        yield folder
    sys.path[:] = kept


@pytest.fixture(scope="module")
def done(place: Path) -> Path:
    """The folder of a finished job."""
    assert run_search.main([*SMALL, "--out", "done", "--quiet"]) == 0
    return place / "done"


class Stopping(Screen):
    """A screen on which Ctrl-C comes at the first news of a stage."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stop_at = stage

    @contextlib.contextmanager
    def stage(self, title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        yield stop if title == self.stop_at else lambda *_: None


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def stored(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="tiny", storage=f"sqlite:///{folder}/study.db")


def results(folder: Path) -> tuple[Any, ...]:
    """What must not depend on stops: bounds, rates, scores, gains."""
    report = read(folder)
    trials = [(row["learning_rate"], row["value"], row["role"]) for row in report["trials"]]
    return report["bounds"], trials, report["comparison"]["differences"], report["verdict"]


def test_a_finished_job_is_reported_whole(done: Path) -> None:
    report = read(done)
    assert report["verdict"] == "too_few_pairs"
    assert report["bounds"]["status"]
    assert report["curve"]["learning_rates"]
    assert [row["role"] for row in report["trials"]] == ["suggestion", "baseline"]
    choice = stored(done).user_attrs["choice"]
    assert (choice["trials"], choice["splits"]) == (2, 2)
    assert choice["learning_rate"] == report["comparison"]["chosen_learning_rate"]
    facts = report["facts"]
    assert facts["steps_range_test"] > 0
    assert facts["pairs"] == 2
    assert report["command"].endswith("--out done --quiet")
    assert (done / "report.html").stat().st_size > 10_000


def test_the_same_command_only_writes_the_report_again(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, stamp = results(done), (done / "report.html").stat().st_mtime_ns
    assert run_search.main([*SMALL, "--out", "done"]) == 0
    captured = capsys.readouterr()
    assert "range test:" not in captured.err
    assert "comparison:" not in captured.err
    assert "done in" not in captured.err
    assert captured.out.splitlines()[0] == (
        "This run was complete: 2 of 2 trials and 2 pairs. Nothing was trained; the report is "
        "written again."
    )
    assert "recommended" in captured.out
    assert results(done) == before
    assert (done / "report.html").stat().st_mtime_ns > stamp


def test_a_job_with_other_settings_is_refused_and_nothing_is_written(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in done.iterdir()}
    for change, words in (
        (["--epochs", "3"], "epochs was 2, now 3"),
        (["--seed", "1"], "seed was 0, now 1"),
        (["--objective", "val_accuracy"], "objective was val_loss, now val_accuracy"),
        (["--engine", "keras-tuner"], "engine was optuna, now keras-tuner"),
        (["--direction", "maximize"], "direction was minimize, now maximize"),
        (["--sampler", "random"], "sampler was qmc, now random"),
        (["--splits", "3"], "splits was 2, now 3"),
        (["--batch-size", "20"], "batch_size was 10, now 20"),
        (["--study-name", "other"], "study was tiny, now other"),
        (["--range", "1e-4", "1"], "range was range 1e-05 to 1, now range 0.0001 to 1"),
        (BOUNDS, "range was range 1e-05 to 1, now bounds 0.001 to 0.1"),
        (["--range-seeds", "3"], "range_seeds was 2, now 3"),
    ):
        assert run_search.main([*SMALL, "--out", "done", *change]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ")
        assert "made with other settings" in error
        assert words in error
        assert {path.name: path.read_bytes() for path in done.iterdir()} == before


EDITS = {
    'Dense(4, "relu")': ('Dense(4, "tanh")', "model architecture"),
    'Dense(1, "sigmoid")': ('Dropout(0.2), keras.layers.Dense(1, "sigmoid")', "model architecture"),
    '"binary_crossentropy"': ('"mse"', "model loss"),
    '["accuracy"]': ('["accuracy", "mse"]', "model metrics"),
    '"adam"': ("keras.optimizers.Adam(0.01)", "optimizer settings"),
}


@pytest.mark.parametrize("old", EDITS)
def test_a_job_whose_model_was_edited_is_refused(
    old: str, done: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, part = EDITS[old]
    (place / "tiny_edited.py").write_text(TASK.replace(old, new, 1))
    before = {path.name: path.read_bytes() for path in done.iterdir()}
    arguments = ["--task", "tiny_edited.py:task", *SMALL[2:], "--out", "done"]
    assert run_search.main(arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "was made with other settings: " in error
    assert f"{part} was " in error
    others = {"model architecture", "model loss", "model metrics", "optimizer settings"} - {part}
    assert not [each for each in others if each in error]
    assert {path.name: path.read_bytes() for path in done.iterdir()} == before


def test_a_stopped_job_resumes_to_the_same_end(
    done: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = JobOptions(
        task="tiny_shared:task",
        epochs=2,
        range_seeds=2,
        splits=2,
        trials=2,
        pairs=2,
        out="stopped",
    )
    folder = place / "stopped"
    for stage, trials in (("range test", 0), ("search", 0), ("comparison", 2)):
        assert do_job(options, "python run_search.py --again", Stopping(stage)) == 130
        error = capsys.readouterr().err
        assert f"stopped after {trials} of 2 trials" in error
        assert "Run the same command to resume: python run_search.py --again" in error
        assert read(folder)["comparison"] is None
        assert (read(folder)["bounds"] is None) is (stage == "range test")
    assert do_job(options, "", Screen(quiet=True)) == 0
    assert results(folder) == results(done)


class Failing(Stopping):
    """A screen on which something unforeseen happens at the beginning of a stage."""

    @contextlib.contextmanager
    def stage(self, title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
        if title == self.stop_at:
            raise RuntimeError("the sky fell on postgresql://me:secret@host/x")
        yield lambda *_: None


def test_a_fault_of_ours_keeps_its_traceback_and_the_job_resumes(place: Path) -> None:
    options = JobOptions(
        task="tiny_shared:task", epochs=2, bounds=(1e-3, 1e-1), trials=1, pairs=1, out="fault"
    )
    with pytest.raises(RuntimeError, match="the sky fell") as caught:
        do_job(options, "", Failing("comparison"))
    assert caught.value.__notes__ == [
        f"The traceback is in {Path('fault') / 'error.txt'}.",
        "Run the same command to resume.",
    ]
    assert "secret" not in (place / "fault" / "error.txt").read_text()
    assert do_job(options, "", Screen(quiet=True)) == 0
    assert len(read(place / "fault")["trials"]) == 1


def test_trials_and_pairs_may_grow(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*RUN, *BOUNDS, "--out", "grown", "--trials"]
    assert run_search.main([*arguments, "1", "--pairs", "1"]) == 0
    assert "complete:" not in capsys.readouterr().out
    first = results(place / "grown")
    assert run_search.main([*arguments, "2", "--pairs", "2"]) == 0
    captured = capsys.readouterr()
    assert "range test" not in captured.err
    assert "complete:" not in captured.out
    bounds, trials, differences, _ = results(place / "grown")
    assert bounds == first[0]
    assert trials[:1] == first[1]
    assert len(trials) == len(differences) == 2
    assert run_search.main([*arguments, "1", "--pairs", "1"]) == 0  # fewer: all is kept
    assert "complete: 2 of 2 trials and 2 pairs." in capsys.readouterr().out
    assert results(place / "grown")[1:3] == (trials, differences)


def test_a_comparison_that_stopped_early_is_done_and_its_pairs_may_grow(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a baseline that hardly learns; outside of the bounds, so that it is no trial
    arguments = [*RUN, *BOUNDS, "--trials", "2", "--baseline", "1e-5", "--out", "early"]
    for pairs, trains in (("20", True), ("20", False), ("18", False), ("40", True)):
        capsys.readouterr()
        assert run_search.main([*arguments, "--pairs", pairs]) == 0
        assert ("comparison:" in capsys.readouterr().err) is trains
        comparison = read(place / "early")["comparison"]
        assert (comparison["verdict"], comparison["pairs"]) == ("better", 6)
        assert comparison["times_judged"] == 1
    assert comparison["pairs_planned"] == 40


def test_a_job_resumes_with_another_baseline(place: Path) -> None:
    arguments = [*RUN, *BOUNDS, "--pairs", "1", "--out", "rival", "--quiet"]
    assert run_search.main([*arguments, "--trials", "2", "--baseline", "0.002"]) == 0
    before, report = stored(place / "rival").trials, read(place / "rival")
    assert [trial.user_attrs["role"] for trial in before] == ["suggestion", "baseline"]
    assert before[1].params == {"learning_rate": 0.002}
    assert report["comparison"]["baseline_learning_rate"] == 0.002
    for trials in ("2", "3"):
        other = [*arguments, "--trials", trials, "--baseline", "0.05"]
        assert run_search.main(other) == 0
        assert read(place / "rival")["comparison"]["baseline_learning_rate"] == 0.05
        after = stored(place / "rival").trials
        assert len(after) == int(trials)
        assert [trial.datetime_complete for trial in after[:2]] == [
            trial.datetime_complete for trial in before
        ]


def test_where_every_trial_fails_the_report_is_written_and_the_code_is_3(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*RUN, "--bounds", "1e20", "1e30", "--trials", "2", "--pairs", "2"]
    assert run_search.main([*arguments, "--out", "failed"]) == 3
    captured = capsys.readouterr()
    assert "diverged" in captured.err
    assert "No trial finished" in captured.out
    assert read(place / "failed")["comparison"] is None


def test_a_folder_in_use_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "busy").mkdir()
    with locked(place / "busy"):
        assert run_search.main([*SMALL, "--out", "busy"]) == 2
    assert "another process is working on the run in 'busy'" in capsys.readouterr().err
    assert not list((place / "busy").iterdir())


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"junk" * 500, "not a database"), (b"SQLite format 3\0" + b"junk" * 500, "not a database")],
)
def test_a_corrupt_database_is_refused(
    content: bytes, words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place / "corrupt"
    folder.mkdir(exist_ok=True)
    (folder / "study.db").write_bytes(content)
    assert run_search.main([*SMALL, "--out", "corrupt"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error
    assert (folder / "study.db").read_bytes() == content


def test_studies_of_others_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (place / "theirs").mkdir()
    storage = f"sqlite:///{place}/theirs/study.db"
    study = optuna.create_study(storage=storage, study_name="tiny")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    assert run_search.main([*SMALL, "--out", "theirs"]) == 2
    assert "whose trials `search` did not make; use another --" in capsys.readouterr().err
    assert run_search.main([*SMALL, "--out", "theirs", "--study-name", "mine"]) == 2
    assert "holds the study 'tiny', not 'mine'" in capsys.readouterr().err
    assert len(optuna.get_all_study_names(storage)) == 1


def test_a_storage_and_a_study_with_odd_names_work(place: Path) -> None:
    name = "<b>\n'\"; DROP TABLE studies; \U0001f377" + "x" * 400
    arguments = [*RUN, *BOUNDS, "--trials", "1", "--pairs", "1", "--quiet", "--study-name", name]
    storage = f"journal:///{place}/journal.log"
    assert run_search.main([*arguments, "--storage", storage, "--out", "journal"]) == 0
    assert read(place / "journal")["study_name"] == name
    assert not (place / "journal" / "study.db").exists()
    other = [*arguments, "--storage", storage, "--out", "journal", "--epochs", "1"]
    assert run_search.main(other) == 2


def test_the_plan_is_printed_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(place.iterdir())
    assert run_search.main([*SMALL, "--out", "planned", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    parts = {part["name"]: part for part in plan["parts"]}
    assert list(parts) == ["range test", "search", "comparison"]
    # 60 rows at batch 10 are 6 steps an epoch; 2 epochs; 2 splits; 2 arms of 2 pairs
    assert (parts["search"]["lanes"], parts["search"]["steps"]) == (4, 12)
    assert (parts["comparison"]["lanes"], parts["comparison"]["epochs"]) == (4, 2)
    # 11 rates on the 2 splits of SMALL, a tenth of a training's 12 steps each
    assert (parts["range test"]["lanes"], parts["range test"]["steps"]) == (22, 1)
    assert 0 < plan["seconds_to_load"] < plan["seconds_at_least"] <= plan["seconds"]
    assert plan["how"] == "population"
    assert run_search.main([*SMALL, *BOUNDS, "--out", "planned", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "in all about" in out
    assert "range test" not in out
    assert sorted(place.iterdir()) == before


def test_the_keras_tuner_engine_runs_the_job(place: Path) -> None:
    arguments = ["--engine", "keras-tuner", "--tuner", "random", "--trials", "2", "--pairs", "1"]
    assert run_search.main([*RUN, *BOUNDS, *arguments, "--out", "keras", "--quiet"]) == 0
    report = read(place / "keras")
    assert report["facts"]["engine"] == "keras-tuner"
    assert [row["role"] for row in report["trials"]] == ["baseline", "suggestion"]


def test_two_optimizers_are_searched_in_one_study(place: Path) -> None:
    lines = Path(run_search.__file__).with_name("data").joinpath("winequalityN.csv").read_text()
    kept = lines.splitlines()
    (place / "wine.csv").write_text("\n".join([*kept[:120], *kept[-120:]]) + "\n")
    arguments = ["--data", "wine.csv", "--optimizer", "sgd,rmsprop", "--epochs", "1", *BOUNDS]
    arguments += ["--trials", "2", "--pairs", "1", "--splits", "1", "--how", "sequential"]
    arguments += ["--quiet"]
    assert run_search.main(arguments) == 0
    report = read(place / "runs" / "wine-sgd-rmsprop-optuna-seed0")
    assert sorted(report["parameters"]) == ["learning_rate_rmsprop", "learning_rate_sgd"]
    assert {row["params"]["optimizer"] for row in report["trials"]} == {"sgd", "rmsprop"}
    assert report["comparison"]["baseline"]["name"] == "wine-adam"
    assert report["comparison"]["baseline_learning_rate"] == 0.001
    assert report["facts"]["optimizer"] == "sgd, rmsprop"
