"""Group many small blocking calls into few large ones: what arrives while one runs waits for the next.

With SQLite this is group commit: the items of a block share one read and one durable write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


class Batcher(Generic[_T, _R]):
    """Hands batches to a blocking function, one batch at a time, in a thread. For one event loop."""

    def __init__(self, handle: Callable[[list[_T]], Sequence[_R]]) -> None:
        """handle: gives one result for each value, in the same order."""
        self._handle = handle
        self._waiting: list[tuple[_T, asyncio.Future[_R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, value: _T) -> _R:
        """Return the result for one value; an error of its batch is raised here."""
        future: asyncio.Future[_R] = asyncio.get_running_loop().create_future()
        self._waiting.append((value, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # let everybody who is ready now come along
                batch, self._waiting = self._waiting, []
                await self._settle(batch)
        finally:
            self._running = None

    async def _settle(self, batch: Sequence[tuple[_T, asyncio.Future[_R]]]) -> None:
        try:
            results = await asyncio.to_thread(self._handle, [value for value, _ in batch])
        except Exception as error:  # whatever the store raises belongs to those who wait for it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
