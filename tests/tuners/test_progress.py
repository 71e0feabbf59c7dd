"""The bar of a long call, in a real terminal and in a pipe."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

WORK = """
import time
from tuners._progress import progress_bar
with progress_bar("range test", {shown}) as tell:
    time.sleep({before})
    for done in range(1, 9):
        tell(done, 8)
        time.sleep(0.05)
"""


def in_terminal(code: str) -> str:
    """What a terminal of 80 columns gets, without its control sequences."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        chunks = []
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
        assert running.wait() == 0
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(chunks).decode())


@pytest.mark.slow
def test_a_bar_comes_after_two_seconds_and_guesses_nothing() -> None:
    shown = in_terminal(WORK.format(shown=True, before=2.3))
    assert re.search(r"range test \S+ +0:00:02", shown)  # no share is known yet
    assert re.search(r"range test \S+ 100 % 0:00:02", shown)
    assert "?" not in shown
    assert "-:--" not in shown


@pytest.mark.slow
@pytest.mark.parametrize(("shown", "before"), [(True, 0.2), (False, 2.3)])
def test_short_work_and_silent_work_show_nothing(shown: bool, before: float) -> None:
    assert in_terminal(WORK.format(shown=shown, before=before)).strip() == ""


@pytest.mark.slow
def test_a_pipe_gets_nothing() -> None:
    command = [sys.executable, "-c", WORK.format(shown=True, before=2.3)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
