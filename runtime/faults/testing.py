"""Run a fault server for tests: in a thread of this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agenttts.runtime.faults.app import create_app
from agenttts.runtime.faults.config import read_config
from agenttts.runtime.faults.loading import Files, provider_of
from agenttts.runtime.faults.provider import Provider
from agenttts.runtime.faults.state import State
from agenttts.runtime.secret import Secret
from agenttts.runtime.services import Endpoint, service
from agenttts.runtime.serving import ThreadedServer


def provider(config: Mapping[str, Any] | None = None, folder: Path | None = None) -> Provider:
    """Return the provider of a config given as data. folder: where its items lie."""
    return provider_of(read_config(json.dumps(config or {})), Files(folder or Path()))


class FaultServer(ThreadedServer):
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
        super().__init__(create_app(self._state, None if key is None else Secret(key)))

    def stats(self) -> dict[str, Any]:
        """Return the server's counts."""
        return asyncio.run_coroutine_threadsafe(self._stats(), self.loop).result()

    async def _stats(self) -> dict[str, Any]:
        return self._state.document()


def set_quota(endpoint: Endpoint, completions: int | None) -> None:
    """Let a fault server refuse all requests once it has completed so many samples; None: no more."""
    body = json.dumps({"completions": completions}).encode()
    url = endpoint.base_url.removesuffix("/v1") + "/quota"
    with urllib.request.urlopen(urllib.request.Request(url, body, method="PUT"), timeout=10):
        pass


def fault_server(
    config: Path | None, log: Path, *options: str, environment: Mapping[str, str] | None = None
) -> contextlib.AbstractContextManager[Endpoint]:
    """Run `agenttts serve-faults` on a free loopback port for the length of the block.

    Args:
        config: a config file. options: more of the command's options. environment: more of its variables.

    Raises:
        ServiceError: if it is not ready in time; the message holds the end of its log.
    """
    named = ("--config", str(config)) if config else ()
    return service("serve-faults", log, *named, *options, environment=environment)
