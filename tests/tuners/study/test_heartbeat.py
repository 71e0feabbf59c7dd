"""Workers sign on a study, and are known to be alive or dead."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from tuners.study.heartbeat import BEAT, LEFT, PREFIX, SILENCE, at_work, is_alive, signed
from tuners.study.storage import open_storage

OTHER_MACHINE = "far+12345678+4026/17-99/abcdef01"

SIGNS_ON = """
import sys, time, optuna
from tuners.study.storage import open_storage
from tuners.study.heartbeat import at_work

study = optuna.load_study(study_name="s", storage=open_storage(sys.argv[1]))
with at_work(study) as worker:
    print(worker, flush=True)
    time.sleep(60)
"""


def test_a_worker_of_this_process() -> None:
    study = optuna.create_study()
    with at_work(study) as worker:
        assert signed(study) == [worker]
        assert is_alive(study, worker)
        with at_work(study, "only one") as second:  # its own process may come again
            assert second != worker
    assert not is_alive(study, worker)
    assert study.user_attrs[PREFIX + worker] == LEFT


def test_a_worker_leaves_whatever_ends_it() -> None:
    study = optuna.create_study()
    with pytest.raises(KeyboardInterrupt), at_work(study) as worker:
        raise KeyboardInterrupt
    assert not is_alive(study, worker)


def test_workers_of_other_machines_live_by_their_signs() -> None:
    study = optuna.create_study()
    assert not is_alive(study, OTHER_MACHINE)  # never signed
    study.set_user_attr(PREFIX + OTHER_MACHINE, time.time() - SILENCE + 5)
    assert is_alive(study, OTHER_MACHINE)
    with (
        pytest.raises(ValueError, match=r"^only one, but process 17 on far is at work on the"),
        at_work(study, "only one"),
    ):
        pytest.fail("it was let in")
    study.set_user_attr(PREFIX + OTHER_MACHINE, time.time() - SILENCE - 1)
    assert not is_alive(study, OTHER_MACHINE)
    with at_work(study, "only one"):
        pass
    assert 2 * BEAT < SILENCE  # one sign may be lost


@pytest.mark.parametrize("name", [None, "", "a/b", "a/b/c", "a/x-1/c", "/-/", 7])
def test_what_is_no_workers_name_is_nobody(name: object) -> None:
    assert not is_alive(optuna.create_study(), name)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_killed_process_of_this_machine_is_dead_at_once(tmp_path: Path) -> None:
    address = f"journal:///{tmp_path}/study.journal"
    study = optuna.create_study(study_name="s", storage=open_storage(address))
    process = subprocess.Popen(
        [sys.executable, "-c", SIGNS_ON, address], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    worker = process.stdout.readline().strip()
    assert is_alive(study, worker)
    process.kill()
    process.communicate()
    assert not is_alive(study, worker)
    assert time.time() - study.user_attrs[PREFIX + worker] < SILENCE  # its sign is fresh
