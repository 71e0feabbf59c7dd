"""With which line and code the command ends when something goes wrong."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search_spaces._input import InputError
from tuners.report.formatting import shorten
from tuners.study.passwords import hide_passwords

DONE, FAULT, USER, ALL_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_STORAGE = (
    *("sqlalchemy", "psycopg", "psycopg2", "sqlite3", "optuna.storages"),
    "tuners.study.storage",
)
_KEPT = "The traceback is in"
# colours of Keras's messages, nodes and operations of TensorFlow's
_NOISE = re.compile(r"\x1b\[[\d;]*m|\{\{\w+ \S+\}\}|\[Op:\w+\]")


@contextlib.contextmanager
def users_input(what: str, kind: type[Exception] = InputError) -> Iterator[None]:
    """Say of failed checks inside the block what they read.

    Args:
        what: What the block reads, put before the message.
        kind: Further errors that are the user's to cure here, for example `OSError`.
    """
    try:
        yield
    except (InputError, kind) as error:
        raise InputError(f"{what}: {one_line(error)}") from error


@contextlib.contextmanager
def storage_errors(where: str, verb: str, cure: str) -> Iterator[None]:
    """Turn whatever a storage raises inside the block into an `InputError`.

    Args:
        where: The storage as an error calls it.
        verb: What cannot be done with it, for example "read".
        cure: What the user can do.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # drivers and Optuna raise what they like
        problem = f"{type(error).__name__}: {one_line(error)[:300]}"
        raise InputError(f"`--storage` {where} cannot be {verb} ({problem}); {cure}.") from None


def one_line(error: BaseException) -> str:
    r"""Return an error's message in one line without passwords, its type where it says nothing.

    Example:
        >>> one_line(ValueError("a\n  b")), one_line(KeyError())
        ('a b', 'KeyError')
    """
    try:
        text = " ".join(_NOISE.sub("", str(error)).split()) or type(error).__name__
    except Exception:  # a user's own class may fail at this too
        text = type(error).__name__
    return hide_passwords(printable(shorten(text, 1000)))


def printable(text: str) -> str:
    r"""Return a text that a terminal shows as it is: control characters are written out.

    Example:
        >>> print(printable("a\x1b[31mb"))
        a\x1b[31mb
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def as_options(message: str) -> str:
    """Return a message of a check with the command's options for the names of arguments.

    Example:
        >>> as_options('`study_name` is new and `how="population"` cannot be done')
        '`--study-name` is new and `--how population` cannot be done'
    """
    names = "storage|study_name|sampler|objective|how|port"
    message = re.sub(rf'`({names})="(\w+)"`', r"`--\1 \2`", message)
    return re.sub(rf"`({names})`", lambda found: f"`--{found[1].replace('_', '-')}`", message)


def judge(error: BaseException) -> tuple[int, str]:
    """Return exit code and message of an error that ended the command.

    Args:
        error: What was raised. An `InputError`, or what the parser of the options raises, is the
            user's to cure; an error of a storage's driver is a storage lost midway; any other is
            a fault of ours, whatever its class.
    """
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "stopped"
    if hasattr(error, "format_message"):
        return USER, _parsers_message(error)
    if isinstance(error, InputError):
        return USER, as_options(one_line(error))
    if type(error).__name__ == "StorageAway":  # whose module loads Optuna, which is slow
        return FAULT, as_options(one_line(error))
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not isinstance(error, OSError):  # files are written by others for a storage
        frames = frames[-1:]
    places = [str(frame.f_globals.get("__name__", "")) for frame in frames]
    places += [type(error).__module__]
    if any(place.startswith(_STORAGE) for place in places) or (
        type(error).__name__ == "StorageInternalError"
    ):
        return FAULT, f"the storage failed midway ({one_line(error)}); nothing told to it is lost."
    if isinstance(error, OSError) and error.strerror:
        place = f" {str(error.filename)!r}" if error.filename else ""
        return FAULT, f"a file could not be written or read:{place} {error.strerror}."
    return FAULT, f"unexpected {type(error).__name__}: {one_line(error)}."


def keep_traceback(error: BaseException, folder: Path | None = None) -> None:
    """Write an error's traceback, without passwords, to a file that a note on the error names.

    Args:
        error: What was raised.
        folder: Where it is written as error.txt; None, or one that cannot be written, means the
            system's folder for temporary files.
    """
    text = hide_passwords("".join(traceback.format_exception(error)))
    for place in (folder, None):
        with contextlib.suppress(OSError):
            if place is None:
                handle, name = tempfile.mkstemp(".txt", "error-")
                os.close(handle)
            path = Path(name) if place is None else place / "error.txt"
            path.write_text(text, encoding="utf-8", errors="replace")
            error.add_note(f"{_KEPT} {path}.")
            return


@contextlib.contextmanager
def fault_explained(folder: Path) -> Iterator[None]:
    """Keep the traceback of a fault inside the block in a folder, and say how to resume."""
    try:
        yield
    except Exception as error:
        if judge(error)[0] == FAULT:
            keep_traceback(error, folder)
            error.add_note("Run the same command to resume.")
        raise


def conclude(error: BaseException) -> int:
    """Print in one line what ended the command, see that a traceback is kept; return the code."""
    code, message = judge(error)
    if code == FAULT and _KEPT not in " ".join(getattr(error, "__notes__", [])):
        keep_traceback(error)
    line = " ".join([message, *getattr(error, "__notes__", [])])
    print(message if code == INTERRUPTED else f"error: {line}", file=sys.stderr)
    return code


def nearest(name: str, known: Sequence[str], otherwise: str = ".") -> str:
    """Return "; did you mean 'x'?" for the nearest known name.

    Args:
        name: What was given.
        known: What there is.
        otherwise: What is returned where no name is near.

    Example:
        >>> nearest("optunna", ["optuna", "keras-tuner"])
        "; did you mean 'optuna'?"
    """
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else otherwise


_KINDS = {"int_parsing": "a whole number", "float_parsing": "a number"}
_HELP = "; see --help."


def _parsers_message(error: Any) -> str:
    """Return what Typer says of an option in our own words: the rule, the value, the cure."""
    text = printable(" ".join(error.format_message().split())).replace("Value error, ", "")
    if hasattr(error, "possibilities"):
        name = printable(error.option_name)
        return f"there is no option `{name}`{nearest(name, error.possibilities or (), _HELP)}"
    if found := re.match(r"No such command '(.*?)'\.", text):
        known = list(getattr(error.ctx.command, "commands", {}))
        otherwise = f"; did you mean --data {found[1]}?" if Path(found[1]).is_file() else _HELP
        return f"there is no command {found[1]!r}{nearest(found[1], known, otherwise)}"
    if found := re.fullmatch(r"Option '(.*)' requires (an|\d+) arguments?\.", text):
        count = "a value" if found[2] == "an" else f"{found[2]} values"
        return f"`{found[1]}` must be followed by {count}{_HELP}"
    if found := re.fullmatch(r".*'(-.*)': '(.*)' is not one of (.*)\.", text):
        known = re.findall(r"'(.*?)'", found[3])
        rule = f"`{found[1]}` must be one of {', '.join(known)}, but got {found[2]!r}"
        return rule + nearest(found[2], known)
    problem = error.__cause__.errors()[0] if hasattr(error.__cause__, "errors") else {}
    if problem.get("type") in _KINDS:
        name, default, given = error.param.opts[0], error.param.default, problem["input"]
        cure = f"; pass e.g. {name} {default}." if isinstance(default, (int, float)) else _HELP
        kind = _KINDS[problem["type"]] if error.param.nargs == 1 else "numbers"
        return f"`{name}` must be {kind}, but got {printable(shorten(given))!r}{cure}"
    return text
