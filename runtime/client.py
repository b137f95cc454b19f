"""Draw samples from one OpenAI-compatible endpoint. The only module that imports openai, and only when used.

It owns patience: retries, deadlines and the number of requests in flight. The client library's own retries
are off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import aiohttp

from agenttts.runtime.errors import BadRequest, ConnectionLost, ModelError, Timeout
from agenttts.runtime.pacing import Pacer
from agenttts.runtime.records import SampleRequest
from agenttts.runtime.refusals import refusal
from agenttts.runtime.replies import NOTHING, Completion, estimate_tokens, read_reply
from agenttts.runtime.retry import RetryPolicy, Surroundings, retrying
from agenttts.runtime.secret import MASK, Secret
from agenttts.spec.model import MAX_COMPLETION_TOKENS, ModelLimits, Price

if TYPE_CHECKING:
    import openai

MOST_CHOICES = 128
"""Most completions asked for in one request; OpenAI's own limit."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
NO_KEY = Secret("none")
Keep = Callable[[Completion], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Draw:
    """What is drawn, and who keeps every reply."""

    request: SampleRequest
    keep: Keep | None


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
    ) -> None:
        """Keep the address; nothing is opened yet.

        model: the name the endpoint knows. limits: of this client; a request that waits for its retry is not
        in flight. `timeout_s` is one attempt's deadline, the body included.
        """
        self._base_url, self._key, self._model = base_url, api_key, model
        limits, around = limits or ModelLimits(), around or Surroundings()
        self._timeout_s, self._price = limits.timeout_s, price
        self._policy, self._around = policy or RetryPolicy(), around
        self._places = asyncio.Semaphore(limits.concurrency)
        self._requests = Pacer(limits.requests_per_minute, around)
        self._tokens = Pacer(limits.tokens_per_minute, around)
        self._choices = MOST_CHOICES
        self._many_work = False
        self._opened: openai.AsyncOpenAI | None = None

    async def __aenter__(self) -> Self:
        """Return self."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def complete(
        self, request: SampleRequest, first_index: int, count: int, keep: Keep | None = None
    ) -> Completion:
        """Draw the samples first_index .. first_index + count - 1 of a request.

        A request with a seed sends seed + index of the first sample asked for, and the endpoint counts on
        from there. When an endpoint gives fewer choices than asked, the rest is asked for again, and no later
        request asks for more than it gave.

        keep: awaited with every reply as it arrives, so that what was paid survives a failure of the rest.

        Raises:
            ModelError: what finally went wrong, after retries.
        """
        draw = _Draw(request, keep)
        if count > 1 and not self._many_work and self._choices > 1:
            probe = await self._probe(draw, first_index, min(count, self._choices))
            done = len(probe.samples)
            return probe + await self._rest(draw, first_index + done, count - done)
        return await self._rest(draw, first_index, count)

    async def _probe(self, draw: _Draw, first_index: int, count: int) -> Completion:
        """Ask for many choices; an endpoint that refuses them may still give them one by one."""
        try:
            return await self._ask(draw, first_index, count)
        except BadRequest as error:
            if type(error) is not BadRequest:
                raise
            single = await self._ask(draw, first_index, 1)
            self._choices = 1
            return single

    async def _rest(self, draw: _Draw, first_index: int, count: int) -> Completion:
        end, step = first_index + count, self._choices
        calls = [self._whole(draw, start, min(step, end - start)) for start in range(first_index, end, step)]
        parts = await asyncio.gather(*calls, return_exceptions=True)
        for part in parts:
            if isinstance(part, BaseException):
                raise part
        return sum((part for part in parts if isinstance(part, Completion)), NOTHING)

    async def _whole(self, draw: _Draw, first_index: int, count: int) -> Completion:
        drawn = NOTHING
        while len(drawn.samples) < count:
            done = len(drawn.samples)
            drawn += await self._ask(draw, first_index + done, min(count - done, self._choices))
        return drawn

    async def _ask(self, draw: _Draw, first_index: int, count: int) -> Completion:
        drawn = await retrying(
            lambda: self._attempt(draw.request, first_index, count), self._policy, self._around
        )
        if len(drawn.samples) < count:
            self._choices = min(self._choices, len(drawn.samples))
        self._many_work = self._many_work or len(drawn.samples) > 1
        if draw.keep is not None:
            await draw.keep(drawn)
        return drawn

    async def _attempt(self, request: SampleRequest, first_index: int, count: int) -> Completion:
        body = _body(request, self._model, first_index, count)
        prompt = sum(estimate_tokens(m.content) for m in request.messages)
        async with self._places:
            await self._requests.take(1)
            await self._tokens.take(prompt)
            start = time.perf_counter()
            reply = await self._send(body)
            seconds = time.perf_counter() - start
        drawn = read_reply(reply, request.messages, first_index, count, seconds, self._price)
        self._tokens.charge(drawn.usage.prompt_tokens + drawn.usage.output_tokens - prompt)
        return drawn

    async def _send(self, body: dict[str, Any]) -> bytes:
        import openai

        client = self._client()
        try:
            async with asyncio.timeout(self._timeout_s):
                raw = await client.chat.completions.with_raw_response.create(**body)
            content: bytes = raw.content
            return content
        except openai.APIStatusError as error:
            raise self._refusal(error) from error
        except (TimeoutError, openai.APIError) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> ModelError:
        """Tell silence from a lost connection: the transport reports some of the latter as time-outs, too."""
        import openai

        chain = tuple(_causes(error))
        cut = next((e for e in chain if isinstance(e, aiohttp.ClientConnectionError | ConnectionError)), None)
        timeout = any(isinstance(e, TimeoutError | openai.APITimeoutError) for e in chain)
        if timeout and (cut is None or isinstance(cut, TimeoutError)):
            return Timeout(f"no answer within {self._timeout_s:g} s")
        return ConnectionLost(f"{error} ({type(chain[-1]).__name__}: {chain[-1]})")

    def _refusal(self, error: openai.APIStatusError) -> ModelError:
        message = error.message.replace(self._key.reveal(), MASK) if self._key != NO_KEY else error.message
        return refusal(error.status_code, error.code, message, error.response.headers)

    def _client(self) -> openai.AsyncOpenAI:
        if self._opened is None:
            import openai

            outside = urlsplit(self._base_url).hostname not in LOOPBACK
            self._opened = openai.AsyncOpenAI(
                base_url=self._base_url,
                api_key=self._key.reveal(),
                max_retries=0,
                timeout=self._timeout_s,
                http_client=openai.DefaultAioHttpClient(trust_env=outside),  # no proxy for this machine
            )
        return self._opened


def _body(request: SampleRequest, model: str, first_index: int, count: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "n": count,
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if MAX_COMPLETION_TOKENS not in request.extra:
        body["max_tokens"] = request.max_tokens
    if request.stop:
        body["stop"] = list(request.stop)
    if request.seed is not None:
        body["seed"] = request.seed + first_index
    if request.extra:
        body["extra_body"] = dict(request.extra)  # merged in; as arguments unknown ones are refused
    return body


def _causes(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__
