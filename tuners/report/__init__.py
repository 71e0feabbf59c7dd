"""A stored study as one HTML file, with `report.json` beside it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces._input import InputError

if TYPE_CHECKING:
    import optuna

    from tuners.study.tuner_study import Tuner

__all__ = ["write_report"]


def write_report(study: optuna.Study | Tuner, path: str | Path = "report.html") -> Path:
    """Write the report of a stored study or a tuner, from what its storage holds alone.

    Beside the page stands a JSON file of the same name with every number in it (`report.json`
    for `report.html`), and `trials.csv` where there are more than 500 trials. Page and JSON stay
    under 2 MB: `tuners.report.limits` says what they leave to the CSV and the storage. Each
    file is replaced in one move, so a reader never sees half of one.

    Args:
        study: Any Optuna study: made by this package or not, running, interrupted or done; or a
            KerasTuner tuner (see `tuners.study.tuner_study.as_study`).
        path: A `.html` file, or a folder, which then gets `report.html`; made if it is missing.

    Returns:
        The page's path.

    Raises:
        ValueError: `study` is neither, or `path` is a file that is not `.html`.
        OSError: It cannot be written.

    Example:
        >>> import optuna, tempfile
        >>> study = optuna.create_study()
        >>> write_report(study, tempfile.mkdtemp()).name
        'report.html'
    """
    from tuners.report.limits import leave_out
    from tuners.report.page import render
    from tuners.report.page_tables import MOST_ROWS, trials_csv
    from tuners.report.summary import summarize
    from tuners.study.tuner_study import as_study

    study = as_study(study)
    page = _page_path(Path(path))
    whole = summarize(study)
    summary = leave_out(whole)
    json_path = page.with_suffix(".json")
    stem = "" if page.stem == "report" else f"{page.stem}-"
    csv_path = page.with_name(f"{stem}trials.csv")
    html = render(whole, summary, json_name=json_path.name, csv_name=csv_path.name)
    page.parent.mkdir(parents=True, exist_ok=True)
    if len(whole["trials"]) > MOST_ROWS:
        write_whole(csv_path, trials_csv(whole))
    write_whole(
        json_path, json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )
    write_whole(page, html)
    return page


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that readers see the old one or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode(errors="replace") if isinstance(content, str) else content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # noqa: PTH101 - mkstemp makes it private
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _page_path(path: Path) -> Path:
    if path.suffix.lower() in (".html", ".htm") and not path.is_dir():
        return path
    if path.exists() and not path.is_dir():
        raise InputError(
            f"`path` must be a folder or a .html file, but got the file {str(path)!r}; "
            "pass e.g. 'report.html'."
        )
    return path / "report.html"
