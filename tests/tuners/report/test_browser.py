from __future__ import annotations

import re
import struct
from pathlib import Path

import chromium
import pytest
from report_studies import BOUNDS, make_comparison, make_facts, make_study, make_trials

from search_spaces import LearningRateBounds
from tuners import choose, write_report
from tuners.study.recording import record

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium.need_chromium()
    study = make_study(facts=make_facts(repeats_shared=330), comparison=make_comparison(0.02))
    record(study, choice=choose(study))
    return write_report(study, tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium.need_chromium()
    words = '"><script>alert(1)</script>' + "W" * 500
    study = make_study(
        name=words,
        facts=make_facts(task=words, machine=words, objective=words, command=words)
        | {words: words},
        bounds=LearningRateBounds(BOUNDS.low, BOUNDS.high, BOUNDS.suggestion, "ok", words),
        trials=make_trials(30, attributes={"role": words}),
        comparison=make_comparison(0.02, 12),
    )
    return write_report(study, tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_the_page_is_quiet_and_fits(page: Path, width: int, tmp_path: Path) -> None:
    found = chromium.measure(page, width, tmp_path)
    assert found["width"] == width
    assert found["seen"] == []
    assert found["loaded"] == []
    assert found["wide"] == []
    assert found["drawn"] > 60
    assert found["buttons"] >= 8
    image = chromium.screenshot(page, width, 1400, tmp_path / "page.png")
    assert struct.unpack(">II", image[16:24]) == (width, 1400)
    assert len(image) > 20_000  # an empty page of this size compresses to less


@pytest.mark.parametrize("width", [400, 1000])
def test_hostile_words_fit_and_do_nothing(hostile_page: Path, width: int, tmp_path: Path) -> None:
    found = chromium.measure(hostile_page, width, tmp_path)
    assert found["seen"] == []
    assert found["loaded"] == []
    assert found["wide"] == []


def test_the_answer_and_its_figure_need_no_scrolling(page: Path, tmp_path: Path) -> None:
    boxes = chromium.measure(page, 1000, tmp_path)["boxes"]
    top, bottom = boxes["verdict"]
    assert top >= 0
    assert bottom <= 900
    assert top < boxes["trials-0"][0] < boxes["trials-0"][1] <= bottom
    assert boxes["trials-0"][1] - boxes["trials-0"][0] > 300  # and it is drawn
    tops = [boxes[name][0] for name in ("verdict", "comparison", "checks", "more")]
    assert tops == sorted(tops)


def test_an_address_unfolds_what_it_names(page: Path) -> None:
    for name, unfolded in (("LR01", "other-checks"), ("facts", "facts"), ("LR07", None)):
        dom = chromium.run("--dump-dom", f"{page.as_uri()}#{name}")
        opened = re.findall(r'<details id="([^"]+)" open', dom)
        assert opened == ([unfolded] if unfolded else [])


def test_the_page_prints_unfolded(page: Path, tmp_path: Path) -> None:
    sheets = chromium.print_pages(page, tmp_path / "page.pdf")
    html = page.read_text(encoding="utf-8")
    for name, change in (("open", "<details open "), ("gone", "<details hidden ")):
        (tmp_path / f"{name}.html").write_text(html.replace("<details ", change), encoding="utf-8")
    unfolded = chromium.print_pages(tmp_path / "open.html", tmp_path / "open.pdf")
    without = chromium.print_pages(tmp_path / "gone.html", tmp_path / "gone.pdf")
    assert without < sheets == unfolded


def test_the_measure_sees_faults(tmp_path: Path) -> None:
    chromium.need_chromium()
    page = tmp_path / "faulty.html"
    page.write_text(
        "<!doctype html><html><head></head><body><main><p>" + "W" * 400 + "</p>"
        '<img src="missing.png"><script>console.error("oh no"); nothing.at.all;</script>'
        "</main></body></html>",
        encoding="utf-8",
    )
    found = chromium.measure(page, 400, tmp_path)
    assert any("oh no" in said for said in found["seen"])
    assert any("nothing is not defined" in said for said in found["seen"])
    assert any("HTMLImageElement" in said for said in found["seen"])
    assert found["wide"]
