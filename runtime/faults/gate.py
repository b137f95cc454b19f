"""Limits of one model: requests in flight, and requests within a minute. The clock is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from agenttts.runtime.faults.asked import RefusedError

WINDOW_S = 60.0


class Gate:
    """Lets requests in and counts those inside.

    inside: now; most: at any time so far.
    """

    def __init__(
        self, capacity: int | None, per_minute: int | None, retry_after_s: float, clock: Callable[[], float]
    ) -> None:
        """None is no limit. retry_after_s: what is asked for when too many are in flight."""
        self.inside = self.most = 0
        self._capacity, self._per_minute, self._retry_after_s = capacity, per_minute, retry_after_s
        self._clock = clock
        self._entries: deque[float] = deque()

    def enter(self) -> None:
        """Let a request in; `leave` must follow.

        Raises:
            RefusedError: if a limit is reached.
        """
        if self._capacity is not None and self.inside >= self._capacity:
            message = f"Too many requests in flight: the limit is {self._capacity}."
            raise _limited("over_capacity", message, self._retry_after_s)
        if self._per_minute is not None:
            self._enter_minute(self._per_minute)
        self.inside += 1
        self.most = max(self.most, self.inside)

    def leave(self) -> None:
        """Let a request out."""
        self.inside -= 1

    def _enter_minute(self, limit: int) -> None:
        now = self._clock()
        while self._entries and self._entries[0] <= now - WINDOW_S:
            self._entries.popleft()
        if len(self._entries) >= limit:
            wait = self._entries[0] + WINDOW_S - now
            raise _limited("over_rate", f"Rate limit reached: {limit} requests per minute.", wait)
        self._entries.append(now)


def _limited(kind: str, message: str, retry_after_s: float) -> RefusedError:
    return RefusedError(kind, 429, message, "rate_limit_exceeded", retry_after_s)
