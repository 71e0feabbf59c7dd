"""The study in Optuna's dashboard: range-test figure, a note with the verdict, the report itself.

Needs the extra `dashboard`; nothing else of the package does. Its `run_server` cannot be stopped,
prints each request and does not tell a free port that it found, so its application is served here.
"""

from __future__ import annotations

import importlib
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact

from search_spaces._input import InputError
from tuners.figures.curves import loss_curve
from tuners.figures.style import png
from tuners.report import formatting
from tuners.report.page import template
from tuners.report.summary import summarize
from tuners.report.verdicts import measure
from tuners.study.storage import open_storage

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

HOST = "127.0.0.1"
_START, _END = "## Verdict on the learning rate", "*End of the verdict.*"


def publish(
    study: optuna.Study, *, report: str | Path | None = None, artifacts: str | Path | None = None
) -> None:
    """Put the range-test figure, a note with the verdict, and the report onto the study.

    Doing it again replaces what it put there; a user's own note is kept around it.

    Args:
        study: The study, in any storage.
        report: The page that `write_report` wrote; None attaches none.
        artifacts: Folder of the dashboard's artifacts, made if missing, which holds figure and
            page; None means `artifacts` beside the report, and without one that neither is kept.

    Raises:
        ValueError: The extra `dashboard` is not installed, or there is no such report.
    """
    dashboard = _library()
    summary = summarize(study)
    page = None if report is None else Path(report)
    if page is not None and not page.is_file():
        raise InputError(
            f"`report` must be the page that write_report wrote, but got {str(report)!r}, "
            "which is no file."
        )
    if artifacts is None and page is not None:
        artifacts = page.parent / "artifacts"
    figures, address = {}, None
    if artifacts is not None:
        folder = Path(artifacts)
        for index, (name, entry) in enumerate(summary["parameters"].items()):
            image = draw_range_test(entry, summary["baseline_learning_rate"])
            if image is not None:
                key = "range_test" if index == 0 else f"range_test_{index}"
                place = _attach(study, key, f"{key}.png", image, "image/png", folder)
                figures[f"Range test of {name}"] = place
        if page is not None:
            address = _attach(study, "report", page.name, page.read_bytes(), "text/html", folder)
    old = dashboard.get_note(study)
    new = _replace_part(old, write_note(summary, address, figures))
    if new != old:
        dashboard.save_note(study, new)


def draw_range_test(entry: Mapping[str, Any], baseline: float | None) -> bytes | None:
    """Return the picture of a range test as PNG, None where there is no curve.

    Args:
        entry: A parameter's part of the summary: `curve` and `bounds`.
        baseline: The baseline's rate, or None.
    """
    if entry["curve"] is None:
        return None
    return png(loss_curve(entry["curve"], entry["bounds"], baseline))


def write_note(
    summary: Mapping[str, Any],
    report: str | None = None,
    figures: Mapping[str, str] | None = None,
) -> str:
    """Return the verdict in Markdown.

    Args:
        summary: What `tuners.report.summary.summarize` returned.
        report: Address of the page on the dashboard's server, None for no link.
        figures: Address of each figure by its title.
    """
    failed = [check for check in summary["checks"] if check["outcome"] == "failed"]
    context: dict[str, Any] = {
        "s": summary,
        "failed": failed,
        "figures": figures or {},
        "report": report,
    }
    styles = {"words": _escape, "rate": formatting.rate, "signed": formatting.signed}
    context |= styles | {"start": _START, "end": _END, "measure": measure}
    return template("note.md.jinja2").render(context)


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
    dashboard = _library()
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


def _attach(
    study: optuna.Study, key: str, filename: str, content: bytes, mimetype: str, folder: Path
) -> str:
    """Keep a file under one id in the artifact folder, and return its address.

    The study's attribute `<key>_artifact` holds the id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = FileSystemArtifactStore(base_path=str(folder))
    kept = study.user_attrs.get(f"{key}_artifact")
    if kept in {meta.artifact_id for meta in get_all_artifact_meta(study)}:
        store.write(kept, io.BytesIO(content))  # in the same place, so that the list does not grow
    else:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / filename
            file.write_bytes(content)
            kept = upload_artifact(
                artifact_store=store, file_path=str(file), study_or_trial=study, mimetype=mimetype
            )
        study.set_user_attr(f"{key}_artifact", kept)
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


def _library() -> Any:
    try:
        return importlib.import_module("optuna_dashboard")
    except ImportError:
        raise InputError(
            "The dashboard needs optuna_dashboard, which is not installed; "
            "run: pip install 'lr-range-tuner[dashboard]'."
        ) from None
