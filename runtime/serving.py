"""Serve an aiohttp application: as a process with a ready line, signals and an end with its parent, or in a
thread of this one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

PARENT_POLL_S = 0.5
SHUTDOWN_S = 0.2


async def start(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve an application; return its runner and the port it got. A client that leaves cancels its handler.

    Raises:
        OSError: if the address cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])


async def serve(app: web.Application, host: str, port: int, parent_pid: int | None) -> None:
    """Serve until SIGTERM, SIGINT, or the end of a process; print one JSON line with the URL when ready.

    port: 0 takes a free one. parent_pid: end when this process is gone.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    runner, bound = await start(app, host, port)
    try:
        shown = f"[{host}]" if ":" in host else host
        sys.stdout.write(json.dumps({"url": f"http://{shown}:{bound}/v1", "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        await _until_stopped(stopped, parent_pid)
    finally:
        await runner.cleanup()


async def _until_stopped(stopped: asyncio.Event, parent_pid: int | None) -> None:
    is_child = os.getppid() == parent_pid
    while not stopped.is_set() and (parent_pid is None or _runs(parent_pid, is_child)):
        try:
            await asyncio.wait_for(stopped.wait(), PARENT_POLL_S)
        except TimeoutError:
            continue


def _runs(pid: int, is_child: bool) -> bool:
    """Say whether a process exists; a child also notices a parent that ended but was not yet reaped."""
    if is_child:
        return os.getppid() == pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class ThreadedServer:
    """An application on a free loopback port, in a thread of its own; use it as a context manager.

    base_url: its address, ending in /v1, while it runs.
    """

    def __init__(self, app: web.Application) -> None:
        """Prepare; nothing runs yet."""
        self._app, self.base_url = app, ""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(start(self._app, "127.0.0.1", 0), self.loop)
        self._runner, port = starting.result()
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
