from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from report_studies import (
    BOUNDS,
    make_comparison,
    make_curve,
    make_facts,
    make_study,
    make_trial,
    make_trials,
)

from search_spaces import LearningRateBounds
from tuners import choose, narrow, write_report
from tuners.comparison.result import Comparison
from tuners.curves.loss_curve import LossCurve
from tuners.study.recording import record

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)> ' \U0001f377 " + "long" * 125


class Page(HTMLParser):
    """Tags, addresses, texts and `<data>` elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.numbers: list[tuple[list[str], Any, str]] = []
        self.text: list[str] = []
        self.folds: dict[str, bool] = {}  # whether what carries an id is folded away
        self._open: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if found.get("id"):
            self.folds[found["id"] or ""] = "details" in self._open
        if tag not in ("meta", "link", "br", "wbr", "path", "circle", "rect"):
            self._open.append(tag)
        if tag == "data":
            key, value = json.loads(found["data-key"] or ""), json.loads(found["value"] or "")
            self.numbers.append((key, value, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif self._open and self._open[-1] == "style":
            assert "@import" not in data
            assert "url(" not in data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def read(study: optuna.Study, folder: Path) -> tuple[Page, dict[str, Any], str]:
    path = write_report(study, folder)
    html = path.read_text(encoding="utf-8")
    return Page(html), json.loads((folder / "report.json").read_text(encoding="utf-8")), html


def check_page(page: Page, summary: dict[str, Any], html: str) -> None:
    """What holds for the report of any study."""
    assert len(html) < 2_000_000
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        assert not any(name.startswith("on") for name in attributes)
        if tag != "a":
            assert "src" not in attributes
        for name in ("src", "href", "xlink:href"):
            address = attributes.get(name) or ""
            assert not address.startswith(("http:", "https:", "//", "javascript:"))
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "http-equiv" not in html
    for check in summary["checks"]:
        assert check["code"] in page.words
        assert check["meaning"].split()[0] in page.words
    for key, value, _ in page.numbers:
        found: Any = summary
        for step in key:
            found = found[int(step)] if isinstance(found, list) else found[step]
        assert found == value, key
    embedded = [script for script in page.scripts if script.startswith("{")]
    assert [json.loads(script) for script in embedded] == [summary]
    for tag, attributes in page.tags:
        if tag == "figure":
            label = attributes["aria-label"] or ""
            assert any(character.isdigit() for character in label)
            assert label not in page.words  # what is read aloud is no second caption


@pytest.mark.slow  # draws a page
def test_a_full_study(tmp_path: Path) -> None:
    study = make_study(comparison=make_comparison(0.02), facts=make_facts(repeats_shared=330))
    page, summary, html = read(study, tmp_path)
    check_page(page, summary, html)
    keys = {".".join(key) for key, _, _ in page.numbers}
    assert keys >= {
        "recommended_learning_rate",
        "comparison.mean_difference",
        "comparison.interval.0",
        "comparison.wins",
        "comparison.test_noise",
        "comparison.chosen.confusion.0.0",
        "cost.seconds_total",
        "parameters.learning_rate.bounds.low",
    }
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    order = ["verdict", "trials-0", "comparison", "pairs", "checks", "more", "other-checks"]
    order += ["range-test", "loss-curve-0", "all-trials", "best-so-far", "epochs"]
    order += ["learning-curves", "confusion", "cost", "facts", "limits", "repeat"]
    assert [name for name in ids if name in order] == order
    assert "lr-range-search --seed 0" in page.words
    assert not (tmp_path / "trials.csv").exists()


@pytest.mark.slow
def test_the_page_is_the_same_each_time(tmp_path: Path) -> None:
    study = make_study()
    first = write_report(study, tmp_path / "a").read_bytes()
    assert write_report(study, tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize("gain", [0.02, -0.02, 0.0])
def test_every_verdict_has_the_same_place(tmp_path: Path, gain: float) -> None:
    page, summary, _ = read(make_study(bare=True, comparison=make_comparison(gain)), tmp_path)
    headers = [attributes for tag, attributes in page.tags if tag == "header"]
    assert headers == [{"class": f"verdict {summary['verdict']}", "id": "verdict"}]
    assert summary["headline"] in page.words


@pytest.mark.slow  # draws a page
def test_hostile_words_stay_words(tmp_path: Path) -> None:
    study = make_study(
        name=HOSTILE,
        facts=make_facts(task=HOSTILE, machine=HOSTILE, objective=HOSTILE, command=HOSTILE)
        | {HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}},
        bounds=LearningRateBounds(1e-4, 1e-2, 1e-3, "ok", HOSTILE),
        trials=[
            *make_trials(6),
            make_trial(1e-3, 0.44, 7, attributes={"role": HOSTILE, "how": HOSTILE}),
        ],
    )
    record(study, curve=make_curve(), bounds=make_bounds(), name=HOSTILE)
    study.add_trial(make_trial(1e-3, 0.5, 8, name=HOSTILE))
    page, summary, html = read(study, tmp_path)
    check_page(page, summary, html)
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "alert(1)" in page.words


def make_bounds() -> LearningRateBounds:
    return LearningRateBounds(1e-4, 1e-2, 1e-3, "too_noisy", "by hand", declared=(1e-5, 1.0))


@pytest.mark.slow
def test_studies_with_parts_missing(tmp_path: Path) -> None:
    studies = {
        "empty": make_study(bare=True),
        "trials": make_study(bare=True, trials=make_trials(5)),
        "one": make_study(bare=True, trials=make_trials(1)),
        "failed": make_study(
            bare=True, trials=[make_trial(1e-3, None, i, state=TrialState.FAIL) for i in range(3)]
        ),
        "pruned": make_study(
            bare=True,
            trials=[
                *make_trials(3),
                make_trial(1e-3, 0.6, 5, state=TrialState.PRUNED, epochs=4),
                make_trial(2e-3, 1e9, 6),
            ],
        ),
        "no rate": make_study(bare=True, trials=[make_trial(None, 0.5, i) for i in range(3)]),
        "equal": make_study(bare=True, trials=[make_trial(1e-3, 0.5, i) for i in range(6)]),
        "few pairs": make_study(comparison=make_comparison(pairs=1)),
        "exact p": make_study(comparison=make_comparison(pairs=12)),
        "comparison": make_study(bare=True, comparison=make_comparison()),
        "no curves": make_study(trials=make_trials(5, curves=False)),
        "maximize": make_study(bare=True, direction="maximize", trials=make_trials(9)),
    }
    running = make_study(bare=True, trials=make_trials(3))
    running.ask()
    studies["running"] = running
    for name, study in studies.items():
        page, summary, html = read(study, tmp_path / name)
        check_page(page, summary, html)
    assert "are running" in page.words


@pytest.mark.slow  # draws a page
def test_failed_checks_are_open_and_all_else_is_folded(tmp_path: Path) -> None:
    page, summary, _ = read(make_study(facts=make_facts(repeats_shared=330)), tmp_path)
    folded = {check["code"]: page.folds[check["code"]] for check in summary["checks"]}
    failed = {c["code"]: c["outcome"] == "failed" for c in summary["checks"]}
    assert {code: not fold for code, fold in folded.items()} == failed
    assert True in failed.values()
    assert not page.folds["trials-0"]
    assert not page.folds["pairs"]
    for name in ("loss-curve-0", "learning-curves", "trials-table"):
        assert page.folds[name]
    assert {"open": None} not in [attributes for tag, attributes in page.tags if tag == "details"]


@pytest.mark.slow  # draws a page
def test_a_study_that_was_only_narrowed_has_no_empty_sections(tmp_path: Path) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    narrow(study, BOUNDS)
    study.optimize(lambda trial: trial.suggest_float("learning_rate", 1e-5, 1, log=True), 6)
    page, summary, html = read(study, tmp_path)
    check_page(page, summary, html)
    assert "<title>Learning rate search inside measured bounds: " in html
    assert summary["headline"].endswith("not compared with a baseline")
    assert 'class="empty"' not in html
    for name in ("comparison", "epochs", "confusion"):
        assert name not in page.folds
    assert not page.folds["trials-0"]
    read(optuna.create_study(), tmp_path / "empty")
    empty = (tmp_path / "empty" / "report.html").read_text(encoding="utf-8")
    for words in ("<table", "<figure", 'id="range-test"', 'id="all-trials"', 'id="cost"'):
        assert words not in empty


@pytest.mark.slow  # draws a page
def test_a_range_test_alone_explains_itself_by_its_curve(tmp_path: Path) -> None:
    study = make_study(bare=True)
    record(study, curve=make_curve(), bounds=make_bounds())
    page, summary, html = read(study, tmp_path)
    check_page(page, summary, html)
    assert "<title>Learning rate range test: " in html
    assert page.folds["loss-curve-0"] is False


@pytest.mark.slow  # draws a page
def test_a_rate_is_written_one_way(tmp_path: Path) -> None:
    trials = [make_trial(1.0653e-4 * 1.3**i, 0.47 + 0.001 * i, i, low=1e-5) for i in range(8)]
    study = make_study(trials=trials, bounds=None, comparison=make_small(1.0653e-4))
    record(study, choice=choose(study))
    _, summary, html = read(study, tmp_path)
    assert summary["paste"] == "keras.optimizers.Adam(learning_rate=1.07e-4)"
    shown = re.sub("<(script|style).*?</\\1>|<[^>]*>", " ", html, flags=re.S)
    assert "1.07e-4" in shown
    assert not re.search(r"\d(\.\d+)?e-0\d|\b0\.000[1-9]\d*\b", shown)


def make_small(rate: float) -> Comparison:
    plain = make_comparison(0.02)
    changes: Any = {"chosen_learning_rate": rate, "recommended_learning_rate": rate}
    return dataclasses.replace(plain, **changes)


@pytest.mark.slow
def test_curves_of_every_kind(tmp_path: Path) -> None:
    rates = np.geomspace(1e-5, 1, 12)
    losses = np.linspace(0.7, 0.5, 12)
    curves = {
        "one seed": LossCurve(rates, losses),
        "sweep": LossCurve(rates, losses, kind="sweep", coarse=make_curve()),
        "per epoch": LossCurve(rates, losses, kind="per_epoch"),
        "rising": LossCurve(rates, losses[::-1]),
        "flat": LossCurve(rates, np.full(12, 0.69)),
        "nothing finite": LossCurve(rates, np.full(12, np.nan)),
        "exploding": LossCurve(rates, np.r_[losses[:9], 1e12, np.inf, np.nan]),
        "negative": LossCurve(rates, losses - 5),
    }
    for name, curve in curves.items():
        page, summary, html = read(make_study(curve=curve), tmp_path / name)
        check_page(page, summary, html)
        drawn = [a["id"] for tag, a in page.tags if tag == "figure"]
        assert ("loss-curve-0" in drawn) == (name != "nothing finite"), name
        assert ("loss-curve-0-coarse" in drawn) == (name == "sweep")


@pytest.mark.slow
def test_five_hundred_trials_are_complete(tmp_path: Path) -> None:
    page, summary, html = read(make_study(trials=make_trials(500, curves=False)), tmp_path)
    check_page(page, summary, html)
    assert sum(tag == "tr" for tag, _ in page.tags) >= 501
    assert not (tmp_path / "trials.csv").exists()


@pytest.mark.slow
def test_beyond_five_hundred_the_rest_is_in_a_csv(tmp_path: Path) -> None:
    trials = make_trials(800, curves=False)
    trials.append(make_trial(1e-3, 0.9, 800, attributes={"role": "=cmd|'/c calc'!A1"}))
    page, summary, html = read(make_study(trials=trials), tmp_path)
    assert len(html) < 2_000_000
    assert len(summary["trials"]) == 801
    failed = sum(row["state"] == "FAIL" for row in summary["trials"])
    keys = [a.get("data-sort") for tag, a in page.tags if tag == "td"]
    rows = sum(tag == "tr" for tag, _ in page.tags)
    assert 200 + failed < rows < 200 + failed + 25
    assert keys
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert len(listed) == 801
    assert float(listed[5]["value"]) == summary["trials"][5]["value"]
    assert listed[-1]["role"] == "'=cmd|'/c calc'!A1"
    assert ("a", {"href": "trials.csv"}) in page.tags


def test_the_path_may_be_a_file_or_a_folder(tmp_path: Path) -> None:
    study = make_study(bare=True)
    assert write_report(study, tmp_path) == tmp_path / "report.html"
    assert write_report(study, tmp_path / "new" / "folder").name == "report.html"
    assert write_report(study, str(tmp_path / "mine.html")) == tmp_path / "mine.html"
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [
        "mine.html",
        "mine.json",
        "report.html",
        "report.json",
    ]
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    with pytest.raises(ValueError, match=r"`path` must be a folder or a .html file, but got"):
        write_report(study, other)
    assert other.read_text() == "mine"


def test_a_failed_write_leaves_the_old_page(tmp_path: Path, monkeypatch: Any) -> None:
    study = make_study(bare=True)
    page = write_report(study, tmp_path)
    before = page.read_bytes()

    def refuse(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space left"):
        write_report(study, tmp_path)
    assert page.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_no_password_is_on_the_page(tmp_path: Path) -> None:
    command = "lr-range-search --storage postgresql://me:hunter2@host/db"
    read(make_study(bare=True, facts=make_facts(command=command)), tmp_path)
    for file in tmp_path.iterdir():
        assert "hunter2" not in file.read_text(encoding="utf-8")
