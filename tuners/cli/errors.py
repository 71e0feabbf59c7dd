"""With which line and code the command ends when something goes wrong."""

from __future__ import annotations

import contextlib
import difflib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

DONE, FAULT, USER, ALL_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_OURS = ("tuners", "search_spaces", "run_search")
_CHECKS = (ValueError, TypeError, OSError, ImportError)
_STORAGE = ("sqlalchemy", "psycopg", "psycopg2", "sqlite3", "optuna.storages")


class UserError(Exception):
    """What the user can cure: the rule, the value received and the cure, in one line."""


class Refused(UserError):
    """A folder or study that was made with other settings."""


@contextlib.contextmanager
def users_input(what: str = "") -> Iterator[None]:
    """Turn the errors of checks inside the block into a `UserError`.

    Args:
        what: What the block reads, put before the message; "" leaves the message as it is.
    """
    try:
        yield
    except UserError:
        raise
    except _CHECKS as error:
        raise UserError(f"{what}: {one_line(error)}" if what else one_line(error)) from error


@contextlib.contextmanager
def storage_errors(where: str, verb: str, cure: str) -> Iterator[None]:
    """Turn whatever a storage raises inside the block into a `UserError`.

    Args:
        where: The storage as an error calls it.
        verb: What cannot be done with it, for example "read".
        cure: What the user can do.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # drivers and Optuna raise what they like
        problem = f"{type(error).__name__}: {one_line(error)[:300]}"
    else:
        return
    # raised outside of the block, so that no traceback shows the driver's own message
    raise UserError(f"`--storage` {where} cannot be {verb} ({problem}); {cure}.")


def one_line(error: BaseException) -> str:
    r"""Return an error's message in one line without passwords, its type where it says nothing.

    Example:
        >>> one_line(ValueError("a\n  b")), one_line(KeyError())
        ('a b', 'KeyError')
    """
    from tuners.report.formatting import hide_passwords, shorten

    try:
        text = " ".join(str(error).split()) or type(error).__name__
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


def judge(error: Exception) -> tuple[int, str]:
    """Return exit code and message of an error that ended the command.

    Args:
        error: What was raised. A `UserError`, or an error raised by a check of ours, is the
            user's to cure; an error of a storage's driver is a storage lost midway; any other is
            a fault of ours.
    """
    last = _last_module(error)
    if isinstance(error, UserError):
        return USER, one_line(error)
    if last.startswith(_STORAGE) or type(error).__module__.startswith(_STORAGE):
        return FAULT, f"the storage failed midway ({one_line(error)}); nothing told to it is lost."
    if type(error).__name__ == "StorageInternalError":
        return FAULT, f"the storage failed midway ({one_line(error)}); nothing told to it is lost."
    if isinstance(error, ValueError) and last.split(".")[0] in _OURS:
        return USER, one_line(error)
    if isinstance(error, OSError) and error.strerror:
        place = f" {str(error.filename)!r}" if error.filename else ""
        return FAULT, f"a file could not be written or read:{place} {error.strerror}."
    return FAULT, f"unexpected {type(error).__name__}: {one_line(error)}"


def keep_traceback(error: Exception, folder: Path) -> Path | None:
    """Write an error's traceback, without passwords, to a folder that is there; return its path."""
    from tuners.report.formatting import hide_passwords

    path = folder / "error.txt"
    lines = "".join(traceback.format_exception(error))
    try:
        path.write_text(hide_passwords(lines), encoding="utf-8", errors="replace")
    except OSError:
        return None
    return path


def nearest(name: str, known: Sequence[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest known name, "." where none is near.

    Example:
        >>> nearest("optunna", ["optuna", "keras-tuner"])
        "; did you mean 'optuna'?"
    """
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else "."


def refuse_options(given: Sequence[str], command: str) -> None:
    """Check that no options of the whole job stand before a subcommand, which would ignore them.

    Raises:
        UserError: There are some.
    """
    if given:
        shown = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(
            f"`{command}` takes its options after its name, but got {shown} before it; "
            f"see {command} --help."
        )


def guarded(command: Callable[[], int | None]) -> int:
    """Call a command, print an error of it in one line, and return its exit code."""
    try:
        return command() or DONE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):  # an option that the parser refused
            code, message = USER, printable(" ".join(error.format_message().split()))
        else:
            code, message = judge(error)
        notes = " ".join(getattr(error, "__notes__", []))
        print(f"error: {message}{' ' if notes else ''}{notes}", file=sys.stderr)
        return code


def _last_module(error: BaseException) -> str:
    trace, module = error.__traceback__, ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return module
