"""Leave an endpoint that is down alone, find out when it is back, and say when it is down for good.

What counts as a failure of the endpoint: a connection that fails, a status of 5xx, and no answer in time,
because an endpoint that hangs is as good as dead. Everything else is an answer, and ends the outage: a 429
says that the endpoint lives (the gate deals with it), a bad reply that something is there. One slow prompt
opens nothing, since only failures in a row count, whosever request they were.

    closed ── FAILURES in a row ──> open ── the wait is over ──> half open: one request is sent, the probe
       ^                             ^                                │
       └────────── an answer ────────┴─── it failed: a longer wait ───┘
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from agenttts.runtime.errors import ConnectionLost, EndpointDown, ModelError, Overloaded, Timeout

FAILURES = 5
FIRST_WAIT_S, MAX_WAIT_S = 0.5, 10.0
QUIET_S = 90.0
"""Longer than requests wait between tries: failures further apart are two outages, not one."""
NEVER = float("-inf")


def is_failure(error: ModelError) -> bool:
    """Tell whether an error says that the endpoint is down, rather than what it thinks of a request."""
    if isinstance(error, Overloaded):
        return error.status is None or error.status >= 500
    return isinstance(error, ConnectionLost | Timeout)


class Breaker:
    """What is known about one endpoint's health. Pure; times are those of one monotonic clock."""

    def __init__(
        self, address: str, never_answered_s: float, down_s: float, date: Callable[[], float]
    ) -> None:
        """never_answered_s, down_s: how long an endpoint that never, or that once answered may fail before it
        is down for good. date: epoch seconds, for the message.
        """
        self._address, self._date = address, date
        self._never_answered_s, self._down_s = never_answered_s, max(never_answered_s, down_s)
        self._answered_at = self._failed_at = self._since = self._next_at = NEVER
        self._failures = self._waits = 0
        self._last = ""
        self.probing = False

    @property
    def open(self) -> bool:
        """Whether requests have to wait, but for a probe."""
        return self._failures >= FAILURES

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next request may be sent."""
        return max(0.0, self._next_at - now) if self.open else 0.0

    def began(self) -> bool:
        """Note that a request is sent; return whether it is a probe."""
        self.probing = self.open
        return self.probing

    def ended(self, probe: bool) -> None:
        """Note that a request has ended, in whatever way."""
        self.probing = self.probing and not probe

    def answered(self, now: float) -> None:
        """Note an answer: the endpoint is up."""
        self._answered_at, self._since, self._failures, self._waits = now, NEVER, 0, 0

    def failed(self, error: ModelError, probe: bool, started_at: float, now: float, chance: float) -> bool:
        """Note a failure; return whether it opened the breaker."""
        if not self._failures or started_at - self._failed_at > QUIET_S:
            self._failures = self._waits = 0
            self._since = now if isinstance(error, Timeout) else max(started_at, self._answered_at)
        self._failures, self._failed_at, self._last = self._failures + 1, now, str(error)
        opened = self._failures == FAILURES
        if opened or (probe and self.open):
            self._wait(now, chance)
        return opened

    def _wait(self, now: float, chance: float) -> None:
        """Set the time of the next probe; the last one comes when patience ends, not later."""
        wait = min(FIRST_WAIT_S * 2.0 ** min(self._waits, 10), MAX_WAIT_S) * (1 - chance / 2)
        end = self._since + self._patience_s
        self._next_at = min(now + wait, end) if end > now else now + wait
        self._waits += 1

    @property
    def _patience_s(self) -> float:
        return self._never_answered_s if self._answered_at == NEVER else self._down_s

    def down(self, now: float) -> EndpointDown | None:
        """Return the error that ends a search, if the endpoint is down for good."""
        never = self._answered_at == NEVER
        proven = self._failures > 1 if never else self.open
        if not proven or now - self._since < self._patience_s:
            return None
        since = datetime.fromtimestamp(self._date() - (now - self._since), UTC).isoformat(timespec="seconds")
        what = "has never answered" if never else "has failed every request"
        seconds = f"{now - self._since:.0f} s"
        return EndpointDown(f"{self._address} {what} for {seconds}, since {since}: {self._last}", never)
