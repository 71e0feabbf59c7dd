"""Optuna's journal file, mended where a full disk or a power cut left half a line at its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock


class WholeLines(JournalFileBackend):
    """A journal file whose last line is whole before another is put behind it.

    Optuna passes over half a line at the end while it reads, but the next line written would be
    joined to it, and the file could not be read again. What is cut off was never told as done.

    Args:
        path: Of the file, which may be missing.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path)
        self._cut_half_line()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines, each whole."""
        self._cut_half_line()
        super().append_logs(logs)

    def _cut_half_line(self) -> None:
        if self._ends_whole():
            return
        lock = JournalFileSymlinkLock(str(self._path))
        lock.acquire()
        try:
            if not self._ends_whole():  # it was no line that another process was just writing
                content = self._path.read_bytes()
                os.truncate(self._path, content.rfind(b"\n") + 1)
        finally:
            lock.release()

    def _ends_whole(self) -> bool:
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                return True
            file.seek(size - 1)
            return file.read(1) == b"\n"
