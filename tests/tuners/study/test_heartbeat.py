"""Workers are known to be alive or dead, and one that works alone is not joined."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from tuners.study.heartbeat import BEAT, GRACE, LEFT, WORKER, at_work, is_alive
from tuners.study.storage import open_storage

OTHER_MACHINE = "far+12345678+4026/17-99/abcdef01"

WORKS = """
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
    with at_work(study, "only one") as worker:
        assert is_alive(worker)
        assert study.user_attrs[WORKER][0] == worker
        with at_work(study, "only one") as second:  # its own process may come again
            assert second != worker
        assert study.user_attrs[WORKER][0] == worker  # and signs once
    assert not is_alive(worker)
    assert study.user_attrs[WORKER] == LEFT


def test_where_several_may_work_nothing_is_written() -> None:
    study = optuna.create_study()
    with at_work(study) as worker:
        assert is_alive(worker)
    assert study.user_attrs == {}


def test_a_worker_leaves_whatever_ends_it() -> None:
    study = optuna.create_study()
    with pytest.raises(KeyboardInterrupt), at_work(study) as worker:
        raise KeyboardInterrupt
    assert not is_alive(worker)


def test_a_worker_of_another_machine_cannot_be_asked() -> None:
    study = optuna.create_study()
    assert is_alive(OTHER_MACHINE) is None
    study.set_user_attr(WORKER, [OTHER_MACHINE, time.time() - GRACE + 5])
    with (
        pytest.raises(ValueError, match=r"^only one, but process 17 on far is at work on the"),
        at_work(study, "only one"),
    ):
        pytest.fail("it was let in")
    study.set_user_attr(WORKER, [OTHER_MACHINE, time.time() - GRACE - 1])
    with at_work(study, "only one"):
        pass
    assert 2 * BEAT < GRACE  # one sign may be lost


@pytest.mark.parametrize("name", [None, "", "a/b", "a/b/c", "a/x-1/c", "/-/", 7])
def test_what_is_no_workers_name_is_nobody(name: object) -> None:
    assert is_alive(name) is False
    study = optuna.create_study()
    study.set_user_attr(WORKER, name)
    with at_work(study, "only one"):
        pass


@pytest.mark.slow
def test_a_killed_process_of_this_machine_is_dead_at_once(tmp_path: Path) -> None:
    address = f"journal:///{tmp_path}/study.journal"
    optuna.create_study(study_name="s", storage=open_storage(address))
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS, address], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    worker = process.stdout.readline().strip()
    assert is_alive(worker)
    process.kill()
    process.communicate()
    assert is_alive(worker) is False


def test_a_journal_does_not_grow_while_somebody_works(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    study = optuna.create_study(storage=open_storage(f"journal:///{path}"))
    size = path.stat().st_size
    for _ in range(5):
        with at_work(study):
            pass
    assert path.stat().st_size == size
