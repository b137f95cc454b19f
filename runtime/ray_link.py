"""Between a search and the process that talks to Ray for it: their messages, and that process seen from the
search.

It is a process of its own because Ray ends the process that uses it, without an exception and without a word,
when its raylet is gone and an object is put, and when the head was out of reach for a minute; and because a
call into Ray may hang. A search survives both: it is told `ClusterLostError`, and starts another one.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Literal

import psutil

from agenttts.compiler.allocation import Choice
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.executor import ClusterLostError, Progress, Running
from agenttts.runtime.janitor import AT_ONCE, clean
from agenttts.runtime.worker import WorkerSettings

START_S = 60.0
END_S = 5.0
WATCH_S, MOMENT_S = 0.25, 0.05
SILENT_S = 60.0
BEAT_S = 2.0
"""So often the process says that it lives. When it is silent for SILENT_S, a call into Ray hangs."""
HEADS = ("gcs_server", "raylet")
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}
LOCAL_ENVIRONMENT = {"RAY_AUTH_MODE": "disabled"}
"""A local cluster else writes a token to the home folder, over which later clusters trip."""


@dataclass(frozen=True, slots=True)
class RayAddress:
    """Where Ray is. address: None starts a cluster on this machine, for the length of the search.

    temp_dir: of that local cluster, and gone with it; keep it short, sockets lie in it. cpus_per_worker: what
    a worker reserves; it only waits for endpoints. log: where Ray's own words go; None: into temp_dir.
    """

    address: str | None = None
    temp_dir: str | None = None
    cpus_per_worker: float = 0.1
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """The first message to the process. places: how many workers each place gets."""

    settings: WorkerSettings
    address: RayAddress
    places: Mapping[str, int]
    folder: str


@dataclass(frozen=True, slots=True)
class Begin:
    """Run a trial. choices: of its model stages."""

    number: int
    running: Running
    choices: Mapping[str, Choice]


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask all workers for something; the answer carries the number."""

    number: int
    what: Literal["stuck", "drain", "pids"]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Ready:
    """Trials may begin."""


@dataclass(frozen=True, slots=True)
class Came:
    """Ray's workers are there, or on their way."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The process does not hang."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The process cannot go on."""

    problem: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A trial got further."""

    number: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial is over."""

    number: int
    outcome: TrialOutcome


@dataclass(frozen=True, slots=True)
class Answer:
    """What `Ask` asked for."""

    number: int
    value: Any


Reply = Ready | Came | Beat | Broken | Moved | Ended | Answer


class DriverProcess:
    """The process that talks to Ray. Every call but `end` raises ClusterLostError once it, or the head of its
    own cluster, is gone.
    """

    def __init__(self, start: Start) -> None:
        """Start it, and with it a local cluster if there is no other. Wait until another one is connected:
        only there may the user be told of a mistake.
        """
        self._folder, self._local = Path(start.folder), start.address.address is None
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = start.address.log or str(self._folder / "driver.log")
        self._heads: list[tuple[str, psutil.Process]] = []
        self._lost, self._silent_s, self._patience_s = "", 0.0, START_S
        self._up = False
        self._replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._connection, theirs = Pipe()
        with theirs, Path(self._log).open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "agenttts.runtime.ray_driver",
                    str(theirs.fileno()),
                    start.folder,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal is for the search alone
                env={**ENVIRONMENT, **(LOCAL_ENVIRONMENT if self._local else {}), **os.environ},
            )
        self._reader = threading.Thread(target=self._read, name="agenttts-ray", daemon=True)
        self._reader.start()
        self._begin(start)

    def _begin(self, start: Start) -> None:
        try:
            self.send(start)
            if not self._local:
                self.receive(math.inf)
        except BaseException:
            self.end()
            raise
        self._patience_s = SILENT_S

    def _came(self) -> None:
        """Know the head of a cluster of our own, now that it is there."""
        self._up = True
        if self._local:
            with contextlib.suppress(psutil.Error):
                children = psutil.Process(self._process.pid).children(recursive=True)
                self._heads = [(name, p) for p in children if (name := p.name()) in HEADS]

    def _read(self) -> None:
        """Take in what it says; in a thread of its own, so that it never waits for this side to listen."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._replies.put(self._connection.recv())
        self._replies.put(Broken("the process that talks to it ended"))

    def send(self, message: Start | Begin | Ask) -> None:
        """Tell it something."""
        self._look()
        try:
            self._connection.send(message)
        except OSError:
            self._lose("the process that talks to it ended")

    def receive(self, timeout_s: float) -> Reply | None:
        """Wait for what it says next; None when the time is up."""
        end = time.monotonic() + timeout_s
        while True:
            reply = self._next(end)
            if isinstance(reply, Broken):
                self._lose(reply.problem)
            if isinstance(reply, Came):
                self._came()
            elif reply is not None and not isinstance(reply, Beat):
                return reply
            if reply is None and time.monotonic() >= end:
                return None

    def _next(self, end: float) -> Reply | None:
        """Return what was said, or None after a moment in which nothing was, and nobody died."""
        with contextlib.suppress(queue.Empty):
            reply = self._replies.get_nowait()
            self._silent_s = 0.0
            return reply
        self._look()
        wait_s = max(0.0, min(WATCH_S, end - time.monotonic()))
        try:
            reply = self._replies.get(timeout=wait_s)
        except queue.Empty:
            self._silent_s += wait_s  # not by the clock: nobody may have listened, or the machine slept
            return None
        self._silent_s = 0.0
        return reply

    def _look(self) -> None:
        """Notice at once when the local cluster has lost its head: Ray itself may take a minute."""
        if self._lost:
            raise ClusterLostError(self._lost)
        for name, process in self._heads:
            if not _lives(process):
                self._lose(f"its {name}, process {process.pid}, is gone")
        if self._silent_s > self._patience_s:
            self._lose(f"the process that talks to it has said nothing for {self._patience_s:g} s")

    def _lose(self, problem: str) -> None:
        self._lost = f"the Ray cluster is lost: {problem} (log: {self._log})"
        raise ClusterLostError(self._lost)

    def end(self) -> None:
        """End it with its cluster: politely when all is well, at once when something was lost."""
        with contextlib.suppress(ClusterLostError, OSError):
            self._leave()
        self._process.kill()
        clean(str(self._folder), os.getpid(), AT_ONCE)
        self._process.wait()
        self._reader.join()
        self._connection.close()

    def _leave(self) -> None:
        """Ask it to end, and wait as long as all is well: without a head Ray takes long to end, and while
        that is being started it cannot be ended politely.
        """
        self._look()
        if not self._up:
            return
        self._connection.send(None)
        end = time.monotonic() + END_S
        while self._process.poll() is None and time.monotonic() < end:
            self._look()
            self._reader.join(MOMENT_S)


def _lives(process: psutil.Process) -> bool:
    """Tell whether it runs; one that nobody has waited for yet does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
