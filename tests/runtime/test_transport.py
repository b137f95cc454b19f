"""Whatever a socket does, the transport says what happened, whether it may be billed, and never the key."""

import asyncio
import gzip
import json
import pickle
import traceback
from pathlib import Path

import pytest
from aiohttp import resolver
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime import errors, transport
from agenttts.runtime.secret import MASK, Secret
from agenttts.runtime.testing import FakeServer, Refusal
from agenttts.runtime.transport import PART, OpenAITransport, masked

KEY = 'sk-proj-Ab3/x"9+Zk77QwErTy'


def http(body=b"", status=200, length=None, headers=""):
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n".encode() + body


def send(url, key=KEY, timeout_s=5.0, body=None, headers=None):
    async def run():
        carrier = OpenAITransport(url, Secret(key))
        try:
            return await carrier.send(body or {"model": "m"}, headers or {}, timeout_s)
        finally:
            await carrier.close()

    return asyncio.run(run())


def send_to(raw, key=KEY, timeout_s=5.0):
    """Send to a server that reads a request, writes some bytes and closes; None: it never answers."""

    async def run():
        ended = asyncio.Event()

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            if raw is None:
                await reader.read()
            else:
                writer.write(raw)
            writer.close()
            await writer.wait_closed()
            ended.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        carrier = OpenAITransport(f"http://127.0.0.1:{port}/v1", Secret(key))
        try:
            return await carrier.send({"model": "m"}, {}, timeout_s)
        finally:
            await carrier.close()
            await ended.wait()
            server.close()
            await server.wait_closed()

    return asyncio.run(run())


def test_the_reply_is_what_was_sent():
    assert send_to(http(b'{"a": 1}')) == b'{"a": 1}'


def test_body_and_headers_are_sent_as_they_are():
    body = {"model": "m", "grammar": None, "extra_headers": {"Authorization": "x"}, "timeout": 1e-9}
    with FakeServer(refusals=[Refusal(200, b"{}")]) as server:
        send(server.url, key="sk-canary", body=body, headers={"Idempotency-Key": "t1"})
        assert server.requests == [body]
        assert server.keys == ["Bearer sk-canary"]


@pytest.mark.parametrize(
    ("raw", "kind", "uncertain"),
    [
        (b"", errors.ConnectionLost, True),
        (http(b"{", length=99), errors.ConnectionLost, True),
        (b"220 mail.example.org ESMTP\r\n", errors.BadReply, True),
        (http(b"no gzip", headers="Content-Encoding: gzip\r\n"), errors.BadReply, True),
        (None, errors.Timeout, True),
        (http(b"<html>", status=502), errors.Overloaded, False),
        (http(status=304), errors.BadRequest, False),
    ],
)
def test_what_goes_wrong_has_a_type(raw, kind, uncertain):
    with pytest.raises(errors.ModelError) as caught:
        send_to(raw, timeout_s=0.1 if raw is None else 5.0)
    assert (type(caught.value), caught.value.uncertain) == (kind, uncertain)


def test_a_refused_connection_cannot_have_been_billed():
    with pytest.raises(errors.ConnectionLost, match="Cannot connect to host") as caught:
        send("http://127.0.0.1:9/v1")
    assert not caught.value.uncertain


def test_a_name_that_nobody_knows_cannot_have_been_billed(monkeypatch):
    async def unknown(*_, **__):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(resolver.DefaultResolver, "resolve", unknown)
    with pytest.raises(errors.ConnectionLost, match="Name or service not known") as caught:
        send("http://localhost:9/v1")
    assert not caught.value.uncertain


def test_a_connection_that_is_not_made_in_time_cannot_have_been_billed(monkeypatch):
    async def hang(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(resolver.DefaultResolver, "resolve", hang)
    monkeypatch.setattr(transport, "CONNECT_S", 0.01)
    with pytest.raises(errors.ConnectionLost, match="Connection timeout") as caught:
        send("http://localhost:9/v1")
    assert not caught.value.uncertain


def test_a_status_is_kept():
    with pytest.raises(errors.RateLimited) as caught:
        send_to(http(status=429, headers="Retry-After: 3\r\n"))
    assert (caught.value.status, caught.value.retry_after_s) == (429, 3.0)


ECHOES = [
    (401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}),
    (400, {"error": {"message": json.dumps({"authorization": f"Bearer {KEY}"})}}),
    (401, {"error": {"message": f"Incorrect API key provided: {KEY[:10]}******{KEY[-8:]}"}}),
    (500, {"message": "x" * 490 + KEY}),
    (429, {"error": {"message": KEY.replace("/", "\\/"), "code": KEY}}),
]


@pytest.mark.parametrize(("status", "document"), ECHOES)
def test_no_part_of_the_key_is_in_an_error(status, document):
    with pytest.raises(errors.ModelError) as caught:
        send_to(http(json.dumps(document).encode(), status=status))
    error = caught.value
    shown = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(pickle.dumps(error))]
    parts = {KEY[place : place + PART] for place in range(len(KEY) - PART + 1)}
    assert not [part for part in parts for text in shown if part in text]


def test_the_key_is_in_no_reply():
    key = "sk-canary-123"
    assert send_to(http(f'{{"echo": "Bearer {key}"}}'.encode()), key) == b'{"echo": "Bearer ***"}'


def test_nobody_else_imports_openai():
    package = Path(transport.__file__).parent
    users = {path.name for path in package.rglob("*.py") if "import openai" in path.read_text("utf-8")}
    assert users == {"transport.py"}


def test_gzip_is_read():
    assert send_to(http(gzip.compress(b"{}"), headers="Content-Encoding: gzip\r\n")) == b"{}"


@pytest.mark.parametrize("key", ["sk-canary\n", "sk-“canary”"])
def test_a_key_that_cannot_be_sent_is_the_users_mistake_and_not_shown(key):
    with pytest.raises(errors.Authentication, match="cannot be sent") as caught:
        send("http://127.0.0.1:9/v1", key)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@given(st.text(min_size=PART, max_size=30), st.text(max_size=60), st.data())
def test_no_part_of_any_key_passes(key, text, data):
    place = data.draw(st.integers(0, len(text)))
    start = data.draw(st.integers(0, len(key) - PART))
    hidden = masked(text[:place] + key[start:] + text[place:], Secret(key))
    clean = hidden.replace(MASK, "\0\0")
    assert not [n for n in range(len(key) - PART + 1) if key[n : n + PART] in clean]
