"""Keeping TensorFlow's own lines off the terminal, unless the user asked for them."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def tensorflow_silenced() -> Iterator[None]:
    """Drop what native code writes to standard error; Python's own lines still get through.

    TensorFlow's C++ parts write some lines before they read their log level, so the level alone
    does not silence them. Nothing is dropped where the user has set `TF_CPP_MIN_LOG_LEVEL`.
    """
    if os.environ.get(LEVEL):
        yield
        return
    os.environ[LEVEL] = "3"
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not _is_native(sys.stderr):
        yield
        return
    sys.stderr.flush()
    kept, terminal = sys.stderr, os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    with os.fdopen(terminal, "w", 1, encoding=kept.encoding, errors=kept.errors) as stream:
        sys.stderr = stream
        try:
            yield
        finally:
            stream.flush()
            sys.stderr = kept
            os.dup2(terminal, 2)


def load_tensorflow() -> None:
    """Import TensorFlow and Keras; what is slow about them is their import."""
    import keras  # noqa: F401
    import tensorflow  # noqa: F401


def _is_native(stream: object) -> bool:
    try:
        return stream.fileno() == 2  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
