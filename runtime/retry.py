"""Try again: when, how long to wait, when to give up. The clock, sleep and chance are passed in."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from agenttts.runtime.errors import ModelError

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be.

    attempts: tries in all. first_delay_s doubles from try to try up to max_delay_s; up to half of it is left
    to chance, so that clients do not return together. max_retry_after_s caps what an endpoint may ask for.
    deadline_s: no new try starts when its wait would end later than this after the first try.
    """

    attempts: int = 8
    first_delay_s: float = 0.5
    max_delay_s: float = 30.0
    max_retry_after_s: float = 60.0
    deadline_s: float = 600.0

    def delay_s(self, tries: int, error: ModelError, chance: float) -> float:
        """Return the wait after `tries` failed tries; chance: a number in [0, 1).

        >>> RetryPolicy().delay_s(3, ModelError(""), chance=0.0)
        2.0
        """
        backoff: float = min(self.first_delay_s * 2.0 ** (tries - 1), self.max_delay_s) * (1 - chance / 2)
        asked: float = min(error.retry_after_s or 0.0, self.max_retry_after_s)
        return max(backoff, asked)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The clock, sleep and chance; tests pass their own."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = field(default_factory=lambda: random.Random().random)


async def retrying(call: Callable[[], Awaitable[_T]], policy: RetryPolicy, around: Surroundings) -> _T:
    """Await the call until it succeeds, fails for good, or patience ends; the last error is raised then."""
    start, tries = around.clock(), 0
    while True:
        tries += 1
        try:
            return await call()
        except ModelError as error:
            delay = policy.delay_s(tries, error, around.chance())
            late = around.clock() - start + delay > policy.deadline_s
            if not error.retryable or tries >= policy.attempts or late:
                raise
        await around.sleep(delay)
