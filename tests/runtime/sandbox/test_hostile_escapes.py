"""Programs that want out: to files, secrets, the network, other processes, more rights. Each is contained."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from pathlib import Path

import pytest

MARK = "agenttts-hostile"


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


def test_it_has_none_of_the_many_that_a_server_may_have_open(run):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        ended = run("""
            import os
            for end in range(3, 4096):
                try:
                    os.write(end, b"mine")
                    print(end)
                except OSError:
                    pass
        """)
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (ended.ended, ended.stdout) == ("exit", "")


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
