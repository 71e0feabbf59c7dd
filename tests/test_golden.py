"""Small seed-0 jobs whose results must not change while the code moves.

The numbers in `golden/` are those of the version in which trials train on several splits, the
baseline is a trial and all trials together choose the rate; what the first version found was
another job. They prove nothing but that rates, scores, bounds and verdicts stayed the same. A
change that means to move them says so in `CHANGELOG.md` and writes them again:
`python -m tests.test_golden`. Scores may differ in their last digits from one processor to
another, since XLA adds in another order there.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

import run_search
from benchmarks.resume import TASK
from tests.tuners.tasks import dense_model, make_task
from tuners import choose, compare, range_test, search

pytestmark = pytest.mark.slow
GOLDEN = Path(__file__).parent / "golden"
SIZES = ("--trials", "10", "--epochs", "3", "--pairs", "6", "--range-seeds", "2", "--quiet")


def job(engine: str) -> dict[str, Any]:
    """The command's own results on a small task, from range test to verdict."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tiny.py").write_text(TASK, encoding="utf-8")
        where = ["--task", f"{folder}/tiny.py:task", "--out", str(folder / "run")]
        assert run_search.main([*where, "--engine", engine, *SIZES]) == 0
        study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{folder}/run/study.db")
        found = shown(study, dict(study.user_attrs["bounds"]))
        comparison = study.user_attrs["comparison"]
    return found | {
        "verdict": comparison["verdict"],
        "recommended": comparison["recommended_learning_rate"],
        "gains": comparison["differences"],
    }


def two_optimizers() -> dict[str, Any]:
    """A search over two optimizers in one study, each inside the bounds of its own range test."""
    tasks = {name: make_task(dense_model(name)) for name in ("sgd", "adam")}
    curves = {name: range_test(task, seeds=2, epochs=3) for name, task in tasks.items()}
    study = search(tasks, curves, trials=10, epochs=3)
    choice = choose(study)
    both = tasks[str(choice.optimizer)], tasks["adam"]
    comparison = compare(both, choice.learning_rate, pairs=6, epochs=3)
    bounds = {name: curve.bounds().to_dict() for name, curve in curves.items()}
    return shown(study, bounds) | {
        "verdict": comparison.verdict,
        "recommended": comparison.recommended_learning_rate,
        "gains": list(comparison.differences),
    }


def shown(study: optuna.Study, bounds: dict[str, Any]) -> dict[str, Any]:
    return {
        "bounds": bounds,
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name,
                "params": trial.params,
                "value": trial.value,
                "role": trial.user_attrs["role"],
            }
            for trial in study.trials
        ],
    }


JOBS: dict[str, Callable[[], dict[str, Any]]] = {
    "optuna": lambda: job("optuna"),
    "keras_tuner": lambda: job("keras-tuner"),
    "two_optimizers": two_optimizers,
}


def same(one: Any, other: Any, where: str = "") -> None:
    """Assert that two nests are equal, numbers to five digits."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert sorted(one) == sorted(other), where
        for name in one:
            same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            same(a, b, f"{where}[{place}]")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6), where
    else:
        assert one == other, where


@pytest.mark.parametrize("name", JOBS)
def test_results_are_those_that_are_kept(name: str) -> None:
    same(json.loads(json.dumps(JOBS[name]())), json.loads((GOLDEN / f"{name}.json").read_text()))


if __name__ == "__main__":
    for each, run in JOBS.items():
        (GOLDEN / f"{each}.json").write_text(json.dumps(run(), indent=1) + "\n", encoding="utf-8")
