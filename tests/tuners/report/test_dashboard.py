from __future__ import annotations

import inspect
import json
import socket
import struct
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import optuna
import psutil
import pytest
from report_studies import BOUNDS, make_comparison, make_facts, make_study, make_trials

import run_search
from search_spaces import LearningRateBounds
from search_spaces._input import InputError
from tuners import write_report
from tuners.cli.console import Screen
from tuners.cli.stored import show
from tuners.report.dashboard import HOST, draw_range_test, open_server, publish, serve, write_note
from tuners.report.summary import summarize
from tuners.study.recording import record
from tuners.study.storage import open_part

dashboard = pytest.importorskip("optuna_dashboard", reason="the extra `dashboard` is missing")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, optuna.Study, Path]]:
    """A study in SQLite with all that `publish` puts on it, and a real server's address."""
    folder = tmp_path_factory.mktemp("run")
    storage = f"sqlite:///{folder}/study.db"
    study = optuna.create_study(study_name="wine-adam", storage=storage)
    source = make_study(trials=make_trials(8), comparison=make_comparison(0.02))
    for name, value in source.user_attrs.items():
        study.set_user_attr(name, value)
    study.add_trials(source.trials)
    page = write_report(study, folder)
    publish(study, report=page)
    server = open_server(storage, artifacts=folder / "artifacts", port=0)
    assert server.server_address[0] == "127.0.0.1"
    thread = threading.Thread(target=serve, args=(server,), daemon=True)
    thread.start()
    yield f"http://{HOST}:{server.server_port}", study, folder
    server.shutdown()
    thread.join(10)
    assert not thread.is_alive()


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read()


def test_the_server_tells_the_verdict(served: tuple[str, optuna.Study, Path]) -> None:
    address, _, folder = served
    (listed,) = json.loads(get(f"{address}/api/studies"))["study_summaries"]
    found = json.loads(get(f"{address}/api/studies/{listed['study_id']}"))
    note = found["note"]["body"]
    assert "**Use learning rate 0.00162: it beats the baseline 0.001**" in note
    assert "keras.optimizers.Adam(learning_rate=0.00162)" in note
    links = {
        artifact["filename"]: f"/artifacts/{listed['study_id']}/{artifact['artifact_id']}"
        for artifact in found["artifacts"]
    }
    assert links.keys() == {"report.html", "range_test.png"}
    assert f"[The whole report]({links['report.html']})" in note
    assert get(address + links["report.html"]) == (folder / "report.html").read_bytes()
    assert f"![Range test of learning\\_rate]({links['range_test.png']})" in note
    image = get(address + links["range_test.png"])
    assert image.startswith(b"\x89PNG")
    assert struct.unpack(">II", image[16:24])[0] == 2 * 860
    sortable = {entry["key"]: entry["sortable"] for entry in found["union_user_attrs"]}
    assert sortable.keys() >= {"role", "seed", "diverged", "epochs", "seconds"}
    assert all(sortable[name] for name in ("seed", "epochs", "seconds"))


def test_it_listens_on_loopback_alone(served: tuple[str, optuna.Study, Path]) -> None:
    port = int(served[0].rpartition(":")[2])
    listening = {
        (found.laddr.ip, found.laddr.port)
        for found in psutil.Process().net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    }
    assert {place for place in listening if place[1] == port} == {("127.0.0.1", port)}
    _, _, own = socket.gethostbyname_ex(socket.gethostname())
    for address in {each for each in own if not each.startswith("127.")}:
        with socket.socket() as asking:
            asking.settimeout(5)
            assert asking.connect_ex((address, port)) != 0
    # and there is no option that would open it to others
    assert set(inspect.signature(open_server).parameters) == {"storage", "artifacts", "port"}
    assert set(inspect.signature(run_search.dashboard).parameters) == {"folder", "storage", "port"}


def test_publishing_again_replaces_what_it_put_there(
    served: tuple[str, optuna.Study, Path],
) -> None:
    _, study, folder = served
    before = dashboard.get_note(study)
    assert study.user_attrs["artifacts"].keys() == {"report", "range_test"}
    artifacts = set(study.user_attrs["artifacts"].values())
    publish(study, report=folder / "report.html")
    assert dashboard.get_note(study) == before
    kept = [meta.artifact_id for meta in optuna.artifacts.get_all_artifact_meta(study)]
    assert len(kept) == 2
    assert set(kept) == artifacts
    assert len(list((folder / "artifacts").iterdir())) == 2


@pytest.mark.browser
def test_the_page_shows_note_figure_and_report(
    served: tuple[str, optuna.Study, Path],
) -> None:
    chromium.need_chromium()
    address, study, _ = served
    wait = "--virtual-time-budget=20000"
    dom = chromium.run("--dump-dom", wait, f"{address}/dashboard/studies/{study._study_id}/note")
    assert "Use learning rate 0.00162: it beats the baseline 0.001" in dom
    assert "The whole report" in dom
    assert 'alt="Range test of learning_rate"' in dom


def test_a_study_that_an_earlier_version_published_keeps_its_files(tmp_path: Path) -> None:
    study = make_study(trials=make_trials(3))
    page = write_report(study, tmp_path)
    publish(study, report=page)
    ids = study.user_attrs["artifacts"]
    study.set_user_attr("artifacts", {})
    for key, kept in ids.items():  # each had an attribute of its own
        study.set_user_attr(f"{key}_artifact", kept)
    publish(study, report=page)
    assert len(optuna.artifacts.get_all_artifact_meta(study)) == 2
    assert len(list((tmp_path / "artifacts").iterdir())) == 2


def make_pair(seed: int, chosen: float, baseline: float) -> dict[str, Any]:
    sides = {"chosen": {"value": chosen}, "baseline": {"value": baseline}}
    return {"pair": {"seed": seed, **sides}}


@pytest.mark.parametrize(("sign", "name"), [(1, "gain"), (-1, "chosen minus baseline")])
def test_the_study_of_pairs_says_what_it_is_and_which_way_it_points(sign: int, name: str) -> None:
    study = make_study(trials=make_trials(3), comparison=make_comparison(0.02))
    pairs = open_part(study, "pairs")
    for seed, (chosen, baseline) in enumerate([(0.46, 0.48), (0.47, 0.465)]):
        gain = baseline - chosen
        attributes = make_pair(seed, chosen, baseline)
        pairs.add_trial(optuna.create_trial(value=sign * gain, user_attrs=attributes))
    other = open_part(study, "range test")
    dashboard.save_note(other, "My own words.")
    publish(study)
    publish(study)
    note = dashboard.get_note(pairs)
    assert note.count("## What this study is") == 1
    assert "with the chosen learning rate 0.00162, one with the baseline 0.001" in note
    favoured = "above" if sign == 1 else "below"
    assert f"A value {favoured} 0 favours the chosen rate" in note
    assert "test loss" in note
    assert f"[the verdict](/dashboard/studies/{study._study_id}/note)" in note
    assert pairs.metric_names == [name]
    assert study.metric_names == ["val_loss"]
    assert f"[All pairs](/dashboard/studies/{pairs._study_id})" in dashboard.get_note(study)
    words = dashboard.get_note(other)
    assert words.startswith("My own words.")
    assert f"[wine-adam](/dashboard/studies/{study._study_id})" in words


def test_a_study_of_pairs_that_has_none_yet_is_published() -> None:
    study = make_study(bare=True)
    open_part(study, "pairs")
    publish(study)
    assert study.metric_names is None  # which its owner may give


def test_a_note_of_the_users_own_is_kept() -> None:
    study = make_study(trials=make_trials(3))
    dashboard.save_note(study, "My own words.")
    publish(study)
    record(study, comparison=make_comparison(0.02))
    publish(study)
    note = dashboard.get_note(study)
    assert note.startswith("My own words.")
    assert note.count("## Verdict on the learning rate") == 1
    assert "beats the baseline" in note


def test_studies_with_parts_missing() -> None:
    for study in (
        make_study(bare=True),
        make_study(bare=True, trials=make_trials(3)),
        make_study(comparison=make_comparison(pairs=1)),
    ):
        publish(study)
        assert summarize(study)["headline"].split(",")[0][:20] in dashboard.get_note(study)


def test_hostile_words_are_not_markdown() -> None:
    words = "<img src=x onerror=alert(1)> [click](javascript:alert(2)) | # x"
    bounds = LearningRateBounds(BOUNDS.low, BOUNDS.high, BOUNDS.suggestion, "too_noisy", words)
    study = make_study(bounds=bounds, facts=make_facts(objective=words))
    note = write_note(summarize(study))
    assert "<img" not in note.replace("\\<", "")
    assert "](javascript" not in note.replace("\\]", "")


def test_a_study_without_a_curve_has_no_figure() -> None:
    assert draw_range_test({"curve": None, "bounds": None}, None) is None


def test_bad_arguments(tmp_path: Path) -> None:
    study = make_study(bare=True)
    with pytest.raises(ValueError, match="`report` must be the page that write_report wrote"):
        publish(study, report=tmp_path / "none.html")
    with pytest.raises(ValueError, match="`port` must be a whole number from 0 to 65535"):
        open_server("sqlite://", port=70000)
    storage = optuna.storages.InMemoryStorage()
    server = open_server(storage, port=0)
    try:
        with pytest.raises(ValueError, match=rf"`port` {server.server_port} on 127.0.0.1 cannot"):
            open_server(storage, port=server.server_port)
    finally:
        server.server_close()


def test_without_the_extra_the_error_names_it(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)  # as where it is not installed
    with pytest.raises(
        ValueError, match=r"optuna_dashboard, which is not installed.*\[dashboard\]"
    ):
        publish(make_study(bare=True))


def test_a_run_without_a_page_shows_its_figure_too(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="wine-adam", storage=storage)
    study.set_user_attr("curve", make_study().user_attrs["curve"])
    with pytest.raises(InputError, match="`port` must be a whole number"):  # the last thing checked
        show(str(tmp_path), None, 70000, Screen())
    (meta,) = optuna.artifacts.get_all_artifact_meta(study)
    assert meta.filename == "range_test.png"
    assert (tmp_path / "artifacts" / meta.artifact_id).read_bytes().startswith(b"\x89PNG")
