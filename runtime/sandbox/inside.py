"""The first process inside a sandbox: starts the program under its limits, and tells how it ended.

Run as `python -I -S -c <this text> FD`: reads a job as JSON from stdin, writes an ending as JSON to FD. It
imports nothing but the standard library, because nothing else is there. In a namespace or a pod it is
process 1: everything inside ends with it. The program gets none of its descriptors.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import struct
import sys
import time
import zlib
from typing import Any

TICK_MS = 100
READ = 65536
NEW = 0x7E020080
"""Flags of `clone` that make namespaces."""
FAMILIES = (1, 2, 10, 16)
"""Kinds of sockets that a namespace of its own cuts off: unix, both internets, netlink. Not so vsock."""
ALIKE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 447)
"""io_uring, the newer calls that mount, pidfd_getfd, memfd_secret: they have the same numbers everywhere."""
REFUSED: dict[str, tuple[int, int, int, int, str]] = {
    # AUDIT_ARCH, clone, socket, prlimit64, then: unshare setns mount umount2 pivot_root chroot ptrace
    # process_vm_readv process_vm_writev kcmp add_key request_key keyctl bpf perf_event_open userfaultfd
    # open_by_handle_at kexec_load init_module delete_module finit_module personality move_pages syslog acct
    # quotactl, and those that hold memory which counts for no process: memfd_create shmget msgget semget
    "x86_64": (
        0xC000003E,
        56,
        41,
        302,
        "272 308 165 166 155 161 101 310 311 312 248 249 250 321 298 323 304 246 175 176 313 135 279 103 "
        "163 179 319 29 68 64",
    ),
    "aarch64": (
        0xC00000B7,
        220,
        198,
        261,
        "97 268 40 39 41 51 117 270 271 272 217 218 219 280 241 282 265 104 105 106 273 92 239 116 89 60 "
        "279 194 186 190",
    ),
}
"""System calls that a program has no use for, and that most ways out of a sandbox went through."""
MOST_DESCRIPTORS = 1 << 20
"""The kernel's own limit, unless somebody has raised it."""
SETTLE_S = 2.0
"""So long the pipes of killed processes may take to close."""


def main() -> None:
    """Run the job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = given()
    os.umask(0o022)
    for name, text in job["files"].items():
        with open(os.path.join(job["folder"], name), "w", encoding="utf-8", errors="replace") as file:  # noqa: PTH118, PTH123
            file.write(text)
    os.write(int(sys.argv[1]), b"\n")  # set up: from here on, what goes wrong is the program's doing
    answer = json.dumps(run(job, int(sys.argv[1]))).encode()
    while answer:
        answer = answer[os.write(int(sys.argv[1]), answer) :]
    os._exit(0)


def given() -> dict[str, Any]:
    """Return the job. A pod cannot be spoken to, so there it lies packed in a variable."""
    packed = os.environ.get("AGENTTTS_JOB")
    text = zlib.decompress(base64.b64decode(packed)) if packed else sys.stdin.buffer.read()
    job: dict[str, Any] = json.loads(text)
    return job


def run(job: dict[str, Any], told: int) -> dict[str, Any]:
    """Start the program and see it through. told: where the ending goes."""
    standing, typing = os.pipe()  # stdin is open and silent, as at a terminal where nobody types
    pipes = [os.pipe(), os.pipe()]
    pid = os.fork()
    if pid == 0:
        become(job, standing, [ends[1] for ends in pipes], told)
    for end in (standing, *(ends[1] for ends in pipes)):
        os.close(end)
    ended, texts = watch(pid, [ends[0] for ends in pipes], told, job["limits"])
    os.close(typing)
    out, err = (bytes(text).decode("utf-8", "replace") for text in texts)
    return {**ended, "stdout": out, "stderr": err}


def become(job: dict[str, Any], standing: int, outputs: list[int], told: int) -> None:
    """Turn this process into the program, which gets none of our descriptors; never returns."""
    try:
        os.setsid()
        for target, end in enumerate((standing, *outputs)):
            os.dup2(end, target)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # -1 is no limit
        os.closerange(3, max(told + 1, most if most >= 0 else MOST_DESCRIPTORS))
        os.chdir(job["folder"])
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.nice(5)
        confine(job["limits"])
        refuse_calls(os.uname().machine)
        os.execve(job["command"][0], job["command"], job["environment"])
    except BaseException as error:
        os.write(2, f"sandbox: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(127)


def confine(limits: dict[str, Any]) -> None:
    """Set the limits that the kernel keeps, hard ones: nothing inside can raise them."""
    mib = 1 << 20
    for what, most in (
        (resource.RLIMIT_AS, limits["memory_mib"] * mib),
        (resource.RLIMIT_CPU, int(limits["time_s"]) + 2),
        (resource.RLIMIT_FSIZE, limits["file_mib"] * mib),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def refuse_calls(machine: str) -> None:
    """Let the kernel refuse (EPERM) the system calls of `REFUSED` from now on, and new rights by any way.

    Limits can be set for oneself only: those of process 1, which reads what the program writes, would end it.

    Source of the program's form: the kernel's Documentation/userspace-api/seccomp_filter.rst.
    """
    architecture, clone, socket, limit, numbers = REFUSED[machine]
    allow, deny, absent = 0x7FFF0000, 0x00050001, 0x00050026  # RET_ALLOW, RET_ERRNO | EPERM, | ENOSYS
    load, equal, above, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    steps = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, deny), (load, 0, 0, 0)]
    steps += [(above, 0, 1, 0x40000000), (give, 0, 0, deny)]  # calls in another convention
    for number in (*map(int, numbers.split()), *ALIKE):
        steps += [(equal, 0, 1, number), (give, 0, 0, deny)]
    steps += [(equal, 0, 1, 435), (give, 0, 0, absent)]  # clone3: libraries fall back to clone
    steps += [(equal, 0, 3, limit), (load, 0, 0, 16), (equal, 1, 0, 0), (give, 0, 0, deny), (load, 0, 0, 0)]
    steps += [(equal, 0, 3, clone), (load, 0, 0, 16), (any_bit, 0, 1, NEW), (give, 0, 0, deny)]
    steps += [(load, 0, 0, 0), (equal, 0, 2 + len(FAMILIES), socket), (load, 0, 0, 16)]
    steps += [(equal, len(FAMILIES) - place, 0, family) for place, family in enumerate(FAMILIES)]
    steps += [(give, 0, 0, deny), (give, 0, 0, allow)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = struct.pack("HL", len(steps), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(38, ctypes.c_ulong(1), zero, zero, zero) or libc.prctl(
        22, ctypes.c_ulong(2), header, zero, zero
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def watch(
    pid: int, ends: list[int], told: int, limits: dict[str, Any]
) -> tuple[dict[str, Any], list[bytearray]]:
    """Collect what the program writes until it ends, a limit ends it, or nobody is there to be told."""
    texts, room = {end: bytearray() for end in ends}, limits["output_kib"] * 1024
    until = time.monotonic() + limits["time_s"]
    poller, done = select.poll(), os.pidfd_open(pid)
    for end in (*ends, done):
        poller.register(end, select.POLLIN)
    poller.register(told, 0)  # reports only that its other end is closed
    ended: dict[str, Any] | None = None
    while ended is None:
        left_ms = min(TICK_MS, max(0.0, until - time.monotonic()) * 1000)
        for end, _ in poller.poll(left_ms + 1):
            if end == told:
                _end(pid)
                os._exit(1)
            if end != done:
                _read(poller, end, texts, room)
        ended = _reap(pid)
        if ended is None and time.monotonic() >= until:
            ended = {"ended": "time", "status": None}
        if ended is None and sum(map(len, texts.values())) > room:
            ended = {"ended": "output", "status": None}
    _end(pid)
    if ended["ended"] not in ("time", "output"):
        poller.unregister(done)
        poller.unregister(told)
        _drain(poller, texts, room)
    if sum(map(len, texts.values())) > room:
        ended = {"ended": "output", "status": None}
    return ended, [text[:room] for text in texts.values()]


def _read(poller: select.poll, end: int, texts: dict[int, bytearray], room: int) -> None:
    part = os.read(end, READ)
    if part and len(texts[end]) <= room:
        texts[end] += part
    if not part:
        poller.unregister(end)


def _drain(poller: select.poll, texts: dict[int, bytearray], room: int) -> None:
    """Read what is still in the pipes: all that wrote are dead, so it ends."""
    until = time.monotonic() + SETTLE_S
    while (ready := poller.poll(50)) and time.monotonic() < until:
        for end, _ in ready:
            _read(poller, end, texts, room)


def _reap(pid: int) -> dict[str, Any] | None:
    """Bury every dead process, orphans included; return how the program ended, None if it has not."""
    ended = None
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[0] == pid:
                code = os.waitstatus_to_exitcode(found[1])
                ended = {"ended": "exit" if code >= 0 else "signal", "status": abs(code)}
    return ended


def _end(pid: int) -> None:
    """Kill all that is left. Process 1 of a namespace reaches every process in it; elsewhere, the session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
        else:
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
