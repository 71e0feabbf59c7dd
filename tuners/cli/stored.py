"""A study that is stored already: its report written again, or shown by optuna-dashboard."""

from __future__ import annotations

from pathlib import Path

import optuna

from search_spaces._input import InputError
from tuners import write_report
from tuners.cli.console import Screen
from tuners.cli.errors import nearest, printable, storage_errors, users_input
from tuners.cli.option_checks import check_address
from tuners.cli.run_folder import DATABASE, PAGE, make_folder, storage_address, study_names
from tuners.report.dashboard import HOST, open_server, publish, serve, study_page
from tuners.study.passwords import hide_passwords
from tuners.study.storage import JOURNAL, SQLITE, check_storage_file, open_storage

BROKEN = "it is broken, or of another version of Optuna's"
MOST_STUDIES = 8  # whose pages are listed


def stored_address(folder: str | None, storage: str | None) -> str:
    """Return the address of a storage that is there: in a run's folder, or as given.

    Raises:
        InputError: Not exactly one of them is given, or the folder holds no study.
    """
    if (folder is None) == (storage is None):
        raise InputError(
            "pass either the folder of a run or `--storage`, but got "
            f"{'neither' if folder is None else 'both'}; e.g. runs/wine-adam-optuna-seed0."
        )
    if storage is not None:
        check_address(storage)
        if not check_storage_file(storage) and storage.startswith((SQLITE, JOURNAL)):
            path = storage.partition("///")[2]
            raise InputError(
                f"`--storage` must hold a study, but {path!r} is empty or no file; check the path."
            )
        return storage
    place = Path(str(folder)).expanduser()
    if not (place / DATABASE).is_file():
        raise InputError(
            f"the folder must hold a {DATABASE}, but {str(place)!r} "
            f"{'has none' if place.is_dir() else 'is no folder'}; pass the folder of a run, or "
            "`--storage`."
        )
    address = storage_address(place)
    check_storage_file(address)
    return address


def load_study(address: str, name: str | None) -> optuna.Study:
    """Return a stored study, by name where the storage has several.

    Raises:
        InputError: There is no such study, or the name is needed.
    """
    where = hide_passwords(address)
    storage = open_storage(address)
    with storage_errors(where, "read", BROKEN):
        names = study_names(storage)
        if not names:
            raise InputError(f"{where} must hold a study, but holds none; run the job first.")
        if name is None and len(names) > 1:
            listed = ", ".join(map(repr, names[:8]))
            raise InputError(f"{where} holds {len(names)} studies; pass --study-name: {listed}.")
        name = names[0] if name is None else name
        if name not in names:
            raise InputError(f"{where} has no study {name!r}{nearest(name, names)}")
        study = optuna.load_study(study_name=name, storage=storage)
        # all of it is read here, where a broken storage is known for what it is
        study.user_attrs, study.get_trials(deepcopy=False)
    return study


def report_again(study: optuna.Study, out: str) -> Path:
    """Write a study's report to a folder or a file that ends in .html; return the page's path."""
    place = Path(out).expanduser()
    if place.suffix.lower() not in (".html", ".htm"):
        make_folder(place)
    with users_input("`--out`", OSError):
        return write_report(study, place)


def show(folder: str | None, storage: str | None, port: int, screen: Screen) -> None:
    """Show the studies of a storage in the browser until Ctrl-C, on this machine alone.

    The study of a run's folder gets the verdict and the report put onto it first.

    Args:
        folder: A run's folder, or None.
        storage: An address, or None.
        port: To listen on; 0 takes any free one.
        screen: Where the addresses are printed.

    Raises:
        InputError: The extra is not installed, there is no study, or the port cannot be had.
    """
    address = stored_address(folder, storage)
    opened, artifacts = open_storage(address), None
    if folder is None:
        with storage_errors(hide_passwords(address), "read", BROKEN):
            names = study_names(opened)
            studies = [optuna.load_study(study_name=name, storage=opened) for name in names]
    else:
        studies = [load_study(address, None)]
        page, artifacts = Path(folder).expanduser() / PAGE, Path(folder).expanduser() / "artifacts"
        publish(studies[0], report=page if page.is_file() else None, artifacts=artifacts)
    server = open_server(opened, artifacts=artifacts, port=port)
    home = f"http://{HOST}:{server.server_port}"
    for study in studies[:MOST_STUDIES]:
        screen.say(f"study {printable(study.study_name)}: {home}{study_page(study)}")
    if folder is not None:
        screen.say(f"its verdict: {home}{study_page(studies[0])}/note")
    elif len(studies) != 1:
        screen.say(f"all studies: {home}/dashboard/")
    screen.say("Stop with Ctrl-C.")
    serve(server)
