"""A small process that cleans up after the command line, however that one ends.

The owner keeps the write end of a pipe open. When the pipe closes, by a clean exit, Ctrl-C or SIGKILL, the
janitor ends every process of the session (Ray's, the embedded server's) and removes the session's temporary
folder. It runs in a session of its own, so that a Ctrl-C in the terminal does not reach it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

GRACE_S = 3.0
LONGEST_BASE = 24
MARK = "AGENTTTS_SESSION"
Attempt = Callable[[psutil.Process], None]
POLITE: tuple[Attempt, ...] = (psutil.Process.terminate, psutil.Process.kill, psutil.Process.kill)
AT_ONCE: tuple[Attempt, ...] = (psutil.Process.kill,) * 3


@contextlib.contextmanager
def session_folder() -> Iterator[Path]:
    """Yield a short-named temporary folder whose processes and files are gone after the block, or the
    process.

    The folder's path is put into the environment as AGENTTTS_SESSION: children inherit it, and are found by
    it.
    """
    folder = short_folder()
    previous = os.environ.get(MARK)
    os.environ[MARK] = str(folder)
    janitor = subprocess.Popen(
        [sys.executable, "-P", "-m", "agenttts.runtime.janitor", str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={key: value for key, value in os.environ.items() if key != MARK},
    )
    assert janitor.stdin is not None
    try:
        yield folder
    finally:
        os.environ.pop(MARK)
        if previous is not None:
            os.environ[MARK] = previous
        janitor.stdin.close()
        janitor.wait()


def short_folder() -> Path:
    """Return a new temporary folder: Ray's socket paths must stay under 108 bytes, whatever TMPDIR is."""
    usual = tempfile.gettempdir()
    base = usual if len(os.fsencode(usual)) <= LONGEST_BASE else "/tmp"
    return Path(tempfile.mkdtemp(prefix="att-", dir=base))


def members(folder: str) -> list[psutil.Process]:
    """Return the living processes of a session: marked by environment or command line, and their
    descendants.
    """
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and _belongs(process, folder):
                found[process.pid] = process
                found.update({child.pid: child for child in process.children(recursive=True)})
    return [process for pid, process in found.items() if pid != os.getpid()]


def _belongs(process: psutil.Process, folder: str) -> bool:
    """Find by environment, command line, or an open file: Ray's helpers overwrite the first two."""
    if process.environ().get(MARK) == folder or any(folder in part for part in process.cmdline()):
        return True
    return any(file.path.startswith(folder) for file in process.open_files())


def clean(folder: str, owner: int, attempts: Sequence[Attempt] = POLITE) -> None:
    """End the session's processes, politely first, and remove its folder. The owner itself is left alone."""
    for attempt in attempts:
        for process in _others(folder, owner):
            with contextlib.suppress(psutil.Error):
                attempt(process)
        if _gone(folder, owner):
            break
    shutil.rmtree(folder, ignore_errors=True)


def _others(folder: str, owner: int) -> list[psutil.Process]:
    return [process for process in members(folder) if process.pid != owner]


def _gone(folder: str, owner: int) -> bool:
    """Wait up to GRACE_S until the session has no member; a zombie has no environment and counts as gone."""
    deadline = time.monotonic() + GRACE_S
    while _others(folder, owner):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def main() -> None:
    """Wait until the pipe closes, then clean."""
    folder, owner = sys.argv[1], os.getppid()
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()
    clean(folder, owner)


if __name__ == "__main__":
    main()
