"""Where a worker's requests are claimed, paid and banked: the store's claims behind the client's `Desk`.

What many requests want at the same time goes to the database together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

from agenttts.runtime.batching import Batcher
from agenttts.runtime.desk import Permit
from agenttts.runtime.errors import BadRequest, Draining, LimitReached, ModelError
from agenttts.runtime.records import Sample, SampleRequest, Usage
from agenttts.runtime.replies import Completion
from agenttts.runtime.retry import Surroundings
from agenttts.runtime.store.accounts import Amount
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.database import StoreLostError
from agenttts.runtime.store.wishes import Busy, Opened, Others, Refused, Reply, Wish
from agenttts.runtime.watch import Entry

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.5
SETTLE_S = 5.0
"""So often, while waiting for room under a limit, what dead workers reserved is looked for."""
_T = TypeVar("_T")
Worst = Callable[[SampleRequest, int], Amount]


class ElsewhereError(Exception):
    """Somebody else draws these samples at this moment."""


class NoRoomError(Exception):
    """Under a limit there is no room now; reservations of others will settle."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a stream: samples below the count asked for, and what others claimed."""

    samples: tuple[Sample, ...]
    others: Others


@dataclass(slots=True)
class Pause:
    """A wait that grows."""

    sleep: Callable[[float], Awaitable[None]]
    next_s: float = FIRST_PAUSE_S

    async def __call__(self) -> float:
        """Wait, and return how long."""
        waited, self.next_s = self.next_s, min(LONGEST_PAUSE_S, 2 * self.next_s)
        await self.sleep(waited)
        return waited


class Till:
    """The till of one worker: for one event loop, and all its models."""

    def __init__(self, bank: SampleBank, claims: Claims, around: Surroundings | None = None) -> None:
        """Join a bank and claims of the same database."""
        self._bank, self._claims = bank, claims
        self.around = around or Surroundings()
        self.timed = claims.caps.gpu_seconds is not None
        self._draining = False
        self._lost: str | None = None
        self.look: Batcher[tuple[str, int], Known] = Batcher(self._look)
        self.open: Batcher[Wish, Opened] = Batcher(claims.open)
        self.keep: Batcher[Reply, None] = Batcher(lambda replies: _nothing(claims.keep, replies))
        self.drop: Batcher[Permit, None] = Batcher(lambda permits: _nothing(claims.drop, permits))
        self.leave: Batcher[Permit, None] = Batcher(lambda permits: _nothing(claims.leave, permits))
        self.put_back: Batcher[Permit, None] = Batcher(lambda permits: _nothing(claims.put_back, permits))
        self.again: Batcher[tuple[Permit, Amount], Opened] = Batcher(
            lambda pairs: claims.again(
                [permit for permit, _ in pairs], {p.token: worst for p, worst in pairs}
            )
        )

    def _look(self, wanted: Sequence[tuple[str, int]]) -> list[Known]:
        """Look at claims first: what is banked in between is then seen as banked, not as free."""
        others = self._claims.others([key for key, _ in wanted])
        found = self._bank.known(dict(wanted))
        return [Known(tuple(found[key]), others.get(key, Others())) for key, _ in wanted]

    async def adopt(self, key: str, worst: dict[str, Amount]) -> list[Permit] | Refused:
        """Take over what the dead left of a stream."""
        return await asyncio.to_thread(self._claims.adopt, key, worst)

    async def settle(self) -> None:
        """Count what dead workers reserved as lost."""
        await asyncio.to_thread(self._claims.settle_left)

    def pause(self) -> Pause:
        """Return a new growing wait."""
        return Pause(self.around.sleep)

    def drain(self) -> None:
        """From now on every wait ends with `Draining`."""
        self._draining = True

    def check(self) -> None:
        """Raise `Draining` when told to, and once a reply could not be banked why: what was paid for waits
        under its key for the next process, and would here be asked for anew.
        """
        if self._lost is not None:
            raise StoreLostError(self._lost)
        if self._draining:
            raise Draining("the search ends")

    async def bank(self, reply: Reply) -> None:
        """Keep a reply.

        Raises:
            StoreLostError: if it cannot be written; nothing more is asked for then.
        """
        try:
            await self.keep(reply)
        except StoreLostError as error:
            self._lost = str(error)
            raise


@dataclass(slots=True)
class Room:
    """A wait for room under a limit; now and then it looks for what dead workers reserved."""

    till: Till
    entry: Entry
    pause: Pause
    waited_s: float = 0.0

    async def __call__(self) -> None:
        """Wait a while."""
        self.till.check()
        self.entry.note("waits for room under a limit of the search")
        self.waited_s += await self.pause()
        if self.waited_s > SETTLE_S:
            self.waited_s = 0.0
            await self.till.settle()


@dataclass(slots=True)
class StreamDesk:
    """The desk of one draw from one stream. worst: the worst case of a request for so many samples.

    paid: what came back so far. doubtful: tokens of requests of which an attempt, of ours or of somebody else
    who died, was counted as lost and may have been completed.
    """

    till: Till
    key: str
    request: SampleRequest
    worst: Worst
    entry: Entry
    paid: list[Usage] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)

    async def open(self, first_index: int, count: int) -> Permit:
        """Claim samples and reserve their worst case, without waiting: whoever asks holds a place.

        Raises:
            ElsewhereError: if somebody else draws them.
            NoRoomError: if reservations of others may make room later.
            LimitReached: if the worst case does not fit under a limit.
        """
        wish = Wish(self.key, Permit(first_index, count, uuid4().hex), self.worst(self.request, count))
        self.till.check()
        opened = await self.till.open(wish)
        if isinstance(opened, Busy):
            raise ElsewhereError
        if isinstance(opened, Refused):
            raise NoRoomError if opened.wait else LimitReached(opened.reason)
        return opened

    async def granted(self, ask: Callable[[], Awaitable[Opened]]) -> None:
        """Ask until it is granted, or refused for good, or gone to somebody else."""
        room = self.room()
        while isinstance(answer := await ask(), Refused):
            if not answer.wait:
                raise LimitReached(answer.reason)
            await room()
        if isinstance(answer, Busy):
            raise ElsewhereError

    def room(self) -> Room:
        """Return a wait for room under a limit."""
        return Room(self.till, self.entry, self.till.pause())

    async def failed(self, permit: Permit, error: ModelError, delay_s: float) -> None:
        """Note the failure; one that may have been billed counts as lost, and is reserved anew."""
        self.entry.note(f"{error}; the next try is in {delay_s:.1f} s", failed=True)
        if error.uncertain:
            self.doubtful.add(permit.token)
            await self.granted(lambda: self.till.again((permit, self.worst(self.request, permit.count))))

    async def keep(self, permit: Permit, completion: Completion) -> None:
        """Bank what came."""
        self.paid.append(completion.usage)
        self.entry.note("")
        await self.till.bank(Reply(permit, self.request, completion.samples, completion.usage))

    async def drop(self, permit: Permit, error: BaseException) -> None:
        """Give the claim up; unless no attempt can have cost anything its idempotency key stays known."""
        certain = isinstance(error, ModelError) and not error.uncertain
        refused = isinstance(error, BadRequest)  # its key is worth nothing
        if not certain:
            await self.till.leave(permit)
        elif permit.token in self.doubtful and not refused:
            await self.till.put_back(permit)
        else:
            await self.till.drop(permit)


def _nothing(handle: Callable[[Sequence[_T]], None], values: Sequence[_T]) -> list[None]:
    handle(values)
    return [None] * len(values)
