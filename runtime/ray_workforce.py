"""All who work for a search: Ray's workers, and in front of them the one that stands in while they start."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agenttts.compiler.allocation import Choice
from agenttts.compiler.lower import StageCall
from agenttts.runtime.blocks import Block, Items, Passed
from agenttts.runtime.executor import ClusterLostError
from agenttts.runtime.ray_link import START_S, Start
from agenttts.runtime.ray_standin import StandIn
from agenttts.runtime.watch import Waiting
from agenttts.runtime.worker import StageWorker

if TYPE_CHECKING:
    from agenttts.runtime.ray_workers import RayWorkers

HEAD_START_S = 1.0
"""Starting Ray keeps a small machine busy for seconds. So long it waits for the first requests to be sent."""


class Workforce:
    """The workers of a search. season: each `drain` begins a new one, what began before is given up."""

    def __init__(self, start: Start) -> None:
        """Take someone on who begins at once, if Ray is to be started here: workers elsewhere have keys of
        their own.
        """
        self._start = start
        self._stand_in = _stand_in(start)
        self._workers: RayWorkers | None = None
        self._came = asyncio.Event()
        self._began = asyncio.get_running_loop().time()
        self.season = 0

    async def come(self) -> None:
        """Start Ray, or connect to it, and its workers; not before the stand-in had time to begin.

        Raises:
            ClusterLostError: if that fails, or takes too long.
        """
        await asyncio.sleep(0.0 if self._stand_in is None else HEAD_START_S)
        try:
            async with asyncio.timeout(START_S):
                self._workers = await asyncio.to_thread(_on_ray, self._start)
        except Exception as error:  # whatever Ray raises
            raise ClusterLostError(f"{type(error).__name__}: {error}") from error
        self._came.set()

    async def relieve(self) -> None:
        """Let the stand-in end what it does, now that Ray's workers came."""
        if self._stand_in is not None:
            await self._stand_in.relieve()
            self._stand_in = None

    async def early(
        self, call: StageCall, choice: Choice | None, items: Items, upstream: Sequence[Passed]
    ) -> tuple[Passed, Block] | None:
        """Make a call before Ray's workers are there; None when they are to make it."""
        stand_in = self._stand_in
        return None if stand_in is None else await stand_in.call(call, choice, items, upstream)

    @property
    def workers(self) -> RayWorkers:
        """Ray's workers, once they came."""
        assert self._workers is not None
        return self._workers

    async def stuck(self, timeout_s: float) -> tuple[Waiting, ...]:
        """Return what all wait for, longest first."""
        waits = [] if self._stand_in is None else list(self._stand_in.stuck())
        if self._workers is None:
            seconds = asyncio.get_running_loop().time() - self._began
            waits.append(Waiting("", None, "Ray is being started", seconds))
        else:
            waits += await self._workers.stuck(timeout_s)
        return tuple(sorted(waits, key=lambda waiting: -waiting.seconds))

    async def drain(self, timeout_s: float) -> None:
        """Give up what runs; wait until the requests in flight are banked."""
        self.season += 1
        everyone: list[Any] = [who for who in (self._stand_in, self._workers) if who is not None]
        await asyncio.gather(*(who.drain(timeout_s) for who in everyone))

    async def pids(self, timeout_s: float) -> dict[str, list[int]]:
        """Return the process ids of Ray's workers by place, once they came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._came.wait()
        return {} if self._workers is None else await self._workers.pids(timeout_s)

    def close(self) -> None:
        """Disconnect: Ray's workers end with their driver, and a local cluster with it."""
        if self._workers is not None:
            self._workers.close()


def _stand_in(start: Start) -> StandIn | None:
    """Return who begins at once; nobody where Ray runs elsewhere."""
    if start.address.address is not None:
        return None
    return StandIn(StageWorker(start.settings, os.environ))


def _on_ray(start: Start) -> RayWorkers:
    """Return Ray's workers. Importing Ray takes a while, too."""
    from agenttts.runtime.ray_workers import RayWorkers

    return RayWorkers(start)
