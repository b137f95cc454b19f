"""Send one request to an endpoint and bring back what it says, or a `ModelError` that says what went wrong.

The only module that imports openai, and only when used; the library's own retries are off. The key appears
in no error and in no reply, even where an endpoint echoes it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

import aiohttp

from agenttts.runtime.errors import Authentication, BadReply, ConnectionLost, ModelError, Timeout
from agenttts.runtime.refusals import refusal
from agenttts.runtime.secret import MASK, Secret, hide_credentials

if TYPE_CHECKING:
    import httpx2
    import openai

CONNECT_S = 10.0
"""To make a connection, name look-up and TLS included. A request's own time limit is for the model."""
CHAT = "/chat/completions"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
NO_KEY = Secret("none")
PART = 6
"""Characters of a key in a row that are worth hiding."""
MOST_TEXT = 4000
MOST_BYTES = 2**28
"""Of a reply: more is no answer to anything that was asked."""
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_CUT = (aiohttp.ClientError, ConnectionError)


class _TooLongError(Exception):
    """A reply does not end."""


class Transport(Protocol):
    """What carries requests to one endpoint."""

    async def send(self, body: dict[str, Any], headers: Mapping[str, str], timeout_s: float) -> bytes:
        """Return the reply's body; timeout_s: for all of it.

        Raises:
            ModelError: if there is no reply, or its status says no.
        """

    async def close(self) -> None:
        """Close all connections."""


class OpenAITransport:
    """Carries requests with the openai client. Use it from one event loop, and close it there."""

    def __init__(
        self, base_url: str, api_key: Secret, most_bytes: int = MOST_BYTES, path: str = CHAT
    ) -> None:
        """Keep the address; nothing is opened yet. most_bytes: a reply may have. path: of every request."""
        self._base_url, self._key, self._most_bytes, self._path = base_url, api_key, most_bytes, path
        self._opened: openai.AsyncOpenAI | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def send(self, body: dict[str, Any], headers: Mapping[str, str], timeout_s: float) -> bytes:
        """Return the reply's body. See `Transport`."""
        import httpx2
        import openai

        client = self._client()
        connect_s = min(CONNECT_S, 0.9 * timeout_s)  # the earlier of two ends says more
        times = openai.Timeout(timeout_s, connect=connect_s, pool=connect_s)
        options: openai.RequestOptions = {"headers": dict(headers), "timeout": times}
        try:
            async with asyncio.timeout(timeout_s):
                reply = await client.post(self._path, cast_to=httpx2.Response, body=body, options=options)
            return self._without_key(reply.content)
        except openai.APIStatusError as error:
            text = masked(error.message[:MOST_TEXT], self._key)
            found = refusal(error.status_code, error.code, text, error.response.headers)
        except _TooLongError as error:
            found = BadReply(f"the reply does not end: {error}")
        except (TimeoutError, openai.APIError, httpx2.HTTPError, aiohttp.ClientError) as error:
            found = self._lost(error, timeout_s)
        raise found  # outside of the handlers: the library's own error may hold the key

    def _lost(self, error: Exception, timeout_s: float) -> ModelError:
        """Tell silence from a lost connection: the library reports some of the latter as time-outs, too.

        Garbage that is no HTTP is a bad reply: something answered.
        """
        import httpx2

        chain = tuple(_causes(error))
        silent = next((e for e in chain if isinstance(e, TimeoutError)), chain[-1])
        cause = next((e for e in chain if isinstance(e, _CUT)), silent)
        text = masked(hide_credentials(f"{type(cause).__name__}: {cause}")[:MOST_TEXT], self._key)
        garbage = (aiohttp.ClientResponseError, httpx2.DecodingError, httpx2.TooManyRedirects)
        if any(isinstance(e, garbage) for e in chain):
            return BadReply(f"the reply cannot be read ({text})")
        if isinstance(cause, TimeoutError) and not isinstance(cause, _NOT_SENT):
            return Timeout(f"no answer within {timeout_s:g} s")
        lost = ConnectionLost(text)
        lost.uncertain = not isinstance(cause, _NOT_SENT)
        return lost

    def _without_key(self, content: bytes) -> bytes:
        key = self._key.reveal().encode()
        return content.replace(key, MASK.encode()) if len(key) >= PART else content

    def _client(self) -> openai.AsyncOpenAI:
        if self._opened is None:
            import openai

            key = self._key.reveal()
            if not (key.isascii() and key.isprintable()):
                raise Authentication("the key has characters that cannot be sent, a line break perhaps")
            outside = urlsplit(self._base_url).hostname not in LOOPBACK
            self._opened = openai.AsyncOpenAI(
                base_url=self._base_url,
                api_key=key,
                max_retries=0,
                http_client=openai.DefaultAioHttpClient(
                    trust_env=outside,  # no proxy for this machine
                    event_hooks={"response": [self._capped]},
                ),
            )
        return self._opened

    async def _capped(self, response: httpx2.Response) -> None:
        """Let a reply end with an error once it is too long: an endpoint may write for ever."""
        import httpx2

        whole, most = response.stream, self._most_bytes

        class Capped(httpx2.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                size = 0
                assert isinstance(whole, httpx2.AsyncByteStream)
                async for part in whole:
                    size += len(part)
                    if size > most:
                        raise _TooLongError(f"more than {most} bytes")
                    yield part

            async def aclose(self) -> None:
                assert isinstance(whole, httpx2.AsyncByteStream)
                await whole.aclose()

        response.stream = Capped()


def masked(text: str, key: Secret) -> str:
    """Return a text without a key, however it is escaped, and without parts of it.

    >>> masked("Incorrect API key: sk-proj-****3456", Secret("sk-proj-abc123456"))
    'Incorrect API key: *******3456'
    """
    if key == NO_KEY:
        return text
    bare = key.reveal()
    for form in {bare, repr(bare)[1:-1], json.dumps(bare)[1:-1], bare.replace("/", "\\/"), quote(bare, "")}:
        text = text.replace(form, MASK)
    return text if len(bare) < PART else "".join(_without_parts(text, bare))


def _without_parts(text: str, key: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        end = place + PART
        if text[place:end] not in key or end > len(text):
            yield text[place]
            place += 1
            continue
        while end < len(text) and text[place : end + 1] in key:
            end += 1
        yield MASK
        place = end


def _causes(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__
