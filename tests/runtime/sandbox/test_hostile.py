"""Programs that want out, want everything, or do not want to end: each is contained, and reported as such."""

from __future__ import annotations

import os
import signal
import socket
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


def test_a_fork_bomb_meets_the_limit_of_processes(run):
    ended = run("""
        import os, sys, time
        made = 0
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(60)
                made += 1
        except OSError as error:
            print(made, error.errno)
    """)
    made, number = map(int, ended.stdout.split())
    assert (ended.ended, number) == ("exit", 11)  # EAGAIN
    assert made < LIMITS.processes


def test_a_fork_bomb_that_goes_on_is_ended_in_time(run):
    ended = run(
        """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
        """,
        SHORT,
    )
    assert ended.ended == "time"


def test_too_many_threads_meet_the_same_limit(run):
    ended = run("""
        import threading, time
        started = 0
        try:
            for _ in range(1000):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
                started += 1
        except RuntimeError:
            print(started)
    """)
    assert ended.ended == "exit"
    assert int(ended.stdout) < LIMITS.processes


def test_one_process_cannot_have_more_memory_than_the_limit(run):
    ended = run("held = bytearray(600 << 20)")
    assert (ended.ended, ended.status) == ("exit", 1)
    assert "MemoryError" in ended.stderr


def test_many_processes_together_cannot_have_more_memory_than_the_limit(run):
    ended = run("""
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                break
        held = [bytearray(b"x" * (1 << 20)) for _ in range(300)]
        time.sleep(60)
    """)
    assert ended.ended == "memory"


def test_output_without_end_is_cut(run):
    ended = run("while True: print('x' * 1000)")
    assert ended.ended == "output"
    assert 0 < len(ended.stdout) <= LIMITS.output_kib << 10


def test_output_of_control_characters_without_end_is_cut(run):
    ended = run("import os\nwhile True: os.write(2, bytes(65536))")
    assert ended.ended == "output"
    assert len(ended.stderr) <= LIMITS.output_kib << 10


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/etc/shadow", "/root/.ssh", "/home", "/var", "/proc/self/environ", "/proc/1/environ"],
)
def test_files_of_the_machine_are_not_there(run, path):
    ended = run(f"import os\nprint(os.path.lexists({path!r}))")
    assert ended.stdout == "False\n"


def test_a_file_of_ours_cannot_be_read_or_reached_over_dots(run, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary")
    tmp_path.chmod(0o755)
    ended = run(f"""
        for path in ({str(secret)!r}, "../../../../../../{secret}", "/box/../{secret}", "/old{secret}"):
            try:
                print(open(path).read())
            except OSError as error:
                print(error.errno)
    """)
    assert ended.stdout.split() == ["2"] * 4


def test_nothing_can_be_written_outside_of_its_folder(run):
    ended = run("""
        import os, sys
        written = []
        for folder, folders, files in os.walk("/"):
            if folder == "/box":
                folders.clear()
                continue
            for path in [os.path.join(folder, "planted"), *(os.path.join(folder, f) for f in files[:2])]:
                try:
                    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
                    written.append(path)
                except OSError:
                    pass
            del folders[40:]
        print(written)
    """)
    wanted = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
    assert ended.ended == "exit", ended
    assert set(eval(ended.stdout)) <= wanted


def test_the_environment_holds_nothing_of_ours(run, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    ended = run("""
        import os
        print(sorted(os.environ))
        for path in ("/proc/self/environ", "/proc/1/environ", "/proc/1/cmdline"):
            print(os.path.exists(path))
    """)
    assert "canary" not in ended.stdout
    assert ended.stdout.splitlines()[1:] == ["False"] * 3


def test_no_network_not_even_our_loopback(run):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.01)
        port = listener.getsockname()[1]
        ended = run(f"""
            import socket
            for address in (("127.0.0.1", {port}), ("192.0.2.1", 80), ("169.254.169.254", 80)):
                try:
                    socket.create_connection(address, timeout=2)
                    print("connected")
                except OSError as error:
                    print(error.errno)
            print([name for _, name in socket.if_nameindex()])
        """)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert "connected" not in ended.stdout
    assert ended.stdout.splitlines()[-1] == "['lo']"


def test_abstract_sockets_of_the_machine_are_out_of_reach(run):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{MARK}-{os.getpid()}")
        listener.listen()
        ended = run(f"""
            import socket
            try:
                socket.socket(socket.AF_UNIX).connect("\\0{MARK}-{os.getpid()}")
                print("connected")
            except OSError:
                print("refused")
        """)
    assert ended.stdout == "refused\n"


def test_signals_reach_neither_its_parent_nor_anybody_else(run):
    caught: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
    try:
        ended = run(f"""
            import os, signal
            print(os.getppid())
            for pid in (os.getppid(), {os.getpid()}, {os.getppid()}):
                for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGSTOP):
                    try:
                        os.kill(pid, number)
                    except OSError:
                        pass
            print("alive")
        """)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.stdout == "1\nalive\n"
    assert (ended.ended, ended.status, caught) == ("exit", 0, [])


def test_killing_everything_kills_only_itself(run):
    ended = run("""
        import os, signal
        if os.fork() == 0:
            signal.pause()
        os.kill(-1, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert (ended.ended, ended.status) == ("signal", signal.SIGKILL)


def test_symlinks_lead_nowhere(run, tmp_path):
    (tmp_path / "secret").write_text("canary")
    ended = run(f"""
        import os
        os.symlink({str(tmp_path / "secret")!r}, "link")
        os.symlink("/", "up")
        for path in ("link", "up{tmp_path}/secret", "up/proc/1/root{tmp_path}/secret"):
            try:
                print(open(path).read())
            except OSError as error:
                print(error.errno)
    """)
    assert ended.stdout.split() == ["2"] * 3


def test_a_zip_bomb_meets_the_limit_of_a_file(run):
    ended = run("""
        import io, zipfile
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as bomb:
            for _ in range(200):
                bomb.write(bytes(1 << 20))
        print(len(held.getvalue()) < 1 << 20)
        zipfile.ZipFile(held).extractall(".")
    """)
    assert ended.stdout == "True\n"
    assert "File too large" in ended.stderr


def test_a_zip_bomb_in_memory_meets_the_limit_of_memory(run):
    ended = run(
        """
        import zlib
        packer = zlib.compressobj()
        packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(150)) + packer.flush()
        print(len(packed) < 1 << 20)
        zlib.decompress(packed)
        """,
        replace(LIMITS, memory_mib=128),
    )
    assert ended.ended == "memory" or (ended.stdout, "MemoryError" in ended.stderr) == ("True\n", True)


def test_a_huge_sparse_file_is_refused(run):
    ended = run("open('sparse', 'wb').truncate(1 << 40)")
    assert "File too large" in ended.stderr


def test_the_disk_is_full_early(run):
    ended = run("""
        import os
        written = 0
        try:
            for number in range(1000):
                with open(f"part{number}", "wb") as part:
                    part.write(bytes(8 << 20))
                    written += 8
        except OSError as error:
            print(written, error.errno)
    """)
    written, number = map(int, ended.stdout.split())
    assert number == 28  # ENOSPC
    assert written <= LIMITS.disk_mib


def test_files_without_end_are_ended(sandbox, run):
    ended = run(
        """
        number = 0
        try:
            while True:
                open(f"file{number}", "w").close()
                number += 1
        except OSError as error:
            print(error.errno)
        """,
        replace(LIMITS, time_s=5.0),
    )
    assert ended.stdout == "28\n" if sandbox.name == "unshare" else ended.ended == "time"


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


def test_closing_every_descriptor_changes_nothing(run):
    ended = run("import os\nos.closerange(0, 1024)\nos._exit(7)")
    assert (ended.ended, ended.status) == ("exit", 7)


def test_it_has_no_descriptor_but_its_own_three(run):
    ended = run("""
        import os
        for end in range(3, 1024):
            try:
                os.fstat(end)
                print(end)
            except OSError:
                pass
    """)
    assert ended.stdout == ""


def test_limits_cannot_be_raised(run):
    ended = run("""
        import resource
        for what in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
            try:
                resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                print("raised")
            except (ValueError, OSError):
                pass
    """)
    assert ended.stdout == ""


def test_it_cannot_become_root_mount_or_make_namespaces(run):
    ended = run("""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print(os.getuid() != 0 and os.geteuid() != 0)
        for call in (
            lambda: libc.setuid(0),
            lambda: libc.mount(b"x", b"/box", b"tmpfs", 0, None),
            lambda: libc.umount2(b"/usr", 2),
            lambda: libc.mount(None, b"/usr", None, 0x20 | 0x1000, None),
            lambda: libc.unshare(0x10000000),
            lambda: libc.unshare(0x00020000),
            lambda: libc.chroot(b"/box"),
            lambda: libc.ptrace(16, 1, None, None),
            lambda: libc.sethostname(b"x", 1),
            lambda: libc.syscall(56, 0x10000000 | 17, None, None, None, None),
            lambda: libc.syscall(425, 1, None),
        ):
            print(call())
    """)
    assert ended.stdout.split() == ["True", *["-1"] * 11]


def test_sockets_that_know_no_namespace_are_refused(run):
    ended = run("""
        import socket
        for family in (socket.AF_VSOCK, socket.AF_ALG, socket.AF_PACKET, 30, 31):
            try:
                socket.socket(family, socket.SOCK_STREAM)
                print("made")
            except OSError as error:
                print(error.errno)
        for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
            socket.socket(family, socket.SOCK_STREAM).close()
    """)
    assert ended.stdout.split() == ["1"] * 5
    assert ended.status == 0, ended


def test_memory_that_counts_for_no_process_is_refused(run):
    ended = run("""
        import ctypes, os
        libc = ctypes.CDLL(None)
        print(libc.shmget(0, 1 << 30, 0o1600), libc.msgget(0, 0o1600), libc.semget(0, 100, 0o1600))
        try:
            os.memfd_create("hidden")
        except OSError as error:
            print(error.errno)
    """)
    assert ended.stdout.split() == ["-1", "-1", "-1", "1"]


@pytest.mark.skipif(sys.base_prefix.startswith("/usr"), reason="this Python is a part of the system")
def test_a_program_sees_of_the_python_s_folder_only_the_python(run):
    ended = run("""
        import os, sys
        print(sorted({"bin", "lib", "lib64", *os.listdir(sys.base_prefix)}))
        print(sorted({"python", "python3", *os.listdir(os.path.join(sys.base_prefix, "bin"))}))
    """)
    name = Path(os.path.realpath(sys._base_executable)).name
    assert ended.stdout == f"['bin', 'lib', 'lib64']\n{sorted({'python', 'python3', name})}\n"


def test_a_program_may_not_write_its_own_ending(run):
    ended = run("""
        import os, json
        for end in range(3, 64):
            try:
                os.write(end, json.dumps({"ended": "exit", "status": 0}).encode())
            except OSError:
                pass
        os._exit(3)
    """)
    assert (ended.ended, ended.status) == ("exit", 3)


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
