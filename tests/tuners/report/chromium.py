"""Headless Chromium: what a page shows, says on its console, loads and overflows."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
]
LISTEN = """<script>
window.seen = [];
["error", "warn"].forEach(function (level) {
  var old = console[level];
  console[level] = function () { seen.push(level + ": " + [].join.call(arguments, " ")); };
});
addEventListener("error", function (e) { seen.push("error: " + (e.message || e.target)); }, true);
addEventListener("unhandledrejection", function (e) { seen.push("rejected: " + e.reason); });
</script>"""
MEASURE = """<script>
addEventListener("load", function () {
  var wide = [], width = document.documentElement.clientWidth, boxes = {};
  document.querySelectorAll("main [id]").forEach(function (e) {
    var box = e.getBoundingClientRect();
    boxes[e.id] = [box.top, box.bottom];
  });
  document.querySelectorAll("details").forEach(function (e) { e.open = true; });
  function name(e) { return e.tagName + "." + (e.getAttribute("class") || "") + ": " +
    (e.textContent || "").trim().slice(0, 60); }
  if (document.documentElement.scrollWidth > width) wide.push("the page itself");
  document.querySelectorAll("main, main *").forEach(function (e) {
    if (e instanceof SVGElement) return;
    var style = getComputedStyle(e);
    if (style.display === "inline" || style.overflowX !== "visible" || !e.clientWidth) return;
    if (e.closest(".scroll") && !e.classList.contains("scroll")) return;
    if (e.scrollWidth > e.clientWidth + 1) wide.push(name(e));
  });
  var drawn = 0;
  document.querySelectorAll("svg text").forEach(function (e) {
    var box = e.getBoundingClientRect();
    if (!box.width) return;
    drawn += 1;
    if (box.left < -1 || box.right > width + 1) wide.push(name(e));
  });
  var out = parent.document.createElement("script");
  out.type = "application/json";
  out.id = "measured";
  out.textContent = JSON.stringify({ seen: seen, wide: wide, drawn: drawn, width: width,
    boxes: boxes, height: document.documentElement.scrollHeight,
    buttons: document.querySelectorAll("#trials-table button").length,
    loaded: performance.getEntriesByType("resource").map(function (r) { return r.name; }) })
    .replace(/</g, "\\\\u003c");
  parent.document.body.appendChild(out);
});
</script>"""


def need_chromium() -> None:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: `make system` installs it")


def run(*options: str, timeout: float = 120) -> str:
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", *options],
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout.decode("utf-8", "replace")


def measure(page: Path, width: int, folder: Path) -> dict[str, Any]:
    """Return where its parts stand, folded, and what it said, loaded and overflowed, unfolded."""
    text = page.read_text(encoding="utf-8")
    text = text.replace("<head>", "<head>" + LISTEN, 1).replace("</body>", MEASURE + "</body>", 1)
    # in a frame, since a window does not get narrower than 500 pixels
    frame = f'<iframe style="border:0;width:{width}px;height:900px" srcdoc="{html.escape(text)}">'
    copy = folder / f"measured-{width}.html"
    copy.write_text(f"<!doctype html><meta charset=utf-8>{frame}</iframe>", encoding="utf-8")
    dom = run("--dump-dom", "--window-size=1700,1000", copy.as_uri())
    found = re.search(r'<script type="application/json" id="measured">(.*?)</script>', dom, re.S)
    assert found is not None, dom[-2000:]
    return json.loads(html.unescape(found.group(1)))


def screenshot(page: Path, width: int, height: int, target: Path) -> bytes:
    run(f"--screenshot={target}", f"--window-size={width},{height}", page.as_uri())
    return target.read_bytes()


def print_pages(page: Path, target: Path) -> int:
    """Print a page as PDF and return how many sheets it takes."""
    run(f"--print-to-pdf={target}", "--no-pdf-header-footer", page.as_uri())
    return len(re.findall(rb"/Type /Page\b", target.read_bytes()))
