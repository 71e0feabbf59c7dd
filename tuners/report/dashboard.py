"""A run in Optuna's dashboard: range-test figure, notes with the verdict, the report itself.

Needs the extra `dashboard`; nothing else of the package does. Its `run_server` cannot be stopped,
prints each request and does not tell a free port that it found, so its application is served here.
"""

from __future__ import annotations

import importlib
import io
import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.exceptions import ExperimentalWarning

from search_spaces._input import InputError
from tuners.figures.curves import loss_curve
from tuners.figures.style import png
from tuners.report import formatting
from tuners.report.page import template
from tuners.report.summary import summarize
from tuners.report.verdicts import measure
from tuners.study.optuna_private import storage_of, study_id
from tuners.study.storage import PART_OF, open_storage

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

HOST = "127.0.0.1"
# between which our part of a note stands
_VERDICT = "## Verdict on the learning rate", "*End of the verdict.*"
_PART = "## What this study is", "*End of what this study is.*"


def publish(
    study: optuna.Study, *, report: str | Path | None = None, artifacts: str | Path | None = None
) -> None:
    """Put the range-test figure, a note with the verdict, and the report onto the study.

    Doing it again replaces what it put there; a user's own note is kept around it. The studies
    beside it, that of the pairs above all, get a note that says what they are.

    Args:
        study: The study, in any storage.
        report: The page that `write_report` wrote; None attaches none.
        artifacts: Folder of the dashboard's artifacts, made if missing, which holds figure and
            page; None means `artifacts` beside the report, and without one that neither is kept.

    Raises:
        ValueError: The extra `dashboard` is not installed, or there is no such report.
    """
    _library()
    summary = summarize(study)
    page = None if report is None else Path(report)
    if page is not None and not page.is_file():
        raise InputError(
            f"`report` must be the page that write_report wrote, but got {str(report)!r}, "
            "which is no file."
        )
    if artifacts is None and page is not None:
        artifacts = page.parent / "artifacts"
    links, figures = {}, {}
    if artifacts is not None:
        folder = Path(artifacts)
        for index, (name, entry) in enumerate(summary["parameters"].items()):
            image = draw_range_test(entry, summary["baseline_learning_rate"])
            if image is not None:
                key = "range_test" if index == 0 else f"range_test_{index}"
                place = _attach(study, key, f"{key}.png", image, "image/png", folder)
                figures[f"Range test of {name}"] = place
        if page is not None:
            content = page.read_bytes()
            place = _attach(study, "report", page.name, content, "text/html", folder)
            links["The whole report"] = place
    for part in _parts(study):
        is_pairs = any("pair" in trial.user_attrs for trial in part.get_trials(deepcopy=False))
        if is_pairs:
            links["All pairs"] = study_page(part)
        _put_note(part, describe_pairs(study, part) if is_pairs else describe_part(study), _PART)
    _put_note(study, write_note(summary, links, figures), _VERDICT)
    if "objective" in summary["facts"]:
        _name_values(study, summary["objective"])


def study_page(study: optuna.Study) -> str:
    """Return the path of a study's page on the dashboard's server."""
    return f"/dashboard/studies/{study_id(study)}"


def describe_pairs(study: optuna.Study, pairs: optuna.Study) -> str:
    """Return what a comparison's study of pairs is, in Markdown, and name its values.

    Args:
        study: The study whose chosen rate is compared.
        pairs: The study beside it whose trials are the pairs.
    """
    known = study.user_attrs.get("comparison")
    compared = known if isinstance(known, Mapping) else {}
    metric = _escape(f"{compared.get('measured_on', 'test')} {compared.get('metric', 'value')}")
    told = [trial for trial in pairs.get_trials(deepcopy=False) if trial.value]
    if told and compared.get("direction") != "maximize" and not _is_gain(told[0]):
        _name_values(pairs, "chosen minus baseline")
        value = (
            f"the {metric} of the chosen rate minus that of the baseline. A value below 0 favours "
            "the chosen rate, so that the trial shown as the best is the worst pair."
        )
    else:
        _name_values(pairs, "gain")
        value = (
            f"the gain in {metric}. A value above 0 favours the chosen rate. The best trial is "
            "only the luckiest pair."
        )
    chosen, baseline = (
        formatting.rate(compared.get(f"{side}_learning_rate")) for side in ("chosen", "baseline")
    )
    return (
        f"Each trial here is one pair of trainings on the same split: one with the chosen "
        f"learning rate {chosen}, one with the baseline {baseline}. Its value is {value}\n\n"
        f"All pairs together decide: see [the verdict]({study_page(study)}/note) of the study "
        f"[{_escape(study.study_name)}]({study_page(study)})."
    )


def _is_gain(pair: optuna.trial.FrozenTrial) -> bool:
    """Whether a pair of losses was told as a gain; earlier versions told chosen - baseline."""
    sides = pair.user_attrs["pair"]
    return (pair.values[0] > 0) is (sides["chosen"]["value"] < sides["baseline"]["value"])


def describe_part(study: optuna.Study) -> str:
    """Return what a study is by which several processes share the work on another."""
    return (
        "This study holds no results. With it the processes that share the study "
        f"[{_escape(study.study_name)}]({study_page(study)}) agree on who does what."
    )


def _parts(study: optuna.Study) -> list[optuna.Study]:
    """Return the studies beside a study that hold a part of its work."""
    storage = storage_of(study)
    return [
        optuna.load_study(study_name=each.study_name, storage=storage)
        for each in storage.get_all_studies()
        if each.user_attrs.get(PART_OF) == study.study_name
    ]


def _name_values(study: optuna.Study, name: str) -> None:
    """Give the values of a study a name, unless its owner did."""
    if len(study.directions) == 1 and not study.metric_names:
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            study.set_metric_names([name])


def _put_note(study: optuna.Study, words: str, ends: tuple[str, str]) -> None:
    """Put our part of a study's note between its ends, in place of the one from before."""
    dashboard = _library()
    old, part = dashboard.get_note(study), f"{ends[0]}\n\n{words.strip()}\n\n{ends[1]}"
    start, end = old.find(ends[0]), old.find(ends[1])
    if 0 <= start < end:
        new = old[:start] + part + old[end + len(ends[1]) :]
    else:
        new = f"{old.rstrip()}\n\n{part}" if old.strip() else part
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
    links: Mapping[str, str] | None = None,
    figures: Mapping[str, str] | None = None,
) -> str:
    """Return the verdict in Markdown.

    Args:
        summary: What `tuners.report.summary.summarize` returned.
        links: Address on the dashboard's server of each further page by its title.
        figures: Address of each figure by its title.
    """
    failed = [check for check in summary["checks"] if check["outcome"] == "failed"]
    context: dict[str, Any] = {
        "s": summary,
        "failed": failed,
        "figures": figures or {},
        "links": links or {},
    }
    styles = {"words": _escape, "rate": formatting.rate, "signed": formatting.signed}
    return template("note.md.jinja2").render(context | styles | {"measure": measure})


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
    # it logs a traceback where a chart cannot be drawn, which the page says itself
    logging.getLogger("optuna_dashboard").setLevel(logging.CRITICAL)
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

    The study's attribute `artifacts` holds the ids.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = FileSystemArtifactStore(base_path=str(folder))
    known = study.user_attrs.get("artifacts", {})
    kept = known.get(key, study.user_attrs.get(f"{key}_artifact"))  # as earlier versions had it
    if kept in {meta.artifact_id for meta in get_all_artifact_meta(study)}:
        store.write(kept, io.BytesIO(content))  # in the same place, so that the list does not grow
    else:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / filename
            file.write_bytes(content)
            kept = upload_artifact(
                artifact_store=store, file_path=str(file), study_or_trial=study, mimetype=mimetype
            )
        study.set_user_attr("artifacts", {**known, key: kept})
    return f"/artifacts/{study_id(study)}/{kept}"


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
