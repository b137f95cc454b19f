"""How many requests one endpoint takes at a time, found by trying (additive increase, multiplicative
decrease). `Limit` is the rule, `Gate` the places.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

START = 8
"""Places before anything is known: what a small endpoint takes, three doublings from a large one."""


@dataclass(slots=True)
class Limit:
    """The number of places. It grows by one with every success until the endpoint first pushes back, which
    doubles it in one round; from then on by one in a round. It never leaves 1 .. ceiling.

    A success counts only while all places are needed: a limit that nobody tried is not proven.
    """

    ceiling: int
    value: int
    _doubling: bool = True
    _successes: int = 0
    _cut_at: float = float("-inf")

    def succeeded(self, full: bool) -> None:
        """Count a success; full: all places were taken, or somebody waited for one."""
        if not full or self.value >= self.ceiling:
            return
        self._successes += 1
        if self._doubling or self._successes >= self.value:
            self.value, self._successes = self.value + 1, 0

    def pushed_back(self, started_at: float, now: float) -> None:
        """Halve, unless the request began before the last cut: it says nothing about the new limit."""
        if started_at > self._cut_at:
            self.value, self._cut_at = max(1, self.value // 2), now
            self._doubling, self._successes = False, 0


async def _nothing() -> bool:
    return True


class Gate:
    """Places for requests, first come first served. For one event loop.

    Use it as a context manager, or `enter` and `leave`.
    """

    def __init__(self, ceiling: int, clock: Callable[[], float], start: int = START) -> None:
        """ceiling: places at most. start: places at first."""
        self._rule = Limit(ceiling, max(1, min(start, ceiling)))
        self._clock = clock
        self._line = asyncio.Lock()
        self._change = asyncio.Event()
        self._wanted = False
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """Places there are now."""
        return self._rule.value

    async def enter(self, cleared: Callable[[], Awaitable[bool]] = _nothing) -> None:
        """Wait for a place and take it.

        cleared: awaited by whoever is first in line, whom nobody overtakes. It may wait for other things, and
        then returns False, because the places may have changed meanwhile; it is asked again. If it raises,
        the next in line is first.
        """
        async with self._line:
            while not await cleared() or self.in_flight >= self.limit:
                if self.in_flight >= self.limit:
                    await self._room()
            self.in_flight += 1

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self.wake()

    async def _room(self) -> None:
        self._wanted = True
        try:
            await self.changed()
        finally:
            self._wanted = False

    async def changed(self) -> None:
        """Wait until a place was given back or `wake` was called; only for the first in line."""
        self._change.clear()
        await self._change.wait()

    def wake(self) -> None:
        """Let the first in line look again."""
        self._change.set()

    def succeeded(self) -> None:
        """Hear of a success; call it before the place is given back."""
        self._rule.succeeded(self._wanted or self.in_flight >= self.limit)
        self.wake()

    def pushed_back(self, started_at: float) -> None:
        """Hear that the endpoint refused, for its load, a request that began at `started_at`."""
        self._rule.pushed_back(started_at, self._clock())

    async def __aenter__(self) -> Self:
        """Enter."""
        await self.enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        self.leave()
