"""Draw samples of a request, each paid once: from the bank what is there, from the endpoint only the rest.

Equal requests at the same time are drawn once, in this process through a lock, among processes through claims
in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agenttts.runtime.desk import Desk, Permit
from agenttts.runtime.errors import BadRequest, Draining, LimitReached, ModelError
from agenttts.runtime.records import Sample, SampleRequest, Usage
from agenttts.runtime.replies import Completion, usd
from agenttts.runtime.store.accounts import Amount
from agenttts.runtime.store.bank import sample_key
from agenttts.runtime.store.wishes import Refused
from agenttts.runtime.till import ElsewhereError, NoRoomError, Room, StreamDesk, Till
from agenttts.runtime.watch import Watch
from agenttts.runtime.worst import WorstCase
from agenttts.spec.model import ModelSpec, Price

SEEDS = 2**31 - 2**16
"""Base seeds stay below this, so that base + index stays within 31 bits."""
OURS = ("embedded", "simulated")
"""Workers that run servers of ours: seeded always, and their samples are never taken for anyone else's."""
SHOWN = 60
"""Characters of a prompt that the watch shows."""


class Client(Protocol):
    """What draws samples from an endpoint; see `ModelClient`."""

    async def complete(
        self, request: SampleRequest, first_index: int, count: int, desk: Desk | None = None
    ) -> Completion:
        """Return the samples first_index .. first_index + count - 1."""

    async def again(self, request: SampleRequest, permit: Permit, desk: Desk) -> Completion:
        """Ask once more for what a permit allows."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The first samples of a request's stream.

    used: what they cost as if nothing had been banked: the prompt once, every output. paid: what was drawn
    now.
    """

    samples: tuple[Sample, ...]
    used: Usage
    paid: Usage


@dataclass(slots=True)
class _Stream:
    """The samples of one key known in memory by index, while somebody needs them."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    samples: dict[int, Sample] = field(default_factory=dict)
    users: int = 0

    def gaps(self, count: int) -> list[range]:
        """Return the index ranges below count that are missing."""
        known = self.samples
        missing = [index for index in range(count) if index not in known]
        starts = (index for index in missing if index == 0 or index - 1 in known)
        ends = (index + 1 for index in missing if index + 1 == count or index + 1 in known)
        return [range(start, end) for start, end in zip(starts, ends, strict=True)]

    def add(self, samples: Sequence[Sample]) -> None:
        """Take samples in; the first of an index stays."""
        for sample in samples:
            self.samples.setdefault(sample.index, sample)


class Sampler:
    """Draws for one model. For one event loop; many processes may share the store."""

    def __init__(self, client: Client, till: Till, model: ModelSpec, watch: Watch | None = None) -> None:
        """Join an endpoint and a till. watch: where what is waited for is shown."""
        self.identity = model_identity(model)
        self._client, self.till, self._model = client, till, model
        self.watch = watch or Watch()
        self._worst = WorstCase(model, timed=till.timed)
        self._streams: dict[str, _Stream] = {}

    def at(self, stage: str) -> StageSampler:
        """Return the sampler under a stage's name, which the watch shows."""
        return StageSampler(self, stage)

    async def draw(self, request: SampleRequest, count: int, stage: str = "") -> Drawn:
        """Return samples 0 .. count-1. What is drawn is in the bank before this returns; errors never are.

        Equal requests at the same time are drawn once: whoever wants more draws only the rest.

        Raises:
            ModelError: if the endpoint fails for good, or a limit is reached; `paid` says what was drawn and
                banked until then.
            ValueError: if the request holds text that is not Unicode.
        """
        seeded = with_seed(request, self._model)
        key = sample_key(seeded)
        stream = self._streams.setdefault(key, _Stream())
        stream.users += 1
        try:
            with self.watch.waiting(stage, self._model.name, _words(request, count)) as entry:
                async with stream.lock:
                    paid = await self._fill(
                        stream, StreamDesk(self.till, key, seeded, self._worst, entry), count
                    )
                    samples = tuple(stream.samples[index] for index in range(count))
        finally:
            stream.users -= 1
            if not stream.users:
                self._streams.pop(key, None)
        return Drawn(samples, needed(samples, self._model.price), paid)

    async def _fill(self, stream: _Stream, desk: StreamDesk, count: int) -> Usage:
        pause, room = self.till.pause(), desk.room()
        try:
            while gaps := stream.gaps(count):
                known = await self.till.look((desk.key, count))
                stream.add(known.samples)
                gaps = stream.gaps(count)
                if gaps and known.others.busy:
                    desk.entry.note("another process draws the same samples")
                    self.till.check()
                    await pause()
                elif gaps and known.others.left:
                    await self._take_over(stream, desk, known.others.left, room)
                elif gaps:
                    await self._draw(stream, desk, gaps, room)
        except ModelError as error:
            error.paid, error.model = sum(desk.paid, Usage()), self._model.name
            raise
        return sum(desk.paid, Usage())

    async def _draw(self, stream: _Stream, desk: StreamDesk, gaps: Sequence[range], room: Room) -> None:
        try:
            for gap in gaps:
                drawn = await self._client.complete(desk.request, gap.start, len(gap), desk)
                self._worst.learn(desk.request, drawn.usage)
                stream.add(drawn.samples)
        except ElsewhereError:  # somebody was quicker: look again
            await asyncio.sleep(0)
        except NoRoomError:
            await room()

    async def _take_over(self, stream: _Stream, desk: StreamDesk, left: Sequence[Permit], room: Room) -> None:
        """Ask again, under the same idempotency keys, for what a process that died was drawing."""
        worst = {permit.token: self._worst(desk.request, permit.count) for permit in left}
        waiting = list(await self._adopt(desk, worst, room))
        desk.doubtful.update(permit.token for permit in waiting)
        try:
            while waiting:
                await self._once_more(stream, desk, waiting.pop(0))
        except BaseException as error:
            unsent = Draining("not sent again") if isinstance(error, ElsewhereError | ModelError) else error
            for permit in waiting:  # nobody else can take them while they are ours
                await desk.drop(permit, unsent)
            if not isinstance(error, ElsewhereError):
                raise

    async def _once_more(self, stream: _Stream, desk: StreamDesk, permit: Permit) -> None:
        try:
            drawn = await self._client.again(desk.request, permit, desk)
        except BadRequest as error:
            if type(error) is not BadRequest or permit.count == 1:
                raise
            return  # so many choices are not given any more: drawn anew as it now is
        stream.add(drawn.samples)

    async def _adopt(self, desk: StreamDesk, worst: dict[str, Amount], room: Room) -> Sequence[Permit]:
        adopted = await self.till.adopt(desk.key, worst)
        if isinstance(adopted, Refused):
            if not adopted.wait:
                raise LimitReached(adopted.reason)
            await room()
            return ()
        return adopted


@dataclass(frozen=True, slots=True)
class StageSampler:
    """A sampler as one stage uses it."""

    sampler: Sampler
    stage: str

    @property
    def identity(self) -> str:
        """The model's identity."""
        return self.sampler.identity

    async def draw(self, request: SampleRequest, count: int) -> Drawn:
        """Return the first `count` samples; see `Sampler.draw`."""
        return await self.sampler.draw(request, count, self.stage)


def _words(request: SampleRequest, count: int) -> str:
    return f"{count} x {request.messages[-1].content[:SHOWN]!r}"


def with_seed(request: SampleRequest, model: ModelSpec) -> SampleRequest:
    """Return the request with the base seed of its samples.

    It depends on everything in the request, so no two prompts share their luck. Models of ours always get
    one, others only when the spec gives a seed; without one the endpoint draws as it likes.
    """
    if request.seed is None and model.worker not in OURS:
        return request
    base = int(sample_key(request)[:15], 16) + (request.seed or 0)
    return replace(request, seed=base % SEEDS)


def needed(samples: Sequence[Sample], price: Price | None) -> Usage:
    """Return what samples cost when drawn with one request: the prompt once, every output."""
    if not samples:
        return Usage()
    prompt, output = samples[0].prompt_tokens, sum(s.output_tokens for s in samples)
    return Usage(
        requests=1,
        completions=len(samples),
        prompt_tokens=prompt,
        output_tokens=output,
        usd=usd(price, prompt, output),
        seconds=sum(s.seconds for s in samples),
    )


def model_identity(model: ModelSpec) -> str:
    """Return what tells one model's samples from another's in the bank.

    >>> model_identity(ModelSpec(name="m", worker="api", model="org/m", revision="r1"))
    'org/m revision=r1'
    """
    worker = model.worker if model.worker in OURS else None
    parts = {
        "worker": worker,
        "revision": model.revision,
        "engine": model.engine,
        "quantization": model.quantization,
    }
    return " ".join([model.model, *(f"{name}={value}" for name, value in parts.items() if value)])
