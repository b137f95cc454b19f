"""Keep to an endpoint's rate: so much a minute, evenly spread."""

from __future__ import annotations

from agenttts.runtime.retry import Surroundings


class Pacer:
    """Delays whoever takes faster than the rate allows. Amounts learned too late delay the next one."""

    def __init__(self, per_minute: float | None, around: Surroundings) -> None:
        """per_minute: None means no limit."""
        self._cost_s = 60.0 / per_minute if per_minute else 0.0
        self._around = around
        self._free_at = float("-inf")

    async def take(self, amount: float) -> None:
        """Wait for one's turn, and use up the time that `amount` takes."""
        now = self._around.clock()
        wait = self._free_at - now
        self.charge(amount)
        if wait > 0:
            await self._around.sleep(wait)

    def charge(self, amount: float) -> None:
        """Use up time without waiting; a negative amount gives some back."""
        self._free_at = max(self._free_at, self._around.clock()) + amount * self._cost_s
