"""Servers beside the search that are killed, and come back by themselves while it goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.postgres import PostgresServer
from tests.runtime.mlflow_server import MlflowServer

AWAY_S = 0.7
"""Mean time for which PostgreSQL is away before it is started again."""


class Comeback:
    """A server. kill: at once, also while it starts. start: until it answers, in a thread of its own."""

    def __init__(self, kill: Callable[[], None], start: Callable[[], None]) -> None:
        self._kill, self._start = kill, start
        self._starting: threading.Thread | None = None

    def begin(self) -> None:
        """Start it in the background."""
        self._starting = threading.Thread(target=self._start, daemon=True)
        self._starting.start()

    def up(self) -> None:
        """Wait until it answers."""
        if self._starting is not None:
            self._starting.join()

    def strike(self) -> bool:
        """Kill it, and start it again."""
        self._kill()
        self.up()
        self._kill()
        self.begin()
        return True


def postgres(server: PostgresServer, seed: int) -> Comeback:
    """Return a running PostgreSQL server; it stays away for a random moment, and then starts in peace."""
    chance, starting = random.Random(f"away {seed}"), threading.Event()

    def kill() -> None:
        if not starting.is_set():
            server.crash()

    def start() -> None:
        starting.set()
        threading.Event().wait(chance.expovariate(1 / AWAY_S))
        server.start()
        starting.clear()

    return Comeback(kill, start)


class Mlflow(Comeback):
    """An MLflow server in a folder of its own; it takes some 15 s to start."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._server = MlflowServer(folder)
        self.uri = self._server.uri
        super().__init__(self._kill_all, self._start_unless_killed)

    def _start_unless_killed(self) -> None:
        self._server.kill()  # it waits for what was killed
        with contextlib.suppress(AssertionError):
            self._server.start()

    def _kill_all(self) -> None:
        """Kill it even while another thread waits for its start."""
        for process in psutil.Process().children():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                words = process.cmdline()
                if words[1:4] == ["-m", "mlflow", "server"] and str(self._server.port) in words:
                    os.killpg(process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it for good."""
        self._kill_all()
        self.up()
        self._server.kill()
