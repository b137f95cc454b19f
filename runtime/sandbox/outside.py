"""Starts a sandbox's first process, waits for its word, and ends it when it uses too much or says nothing."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import psutil

from agenttts.runtime.sandbox import inside
from agenttts.runtime.sandbox.model import MAIN, Ended, Ending, Files, Limits, SandboxError, checked

TICK_MS = 50
START_S = 30.0
"""So long a sandbox may take to be set up on a busy machine, and to be taken down again."""
READY = b"\n"
Start = Callable[[int], Sequence[str]]
SEARCHED = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
"""Where the tools that make a sandbox are looked for; ordinary users often lack the last two."""
MOST_REPLY = 16
"""Bytes of a reply for each byte of output: two streams, and JSON escapes one character as six."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where inside a sandbox a program runs. python: the interpreter there. folder: it works in."""

    python: str
    folder: str


@cache
def loader() -> str:
    """Return the text of the program that runs first inside."""
    return Path(inside.__file__).read_text("utf-8")


def first(place: Place, end: int) -> tuple[str, ...]:
    """Return the command that runs first inside. end: the descriptor it tells the ending to."""
    return (place.python, "-I", "-S", "-c", loader(), str(end))


def job(place: Place, files: Files, limits: Limits) -> dict[str, Any]:
    """Return what the first process is told. Nothing of our own environment is passed on."""
    return {
        "files": dict(checked(files)),
        "folder": place.folder,
        "command": [place.python, "-s", "-u", MAIN],
        "environment": {
            "PATH": f"{Path(place.python).parent}:/usr/bin:/bin",
            "HOME": place.folder,
            "TMPDIR": place.folder,
            "USER": "program",
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        "limits": asdict(limits),
    }


def ending(reply: bytes) -> Ending:
    """Read what the first process told.

    Raises:
        ValueError: if it is no ending.
    """
    told: Any = json.loads(reply)
    match told:
        case {"ended": str(how), "status": int() | None as status, "stdout": str(out), "stderr": str(err)}:
            if how in get_args(Ended):
                return Ending(how, status, out, err)  # type: ignore[arg-type]
    raise ValueError("the sandbox told no ending")


def supervise(start: Start, told: Mapping[str, Any], limits: Limits) -> Ending:
    """Run the command that starts the first process; see it through.

    start: gives the command, told the descriptor that the ending is expected on.

    Raises:
        SandboxError: if the sandbox is not set up; the message holds what its tools said.
    """
    with _memory("job", json.dumps(told).encode()) as given, _memory("log") as log:
        pipe, end = os.pipe()
        try:
            process = _begin(start(end), given, log, end)
            os.close(end)
            watch = Watch(process, limits)
            try:
                cut = watch.through(pipe)
            finally:
                end_all(process)
        finally:
            os.close(pipe)
        if not watch.said.startswith(READY):
            raise SandboxError(f"the sandbox could not be set up: {_tail(log) or _why(cut, process)}")
        if cut is not None:
            return Ending(cut)
    try:
        return ending(watch.said)
    except ValueError:
        return Ending("killed")


def _why(cut: Ended | None, process: subprocess.Popen[bytes]) -> str:
    if cut is None:
        return f"its command ended with status {process.returncode}"
    return "it was not ready in time" if cut == "killed" else f"it met the limit of {cut}"


def _begin(command: Sequence[str], given: int, log: int, end: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=given,
            stdout=log,
            stderr=log,
            pass_fds=(end,),
            env={"PATH": SEARCHED},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        os.close(end)
        raise SandboxError(f"{command[0]} cannot be run: {error.strerror}") from error


@contextlib.contextmanager
def _memory(name: str, content: bytes = b"") -> Iterator[int]:
    """Yield a file that has no place on any disk."""
    file = os.memfd_create(name)
    try:
        os.write(file, content)
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


def _tail(log: int) -> str:
    os.lseek(log, 0, os.SEEK_SET)
    return os.read(log, 4000).decode("utf-8", "replace").strip()


@dataclass(slots=True)
class Watch:
    """One sandbox that runs. said: what came through the pipe. clock: monotonic, seconds."""

    process: subprocess.Popen[bytes]
    limits: Limits
    said: bytes = b""
    clock: Callable[[], float] = time.monotonic

    def through(self, pipe: int) -> Ended | None:
        """Wait for the end of the pipe. Return why the sandbox was ended before, None if it was not.

        The program's time is kept inside. A sandbox that says nothing long after it is itself stuck.
        """
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        until = self.clock() + START_S + self.limits.time_s + START_S
        most = MOST_REPLY * self.limits.output_kib * 1024 + MOST_REPLY
        while self.clock() < until:
            if poller.poll(TICK_MS):
                part = os.read(pipe, 65536)
                if not part:
                    return None
                self.said += part
            if len(self.said) > most:
                return "output"
            if memory_mib(self.process.pid) > self.limits.memory_mib:
                return "memory"
        return "killed"


def memory_mib(pid: int) -> float:
    """Return what the children of a process hold in memory, MiB; pages they share count for each."""
    held = 0
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                held += child.memory_info().rss
    return held / (1 << 20)


def end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a sandbox. Its first process takes every other with it; the command then ends by itself."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.Error):
                child.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(START_S)
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
