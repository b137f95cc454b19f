"""The process of the embedded models' server.

The engine computes in one thread; numpy's BLAS gets one too (unless
OPENBLAS_NUM_THREADS says otherwise), which leaves the other cores to the event loop and to the client.
The variable only works before numpy is imported, so the application is imported late.
"""

from __future__ import annotations

import asyncio
import os

from agenttts.runtime.embedded.catalog import CATALOG
from agenttts.runtime.serving import serve


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

    app = create_app({name: load(name) for name in CATALOG}, queue_limit)
    await serve(app, host, port, parent_pid)
