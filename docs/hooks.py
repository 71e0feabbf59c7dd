"""What the build adds to the pages: the project's own files, stored figures, charts.

Pages link to each other and to files of the project as they lie in the repository, so that the
links also work there; the build turns them into links of the site. A page may be a Jinja template
that reads `benchmarks/results/`; a figure that no file holds fails the build.
"""

from __future__ import annotations

import functools
import posixpath
import re
import statistics
import sys
from pathlib import Path
from typing import Any

import griffe
import jinja2
import optuna
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks are not installed

from benchmarks import charts, stored  # noqa: E402
from benchmarks.budgets import BUDGETS  # noqa: E402
from benchmarks.truth import overview  # noqa: E402
from tuners.figures.style import NARROW, svg  # noqa: E402
from tuners.figures.words import rate  # noqa: E402
from tuners.report.checks import Check, run_checks  # noqa: E402
from tuners.report.summary import summarize  # noqa: E402

# files of the project that are pages of the site too
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples/README.md": "examples.md",
    "data/README.md": "data.md",
}
WIDE = 700  # pixels of a page's column
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_pre_build(config: MkDocsConfig) -> None:
    """Draw the README's figure where the benchmark has newer results."""
    del config
    charts.write_picture(stored.read("quality")["results"])


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the project's own files as pages."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links of the repository into links of the site, and fill in stored figures."""
    sources = {page: source for source, page in PAGES.items()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if source.startswith("docs/"):
        markdown = environment().from_string(markdown).render()
    return LINK.sub(lambda link: f"]({_place(link[1], source)}{link[2] or ''})", markdown)


def _place(link: str, source: str) -> str:
    """Return where the site has what a file of the repository links to."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return PAGES.get(target, target.removeprefix("docs/"))


@functools.cache
def environment() -> jinja2.Environment:
    """Return what a page's template may use; what it asks for and is not there is an error."""
    found = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    found.globals |= {"read": lambda name: stored.read(name)["results"], "origin": origin}
    found.globals |= {"chart": chart, "count": count, "checks": checks()}
    found.globals |= {"truth": overview(), "budgets": BUDGETS, "by_name": by_name}
    found.globals |= {"at": at, "against": against}
    found.tests["match"] = lambda text, start: text.startswith(start)
    found.filters |= {
        "rate": lambda value: whole(rate(value)),
        "percent": lambda value: f"{100 * value:,.0f} %",
        "excess": excess,
        "most": lambda value: excess(value) if value < 10 else "over 1,000 %",
        "points": lambda pair: (
            whole(f"{100 * pair['mean']:+.1f}")
            + " ({:+.1f} to {:+.1f})".format(*(100 * end for end in pair["interval"]))
        ),
        "signed_percent": lambda value: whole(f"{100 * value:+.1f} %"),
        "middle": statistics.median,
        "average": statistics.fmean,
        "signed": lambda value: whole(f"{value:+.4f}"),
        "milliseconds": lambda seconds: f"{1000 * seconds:.0f} ms",
        "megabytes": lambda size: f"{size / 1e6:.2f} MB",
    }
    return found


def excess(value: float) -> str:
    """Return a share in percent, with a decimal below ten."""
    return f"{100 * value:,.{int(abs(value) < 0.0995)}f} %"


def by_name(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the methods of `benchmarks.quality` by their names."""
    return {line["method"]: line for line in lines}


def at(points: list[dict[str, Any]], budget: int) -> dict[str, Any] | None:
    """Return a method's figures within a budget, None where it has none."""
    return next((point for point in points if point["budget"] == budget), None)


def against(results: dict[str, Any], method: str, budget: int) -> dict[str, Any] | None:
    """Return how a method differs from ours within a budget, None where it was not compared."""
    found = (d for d in results["against"] if (d["method"], d["budget"]) == (method, budget))
    return next(found, None)


def whole(number: str) -> str:
    """Return a number that no line breaks at its sign."""
    return f'<span class="whole">{number}</span>'


def origin(name: str) -> str:
    """Return in a sentence or two where the figures of a file come from."""
    file = stored.read(name)
    versions = file["versions"]
    words = ", ".join(
        f"{title} {versions[package]}"
        for package, title in (("tensorflow", "TensorFlow"), ("keras", "Keras"))
        if package in versions
    )
    command = f"`{file['command']}`, " if file["command"] else ""
    copied = f" {file['transcribed'].capitalize()}." if "transcribed" in file else ""
    return f"*{command}{file['date']}. {file['machine']}; {words}.{copied}*"


def checks() -> list[Check]:
    """Return the checks of a report, as an empty study has them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), study_name="empty")
    return run_checks(summarize(study))


def count(rows: list[dict[str, Any]], name: str, where: str) -> int:
    """Return of how many rows an interval (mean, low, high) lies "above", "below" or "across" 0."""
    ends = [row[name][1:] for row in rows]
    places = ["above" if low > 0 else "below" if high < 0 else "across" for low, high in ends]
    return places.count(where)


def chart(name: str, alt: str) -> str:
    """Return a chart of `benchmarks.charts` for wide and for narrow screens.

    Args:
        name: `benchmark.function`, such as `"quality.quality_by_cost"`.
        alt: What it shows, for those who cannot see it.
    """
    benchmark, _, function = name.partition(".")
    results, draw = stored.read(benchmark)["results"], getattr(charts, function)
    drawn = "".join(
        svg(draw(results, width), f"{function}-{css}", css)
        for css, width in (("wide", WIDE), ("narrow", NARROW))
    )
    return f'<figure class="chart" role="img" aria-label="{alt}">{drawn}</figure>'


class Examples(griffe.Extension):
    """Let the one example of a docstring be read as the section of examples that griffe knows."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section of an object that has one."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
