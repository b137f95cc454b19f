"""A real PostgreSQL server on loopback for tests: started from the installed binaries, killed, started again.

PostgreSQL refuses to run as root; as root the server runs as another user that exists. The fixtures over it
are in `tests/conftest.py`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import psycopg

NEEDED = ("initdb", "postgres")
INSTALL = "Install it, on Debian with: apt-get install postgresql."
UNPRIVILEGED = ("postgres", "nobody")
START_S = 60.0
STOP_S = 60.0
PORTS = range(20000, 32000)
"""Below what Linux hands out: while the server is down, no client that reconnects may get its port."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "logging_collector": "off",
}


class PostgresError(Exception):
    """The server cannot be found, or does not start."""


def find_binaries() -> Path | None:
    """Return the folder with initdb and postgres: on PATH, else Debian's newest; None if there is none."""
    on_path = shutil.which("initdb")
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True
    )
    folders = [Path(on_path).resolve().parent] if on_path else []
    for folder in (*folders, *debian):
        if all(os.access(folder / name, os.X_OK) for name in NEEDED):
            return folder
    return None


def free_port() -> int:
    """Return a loopback port that nobody listens on, and that no outgoing connection gets by chance."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise PostgresError(f"no free port in {PORTS}")


class PostgresServer:
    """One cluster in a temporary folder of its own, on one port that it keeps.

    with PostgresServer() as server:
        with server.database() as url: ...
        server.crash()
        server.start()
    """

    def __init__(self, *, fsync: bool = True) -> None:
        """Create the cluster; `start` starts it, `remove` stops it and deletes everything.

        Raises:
            PostgresError: if there are no binaries, or initdb fails.
        """
        folder = find_binaries()
        if folder is None:
            raise PostgresError(f"no PostgreSQL server: initdb and postgres were not found. {INSTALL}")
        self._binaries, self._fsync = folder, fsync
        self._account = _account()
        self.folder = Path(
            tempfile.mkdtemp(prefix="agenttts-pg-", dir="/tmp")
        )  # short, and any user may enter
        if self._account:
            os.chown(self.folder, self._account["user"], self._account["group"])
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._initialise()

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None while it is down."""
        return self._process.pid if self._process is not None else None

    def url_for(self, name: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start the server on its port, and wait until it takes connections; after a crash it recovers first.

        Raises:
            PostgresError: with the end of its log.
        """
        assert self._process is None, "it runs already"
        options = {**SETTINGS, "port": str(self.port), "fsync": "on" if self._fsync else "off"}
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = self._spawn("postgres", "-D", str(self.folder / "data"), *given, out=log)
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop it in good order; open connections are closed. Nothing happens if it is down."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Kill every one of its processes at once, as an out-of-memory killer or a lost pod would."""
        if self._process is None:
            return
        processes = psutil.Process(self._process.pid).children(recursive=True)
        self._end(signal.SIGKILL)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        deadline, pause = monotonic() + STOP_S, threading.Event()
        while not all(map(_dead, processes)) and monotonic() < deadline:  # they hold its shared memory
            pause.wait(0.01)

    def restart(self) -> None:
        """Stop in good order and start again on the same port."""
        self.stop()
        self.start()

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one SQL statement outside a transaction; return its rows."""
        address = f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"
        with psycopg.connect(address, autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def create(self, name: str, template: str = "template1") -> str:
        """Create a database as a copy of `template`; return its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url_for(name)

    def drop(self, name: str) -> None:
        """Drop a database; connections to it are closed."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Yield the URL of a fresh, empty database; it is dropped afterwards if the server is up."""
        self._made += 1
        name = f"test{self._made}"
        yield self.create(name)
        if self._process is not None:
            self.drop(name)

    def log(self) -> str:
        """Return what the server wrote to its log."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        self.remove()

    def _initialise(self) -> None:
        arguments = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        done = self._spawn("initdb", "-D", str(self.folder / "data"), *arguments, out=subprocess.PIPE)
        said, _ = done.communicate(timeout=START_S)
        if done.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise PostgresError(f"initdb failed:\n{said.decode(errors='replace')}")

    def _spawn(self, name: str, *arguments: str, out: Any) -> subprocess.Popen[bytes]:
        """Start a program as a user PostgreSQL accepts, away from our terminal's Ctrl-C."""
        return subprocess.Popen(
            [str(self._binaries / name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            start_new_session=True,
            **self._account,
        )

    def _wait_until_ready(self) -> None:
        deadline, pause = monotonic() + START_S, threading.Event()
        while monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                self._process = None
                raise PostgresError(f"postgres ended at once:\n{self.log()[-2000:]}")
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                pause.wait(0.05)
        self.crash()
        raise PostgresError(f"postgres did not answer within {START_S:g} s:\n{self.log()[-2000:]}")

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
        self._process = None


def _dead(process: psutil.Process) -> bool:
    """Tell whether a process holds nothing any more; whoever inherited it may be slow to reap it."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _account() -> dict[str, Any]:
    """Return, for `Popen`, whom to run as; nothing unless we are root."""
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise PostgresError(f"PostgreSQL refuses root, and there is none of the users {', '.join(UNPRIVILEGED)}.")
