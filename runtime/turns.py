"""The line in front of one endpoint: a request begins when there is a place, the pace allows it, the endpoint
wants no rest and is up, and the search still goes on. Also all sleeping, so that a drain can end it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from agenttts.runtime.adaptive import Gate
from agenttts.runtime.breaker import Breaker, is_failure
from agenttts.runtime.errors import Draining, EndpointDown, LimitReached, ModelError, Overloaded, RateLimited
from agenttts.runtime.pacing import Pacer, Pause
from agenttts.runtime.retry import RetryPolicy, Surroundings, explained
from agenttts.spec.model import ModelLimits

WALL_CLOCK = "/search/limits/wall_clock_s: the time of the search is over. Raise the limit and resume."


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to make one attempt. probe: it asks whether an endpoint that was down is back. lost_s: how
    long it waited while the endpoint answered nobody.
    """

    started_at: float
    tokens: int
    probe: bool
    lost_s: float


class Turns:
    """Says who may begin. For one event loop."""

    def __init__(
        self,
        address: str,
        limits: ModelLimits,
        policy: RetryPolicy,
        around: Surroundings,
        ends_at: float | None,
    ) -> None:
        """address: for messages. ends_at: epoch seconds; nothing begins then or later."""
        self._around, self._ends_at = around, ends_at
        self.gate = Gate(limits.concurrency, around.clock)
        self.breaker = Breaker(address, policy.never_answered_s, limits.deadline_s, around.now)
        self._pause = Pause(policy.max_retry_after_s)
        self._requests = Pacer(limits.requests_per_minute, around.clock)
        self._tokens = Pacer(limits.tokens_per_minute, around.clock)
        self._trouble: tuple[ModelError, float] | None = None
        self._sleepers: set[asyncio.Future[None]] = set()
        self._draining = False

    @property
    def left_s(self) -> float:
        """Seconds until the search's end."""
        return float("inf") if self._ends_at is None else max(0.0, self._ends_at - self._around.now())

    def drain(self) -> None:
        """From now on nothing begins, and whoever waits hears `Draining`."""
        self._draining = True
        for sleeper in tuple(self._sleepers):
            sleeper.cancel()
        self.gate.wake()

    def ending(self, wait_s: float = 0.0) -> ModelError | None:
        """Return why nothing begins after a wait of so many seconds, if nothing does."""
        down = self.breaker.down(self._around.clock())
        if down is None and self._draining:
            return Draining("the worker takes no new work, because the search ends")
        late = self._ends_at is not None and self._around.now() + wait_s >= self._ends_at
        return LimitReached(WALL_CLOCK) if down is None and late else down

    async def sleep(self, seconds: float) -> None:
        """Sleep; a drain ends it.

        Raises:
            Draining, LimitReached: if nothing would begin after it.
        """
        self.check(seconds)
        if seconds <= 0:
            return
        sleeper = asyncio.ensure_future(self._around.sleep(seconds))
        self._sleepers.add(sleeper)
        try:
            await asyncio.wait((sleeper,))
        finally:
            sleeper.cancel()
            self._sleepers.discard(sleeper)
        if not sleeper.cancelled():
            sleeper.result()
        self.check()

    def check(self, wait_s: float = 0.0) -> None:
        """Raise `Draining` or `LimitReached` if nothing begins after a wait of so many seconds."""
        ending = self.ending(wait_s)
        if ending is not None and not isinstance(ending, EndpointDown):
            raise ending

    async def begin(self, tokens: int, left_s: float) -> Turn:
        """Wait for a turn; `ended` ends it. tokens: expected of the prompt. left_s: how long to wait while
        the endpoint refuses everybody.

        Raises:
            ModelError: Draining, LimitReached, EndpointDown, or why the endpoint refuses everybody.
        """
        came_at = self._around.clock()
        await self.gate.enter(partial(self._cleared, came_at, left_s))
        self._requests.charge(1)
        self._tokens.charge(tokens)
        return Turn(self._around.clock(), tokens, self.breaker.began(), self._lost_s(came_at))

    async def _cleared(self, came_at: float, left_s: float) -> bool:
        self.check()
        now = self._around.clock()
        if self.breaker.open:
            down = self.breaker.down(now)
            if self.breaker.probing:
                await self.gate.changed()
                return False
            if down is not None and self.breaker.wait_s(now):
                raise down
        if self._trouble is not None and self._lost_s(came_at) >= left_s > 0:
            raise _hopeless(self._trouble[0], self._lost_s(came_at))
        return await self._waited(now)

    async def _waited(self, now: float) -> bool:
        """Wait for whatever forbids to begin now; return whether nothing did."""
        waits = (self.breaker, self._pause, self._requests, self._tokens)
        wait = max(reason.wait_s(now) for reason in waits)
        if wait > 0:
            await self.sleep(wait)
        return not wait

    def _lost_s(self, came_at: float) -> float:
        if self._trouble is None:
            return 0.0
        return self._around.clock() - max(came_at, self._trouble[1])

    def succeeded(self, turn: Turn, tokens: int) -> None:
        """End a turn with a completion. tokens: what it really took."""
        self._tokens.charge(tokens - turn.tokens)
        self.gate.succeeded()
        self._pause.answered(turn.started_at)
        self._answered()
        self.ended(turn)

    def failed(self, turn: Turn, error: ModelError, in_time: bool) -> None:
        """End a turn with an error. in_time: False where we gave it too little time to judge by."""
        now = self._around.clock()
        if not error.uncertain:
            self._tokens.charge(-turn.tokens)
        if error.retryable and error.retry_after_s:
            self._pause.asked(error.retry_after_s, turn.started_at, now)
        if isinstance(error, RateLimited | Overloaded) and not turn.probe:
            self.gate.pushed_back(turn.started_at)
        if not is_failure(error):
            self.breaker.answered(now)
        elif in_time and self.breaker.failed(error, turn.probe, turn.started_at, now, self._around.chance()):
            self.gate.pushed_back(turn.started_at)
        self._note(error, now)
        self.ended(turn)

    def _note(self, error: ModelError, now: float) -> None:
        """Keep since when nobody was answered. While the breaker is open, its patience counts, not ours."""
        if not error.retryable:
            self._trouble = None
        elif self._trouble is None or self.breaker.open:
            self._trouble = (error, now)
        else:
            self._trouble = (error, self._trouble[1])

    def _answered(self) -> None:
        self._trouble = None
        self.breaker.answered(self._around.clock())

    def unused(self, turn: Turn) -> None:
        """End a turn in which nothing was sent."""
        self._requests.charge(-1)
        self._tokens.charge(-turn.tokens)
        self.ended(turn)

    def ended(self, turn: Turn) -> None:
        """End a turn of which nothing is known."""
        self.breaker.ended(turn.probe)
        self.gate.leave()


def _hopeless(error: ModelError, seconds: float) -> ModelError:
    return explained(error, f"waited {seconds:.0f} s for a turn while nobody was answered: {error.message}")
