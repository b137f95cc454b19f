"""Try again: when, how long to wait, when to give up. The clock, sleep and chance are passed in."""

from __future__ import annotations

import asyncio
import copy
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from agenttts.runtime.errors import ModelError

MOST_DOUBLINGS = 30
_Error = TypeVar("_Error", bound=ModelError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be.

    attempts: failures of the costly kind that one request may have; other failures are retried until its
    deadline. first_delay_s doubles from try to try up to max_delay_s; up to half of it is left to chance, so
    that clients do not return together. max_retry_after_s caps what an endpoint may ask for.
    deadline_s: of one request where `ModelLimits` gives none. never_answered_s: how long an endpoint that
    never answered anything is tried.
    """

    attempts: int = 5
    first_delay_s: float = 0.5
    max_delay_s: float = 30.0
    max_retry_after_s: float = 60.0
    deadline_s: float = 600.0
    never_answered_s: float = 20.0

    def delay_s(self, tries: int, error: ModelError, chance: float) -> float:
        """Return the wait after `tries` failed tries; chance: a number in [0, 1).

        >>> RetryPolicy().delay_s(3, ModelError(""), chance=0.0)
        2.0
        """
        doubled = self.first_delay_s * 2.0 ** min(tries - 1, MOST_DOUBLINGS)
        asked = min(error.retry_after_s or 0.0, self.max_retry_after_s) * (1 + chance / 10)
        return max(min(doubled, self.max_delay_s) * (1 - chance / 2), asked)


ONE_TRY = RetryPolicy(attempts=1, first_delay_s=math.inf, max_delay_s=math.inf)
"""Never try a request again."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The clock (monotonic), sleep, chance, and the date in epoch seconds; tests pass their own."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = field(default_factory=lambda: random.Random().random)
    now: Callable[[], float] = time.time


@dataclass(slots=True)
class Patience:
    """What is left of one request's patience. Pure: whoever tries tells what happened.

    spent_s: time that counts against the deadline, which is that of attempts and of the waits between them.
    Waiting for one's turn is not the request's fault, and is not counted while others are answered.
    """

    policy: RetryPolicy
    deadline_s: float
    tries: int = 0
    spent_s: float = 0.0
    _doublings: int = 0
    _costly: int = 0

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return max(0.0, self.deadline_s - self.spent_s)

    def failed(self, error: ModelError, seconds: float, chance: float, probe: bool = False) -> float | None:
        """Count a failed attempt; return the wait before the next one, None to give up.

        probe: the attempt only asked whether an endpoint is back. It costs no patience, but its bill counts.
        """
        self.tries += 1
        self._costly += error.costly
        if not probe:
            self._doublings += 1
            self.spent_s += seconds
        delay = self.policy.delay_s(max(1, self._doublings), error, chance)
        late = delay >= (self.deadline_s if probe else self.deadline_s - self.spent_s)
        return None if late or self._costly >= self.policy.attempts else delay


def explained(error: _Error, message: str) -> _Error:
    """Return the same error with another message."""
    found = copy.copy(error)
    found.message, found.args = message, (message, error.retry_after_s)
    return found
