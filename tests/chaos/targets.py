"""The processes of a search that can be killed; servers beside it are in `comebacks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from urllib.parse import urlsplit

import psutil

from tests.chaos.controller import APPEARS_S, Controller

POLL_S = 0.05
DRIVER = "agenttts.runtime.ray_driver"
HEAD = ("gcs_server", "raylet")
Target = Callable[[], bool]
"""Kill, and tell whether there was something to kill."""


def controller_target(controller: Controller) -> Target:
    """Kill the command, and run it again at once, while what it started is still being cleaned up."""

    def strike() -> bool:
        if controller.decided() or controller.over(0):
            return False
        controller.kill()
        controller.start()
        return True

    return strike


def head_target(controller: Controller) -> Target:
    """Kill Ray's whole head: its GCS and its raylet."""

    def head() -> list[psutil.Process]:
        found = [process for process in controller.family() if _name(process) in HEAD]
        return found if {_name(process) for process in found} == set(HEAD) else []

    return lambda: _kill_when_there(controller, head)


def driver_target(controller: Controller) -> Target:
    """Kill the process through which the search talks to Ray."""

    def driver() -> list[psutil.Process]:
        return [process for process in controller.family() if DRIVER in _words(process)]

    return lambda: _kill_when_there(controller, driver)


def worker_target(controller: Controller, base_url: str) -> Target:
    """Kill one worker, one that talks to the endpoint if there is one."""
    port = urlsplit(base_url).port

    def worker() -> list[psutil.Process]:
        workers = [process for process in controller.family() if _is_worker(process)]
        talking = [process for process in workers if _talks_to(process, port)]
        return (talking or workers)[:1]

    return lambda: _kill_when_there(controller, worker)


def _kill_when_there(controller: Controller, find: Callable[[], Sequence[psutil.Process]]) -> bool:
    """Kill what is found, waiting while it is being started; False when the search ends before."""
    end = monotonic() + APPEARS_S
    while monotonic() < end:
        killed = [process for process in find() if _kill(process)]
        if killed:
            return True
        if controller.over(POLL_S):
            return False
    raise AssertionError(f"nothing to kill appeared within {APPEARS_S:g} s:\n{controller.tail()}")


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _name(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.name())
    except psutil.Error:
        return ""


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _is_worker(process: psutil.Process) -> bool:
    return any(word.startswith("ray::RayWorker") for word in _words(process))


def _talks_to(process: psutil.Process, port: int | None) -> bool:
    try:
        return any(link.raddr and link.raddr.port == port for link in process.net_connections("tcp"))
    except psutil.Error:
        return False
