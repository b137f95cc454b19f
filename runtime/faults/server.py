"""The process around the fault server: ready line, signals, and an end with its parent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from aiohttp import web

from agenttts.runtime.faults.app import create_app
from agenttts.runtime.faults.provider import Provider
from agenttts.runtime.faults.state import State
from agenttts.runtime.secret import Secret

PARENT_POLL_S = 0.5
SHUTDOWN_S = 0.2


def main(provider: Provider, host: str, port: int, parent_pid: int | None, key: Secret | None) -> None:
    """Serve until told to stop.

    Args:
        port: 0 takes a free one; the URL printed on standard output names it.
        parent_pid: end when this process is gone.
        key: what clients must send; None checks nothing.
    """
    asyncio.run(_serve(provider, host, port, parent_pid, key))


async def start(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve an application; return its runner and the port it got."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])


async def _serve(
    provider: Provider, host: str, port: int, parent_pid: int | None, key: Secret | None
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    runner, bound = await start(create_app(State(provider), key), host, port)
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
