"""The real application on the loopback interface, through plain HTTP and through the OpenAI client."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from openai import OpenAI

from agenttts.runtime.embedded.app import create_app
from agenttts.runtime.embedded.model import load

PATH = "/v1/chat/completions"
STATEMENTS = (
    "Statements:\n[1] Ana admires Bo.\n[2] Bo trusts Cy.\nQuestion: Ana admires someone who trusts whom?\n"
)
BODY = {
    "model": "tiny",
    "messages": [{"role": "user", "content": STATEMENTS + "Select the statements that matter."}],
    "seed": 11,
    "max_tokens": 12,
}


def serve(talk: Callable[[TestClient], Awaitable[Any]], queue_limit: int = 100, **options: Any) -> Any:
    """Run the application for as long as `talk` takes."""

    async def run() -> Any:
        app = create_app({"tiny": load("tiny")}, queue_limit, **options)
        async with TestClient(TestServer(app)) as client:
            return await talk(client)

    return asyncio.run(run())


def post(body: object, **options: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Send one body; raw bytes go as they are."""

    async def talk(client: TestClient) -> tuple[int, dict[str, Any], dict[str, str]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with client.post(PATH, data=data) as response:
            return response.status, await response.json(), dict(response.headers)

    return serve(talk, **options)


def test_a_completion_has_openais_shape_and_counts_its_tokens() -> None:
    status, reply, _ = post(BODY | {"n": 3, "temperature": 0.0})
    assert status == 200
    assert (reply["object"], reply["model"], len(reply["choices"])) == ("chat.completion", "tiny", 3)
    assert {choice["finish_reason"] for choice in reply["choices"]} <= {"stop", "length"}
    texts = {choice["message"]["content"] for choice in reply["choices"]}
    assert len(texts) == 1
    usage = reply["usage"]
    assert usage["completion_tokens"] % 3 == 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] == post(BODY | {"n": 1})[1]["usage"]["prompt_tokens"]


def test_choice_j_is_the_first_choice_of_seed_plus_j() -> None:
    body = BODY | {"temperature": 1.5}
    many = [choice["message"] for choice in post(body | {"n": 4})[1]["choices"]]
    one_by_one = [post(body | {"seed": 11 + index})[1]["choices"][0]["message"] for index in range(4)]
    assert many == one_by_one


@pytest.mark.parametrize(
    ("changes", "status", "param", "code"),
    [
        ({"model": "huge"}, 404, "model", "model_not_found"),
        ({"model": None}, 400, "model", None),
        ({"messages": []}, 400, "messages", None),
        ({"messages": "hello"}, 400, "messages", None),
        ({"messages": ["hello"]}, 400, "messages[0]", None),
        ({"messages": [{"role": "wizard", "content": ""}]}, 400, "messages[0].role", None),
        ({"messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content", None),
        ({"messages": [{"role": "user", "content": "x" * 2000}]}, 400, "messages", "context_length_exceeded"),
        ({"max_tokens": 1020}, 400, "max_tokens", "context_length_exceeded"),
        ({"max_completion_tokens": 0}, 400, "max_completion_tokens", None),
        ({"n": 0}, 400, "n", None),
        ({"n": True}, 400, "n", None),
        ({"n": 100_000}, 400, "n", None),
        ({"temperature": 2.5}, 400, "temperature", None),
        ({"temperature": "hot"}, 400, "temperature", None),
        ({"top_p": -0.1}, 400, "top_p", None),
        ({"top_p": float("nan")}, 400, "top_p", None),
        ({"seed": 1.5}, 400, "seed", None),
        ({"stop": ""}, 400, "stop", None),
        ({"stop": ["a"] * 5}, 400, "stop", None),
        ({"stream": "yes"}, 400, "stream", None),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", None),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, Any], status: int, param: str, code: str | None) -> None:
    got, reply, _ = post(BODY | changes)
    assert (got, reply["error"]["param"], reply["error"]["code"]) == (status, param, code)
    assert reply["error"]["type"] == "invalid_request_error"
    assert reply["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"[]", b"1" * 5000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    assert post(body)[0] == 400


def test_a_body_too_large_is_refused() -> None:
    status, reply, _ = post(b" " * 5000, body_bytes=4096)
    assert (status, reply["error"]["type"]) == (413, "invalid_request_error")


def test_a_full_queue_says_when_to_retry() -> None:
    status, reply, headers = post(BODY, queue_limit=0)
    assert (status, reply["error"]["code"], headers["Retry-After"]) == (429, "queue_full", "1")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", PATH, 405), ("GET", "/v2", 404), ("POST", "/health", 405)]
)
def test_unknown_paths_and_methods_have_the_same_error_shape(method: str, path: str, status: int) -> None:
    async def talk(client: TestClient) -> tuple[int, Any]:
        async with client.request(method, path) as response:
            return response.status, await response.json()

    got, reply = serve(talk)
    assert got == status
    assert set(reply["error"]) == {"message", "type", "param", "code"}


def test_streaming_gives_the_same_texts_reasons_and_usage() -> None:
    body = BODY | {"n": 3, "temperature": 1.8, "max_tokens": 20}

    async def talk(client: TestClient) -> list[str]:
        async with client.post(
            PATH, json=body | {"stream": True, "stream_options": {"include_usage": True}}
        ) as response:
            assert response.content_type == "text/event-stream"
            return (await response.text()).split("\n\n")

    events = serve(talk)
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    texts, reasons = [""] * 3, [None] * 3
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        texts[choice["index"]] += choice["delta"].get("content", "")
        reasons[choice["index"]] = choice["finish_reason"] or reasons[choice["index"]]
    whole = post(body)[1]
    assert texts == [choice["message"]["content"] for choice in whole["choices"]]
    assert reasons == [choice["finish_reason"] for choice in whole["choices"]]
    assert [chunk["usage"] for chunk in chunks] == [None] * (len(chunks) - 1) + [whole["usage"]]


def test_models_health_and_counters() -> None:
    async def talk(client: TestClient) -> list[Any]:
        replies = [await (await client.post(PATH, json=BODY | {"n": 5})).json()]
        await client.post(PATH, json=BODY | {"n": 0})
        paths = ("/stats", "/health", "/v1/models", "/v1/models/tiny", "/v1/models/huge")
        return replies + [await (await client.get(path)).json() for path in paths]

    reply, stats, health, models, card, missing = serve(talk)
    usage = reply["usage"]
    tokens = {name: usage[name] for name in ("prompt_tokens", "completion_tokens")}
    assert stats == {"models": {"tiny": {"requests": 1, "completions": 5} | tokens}}
    assert health == {"status": "ready", "unfinished": 0}
    assert models["data"] == [card]
    assert card["id"] == "tiny"
    assert missing["error"]["code"] == "model_not_found"


def test_health_answers_while_the_engine_is_busy() -> None:
    async def talk(client: TestClient) -> Any:
        slow = asyncio.ensure_future(
            client.post(PATH, json=BODY | {"n": 64, "temperature": 2.0, "max_tokens": 200})
        )
        while (health := await (await client.get("/health")).json())["unfinished"] == 0 and not slow.done():
            pass
        await slow
        return health

    assert serve(talk)["status"] == "ready"


@pytest.fixture
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the server as a user would, on a free port."""
    code = "from agenttts.runtime.embedded.server import main; main('127.0.0.1', 0, {parent}, 100)"
    with subprocess.Popen(
        [sys.executable, "-c", code.format(parent=os.getpid())], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server, json.loads(server.stdout.readline())["url"]
        server.kill()


def test_the_openai_client_works_and_sigterm_ends_the_server(
    process: tuple[subprocess.Popen[str], str],
) -> None:
    server, url = process
    with OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        reply = client.chat.completions.create(**BODY, n=2)  # type: ignore[call-overload]
        stream = client.chat.completions.create(**BODY, stream=True)  # type: ignore[call-overload]
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert streamed == reply.choices[0].message.content
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=10) == 0


def test_the_server_ends_when_its_parent_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        code = f"from agenttts.runtime.embedded.server import main; main('127.0.0.1', 0, {parent.pid}, 1)"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            server.stdout.readline()
            parent.kill()
            parent.wait()
            assert server.wait(timeout=10) == 0
