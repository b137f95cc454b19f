"""Draw samples of a request, each paid once: from the bank what is there, from the endpoint only the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from agenttts.runtime.batching import Batcher
from agenttts.runtime.client import Keep
from agenttts.runtime.errors import ModelError
from agenttts.runtime.records import Sample, SampleRequest, Usage
from agenttts.runtime.replies import Completion, usd
from agenttts.runtime.store.bank import SampleBank, sample_key
from agenttts.spec.model import ModelSpec, Price

SEEDS = 2**31 - 2**16
"""Base seeds stay below this, so that base + index stays within 31 bits."""


_Kept = tuple[SampleRequest, tuple[Sample, ...]]


class Client(Protocol):
    """What draws samples from an endpoint; see `ModelClient`."""

    async def complete(
        self, request: SampleRequest, first_index: int, count: int, keep: Keep | None = None
    ) -> Completion:
        """Return the samples first_index .. first_index + count - 1."""


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
    """The samples of one key known in memory, while somebody needs them."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    samples: tuple[Sample, ...] = ()
    users: int = 0


class Sampler:
    """Draws for one model. For one event loop; many processes may share the bank."""

    def __init__(self, client: Client, bank: SampleBank, model: ModelSpec) -> None:
        """Join an endpoint and a bank."""
        self.identity = model_identity(model)
        self._client, self._model = client, model
        self._streams: dict[str, _Stream] = {}
        self._read: Batcher[tuple[str, int], list[Sample]] = Batcher(partial(_read, bank))
        self._write: Batcher[_Kept, None] = Batcher(partial(_write, bank))

    async def draw(self, request: SampleRequest, count: int) -> Drawn:
        """Return samples 0 .. count-1. What is drawn is in the bank before this returns; errors never are.

        Equal requests at the same time are drawn once: whoever wants more draws only the rest.

        Raises:
            ModelError: if the endpoint fails for good; `paid` says what was drawn and banked until then.
            ValueError: if the request holds text that is not Unicode.
        """
        seeded = with_seed(request, self._model)
        key = sample_key(seeded)
        stream = self._streams.setdefault(key, _Stream())
        stream.users += 1
        try:
            async with stream.lock:
                paid = await self._fill(stream, key, seeded, count)
                samples = stream.samples[:count]
        finally:
            stream.users -= 1
            if not stream.users:
                self._streams.pop(key, None)
        return Drawn(samples, needed(samples, self._model.price), paid)

    async def _fill(self, stream: _Stream, key: str, request: SampleRequest, count: int) -> Usage:
        if len(stream.samples) < count:
            stream.samples = max(stream.samples, tuple(await self._read((key, count))), key=len)
        missing = count - len(stream.samples)
        if missing <= 0:
            return Usage()
        paid: list[Usage] = []

        async def keep(part: Completion) -> None:
            paid.append(part.usage)
            await self._write((request, part.samples))

        try:
            drawn = await self._client.complete(request, len(stream.samples), missing, keep)
        except ModelError as error:
            error.paid = sum(paid, Usage())
            raise
        stream.samples += drawn.samples
        return drawn.usage


def with_seed(request: SampleRequest, model: ModelSpec) -> SampleRequest:
    """Return the request with the base seed of its samples.

    It depends on everything in the request, so no two prompts share their luck. Embedded models always get
    one, others only when the spec gives a seed; without one the endpoint draws as it likes.
    """
    if request.seed is None and model.worker != "embedded":
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
    worker = "embedded" if model.worker == "embedded" else None
    parts = {
        "worker": worker,
        "revision": model.revision,
        "engine": model.engine,
        "quantization": model.quantization,
    }
    return " ".join([model.model, *(f"{name}={value}" for name, value in parts.items() if value)])


def _read(bank: SampleBank, wanted: Sequence[tuple[str, int]]) -> list[list[Sample]]:
    found = bank.get_many(dict(wanted))
    return [found[key] for key, _ in wanted]


def _write(bank: SampleBank, drawn: Sequence[_Kept]) -> list[None]:
    bank.put_many(drawn)
    return [None] * len(drawn)
