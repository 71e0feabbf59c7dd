"""The published experiment, small."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import run_search
from tuners.cli.article import describe, ramp_rate
from tuners.comparison.judging import judge_arms
from tuners.comparison.result import Arm, Comparison

ROOT = Path(run_search.__file__).parent


def paired() -> Comparison:
    """A comparison of ten pairs, all won."""
    chosen, baseline = (
        Arm("wine", rate, (loss,) * 10, accuracy=(share,) * 10, diverged=(False,) * 10)
        for rate, loss, share in ((5e-3, 0.4, 0.8), (1e-3, 0.5, 0.7))
    )
    return judge_arms(
        chosen,
        baseline,
        seeds=range(10),
        direction="minimize",
        chosen_learning_rate=5e-3,
        baseline_learning_rate=1e-3,
        objective="val_loss",
        metric="loss",
        measured_on="test",
        epochs=3,
    )


def test_the_ramp_is_the_published_one() -> None:
    assert ramp_rate(0) == 1e-3
    assert math.isclose(ramp_rate(15), 1e-3 * math.sqrt(10))
    assert math.isclose(ramp_rate(99), 1e-3 * 10 ** (99 / 30))


@pytest.mark.slow
def test_the_experiment_runs_and_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (ROOT / "data" / "winequalityN.csv").read_text().splitlines()
    (tmp_path / "few.csv").write_text("\n".join([*rows[:150], *rows[-150:]]) + "\n")
    monkeypatch.chdir(tmp_path)
    arguments = ["article", "--data", "few.csv", "--epochs", "3", "--pairs", "1"]
    assert run_search.main(arguments) == 0
    out = capsys.readouterr().out
    assert "[[348, 134], [135, 676]]" in out
    assert "plots and numbers: runs/article" in out
    folder = tmp_path / "runs" / "article"
    result = json.loads((folder / "article.json").read_text())
    assert result["ramp"]["learning_rates"][1] == pytest.approx(1e-3 * 10 ** (1 / 30))
    assert result["learning_rate"] in result["ramp"]["learning_rates"]
    for run in ("default", "ramp", "chosen"):
        # all rows that are not tested on train; a fifth of them is tested on
        assert len(result[run]["curves"]["val_loss"]) == 3
        total = sum(map(sum, result[run]["confusion"]))
        right = result[run]["confusion"][0][0] + result[run]["confusion"][1][1]
        assert result[run]["accuracy"] == pytest.approx(right / total)
        assert 50 < total < 65
    assert len(list(folder.glob("*.png"))) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.glob("*.png"))
    assert describe(result)[-1].startswith("Keep the baseline 0.001: ")
    judged = describe(result | {"comparison": paired().to_dict()})[-1]
    assert "Use learning rate 0.005: it beats the baseline 0.001" in judged
    assert "In test accuracy the gain is +10.00 points" in judged
    stamp = (folder / "article.json").stat().st_mtime_ns
    assert run_search.main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result
    assert (folder / "article.json").stat().st_mtime_ns == stamp
    assert run_search.main([*arguments, "--seed", "1"]) == 2
    assert "seed was 0, now 1" in capsys.readouterr().err
    (folder / "article.json").write_text("{}")
    assert run_search.main(arguments) == 2
    assert "is no result of `article`" in capsys.readouterr().err
