"""The process around the embedded models' application: ready line, signals, and an end with its parent.

It prints one JSON line with its URL when it is ready and ends on SIGTERM, SIGINT or when the process it
was started for is gone. The engine computes in one thread; numpy's BLAS gets one too (unless
OPENBLAS_NUM_THREADS says otherwise), which leaves the other cores to the event loop and to the client.
The variable only works before numpy is imported, so the application is imported late.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from aiohttp import web

from agenttts.runtime.embedded.catalog import CATALOG

PARENT_POLL_S = 0.5


def main(host: str, port: int, parent_pid: int | None, queue_limit: int) -> None:
    """Serve all sizes until told to stop.

    Args:
        port: 0 takes a free one; the URL printed on standard output names it.
        parent_pid: end when this process is gone.
        queue_limit: most unfinished requests before further ones get 429.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    asyncio.run(_serve(host, port, parent_pid, queue_limit))


async def _serve(host: str, port: int, parent_pid: int | None, queue_limit: int) -> None:
    from agenttts.runtime.embedded.app import create_app
    from agenttts.runtime.embedded.model import load

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    runner = web.AppRunner(
        create_app({name: load(name) for name in CATALOG}, queue_limit),
        access_log=None,
        handler_cancellation=True,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024, shutdown_timeout=1.0)
        await site.start()
        bound = runner.addresses[0][1]
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
