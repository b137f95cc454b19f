"""Programs that do not want to end, and what is left when they did."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from .conftest import LIMITS

SHORT = replace(LIMITS, time_s=1.0)
MARK = "agenttts-hostile"


def test_daemons_end_with_their_program(run):
    before = time.time()
    ended = run(f"""
        import os, sys, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", {MARK!r}])
            os._exit(0)
        os.wait()
        time.sleep(0.3)
        print("left")
    """)
    assert (ended.ended, ended.stdout) == ("exit", "left\n")
    assert time.time() - before < LIMITS.time_s
    assert not marked()


def test_a_program_that_ignores_every_signal_is_ended_in_time(run):
    ended = run(
        """
        import signal, sys, time
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        print("still here")
        while True:
            time.sleep(1)
        """,
        replace(LIMITS, time_s=5.0),
    )
    assert (ended.ended, ended.stdout) == ("time", "still here\n")


def test_a_program_that_stops_itself_is_ended_in_time(run):
    ended = run("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", SHORT)
    assert ended.ended == "time"


def test_a_program_that_only_computes_is_ended_in_time(run):
    assert run("while True: pass", SHORT).ended == "time"


def test_a_program_ends_with_the_process_that_wanted_it(sandbox):
    owner = f"""
from agenttts.runtime.sandbox.model import Limits
from agenttts.runtime.sandbox.namespaces import {sandbox.name}
text = "import os, sys; os.setsid(); os.execv(sys.executable, ['python', '-c', 'input()', {MARK!r}])"
{sandbox.name}().run({{"main.py": "import os\\nif os.fork():\\n os.wait()\\n" + text}}, Limits(time_s=100))
"""
    with subprocess.Popen([sys.executable, "-c", owner]) as process:
        running = eventually(marked)
        process.kill()
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in running if psutil.pid_exists(pid)], 20)
    assert running and not alive


def test_two_hundred_programs_leave_nothing_behind(sandbox):
    texts = (
        "print('done')",
        f"import os\nif os.fork() == 0:\n os.setsid()\n import time\n time.sleep(600)  # {MARK}",
        "open('file', 'wb').write(bytes(1 << 20)); raise SystemExit(3)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    )
    before = mounts(), entries(), children()

    def some(first: int) -> None:
        for number in range(first, 100):
            ended = sandbox.run({"main.py": texts[number % 4]}, LIMITS)
            assert ended.ended == ("signal" if number % 4 == 3 else "exit")

    threads = [threading.Thread(target=some, args=(0,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (mounts(), entries(), children()) == before
    assert not marked()


def eventually(look: Callable[[], list[int]]) -> list[int]:
    """What `look` finds once it finds something, within a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if found := look():
            return found
    return []


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text("utf-8")


def entries() -> set[str]:
    """What lies in the folders that sandboxes of others use."""
    return {path for folder in ("/box", "/sys", "/dev/shm") for path in _listed(folder)}


def _listed(folder: str) -> list[str]:
    try:
        return [str(path) for path in Path(folder).iterdir() if MARK in path.name or folder != "/dev/shm"]
    except FileNotFoundError:
        return []


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def marked() -> list[int]:
    """Processes of this machine that a program in a sandbox started."""
    return [p.pid for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or [])]


@pytest.mark.parametrize("what", ["AS", "CPU", "NOFILE", "FSIZE"])
def test_limits_of_process_1_cannot_be_set(run, what):
    ended = run(f"""
        import resource, time
        try:
            resource.prlimit(1, resource.RLIMIT_{what}, (0, 0))
            print("set")
        except PermissionError:
            pass
        print("x" * 70000)
        resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            print("y")
        raise ValueError
    """)
    assert (ended.ended, ended.status, ended.traceback) == ("exit", 1, True)
    assert "set" not in ended.stdout
