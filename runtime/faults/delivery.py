"""Put a reply on the wire the way its fate wants it: whole, dribbling, or cut."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from agenttts.runtime.faults.documents import garbled
from agenttts.runtime.faults.fate import Fate
from agenttts.runtime.faults.state import Sleep


async def send(
    request: web.Request, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Send a reply now, and not after the handler's end, so that a client that is gone is noticed.

    Raises:
        ConnectionError: if the client is gone.
    """
    response = web.Response(status=status, body=body, headers=headers, content_type="application/json")
    await response.prepare(request)
    await response.write_eof()
    return response


async def send_fated(
    request: web.Request, body: bytes, fate: Fate, pause_s: float, sleep: Sleep
) -> web.StreamResponse:
    """Send a completion as its fate wants it.

    Raises:
        ConnectionError: if the client is gone.
    """
    body = garbled(body, fate.garbage)
    response = web.StreamResponse()
    response.content_type = "text/html" if fate.garbage == "html" else "application/json"
    response.content_length = len(body)
    await response.prepare(request)
    if fate.cut is not None:
        await response.write(body[: max(1, int(len(body) * fate.cut))])
        hang_up(request)
        return response
    for number, piece in enumerate(pieces(body, fate.pieces)):
        await sleep(pause_s if number else 0.0)
        await response.write(piece)
    await response.write_eof()
    return response


def pieces(body: bytes, count: int) -> list[bytes]:
    """Cut a body into at most so many pieces, none of them empty.

    >>> pieces(b"abcde", 2)
    [b'abc', b'de']
    """
    size = max(1, -(-len(body) // count))
    return [body[start : start + size] for start in range(0, len(body), size)]


def hang_up(request: web.Request) -> None:
    """Close the connection once what was written is sent."""
    if request.transport is not None:
        request.transport.close()


def cut_off(request: web.Request) -> web.StreamResponse:
    """Cut the connection before a byte was sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
