"""Units of work: made once, placed by number, resumed, told once; on every storage."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from tests.postgres import Server, running_server
from tuners.study import heartbeat, work_queue
from tuners.study.heartbeat import WORKER, at_work
from tuners.study.optuna_private import begin_trial, take_waiting_trial
from tuners.study.schema import STALE, UNIT, superseded
from tuners.study.storage import WholeLines, close_storage, one_process_only, open_storage
from tuners.study.work_queue import Work, do_once, take_batch, tell, wait

FAR = "far+12345678+4026/17-99/abcdef01"  # a worker of another machine
KINDS = ["memory", "sqlite", "journal", pytest.param("postgres", marks=pytest.mark.postgres)]
OUTCOME = {"diverged": False}


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "WAIT", 0.01)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


@pytest.fixture(params=KINDS)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[optuna.Study]:
    kind = request.param
    if kind == "postgres":
        storage = open_storage(request.getfixturevalue("server").address)
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


def drawn(unit: FrozenTrial, place: int | None) -> tuple[FrozenTrial, int | None]:
    return unit, place


def test_batches_until_the_total(study: optuna.Study) -> None:
    with at_work(study) as worker:
        work = work_of(study, worker)
        seen = []
        while units := take_batch(work, drawn):
            seen.append([(unit.number, place, unit.user_attrs["place"]) for unit, place in units])
            for unit, place in units:
                assert place is not None
                told = tell(study, unit, {"role": "search", **OUTCOME}, float(place))
                assert told is not None
                assert (told.value, told.user_attrs["role"]) == (place, "search")
                assert tell(study, unit, {"role": "other"}, 9.0) is None
        assert seen == [[(0, 0, 0), (1, 1, 1)], [(2, 2, 2), (3, 3, 3)], [(4, 4, 4)]]
        assert not wait(work)
        assert [trial.value for trial in study.trials] == [0, 1, 2, 3, 4]
        assert {trial.user_attrs["seed"] for trial in study.trials} == {3}
        assert {trial.user_attrs[WORKER] for trial in study.trials} == {worker}
        assert len(take_batch(work_of(study, worker, total=6), drawn)) == 1


def test_what_others_do_is_waited_for_and_what_the_dead_left_is_queued_again(
    study: optuna.Study,
) -> None:
    with at_work(study) as other:
        work_other = work_of(study, other, total=2)
        first, second = take_batch(work_other, drawn)
        study._storage.set_trial_param(
            second[0]._trial_id, "x", 0.5, optuna.distributions.FloatDistribution(0, 1)
        )
        with at_work(study) as worker:
            work = work_of(study, worker, total=2)
            assert take_batch(work, drawn) == []  # the other one is alive
            assert wait(work)
            assert tell(study, first[0], OUTCOME, 1.0) is not None
    with at_work(study) as worker:  # the other one has gone
        work = work_of(study, worker, total=2)
        ((unit, place),) = take_batch(work, drawn)
        assert (unit.number, place) == (2, 1)
        assert unit.params == {"x": 0.5}  # it keeps its rate
        assert unit.user_attrs[WORKER] == worker
        assert tell(study, unit, OUTCOME, 2.0) is not None
        assert tell(study, second[0], OUTCOME, 3.0) is None  # the dead one wakes up
        assert not wait(work)
        assert superseded(study.trials) == {1}
    assert [trial.value for trial in work.done()] == [1.0, 2.0]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_what_is_held_is_handed_back(study: optuna.Study) -> None:
    with at_work(study) as worker:
        work = work_of(study, worker, total=2)
        with work_queue.handing_back(work):
            first, _ = take_batch(work, drawn)
            tell(study, first[0], OUTCOME, 1.0)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "WAITING"]
    assert superseded(study.trials) == {1}


def test_who_works_alone_opens_again_what_is_left(study: optuna.Study) -> None:
    class Cut(Exception):
        pass

    def cut(unit: FrozenTrial, place: int | None) -> None:
        if place == 1:
            raise Cut

    with at_work(study) as worker, pytest.raises(Cut):
        take_batch(work_of(study, worker, batch=4, alone=True), cut)
    with at_work(study) as worker:
        units = take_batch(work_of(study, worker, batch=4, alone=True), drawn)
    assert [(unit.number, place) for unit, place in units] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert superseded(study.trials) == set()


def test_a_batch_that_was_cut_off_ends_where_it_would_have(study: optuna.Study) -> None:
    for alone in (True, False):
        part = optuna.create_study(storage=study._storage)
        assert part.study_name != study.study_name
        with at_work(part) as worker:
            for unit, place in take_batch(work_of(part, worker, batch=4, alone=alone), drawn):
                if place < 1:
                    tell(part, unit, OUTCOME, 0.0)
        with at_work(part) as worker:
            work = work_of(part, worker, batch=4, total=9, alone=alone)
            units = take_batch(work, drawn)
            assert [place for _, place in units] == [1, 2, 3]
            for unit, _ in units:
                tell(part, unit, OUTCOME, 0.0)
            assert [place for _, place in take_batch(work, drawn)] == [4, 5, 6, 7]


def test_what_was_reported_to_a_pruner_is_told_with_the_rest(study: optuna.Study) -> None:
    with at_work(study) as worker:
        work = work_of(study, worker, total=1, alone=True)
        ((unit, _),) = take_batch(work, drawn)
        study._storage.set_trial_intermediate_value(unit._trial_id, 0, 9.0)  # and there it died
        ((again, place),) = take_batch(work, drawn)
        assert (again.number, place) == (0, 0)
        tell(study, again, OUTCOME, None, TrialState.PRUNED, ({0: 0.5, 1: 0.25}, {"rung": 1.0}))
    (trial,) = study.trials
    assert trial.intermediate_values == {0: 0.5, 1: 0.25}
    assert (trial.state.name, trial.value, trial.system_attrs["rung"]) == ("PRUNED", 0.25, 1.0)


def test_who_slept_and_lost_a_unit_goes_on_with_the_next(study: optuna.Study) -> None:
    with at_work(study) as worker:
        work = work_of(study, worker, total=3, batch=3)

        def sleep(unit: FrozenTrial, place: int | None) -> int | None:
            if unit.number == 1:
                work_queue._queue_again(study, unit)  # as another process does meanwhile
            work_queue.open_trial(study, unit).set_user_attr("role", "search")
            return place

        assert take_batch(work, sleep) == [0, 1, 2]  # the second one's copy before the third
    states = [trial.state.name for trial in study.trials]
    assert states == ["RUNNING", "FAIL", "RUNNING", "RUNNING"]


def test_a_queued_trial_has_the_name_of_who_holds_it(study: optuna.Study) -> None:
    study.enqueue_trial({"x": 1.0})
    for _ in range(2):
        with at_work(study) as worker:  # the first one dies with it
            ((unit, place),) = take_batch(work_of(study, worker, total=0, batch=1), drawn)
            assert (unit.user_attrs[WORKER], place) == (worker, None)


def test_what_a_second_kill_left_keeps_the_order_of_the_places(study: optuna.Study) -> None:
    class Cut(Exception):
        pass

    def cut(unit: FrozenTrial, place: int | None) -> None:
        if place == 1:
            raise Cut

    sizes = {"total": 4, "batch": 4}
    with at_work(study) as worker:
        take_batch(work_of(study, worker, **sizes), drawn)
    with at_work(study) as worker, pytest.raises(Cut):
        take_batch(work_of(study, worker, **sizes), cut)
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 4 + [
        "RUNNING",
        "RUNNING",
        "WAITING",
        "WAITING",
    ]
    with at_work(study) as worker:
        units = take_batch(work_of(study, worker, **sizes), drawn)
    assert [(unit.number, place) for unit, place in units] == [(8, 0), (9, 1), (10, 2), (11, 3)]


def test_the_one_too_many_is_failed(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    with at_work(study) as other, at_work(study) as worker:
        work, rivals = work_of(study, worker, total=1), [work_of(study, other, total=1)]

        def begin_after(*arguments: Any) -> FrozenTrial:  # the rival is quicker
            while rivals:
                assert len(take_batch(rivals.pop(), drawn)) == 1
            return begin_trial(*arguments)

        monkeypatch.setattr(work_queue, "begin_trial", begin_after)
        assert take_batch(work, drawn) == []
        mine = study.trials[1]
        assert (mine.state.name, mine.user_attrs["role"]) == ("FAIL", STALE)
        assert [unit.number for unit in work.units().values()] == [0]


def test_a_worker_that_died_at_the_end_leaves_nothing_that_runs(study: optuna.Study) -> None:
    with at_work(study) as worker:
        work = work_of(study, worker, total=1)
        ((unit, _),) = take_batch(work, drawn)
        tell(study, unit, OUTCOME, 1.0)
        assert take_batch(work, drawn) == []
        with at_work(study) as gone:  # it began one too many, and died before it failed it
            begin_trial(study, {UNIT: "search", WORKER: gone})
        assert not wait(work)
    assert all(trial.state.is_finished() for trial in study.trials)
    assert [unit.value for unit in work.done()] == [1.0]


def test_where_others_are_quicker_the_next_is_taken(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (0.0, 1.0):
        study.enqueue_trial({"x": value})
    with at_work(study) as other, at_work(study) as worker:
        rivals = [work_of(study, other, total=0, batch=1)]

        def take_after(*arguments: Any) -> bool:
            while rivals:
                assert len(take_batch(rivals.pop(), drawn)) == 1
            return take_waiting_trial(*arguments)

        monkeypatch.setattr(work_queue, "take_waiting_trial", take_after)
        ((unit, place),) = take_batch(work_of(study, worker, total=0, batch=1), drawn)
    assert (unit.number, place) == (1, None)
    assert len(study.trials) == 2
    assert [trial.user_attrs[WORKER] for trial in study.trials] == [other, worker]


def test_a_failed_unit_whose_copy_was_never_made_is_queued_again(study: optuna.Study) -> None:
    with at_work(study) as worker:
        work = work_of(study, worker, total=1)
        ((unit, _),) = take_batch(work, drawn)
        study.tell(unit.number, state=TrialState.FAIL)  # and there its process died
        assert wait(work)
        ((again, place),) = take_batch(work, drawn)
        assert (again.number, place) == (1, 0)
        outcome = {"diverged": True}
        assert tell(study, again, outcome, state=TrialState.FAIL) is not None
        assert not wait(work)
        assert take_batch(work, drawn) == []


def test_a_unit_that_was_begun_and_not_signed_for_is_told_by_the_name_it_bears(
    study: optuna.Study,
) -> None:
    with at_work(study) as gone:
        begin_trial(study, {UNIT: "search", WORKER: gone})  # and there its process died
    begin_trial(study, {})  # somebody's own trial, which is nobody's to judge
    with at_work(study) as worker:
        units = take_batch(work_of(study, worker, total=1), drawn)
        assert [unit.number for unit, _ in units] == [2]
    assert study.trials[1].state.name == "RUNNING"


def test_a_copy_that_was_taken_and_not_signed_for_is_not_waited_for_by_who_queued_it(
    study: optuna.Study,
) -> None:
    with at_work(study) as worker:
        begin_trial(study, {UNIT: "search", WORKER: worker})  # handed back, taken by one that died
        ((unit, place),) = take_batch(work_of(study, worker, total=1), drawn)
        assert (unit.number, place) == (1, 0)


def test_two_kinds_in_one_study_do_not_meet(study: optuna.Study) -> None:
    with at_work(study) as worker:
        one, other = (work_of(study, worker, kind=kind, total=1) for kind in ("a", "b"))
        assert [place for _, place in take_batch(one, drawn)] == [0]
        assert [place for _, place in take_batch(other, drawn)] == [0]
        assert [unit.number for unit in other.units().values()] == [1]
        study.enqueue_trial({}, user_attrs={UNIT: "a"})  # left behind by a comparison given up
        with at_work(study) as second:
            more = work_of(study, second, kind="b")
            assert [place for _, place in take_batch(more, drawn)] == [1]
            more = work_of(study, second, kind="a", total=2)
            assert [place for _, place in take_batch(more, drawn)] == [1]  # and wanted again


def test_something_is_done_once(study: optuna.Study) -> None:
    done: list[str] = []
    for alone in (True, False, False):
        do_once(study, "x", lambda: done.append("x"), lambda: bool(done), alone=alone)
    assert done == ["x"]
    did: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        do_once(study, "y", interrupt, lambda: bool(did), alone=False)
    do_once(study, "y", lambda: did.append("y"), lambda: bool(did), alone=False)
    assert did == ["y"]


def interrupt() -> None:
    raise KeyboardInterrupt


class FullAfter(WholeLines):
    """A journal on a disk with so many bytes left: a write that does not fit is cut off."""

    def __init__(self, path: str, left: int) -> None:
        super().__init__(path)
        self.full = Path(path).stat().st_size + left

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        super().append_logs(logs)
        if Path(self._file_path).stat().st_size > self.full:
            os.truncate(self._file_path, self.full)
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_byte_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    address, left, ended = f"journal:///{path}", 0, False
    while not ended:
        path.unlink(missing_ok=True)
        optuna.create_study(study_name="s", storage=open_storage(address))
        storage = optuna.storages.JournalStorage(FullAfter(str(path), left))
        try:
            study = optuna.load_study(study_name="s", storage=storage)
            with at_work(study) as worker:
                work = work_of(study, worker, total=3, batch=3)
                with work_queue.handing_back(work):
                    while units := take_batch(work, drawn):
                        for unit, place in units:
                            told = {"scores": [place], "epochs": 9, "diverged": place == 1}
                            state = TrialState.FAIL if place == 1 else None
                            tell(study, unit, told, None if state else float(place), state)
            ended = True
        except OSError:
            study = optuna.load_study(study_name="s", storage=open_storage(address))
            work_to_the_end(study, total=3, batch=3)
        done = work_of(study, "", total=3).done()
        assert [unit.user_attrs["place"] for unit in done] == [0, 1, 2], left
        states = [(unit.state.name, unit.value) for unit in done if unit.user_attrs["place"] != 1]
        assert states == [("COMPLETE", 0.0), ("COMPLETE", 2.0)], left
        left += 17  # lines have 100 to 350 bytes


class SlowToWrite(JournalFileBackend):
    """A journal on a file system where every write lands late."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        time.sleep(0.03)
        super().append_logs(logs)


@pytest.mark.slow
def test_where_writes_land_late_nothing_is_done_twice(tmp_path: Path) -> None:
    def load() -> optuna.Study:
        backend = SlowToWrite(str(tmp_path / "study.journal"))
        storage = optuna.storages.JournalStorage(backend)
        return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)

    load()
    tested: list[int] = []
    told: list[int] = []

    def run(number: int) -> None:
        mine = load()

        def test_range() -> None:
            tested.append(number)
            mine.set_user_attr("tested", True)

        do_once(mine, "test", test_range, lambda: "tested" in mine.user_attrs, alone=False)
        told.extend(work_to_the_end(mine, total=7, batch=2))

    together(run, 4)
    assert len(tested) == 1
    work = work_of(load(), "", total=7)
    assert [unit.value for unit in work.done()] == list(range(7))
    assert sorted(told) == sorted(unit.number for unit in work.done())


@pytest.mark.slow
def test_many_workers_do_every_unit_once(tmp_path: Path) -> None:
    address, told = f"journal:///{tmp_path}/study.journal", []

    def run(_: int) -> None:
        mine = optuna.load_study(study_name="s", storage=open_storage(address))
        told.extend(work_to_the_end(mine, total=23, batch=3))

    optuna.create_study(study_name="s", storage=open_storage(address))
    together(run, 4)
    study = optuna.load_study(study_name="s", storage=open_storage(address))
    done = work_of(study, "", total=23).done()
    assert sorted(told) == sorted(unit.number for unit in done)
    assert [unit.value for unit in done] == list(range(23))
    assert all(trial.state.is_finished() for trial in study.trials)


def work_to_the_end(study: optuna.Study, **sizes: int) -> list[int]:
    """Tell units until all are done, whoever did them; return the numbers of those told here."""
    told = []
    with at_work(study) as worker:
        work = work_of(study, worker, **sizes)
        while True:
            units = take_batch(work, drawn)
            for unit, place in units:
                if tell(study, unit, OUTCOME, float(place or 0)) is not None:
                    told.append(unit.number)
            if not units and not wait(work):
                return told


def together(run: Any, workers: int) -> None:
    threads = [threading.Thread(target=run, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.postgres
@pytest.mark.slow
def test_a_worker_of_another_machine_is_dead_once_its_heartbeats_stop(server: Server) -> None:
    storage = open_storage(server.address)
    assert storage.get_heartbeat_interval() == heartbeat.BEAT
    storage.heartbeat_interval, storage.grace_period = 1, 2
    study = optuna.create_study(storage=storage)
    with at_work(study) as worker:
        ((unit, _),) = take_batch(work_of(study, worker, total=1), drawn)
        work_queue.open_trial(study, unit).set_user_attr(WORKER, FAR)
        work = work_of(study, worker, total=1)
        assert take_batch(work, drawn) == []
        time.sleep(3)
        ((again, place),) = take_batch(work, drawn)
        assert (again.number, place) == (1, 0)
    close_storage(storage)


def test_which_storages_are_for_one_process(tmp_path: Path) -> None:
    assert "PostgreSQL" in one_process_only(open_storage("sqlite://"))
    assert "memory" in one_process_only(open_storage(None))
    assert one_process_only(open_storage(f"journal:///{tmp_path}/a.journal")) == ""
