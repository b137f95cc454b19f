"""The server on the loopback interface, through plain HTTP."""

import asyncio
import json
import logging
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from agenttts.runtime.faults.app import create_app
from agenttts.runtime.faults.documents import HTML
from agenttts.runtime.faults.state import State
from agenttts.runtime.faults.testing import FaultServer, provider
from agenttts.runtime.refusals import retry_after_s
from agenttts.runtime.serving import start

BODY = {"model": "weak", "messages": [{"role": "user", "content": "Hi"}], "seed": 1}


def serve(talk, config=None, key=None, **more):
    """Run a server for as long as `talk(session, state)` takes."""

    async def run():
        state = State(provider(config), **more)
        runner, port = await start(create_app(state, key), "127.0.0.1", 0)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                return await talk(session, state)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


async def post(session, body=BODY, **more):
    data = body if isinstance(body, bytes) else json.dumps(body)
    async with session.post("/v1/chat/completions", data=data, **more) as reply:
        return reply.status, await reply.read(), reply.headers


def always(kind, **faults):
    return {"faults": {"rate": 1, "kinds": {kind: 1}, **faults}}


def test_a_completion_over_http_is_that_of_the_pure_model():
    status, body, _ = serve(lambda session, _: post(session))
    assert status == 200
    assert body == provider().reply(BODY).body


@pytest.mark.parametrize(
    ("body", "status", "code", "outcome"),
    [
        (b"{", 400, None, "bad_request"),
        ({**BODY, "n": 0}, 400, None, "bad_request"),
        ({**BODY, "model": "none"}, 404, "model_not_found", "model_not_found"),
    ],
)
def test_a_request_that_is_wrong_is_refused_in_openais_shape(body, status, code, outcome):
    async def talk(session, state):
        return await post(session, body), state.document()

    (got, reply, _), counts = serve(talk)
    assert (got, json.loads(reply)["error"]["code"], counts["outcomes"]) == (status, code, {outcome: 1})


def test_retry_after_can_be_read_in_both_its_forms():
    async def talk(session, _):
        return [(await post(session))[2] for _ in range(2)]

    replies = serve(talk, always("rate_limited", retry_after_s=3))
    assert [retry_after_s({k.lower(): v for k, v in headers.items()}) for headers in replies] == [3.0, 3.0]
    dates = [headers["Retry-After"] for headers in replies if not headers["Retry-After"].isdecimal()]
    assert len(dates) == 1
    assert parsedate_to_datetime(dates[0]) is not None


@pytest.mark.parametrize("kind", ["no_connection", "cut_body"])
def test_a_cut_connection_is_an_error_of_the_transport(kind):
    async def talk(session, state):
        with pytest.raises(aiohttp.ClientError):
            await post(session)
        return state.document()

    counts = serve(talk, always(kind))
    completed = int(kind == "cut_body")
    assert (counts["completed"], counts["undelivered"]) == (completed, completed)


def test_a_slow_body_comes_in_pieces_and_whole():
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    config = always("slow_body", pieces=5, pause_s=9)
    _, body, _ = serve(lambda session, _: post(session), config, sleep=sleep)
    assert body == provider().reply(BODY).body
    assert pauses[1:] == [0.0, 9, 9, 9, 9]


def test_garbage_is_html_or_half_of_the_json_by_turns():
    async def talk(session, _):
        return [await post(session) for _ in range(2)]

    whole = provider().reply(BODY).body
    replies = serve(talk, always("garbage_body"))
    assert {body for _, body, _ in replies} == {whole[: len(whole) // 2], HTML}
    assert {status for status, _, _ in replies} == {200}
    assert {headers["Content-Type"] for *_, headers in replies} == {"application/json", "text/html"}


def test_an_empty_body_is_empty():
    assert serve(lambda session, _: post(session), always("empty_body"))[:2] == (200, b"")


@pytest.mark.parametrize("heeded", [True, False])
def test_idempotency_keys_are_heeded_unless_they_are_not(heeded):
    async def talk(session, state):
        for _ in range(2):
            await post(session, headers={"Idempotency-Key": "k"})
        return state.document()

    counts = serve(talk, {"idempotency": heeded})
    assert (counts["completed"], counts["replayed"]) == ((1, 1) if heeded else (2, 0))


def hang_up(kind, at_sleep):
    """Ask, leave when the server sleeps for that time, and return its counts."""

    async def run():
        begun, gone, sleeps = asyncio.Event(), asyncio.Event(), []

        async def sleep(seconds):
            sleeps.append(seconds)
            if len(sleeps) < at_sleep:
                return
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                gone.set()

        state = State(provider(always(kind)), sleep)
        runner, port = await start(create_app(state), "127.0.0.1", 0)
        text = json.dumps(BODY)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write((head + text).encode())
        await begun.wait()
        writer.close()
        await gone.wait()
        await runner.cleanup()
        return state.document()

    return asyncio.run(run())


def test_a_client_that_hangs_up_has_nothing_to_pay():
    counts = hang_up("timeout", at_sleep=1)
    assert (counts["dropped"], counts["completed"], counts["outcomes"]) == (1, 0, {"timeout": 1})
    assert counts["models"]["weak"]["in_flight"] == 0


def test_a_client_that_hangs_up_during_the_body_has_to_pay():
    counts = hang_up("slow_body", at_sleep=3)
    assert (counts["completed"], counts["undelivered"], counts["dropped"]) == (1, 1, 0)


def test_models_are_listed():
    async def talk(session, _):
        async with session.get("/v1/models") as reply:
            return await reply.json()

    assert [card["id"] for card in serve(talk)["data"]] == ["weak", "strong"]


def test_the_server_says_that_it_is_well():
    async def talk(session, _):
        async with session.get("/healthz") as reply:
            return reply.status

    assert serve(talk) == 200


def test_a_browser_gets_the_counts_as_a_page_of_its_own():
    async def talk(session, _):
        await post(session)
        async with session.get("/stats", headers={"Accept": "text/html,*/*;q=0.8"}) as page:
            return page.headers["Content-Type"], await page.text()

    kind, page = serve(talk, {"models": {"weak": {}, "<b>": {}}})
    assert kind.startswith("text/html")
    assert "&lt;b&gt;" in page
    assert "requests" in page
    assert [word for word in ("<script", "http://", "https://", "src=", "<b>") if word in page] == []


def test_keys_are_in_no_log_and_no_count(caplog):
    caplog.set_level(logging.DEBUG)
    with FaultServer(key="sk-right-canary") as server:

        async def talk():
            async with aiohttp.ClientSession(server.base_url.removesuffix("/v1")) as session:
                for key in ("sk-right-canary", "sk-wrong-canary"):
                    yield await post(
                        session, headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "canary"}
                    )
                async with session.get("/v1/models") as reply:
                    yield reply.status, await reply.read(), {}

        async def all_of():
            return [one async for one in talk()]

        (right, _, _), (wrong, echo, _), (no_key, _, _) = asyncio.run(all_of())
        counts = json.dumps(server.stats())
    assert (right, wrong, no_key) == (200, 401, 401)
    assert b"sk-wrong-canary" in echo
    assert b"sk-right-canary" not in echo
    assert "refused: unauthorized" in caplog.text
    assert "canary" not in caplog.text + counts


def test_a_quota_refuses_what_comes_after_it_until_it_is_raised():
    async def talk(session, state):
        async def quota(completions):
            async with session.put("/quota", json={"completions": completions}) as reply:
                return await reply.json()

        said = [await quota(1)]
        statuses = [(await post(session, {**BODY, "seed": seed}))[0] for seed in (1, 2)]
        said.append(await quota(None))
        statuses.append((await post(session, {**BODY, "seed": 2}))[0])
        return said, statuses, state.document()["outcomes"]

    said, statuses, outcomes = serve(talk)
    assert said == [{"completions": 1}, {"completions": None}]
    assert statuses == [200, 429, 200]
    assert outcomes == {"ok": 2, "over_quota": 1}


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"completions": -1}', b'{"completions": "all"}'])
def test_a_quota_that_is_none_is_refused_and_changes_nothing(body):
    async def talk(session, state):
        async with session.put("/quota", data=body) as reply:
            return reply.status, (await reply.json())["error"]["type"], state.quota

    assert serve(talk) == (400, "invalid_request_error", None)
