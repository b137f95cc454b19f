"""Time that passes only while everybody waits, and an endpoint that lives in it."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from agenttts.runtime.errors import ModelError, Timeout
from agenttts.runtime.retry import Surroundings

EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z, when virtual time begins."""
_T = TypeVar("_T")


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            assert timeout is not None, "deadlock: everybody waits for somebody else"
            self.seconds += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.seconds


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end in virtual time; a deadlock is an error."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


def clock() -> float:
    return asyncio.get_running_loop().time()


def around(chance: float = 0.0) -> Surroundings:
    return Surroundings(clock, asyncio.sleep, lambda: chance, lambda: EPOCH + clock())


def failing(
    kind: type[ModelError], status: int | None = None, retry_after_s: float | None = None
) -> ModelError:
    """An error with a status."""
    error = kind("trouble", retry_after_s)
    error.status = status
    return error


class Endpoint:
    """A transport: `mood(number, seconds)` is the error of a request, None for a good answer.

    begun: when each attempt began. here, most: requests at the moment, and ever at a time.
    """

    def __init__(
        self, mood: Callable[[int, float], ModelError | None] = lambda number, now: None, takes_s: float = 0.0
    ) -> None:
        self.mood, self.takes_s = mood, takes_s
        self.begun: list[float] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.timeouts: list[float] = []
        self.here = self.most = 0

    async def send(self, body, headers, timeout_s):
        number = len(self.begun)
        self.begun.append(clock())
        self.bodies.append(body)
        self.headers.append(dict(headers))
        self.timeouts.append(timeout_s)
        self.here += 1
        self.most = max(self.most, self.here)
        try:
            return await self._answer(number, body, timeout_s)
        finally:
            self.here -= 1

    async def _answer(self, number, body, timeout_s):
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self.takes_s)
        except TimeoutError:
            raise Timeout(f"no answer within {timeout_s:g} s") from None
        error = self.mood(number, clock())
        if error is not None:
            raise error
        return _reply(body)

    async def close(self):
        pass


def _reply(body):
    """A completion whose texts are the seeds."""
    seeds = [body.get("seed", 0) + place for place in range(body["n"])]
    choices = [{"message": {"content": str(seed)}, "finish_reason": "stop"} for seed in seeds]
    usage = {"prompt_tokens": 3, "completion_tokens": len(seeds)}
    return json.dumps({"choices": choices, "usage": usage}).encode()
