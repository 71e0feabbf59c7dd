"""Units of work: made once, ranked by number, taken up again, told once; on every storage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from tests.postgres import running_server
from tuners.study import work_queue
from tuners.study.heartbeat import PREFIX, at_work
from tuners.study.storage import close_storage, one_process_only, open_storage
from tuners.study.work_queue import STALE, Work, claimed, take_batch, tell, wait

DEAD = "far+12345678+4026/17-99/abcdef01"
KINDS = ["memory", "sqlite", "journal", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "SETTLE", 0.01)
    monkeypatch.setattr(work_queue, "WAIT", 0.01)


@pytest.fixture(params=KINDS)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[optuna.Study]:
    kind = request.param
    if kind == "postgres":
        with running_server() as server:
            storage = open_storage(server.address)
            yield optuna.create_study(storage=storage)
            close_storage(storage)
        return
    address = {
        "memory": None,
        "sqlite": f"sqlite:///{tmp_path}/study.db",
        "journal": f"journal:///{tmp_path}/study.journal",
    }[kind]
    storage = open_storage(address)
    yield optuna.create_study(storage=storage)
    close_storage(storage)


def work_of(study: optuna.Study, worker: str, **changes: Any) -> Work:
    settings: dict[str, Any] = {"total": 5, "batch": 2, "attributes": {"seed": 3}}
    return Work(study, worker, **{**settings, **changes})


def drawn(unit: FrozenTrial, rank: int) -> tuple[FrozenTrial, int]:
    return unit, rank


def test_batches_until_the_total(study: optuna.Study) -> None:
    with at_work(study) as worker:
        work = work_of(study, worker)
        seen = []
        while units := take_batch(work, drawn):
            for unit, rank in units:
                seen.append((unit.number, rank, unit.user_attrs["batch"]))
                told = tell(study, unit, {"role": "search"}, float(rank))
                assert told is not None
                assert (told.value, told.user_attrs["role"]) == (rank, "search")
                assert tell(study, unit, {"role": "other"}, 9.0) is None
        assert seen == [(0, 0, 0), (1, 1, 0), (2, 2, 2), (3, 3, 2), (4, 4, 4)]
        assert not wait(work)
        assert [trial.value for trial in study.trials] == [0, 1, 2, 3, 4]
        assert {trial.user_attrs["seed"] for trial in study.trials} == {3}
        assert len(take_batch(work_of(study, worker, total=6), drawn)) == 1


def test_what_others_do_is_waited_for_and_what_the_dead_left_is_taken_up(
    study: optuna.Study,
) -> None:
    with at_work(study) as other:
        work_other = work_of(study, other, total=2)
        first, second = take_batch(work_other, drawn)
        with at_work(study) as worker:
            work = work_of(study, worker, total=2)
            assert take_batch(work, drawn) == []  # the other one is alive
            assert wait(work)
            assert tell(study, first[0], {}, 1.0) is not None
    with at_work(study) as worker:  # the other one has gone
        work = work_of(study, worker, total=2)
        ((unit, rank),) = take_batch(work, drawn)
        assert (unit.number, rank) == (second[0].number, 1)
        assert unit.user_attrs["worker"] == other
        assert unit.user_attrs["rescuer"] == worker
        assert tell(study, unit, {}, 2.0) is not None
        assert tell(study, second[0], {}, 3.0) is None  # the dead one wakes up
        assert not wait(work)
    assert [trial.value for trial in study.trials] == [1.0, 2.0]


def test_a_batch_cut_off_while_it_was_made_is_completed(study: optuna.Study) -> None:
    class Cut(Exception):
        pass

    def cut(unit: FrozenTrial, rank: int) -> None:
        if rank == 1:
            raise Cut

    with at_work(study) as worker, pytest.raises(Cut):
        take_batch(work_of(study, worker, batch=4), cut)
    with at_work(study) as worker:
        units = take_batch(work_of(study, worker, batch=4), drawn)
    assert [(unit.number, rank, unit.user_attrs["place"]) for unit, rank in units] == [
        (0, 0, 0),
        (1, 1, 1),
        (2, 2, 2),
        (3, 3, 3),
    ]
    assert {unit.user_attrs["batch"] for unit, _ in units} == {0}


def test_the_one_too_many_is_failed_and_a_half_failed_one_as_well(study: optuna.Study) -> None:
    with at_work(study) as worker:
        work = work_of(study, worker, total=1)
        rival = optuna.trial.create_trial(
            state=TrialState.RUNNING, user_attrs={"worker": DEAD, "batch": 0, "place": 0}
        )
        study.set_user_attr(PREFIX + DEAD, 9e9)  # alive

        add, rivals = study.add_trial, [rival]

        def add_after(trial: FrozenTrial) -> None:  # the rival is quicker
            while rivals:
                add(rivals.pop())
            add(trial)

        study.add_trial = add_after  # type: ignore[method-assign]
        assert take_batch(work, drawn) == []
        mine = study.trials[1]
        assert (mine.state.name, mine.user_attrs["role"]) == ("FAIL", STALE)
        assert [unit.number for unit in work.counted()] == [0]
        half = {"worker": "gone", "batch": 0, "place": 1, "role": STALE}
        add(optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=half))
        assert take_batch(work, drawn) == []
        assert study.trials[2].state.name == "FAIL"


def test_two_kinds_in_one_study_do_not_meet(study: optuna.Study) -> None:
    with at_work(study) as worker:
        one, other = (work_of(study, worker, kind=kind, total=1) for kind in ("a", "b"))
        assert [rank for _, rank in take_batch(one, drawn)] == [0]
        assert [rank for _, rank in take_batch(other, drawn)] == [0]
        assert [unit.number for unit in other.counted()] == [1]


def test_a_claim_is_one_workers(study: optuna.Study) -> None:
    done, waited = [False], []

    def finish() -> None:
        waited.append(True)
        done[0] = True

    with at_work(study) as worker, at_work(study) as other:
        for _ in range(2):  # it stays its own
            assert claimed(study, "x", worker, lambda: False, alone=False, on_wait=finish)
        assert not claimed(study, "x", other, lambda: done[0], alone=False, on_wait=finish)
        assert waited == [True]
        assert not claimed(study, "x", worker, lambda: True, alone=False, on_wait=finish)
    with at_work(study) as third:  # the first has gone without an end
        assert claimed(study, "x", third, lambda: False, alone=True, on_wait=finish)


@pytest.mark.parametrize("workers", [4])
def test_many_workers_do_every_unit_once(tmp_path: Path, workers: int) -> None:
    address, done = f"journal:///{tmp_path}/study.journal", []

    def run() -> None:
        mine = optuna.load_study(study_name="s", storage=open_storage(address))
        with at_work(mine) as worker:
            work = work_of(mine, worker, total=23, batch=3)
            while True:
                units = take_batch(work, drawn)
                for unit, rank in units:
                    if tell(mine, unit, {}, float(rank)) is not None:
                        done.append(unit.number)
                if not units and not wait(work):
                    return

    optuna.create_study(study_name="s", storage=open_storage(address))
    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    study = optuna.load_study(study_name="s", storage=open_storage(address))
    counted = [trial for trial in study.trials if trial.user_attrs.get("role") != STALE]
    assert sorted(done) == [trial.number for trial in counted]
    assert [trial.value for trial in counted] == list(range(23))
    assert all(trial.state.is_finished() for trial in study.trials)


def test_which_storages_are_for_one_process(tmp_path: Path) -> None:
    assert "PostgreSQL" in one_process_only(open_storage("sqlite://"))
    assert "memory" in one_process_only(open_storage(None))
    assert one_process_only(open_storage(f"journal:///{tmp_path}/a.journal")) == ""
