"""Fakes for tests: an OpenAI-compatible server on loopback with canned answers, which counts and can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from agenttts.runtime.serving import ThreadedServer

Answer = Callable[[str, int | None], str]
"""The last message's text, and the sample's seed (None: none was sent) -> the completion's text."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that is no completion: sent instead of the next answer. body: bytes as they are, else JSON."""

    status: int
    body: bytes | Mapping[str, Any] = b""
    headers: Mapping[str, str] | None = None


class FakeServer(ThreadedServer):
    """A server in its own thread; use it as a context manager.

    requests: the bodies received, in order; asked: with their idempotency keys. most_choices: how many
    choices it gives at most.
    """

    def __init__(
        self,
        answer: Answer = lambda prompt, seed: f"{prompt}|{seed}",
        refusals: Sequence[Refusal] = (),
        most_choices: int = 128,
        with_usage: bool = True,
        delay_s: float = 0.0,
    ) -> None:
        """Prepare; `refusals` are sent first, one per request."""
        self.requests: list[dict[str, Any]] = []
        self.asked: list[tuple[dict[str, Any], str]] = []
        self.keys: list[str] = []
        self._answer, self._refusals = answer, list(refusals)
        self._most_choices, self._with_usage, self._delay_s = most_choices, with_usage, delay_s
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._complete)
        super().__init__(app)

    @property
    def url(self) -> str:
        """The base URL."""
        return self.base_url

    @property
    def completions(self) -> int:
        """How many completions were asked for in all."""
        return sum(int(body.get("n", 1)) for body in self.requests)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.asked.append((body, request.headers.get("Idempotency-Key", "")))
        self.keys.append(request.headers.get("Authorization", ""))
        return await self.respond(request, body)

    async def respond(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """Send the next refusal, or the reply."""
        refusal = self._refusals.pop(0) if self._refusals else None
        await asyncio.sleep(self._delay_s)
        answer = refusal or self.reply(body)
        return _refuse(request, answer) if isinstance(answer, Refusal) else answer

    def reply(self, body: dict[str, Any]) -> web.Response | Refusal:
        """Return the reply to a request."""
        prompt, seed = str(body["messages"][-1]["content"]), body.get("seed")
        count = min(int(body.get("n", 1)), self._most_choices)
        texts = [self._answer(prompt, None if seed is None else seed + place) for place in range(count)]
        document: dict[str, Any] = {"choices": [_choice(place, text) for place, text in enumerate(texts)]}
        if self._with_usage:
            words = sum(len(text.split()) for text in texts)
            document["usage"] = {"prompt_tokens": len(prompt.split()), "completion_tokens": words}
        return web.json_response(document)


def _choice(place: int, text: str) -> dict[str, Any]:
    return {"index": place, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}


def _refuse(request: web.Request, refusal: Refusal) -> web.StreamResponse:
    if refusal.status == 0:  # cut the connection
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    if isinstance(refusal.body, bytes):
        return web.Response(status=refusal.status, body=refusal.body, headers=refusal.headers)
    return web.json_response(refusal.body, status=refusal.status, headers=refusal.headers)
