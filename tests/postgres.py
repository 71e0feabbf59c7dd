"""A PostgreSQL server of Debian's for one test, on a socket in its own folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        programs: Folder of PostgreSQL's own programs.
        folder: Holds the data and the socket.
    """

    programs: Path
    folder: Path

    @property
    def address(self) -> str:
        """The address of its database, as Optuna takes it."""
        return f"postgresql+psycopg://tuner:hush@/postgres?host={self.folder}"

    def control(self, *command: str) -> None:
        """Call pg_ctl: `start`, `restart` or `stop`, with its options."""
        log = ["-l", str(self.folder / "log"), "-w", "-t", "60"]
        _run(self.programs / "pg_ctl", "-D", str(self.folder / "data"), *log, *command)

    def drop_connections(self) -> None:
        """End all connections but this call's own, as a router does that was restarted."""
        others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
        query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
        _run("psql", "-h", str(self.folder), "-U", "tuner", "-d", "postgres", "-c", query)


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Make a server in a fresh folder, start it, and stop it at the end."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed; see system-packages.txt")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
    server = Server(found[-1].parent, folder)
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
    try:
        _run(server.programs / "initdb", "-A", "trust", "-U", "tuner", "-D", str(folder / "data"))
        settings = f"unix_socket_directories='{folder}'\nlisten_addresses=''\nfsync=off\n"
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(settings)
        server.control("start")
        try:
            yield server
        finally:
            server.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def _run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    done = subprocess.run(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
