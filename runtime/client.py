"""Draw samples from one OpenAI-compatible endpoint: cut a draw into requests of as many choices as it gives.

Each request is seen through by `calls`, begins when `turns` says so, and is sent by `transport`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from agenttts.runtime.calls import Caller
from agenttts.runtime.choices import Choices
from agenttts.runtime.desk import Desk, OpenDesk, Permit
from agenttts.runtime.errors import BadRequest
from agenttts.runtime.records import SampleRequest
from agenttts.runtime.replies import NOTHING, Completion
from agenttts.runtime.retry import RetryPolicy, Surroundings
from agenttts.runtime.secret import Secret
from agenttts.runtime.transport import OpenAITransport, Transport
from agenttts.runtime.turns import Turns
from agenttts.spec.model import ModelLimits, Price


@dataclass(frozen=True, slots=True)
class _Draw:
    """What is drawn, and who grants requests and keeps replies."""

    request: SampleRequest
    desk: Desk


class ModelClient:
    """One model behind one endpoint. Use it from one event loop; `close` it there."""

    def __init__(
        self,
        base_url: str,
        api_key: Secret,
        model: str,
        limits: ModelLimits | None = None,
        price: Price | None = None,
        policy: RetryPolicy | None = None,
        around: Surroundings | None = None,
        transport: Transport | None = None,
        ends_at: float | None = None,
    ) -> None:
        """Keep the address; nothing is opened yet.

        model: the name the endpoint knows. limits: of this client; a request that waits for its retry is not
        in flight. ends_at: epoch seconds at which the search ends; no attempt begins then, none lasts longer.
        """
        policy, around = policy or RetryPolicy(), around or Surroundings()
        limits = limits or ModelLimits(deadline_s=policy.deadline_s)
        self._transport = transport or OpenAITransport(base_url, api_key)
        turns = Turns(_address(base_url), limits, policy, around, ends_at)
        self._caller = Caller(self._transport, turns, model, price, limits, policy, around)
        self._choices = Choices()

    async def __aenter__(self) -> Self:
        """Return self."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    def drain(self) -> None:
        """From now on no attempt begins; those in flight go on, and their replies are kept."""
        self._caller.drain()

    async def idle(self) -> None:
        """Wait until no request is under way: every reply is kept, every permit given back."""
        await self._caller.idle()

    async def complete(
        self, request: SampleRequest, first_index: int, count: int, desk: Desk | None = None
    ) -> Completion:
        """Draw the samples first_index .. first_index + count - 1 of a request.

        A request with a seed sends seed + index of the first sample asked for, and the endpoint counts on
        from there. When an endpoint gives fewer choices than asked, the rest is asked for again, and later
        requests ask for as many as it gives, see `Choices`.

        desk: grants every request and keeps every reply as it arrives, so that what was paid survives a
        failure of the rest. What it raises passes through.

        Raises:
            ModelError: what finally went wrong, after retries.
        """
        draw = _Draw(request, desk or OpenDesk())
        if count > 1 and not self._choices.works and self._choices.most > 1:
            probe = await self._probe(draw, first_index, min(count, self._choices.most))
            done = len(probe.samples)
            return probe + await self._rest(draw, first_index + done, count - done)
        return await self._rest(draw, first_index, count)

    async def again(self, request: SampleRequest, permit: Permit, desk: Desk) -> Completion:
        """Send the request of a permit that was granted before, with the same body and key.

        Raises:
            ModelError: what finally went wrong, after retries.
        """
        return await self._caller.again(request, permit, desk)

    async def _probe(self, draw: _Draw, first_index: int, count: int) -> Completion:
        """Ask for many choices; an endpoint that refuses them may still give them one by one."""
        try:
            return await self._ask(draw, first_index, count)
        except BadRequest as error:
            if type(error) is not BadRequest:
                raise
            single = await self._ask(draw, first_index, 1)
            self._choices.refused()
            return single

    async def _rest(self, draw: _Draw, first_index: int, count: int) -> Completion:
        """Ask for so many: at once, one request for as many choices as the endpoint gives."""
        if count <= 0:
            return NOTHING
        step, end = self._choices.next(count), first_index + count
        if count <= step:
            drawn = await self._ask_more(draw, first_index, count)
            done = len(drawn.samples)
            return drawn + await self._rest(draw, first_index + done, count - done)
        calls = [self._rest(draw, start, min(step, end - start)) for start in range(first_index, end, step)]
        parts = await asyncio.gather(*calls, return_exceptions=True)
        for part in parts:
            if isinstance(part, BaseException):
                raise part
        return sum((part for part in parts if isinstance(part, Completion)), NOTHING)

    async def _ask_more(self, draw: _Draw, first_index: int, count: int) -> Completion:
        """Ask, now and then for more than the cap: who refuses that is asked for what is given."""
        most = self._choices.most
        try:
            return await self._ask(draw, first_index, count)
        except BadRequest as error:
            if type(error) is not BadRequest or count <= most:
                raise
            return await self._ask(draw, first_index, most)

    async def _ask(self, draw: _Draw, first_index: int, count: int) -> Completion:
        drawn = await self._caller.ask(draw.request, first_index, count, draw.desk)
        self._choices.heard(count, len(drawn.samples))
        return drawn


def _address(base_url: str) -> str:
    """Return a URL as it may be shown: without user, password and query."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
