"""The study in Optuna's dashboard: range-test figure, a note with the verdict, the report itself.

Needs the extra `dashboard` (optuna-dashboard and plotly); nothing else of the package does.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from search_spaces._input import InputError
from tuners.report import formatting
from tuners.report.summary import summarize
from tuners.report.verdicts import measure

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

HOST = "127.0.0.1"
ARTIFACT = "report_artifact"  # study attribute: id under which the page is kept
_START, _END = "## Verdict on the learning rate", "*End of the verdict.*"
_MOST_POINTS = 100  # a database keeps the figure in pieces of 2 kB


def publish(
    study: optuna.Study, *, report: str | Path | None = None, artifacts: str | Path | None = None
) -> None:
    """Put the range-test figure, a note with the verdict, and the report onto the study.

    Doing it again replaces what it put there; a user's own note is kept around it.

    Args:
        study: The study, in any storage.
        report: The page that `write_report` wrote; None attaches none.
        artifacts: Folder of the dashboard's artifacts, made if missing; None means `artifacts`
            beside the report.

    Raises:
        ValueError: The extra `dashboard` is not installed, or there is no such report.
    """
    dashboard = _need("optuna_dashboard")
    summary = summarize(study)
    for index, (name, entry) in enumerate(summary["parameters"].items()):
        figure = draw_range_test(name, entry, summary["baseline_learning_rate"])
        if figure is not None:
            key = "range-test" if index == 0 else f"range-test-{index}"
            dashboard.save_plotly_graph_object(study, figure, graph_object_id=key)
    address = None
    if report is not None:
        report = Path(report)
        if not report.is_file():
            raise InputError(
                f"`report` must be the page that write_report wrote, but got {str(report)!r}, "
                "which is no file."
            )
        folder = Path(artifacts) if artifacts is not None else report.parent / "artifacts"
        address = _attach(study, report, folder)
    old = dashboard.get_note(study)
    new = _replace_part(old, write_note(summary, address))
    if new != old:
        dashboard.save_note(study, new)


def write_note(summary: Mapping[str, Any], report: str | None = None) -> str:
    """Return the verdict in Markdown.

    Args:
        summary: What `tuners.report.summary.summarize` returned.
        report: Address of the page on the dashboard's server, None for no link.
    """
    lines = [_START, "", f"**{_escape(summary['headline'])}**", "", _escape(summary["sentence"])]
    if summary["recommendation"]:
        lines += ["", _escape(summary["recommendation"])]
    if summary["paste"]:
        lines += ["", f"`{summary['paste']}`"]
    rows: list[tuple[str, str]] = []
    bounds, comparison = summary["bounds"], summary["comparison"]
    if bounds:
        ends = f"{formatting.rate(bounds['low'])} to {formatting.rate(bounds['high'])}"
        rows.append(("bounds", f"{ends} ({bounds['status']})"))
    if comparison and comparison["pairs"]:
        mean, interval = comparison["mean_difference"], comparison["interval"]
        ends = " to ".join(formatting.signed(end) for end in interval) if interval else "n/a"
        rows.append((f"gain in {measure(comparison)}", f"{formatting.signed(mean)} [{ends}]"))
        rows.append(("pairs won", f"{comparison['wins']:g} of {comparison['pairs']}"))
    failed = [check for check in summary["checks"] if check["outcome"] == "failed"]
    rows.append(("checks failed", ", ".join(check["code"] for check in failed) or "none"))
    if rows:
        lines += ["", "| | |", "| --- | --- |"]
        lines += [f"| {_escape(name)} | {_escape(words)} |" for name, words in rows]
    for check in failed:
        lines += ["", f"- {check['code']}: {_escape(check['meaning'])}"]
    if report:
        lines += ["", f"[The whole report]({report})"]
    return "\n".join([*lines, "", _END])


def draw_range_test(name: str, entry: Mapping[str, Any], baseline: float | None) -> Any:
    """Return a plotly figure of a curve with its bounds, None where there is no curve.

    Args:
        name: The parameter's name.
        entry: Its part of the summary: `curve` and `bounds`.
        baseline: The baseline's rate, or None.

    Raises:
        ValueError: The extra `dashboard` is not installed.
    """
    plotly = _need("plotly.graph_objects")
    curve, bounds = entry["curve"], entry["bounds"]
    if curve is None:
        return None
    every = max(1, math.ceil(len(curve["learning_rates"]) / _MOST_POINTS))
    rates = curve["learning_rates"][::every]
    figure = plotly.Figure()
    if curve.get("band_low"):
        edge = {"x": rates, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_scatter(y=curve["band_low"][::every], showlegend=False, **edge)
        figure.add_scatter(
            y=curve["band_high"][::every],
            fill="tonexty",
            fillcolor="rgba(0,114,178,0.2)",
            name="middle 80 % of the seeds",
            **edge,
        )
    figure.add_scatter(
        x=rates,
        y=curve["smoothed"][::every],
        mode="lines",
        line={"color": "#0072b2", "width": 3},
        name="mean over seeds, smoothed",
    )
    if bounds:
        region = {"fillcolor": "#009e73", "opacity": 0.12, "line_width": 0}
        figure.add_vrect(x0=bounds["low"], x1=bounds["high"], **region)
        lines = [(bounds["low"], "low", "solid"), (bounds["high"], "high", "solid")]
        lines.append((bounds["suggestion"], "suggestion", "dash"))
    else:
        lines = []
    if baseline:
        lines.append((baseline, "baseline", "dot"))
    for row, (value, words, dash) in enumerate(lines):
        figure.add_vline(x=value, line={"dash": dash, "color": "#555555", "width": 1.5})
        figure.add_annotation(
            x=math.log10(value),  # plotly places notes on a log axis by their exponent
            y=1.0 - 0.07 * row,
            yref="paper",
            text=f"{words} {formatting.rate(value)}",
            showarrow=False,
            xanchor="left",
            bgcolor="rgba(255,255,255,0.7)",
        )
    figure.update_layout(
        title=f"Range test of {formatting.shorten(name, 60)}",
        xaxis={"type": "log", "title": "learning rate"},
        yaxis={"title": "loss", "range": _y_range(curve)},
        legend={"orientation": "h", "y": -0.25},
    )
    return figure


def open_server(
    storage: str | BaseStorage, *, artifacts: str | Path | None = None, port: int = 8080
) -> WSGIServer:
    """Return the dashboard's server on this machine alone, listening, to be run by `serve`.

    Args:
        storage: Address of the storage, or the storage.
        artifacts: Folder of the artifacts; None shows none.
        port: 1 to 65535, or 0 for any free one.

    Raises:
        ValueError: The extra `dashboard` is not installed, the port is taken or out of range, or
            the storage cannot be opened.
    """
    dashboard = _need("optuna_dashboard")
    from optuna.artifacts import FileSystemArtifactStore

    from tuners.study.storage import open_storage

    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise InputError(f"`port` must be a whole number from 0 to 65535, but got {port!r}.")
    store = None
    if artifacts is not None:
        Path(artifacts).mkdir(parents=True, exist_ok=True)
        store = FileSystemArtifactStore(base_path=str(artifacts))
    application = dashboard.wsgi(open_storage(storage), artifact_store=store)
    try:
        return make_server(HOST, port, application, _Server, _QuietHandler)
    except OSError as error:
        raise InputError(
            f"`port` {port} on {HOST} cannot be used ({error.strerror}); pass another, or 0 for "
            "any free one."
        ) from None


def serve(server: WSGIServer) -> None:
    """Answer requests until Ctrl-C, then close."""
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal shows our lines only."""


def _attach(study: optuna.Study, report: Path, folder: Path) -> str:
    """Keep the page under one id in the artifact folder, and return its address."""
    from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact

    folder.mkdir(parents=True, exist_ok=True)
    store = FileSystemArtifactStore(base_path=str(folder))
    kept = study.user_attrs.get(ARTIFACT)
    if kept in {meta.artifact_id for meta in get_all_artifact_meta(study)}:
        with report.open("rb") as page:
            store.write(kept, page)  # in the same place, so that the list does not grow
    else:
        kept = upload_artifact(
            artifact_store=store, file_path=str(report), study_or_trial=study, mimetype="text/html"
        )
        study.set_user_attr(ARTIFACT, kept)
    return f"/artifacts/{study._study_id}/{kept}"


def _replace_part(old: str, part: str) -> str:
    start, end = old.find(_START), old.find(_END)
    if 0 <= start < end:
        return old[:start] + part + old[end + len(_END) :]
    return f"{old.rstrip()}\n\n{part}" if old.strip() else part


def _escape(words: str) -> str:
    """Return words that Markdown shows as they are."""
    flat = " ".join(formatting.shorten(words, 600).split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!" else c for c in flat)


def _y_range(curve: Mapping[str, Any]) -> list[float] | None:
    import numpy as np

    from tuners.report.figure_of_curve import loss_range

    finite = np.array([value for value in curve["smoothed"] if value is not None], dtype=float)
    return list(loss_range(finite)) if finite.size > 1 else None


def _need(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(
            f"The dashboard needs {name.partition('.')[0]}, which is not installed; "
            "run: pip install 'lr-range-tuner[dashboard]'."
        ) from None
