"""The process of the fault server."""

from __future__ import annotations

import asyncio

from agenttts.runtime.faults.app import create_app
from agenttts.runtime.faults.provider import Provider
from agenttts.runtime.faults.state import State
from agenttts.runtime.secret import Secret
from agenttts.runtime.serving import serve


def main(provider: Provider, host: str, port: int, parent_pid: int | None, key: Secret | None) -> None:
    """Serve until told to stop.

    Args:
        port: 0 takes a free one; the URL printed on standard output names it.
        parent_pid: end when this process is gone.
        key: what clients must send; None checks nothing.
    """
    asyncio.run(serve(create_app(State(provider), key), host, port, parent_pid))
