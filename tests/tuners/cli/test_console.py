"""Two streams: results on one, progress on the other."""

from __future__ import annotations

import io
import sys
import warnings

import pytest

from tuners.cli import console as consoles
from tuners.cli.console import Screen


def test_results_and_progress_go_to_streams_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()
    screen.print("found [bold]it[/bold]")
    screen.note("on the way")
    out, err = capsys.readouterr()
    assert (out, err) == ("found [bold]it[/bold]\n", "on the way\n")


@pytest.mark.parametrize("options", [{"quiet": True}, {"json": True}])
def test_a_silent_screen_shows_warnings_only(
    options: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen(**options)
    screen.note("on the way")
    with screen.stage("search", "epochs") as tell:
        tell(1, 2)
    screen.warn("look")
    assert capsys.readouterr().err == "warning: look\n"
    screen.print("words")
    screen.print_json("{}")
    assert capsys.readouterr().out == ("{}\n" if options.get("json") else "words\n{}\n")


def test_what_others_print_stays_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    with screen.quiet_output():
        print("chatter")
        screen.print("found")
        warnings.simplefilter("always")
        warnings.warn_explicit("an old\nhabit", UserWarning, "x.py", 1)
    out, err = capsys.readouterr()
    assert out == "found\n"
    assert err == "chatter\nwarning: an old habit\n"


def test_plain_lines_come_seldom_and_tell_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.0, 30.0, 31.0, 60.0, 61.0, 61.0])
    monkeypatch.setattr(consoles.time, "perf_counter", lambda: next(clock))
    with Screen().stage("search", "epochs") as tell:
        for done in (10, 11, 20, 40):
            tell(done, 40)
    # after the first call, 10 epochs took the 30 seconds from 30 to 60: 20 more take 60
    assert capsys.readouterr().err.splitlines() == [
        "search: 10 of 40 epochs, 30.0 s",
        "search: 20 of 40 epochs, 1 min 00 s, about 1 min 00 s left",
        "search: done in 1 min 01 s",
    ]


def test_a_stage_without_news_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen().stage("search", "epochs"):
        pass
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar() -> None:
    screen = Screen()
    terminal = io.StringIO()
    screen.progress = consoles.Console(file=terminal, force_terminal=True, width=100)
    with screen.stage("search", "epochs") as tell:
        tell(12, 40)
        tell(40, 40)
    shown = terminal.getvalue()
    assert "40/40" in shown
    assert "search: done in" in shown


def test_a_pipe_is_wide_unless_columns_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert Screen().result.width == consoles.PIPE_WIDTH
    monkeypatch.setenv("COLUMNS", "70")
    assert Screen().result.width == 70


def test_the_stream_of_results_is_that_of_the_call() -> None:
    screen = Screen()
    kept = sys.stdout
    with screen.quiet_output():
        assert screen.result.file is kept
        assert sys.stdout is sys.stderr
