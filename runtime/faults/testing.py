"""Run a fault server for tests: in a thread of this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agenttts.runtime.faults.app import create_app
from agenttts.runtime.faults.config import read_config
from agenttts.runtime.faults.library import provider_of
from agenttts.runtime.faults.provider import Provider
from agenttts.runtime.faults.server import start
from agenttts.runtime.faults.state import State
from agenttts.runtime.secret import Secret
from agenttts.runtime.services import START_TIMEOUT_S, Endpoint, ServiceError


def provider(config: Mapping[str, Any] | None = None, folder: Path | None = None) -> Provider:
    """Return the provider of a config given as data. folder: where its items lie."""
    return provider_of(read_config(json.dumps(config or {})), folder or Path())


class FaultServer:
    """A fault server in its own thread; use it as a context manager.

    base_url: its address, ending in /v1.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | Provider | None = None,
        folder: Path | None = None,
        key: str | None = None,
    ) -> None:
        """Prepare. config: as in a config file, or a provider. key: what clients must send."""
        of = config if isinstance(config, Provider) else provider(config, folder)
        self._state = State(of)
        self._app = create_app(self._state, None if key is None else Secret(key))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.base_url = ""

    def stats(self) -> dict[str, Any]:
        """Return the server's counts."""
        return asyncio.run_coroutine_threadsafe(self._stats(), self._loop).result()

    async def _stats(self) -> dict[str, Any]:
        return self._state.document()

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(start(self._app, "127.0.0.1", 0), self._loop)
        self._runner, port = starting.result()
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def fault_server(
    config: Path | None, log: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    """Run `agenttts serve-faults` on a free loopback port for the length of the block.

    Args:
        config: a config file. options: more of the command's options. environment: more of its variables.

    Raises:
        ServiceError: if it is not ready in time; the message holds the end of its log.
    """
    command = [sys.executable, "-m", "agenttts.runtime.cli", "serve-faults", "--port", "0", *options]
    command += ["--parent-pid", str(os.getpid()), *(("--config", str(config)) if config else ())]
    variables = {**os.environ, **(environment or {})}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=sink, start_new_session=True, env=variables
        )
        try:
            yield Endpoint(_ready_url(process, log))
        finally:
            _end(process)


def _ready_url(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(START_TIMEOUT_S) else b""
    try:
        return str(json.loads(line)["url"])
    except (ValueError, KeyError):
        tail = log.read_text("utf-8", "replace")[-2000:]
        raise ServiceError(f"the fault server did not start. Its log ends with:\n{tail}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
