"""Servers of ours as processes on this machine: embedded models, and the fault server, for tests and in
place of real endpoints.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agenttts.runtime.simulated import SimulatedModels

START_TIMEOUT_S = 60.0


class ServiceError(Exception):
    """A local server did not come up; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running local server: its OpenAI-compatible base URL ends with /v1."""

    base_url: str

    def stats(self) -> dict[str, Any]:
        """Return the server's own counters."""
        with urllib.request.urlopen(self.base_url.removesuffix("/v1") + "/stats", timeout=10) as reply:
            document: dict[str, Any] = json.load(reply)
        return document


def embedded_server(log: Path) -> contextlib.AbstractContextManager[Endpoint]:
    """Run `agenttts serve-embedded` on a free loopback port for the length of the block.

    Raises:
        ServiceError: if it is not ready within START_TIMEOUT_S.
    """
    return service("serve-embedded", log)


@contextlib.contextmanager
def simulated_server(simulated: SimulatedModels, folder: Path, log: Path) -> Iterator[Endpoint]:
    """Run the fault server with a config for the length of the block. folder: for the items, while it runs.

    Raises:
        ServiceError: if it is not ready in time, also because the config was changed since it was read.
    """
    items = folder / "simulated-items.jsonl"
    items.write_bytes(simulated.items)
    named = ("--config", str(simulated.config), "--items", str(items), "--expect", simulated.digest)
    with service("serve-faults", log, *named) as endpoint:
        yield endpoint


@contextlib.contextmanager
def service(
    name: str, log: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    """Run a serving command of ours on a free loopback port for the length of the block.

    Args:
        name: of the command. options: more of its options. environment: more of its variables.

    Raises:
        ServiceError: if it is not ready within START_TIMEOUT_S; the message holds the end of its log.
    """
    command = [sys.executable, "-m", "agenttts.runtime.cli", name, "--port", "0", *options]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--parent-pid", str(os.getpid())],
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        try:
            yield Endpoint(_ready_url(name, process, log))
        finally:
            _end(process)


def _ready_url(name: str, process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(START_TIMEOUT_S) else b""
    try:
        return str(json.loads(line)["url"])
    except (ValueError, KeyError):
        tail = log.read_text("utf-8", "replace")[-2000:]
        raise ServiceError(f"`agenttts {name}` did not start. Its log ends with:\n{tail}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
