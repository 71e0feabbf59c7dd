from __future__ import annotations

import io

import pytest
from report_studies import make_comparison, make_facts, make_study, make_trials
from rich.console import Console

from tuners.figures.words import rate
from tuners.report.summary import summarize
from tuners.report.terminal import as_text, end_block, start_block, trial_line


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("gain", [0.02, -0.02, 0.0])
def test_the_end_block_tells_the_story_in_under_forty_lines(width: int, gain: float) -> None:
    summary = summarize(make_study(comparison=make_comparison(gain)))
    text = as_text(end_block(summary, report="runs/wine/report.html", width=width), width)
    lines = text.splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) <= width
    words = " ".join(text.split())
    assert summary["headline"] in words
    assert "1.1e-4 to 0.0095 (ok): The mean loss" in words
    assert "paste" in words
    assert "lr-range-search --seed 0" in words
    assert "runs/wine/report.html" in words
    assert text.isascii()
    if width >= 80:
        assert f"learning_rate={rate(summary['recommended_learning_rate'])})" in words
        assert "pairs won" in words


@pytest.mark.parametrize("name", ["empty", "trials", "failed checks"])
def test_the_end_block_of_any_study(name: str) -> None:
    study = {
        "empty": lambda: make_study(bare=True),
        "trials": lambda: make_study(bare=True, trials=make_trials(5)),
        "failed checks": lambda: make_study(
            comparison=make_comparison(pairs=5),
            facts=make_facts(repeats_shared=330, seed=None),
            trials=make_trials(6, best_epoch=1),
        ),
    }[name]()
    text = as_text(end_block(summarize(study)))
    assert len(text.splitlines()) < 40
    assert summarize(study)["headline"].split(",")[0] in " ".join(text.split())
    if name == "failed checks":
        for code in ("LR04", "LR07", "LR10"):
            assert code in text


def test_colour_only_where_the_console_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    summary = summarize(make_study(comparison=make_comparison(0.02)))

    def show(**options: object) -> str:
        out = io.StringIO()
        Console(file=out, width=80, **options).print(end_block(summary))  # type: ignore[arg-type]
        return out.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" not in show()  # a pipe
    assert "\x1b[1;32m" in show(force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "32m" not in show(force_terminal=True)


def test_strange_names_cannot_steer_the_terminal() -> None:
    study = make_study(facts=make_facts(command="run \x1b[2J\x07 [bold]x[/bold]", task="\x1b[31m"))
    text = as_text(end_block(summarize(study)))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]x[/bold]" in text


def test_the_start_block_is_short_and_hides_passwords() -> None:
    facts = make_facts(machine="redis://:hunter2@host")
    text = as_text(start_block(facts, out="postgresql://me:hunter2@host/db"))
    assert len(text.splitlines()) <= 8
    assert "hunter2" not in text
    assert "4,136 train, 1,034 validation, 1,293 test" in text
    assert "30 pairs, baseline 0.001" in text
    assert as_text(start_block({})).strip() == ""


def test_one_line_a_trial() -> None:
    row = summarize(make_study())["trials"][3]
    line = trial_line(row, total=24, best=0.4462, best_number=3, seconds_left=62.0)
    assert line.startswith("  4/24  ok        lr 8.83e-4")
    assert "best 0.4462 (#3)*" in line
    assert line.endswith("left 1 min 02 s")
    failed = row | {"state": "FAIL", "diverged": True, "value": None, "seconds": None}
    line = trial_line(failed, total=24, best=None, best_number=None)
    assert line.split()[:2] == ["4/24", "diverged"]
    odd = row | {"learning_rate": None, "role": "baseline", "state": "PRUNED"}
    assert trial_line(odd, total=24, best=0.1, best_number=0).endswith("baseline")
