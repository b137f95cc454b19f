"""Keep to an endpoint's rate: so much a minute, evenly spread, and nothing at all when it asked for a rest.

Pure: whoever wants to begin asks how long to wait, and says what it used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Pacer:
    """Tells whoever goes faster than the rate allows to wait. Amounts learned too late delay the next one."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float]) -> None:
        """per_minute: None means no limit."""
        self._cost_s = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._free_at = float("-inf")

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next one may begin."""
        return max(0.0, self._free_at - now)

    def charge(self, amount: float) -> None:
        """Use up the time that an amount takes; a negative amount gives some back."""
        if self._cost_s:
            self._free_at = max(self._free_at, self._clock()) + amount * self._cost_s


@dataclass(slots=True)
class Pause:
    """The rest an endpoint asked for with Retry-After. It holds for all requests: others would only be
    refused, too, and count against its limits.

    most_s: how long one rest may be, however often it is asked for; then at least one request is tried. Who
    began before a request that was answered since then brings old news, and is not listened to.
    """

    most_s: float
    _since: float = float("-inf")
    _until: float = float("-inf")
    _answered: float = float("-inf")

    def asked(self, seconds: float, started_at: float, now: float) -> None:
        """Hear from a request that began at `started_at` that the endpoint wants a rest."""
        if started_at < self._answered:
            return
        if now >= self._until:
            self._since = now
        self._until = max(self._until, min(now + seconds, self._since + self.most_s))

    def answered(self, started_at: float) -> None:
        """Hear that a request was answered."""
        self._answered = max(self._answered, started_at)

    def wait_s(self, now: float) -> float:
        """Return the seconds until the rest is over."""
        return max(0.0, self._until - now)
