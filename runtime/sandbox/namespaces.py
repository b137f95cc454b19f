"""Linux namespaces as a sandbox: bubblewrap for ordinary users, util-linux for everybody, root included.

Inside there are the interpreter, its library and the system's, read-only; a few devices; one folder in memory
to write to, of bounded size. There is no network, no /proc, no file of anybody, no other process, and no
right to anything. Commands are plain data (`bubblewrap_command`, `unshare_command`); `outside` runs them.

The kernel is the wall. Without user namespaces for ordinary users, neither works.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agenttts.runtime.sandbox.inside import REFUSED
from agenttts.runtime.sandbox.model import Ending, Files, Limits, SandboxError
from agenttts.runtime.sandbox.outside import SEARCHED, Place, first, job, supervise

FOLDER = "/box"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/nix/store")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
MOST_FILES = 2000
NOBODY = "65534"
FIX = (
    "Where the kernel does not permit it, let ordinary users make user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
    "a container with CAP_SYS_ADMIN), "
    "or use another sandbox; see docs/sandbox.md."
)

# Builds a root of its own in memory, moves there, and lets the old one go. /sys is the place it is built on
# because every system has it and nothing here needs it; /proc points into the old root, for umount alone.
# The user that a program becomes must see the folders made here, whatever the caller's umask (bubblewrap
# sets one of its own).
SCRIPT = """umask 022
set -eu
root=/sys
mount -t tmpfs -o size=1m,nr_inodes=1k,mode=755,nosuid sandbox $root
mkdir $root/box $root/dev $root/old
ln -s old/proc $root/proc
ln -s box $root/tmp
ln -s ../box $root/dev/shm
mount -t tmpfs -o "$1",mode=1777,nosuid,nodev sandbox $root/box
shift
while [ "$1" != -- ]; do
  if [ "$1" = link ]; then mkdir -p "$root${3%/*}"; ln -s "$2" "$root$3"; shift 3; continue; fi
  if [ -d "$2" ]; then mkdir -p "$root$2"; else mkdir -p "$root$(dirname "$2")"; : > "$root$2"; fi
  if [ "$1" = device ]; then how=bind; else how=bind,ro,nosuid,nodev; fi
  mount -o $how "$2" "$root$2"
  shift 2
done
shift
mount -o remount,bind,ro sandbox $root
cd $root
pivot_root . old
umount -l /old
cd /box
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Host:
    """What of this machine is seen inside. binds: read-only. links: (target, place)."""

    python: str
    binds: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    devices: tuple[str, ...]
    root: bool


def this_host() -> Host:
    """Look at this machine. The interpreter is the one that our own environment was made from."""
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    prefix = Path(os.path.realpath(sys.base_prefix))
    library = Path(sysconfig.get_path("stdlib")).name
    places = [place for place in SYSTEM if Path(place).exists()]
    plain = [place for place in places if not Path(place).is_symlink()]
    more = [part for part in python_parts(python, prefix, library) if not _within(part, plain)]
    links = [(str(Path(place).readlink()), place) for place in places if Path(place).is_symlink()]
    links += [link for link in python_names(python) if not _within(link[1], plain)]
    devices = tuple(device for device in DEVICES if Path(device).exists())
    return Host(python, (*plain, *more), tuple(links), devices, os.geteuid() == 0)


def python_parts(python: str, prefix: Path, library: str) -> tuple[str, ...]:
    """Return what a Python needs of the folder it is installed in: itself, its library, shared libraries.

    Never the folder itself: it may be a home, or ~/.local, and what a program prints goes into prompts.
    library: the name of its standard library's folder, such as `python3.12`.
    """
    folders = [prefix / name for name in ("lib", "lib64") if (prefix / name).is_dir()]
    if (prefix / "conda-meta").is_dir():  # conda's libraries are hundreds, in a folder of its own
        return (python, *map(str, folders))
    libraries = [folder / library for folder in folders if (folder / library).is_dir()]
    shared = (path for folder in folders for path in sorted(folder.glob("lib*.so*")) if path.is_file())
    return (python, *map(str, libraries), *map(str, shared))


def python_names(python: str) -> tuple[tuple[str, str], ...]:
    """Return links, as (target, place), that give an interpreter the shorter names programs call it by."""
    path = Path(python)
    return tuple((path.name, str(path.parent / name)) for name in ("python3", "python") if name != path.name)


def _within(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def unshare_command(host: Host, limits: Limits, command: Sequence[str]) -> list[str]:
    """Return the command line of util-linux that runs a command in new namespaces.

    Root makes them by right, and the program becomes nobody; an ordinary user makes a user namespace first.
    The last, empty user namespace counts the program's processes apart from all others of its user.
    """
    user = ("--user", "--map-root-user") if not host.root else ()
    become = ("--reuid", NOBODY, "--regid", NOBODY, "--clear-groups") if host.root else ()
    parts: list[tuple[str, ...]] = [*(("link", *link) for link in host.links)]
    parts += [("device", device) for device in host.devices]
    parts += [("bind", bind) for bind in host.binds]
    return [
        *("setpriv", "--pdeathsig", "KILL", "choom", "-n", "1000", "--"),
        *("unshare", *user, "--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "--cgroup"),
        *("--kill-child=KILL", "--", "sh", "-c", SCRIPT, "sandbox"),
        f"size={limits.disk_mib}m,nr_inodes={MOST_FILES}",
        *(word for part in parts for word in part),
        "--",
        *("setpriv", *become, "--no-new-privs", "--", "unshare", "--user", "--", *command),
    ]


def bubblewrap_command(host: Host, limits: Limits, command: Sequence[str]) -> list[str]:
    """Return the command line of bubblewrap (0.8 or newer) that does the same for an ordinary user."""
    return [
        *("choom", "-n", "1000", "--"),
        *("bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"),
        *("--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"),
        "--clearenv",
        *(word for target, place in host.links for word in ("--symlink", target, place)),
        *(word for bind in host.binds for word in ("--ro-bind", bind, bind)),
        *("--dir", "/dev", "--symlink", "../box", "/dev/shm", "--symlink", "box", "/tmp"),
        *(word for device in host.devices for word in ("--dev-bind", device, device)),
        *("--perms", "1777", "--size", str(limits.disk_mib << 20), "--tmpfs", FOLDER),
        *("--remount-ro", "/", "--chdir", FOLDER, "--", *command),
    ]


@dataclass(frozen=True, slots=True)
class Namespaces:
    """A sandbox of namespaces. needs: programs it is made with. for_root: whether root may use it.

    gate: lets as many programs run at once as there are cores.
    """

    name: str
    needs: tuple[str, ...]
    build: Callable[[Host, Limits, Sequence[str]], list[str]]
    for_root: bool
    host: Host = field(default_factory=this_host)
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(os.cpu_count() or 1))

    def ready(self) -> None:
        """Run a program that does nothing. See `Sandbox`."""
        problem = next(self._missing(), None)
        if problem is None:
            ended = self.run({"main.py": "print('ready')"}, Limits(time_s=20.0))
            problem = None if ended.stdout == "ready\n" else f"a first program ended so: {ended}"
        if problem is not None:
            raise SandboxError(f"{self.name}: {problem}. {FIX}")

    def _missing(self) -> Iterator[str]:
        if sys.platform != "linux":
            yield f"it works on Linux only, this is {sys.platform}"
        if os.uname().machine not in REFUSED:
            yield f"its filter of system calls knows {' and '.join(REFUSED)}, this is {os.uname().machine}"
        if self.host.root and not self.for_root:
            yield "it gives root no other user, so root could have any number of processes; use 'unshare'"
        for program in self.needs:
            if shutil.which(program, path=SEARCHED) is None:
                yield f"{program} is not installed"

    def run(self, files: Files, limits: Limits) -> Ending:
        """Run a program. See `Sandbox`."""
        place = Place(self.host.python, FOLDER)
        told = job(place, files, limits)

        def start(end: int) -> list[str]:
            return self.build(self.host, limits, first(place, end))

        with self.gate:
            try:
                return supervise(start, told, limits)
            except SandboxError:  # a moment without memory or processes is no reason to end a search
                return supervise(start, told, limits)


def unshare() -> Namespaces:
    """Return the sandbox made with util-linux."""
    needs = ("setpriv", "choom", "unshare", "mount", "umount", "pivot_root")
    return Namespaces("unshare", needs, unshare_command, for_root=True)


def bubblewrap() -> Namespaces:
    """Return the sandbox made with bubblewrap."""
    return Namespaces("bubblewrap", ("choom", "bwrap"), bubblewrap_command, for_root=False)
