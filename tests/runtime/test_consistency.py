"""Consistency: embeddings over real HTTP, of a loopback stand-in for an endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agenttts.runtime.embeddings import cosine, vectors
from agenttts.runtime.errors import BadReply
from agenttts.runtime.functions import UnreadyError
from agenttts.runtime.options import OptionError
from agenttts.runtime.plugins import function, metric
from agenttts.runtime.records import Item, StageInput
from agenttts.spec.model import Plugin

ITEM = Item("1", {"task": "print a greeting"})
KEY = "sk-canary-abc123456789"


class Endpoint:
    """Embeds a text as its counts of the letters a, p and r. replies: statuses to give before."""

    def __init__(self, failing: tuple[int, ...] = (), body: str | None = None) -> None:
        self.failing, self.body, self.asked, self.keys = list(failing), body, [], []

    def answer(self, request: dict) -> tuple[int, str]:
        self.asked.append(request)
        if self.failing:
            return self.failing.pop(0), json.dumps({"error": {"message": f"no, {KEY}"}})
        data = [
            {"index": n, "embedding": [text.count(letter) for letter in "apr"]}
            for n, text in enumerate(request["input"])
        ]
        return 200, self.body or json.dumps({"data": data[::-1], "model": request["model"]})


@contextmanager
def served(endpoint: Endpoint) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.keys.append(self.headers["Authorization"])
            code, text = endpoint.answer(body) if self.path == "/v1/embeddings" else (404, "{}")
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def ask(url: str, program: str, **more):
    options = {"field": "task", "base_url": url, "model": "embedder", **more}
    return function(Plugin("consistency", options))(StageInput(ITEM, {"code": program}))


def test_the_program_is_compared_with_the_requirement_without_its_comments():
    endpoint = Endpoint()
    with served(endpoint) as url:
        told = ask(url, "# a comment\nprint('a')\n")
    assert told["consistency"] == pytest.approx(cosine([1, 1, 2], [1, 1, 1]))
    assert told["program"] == "# a comment\nprint('a')\n"
    assert endpoint.asked == [
        {"model": "embedder", "input": ["print a greeting", "print('a')"], "encoding_format": "float"}
    ]
    assert metric(Plugin("number", {"field": "consistency"}))(told, {}) == told["consistency"]


def test_the_same_pair_is_asked_once():
    endpoint = Endpoint()
    with served(endpoint) as url:
        likeness = [ask(url, text)["consistency"] for text in ("print('aa')\n", "print('aa')  # again\n")]
    assert likeness[0] == likeness[1]
    assert len(endpoint.asked) == 1


def test_a_passing_failure_is_tried_again():
    endpoint = Endpoint(failing=(503,))
    with served(endpoint) as url:
        assert ask(url, "print('aaa')\n")["consistency"] > 0
    assert len(endpoint.asked) == 2


def test_the_key_is_read_from_the_environment_and_shown_nowhere(monkeypatch):
    monkeypatch.setenv("EMBEDDING_KEY", KEY)
    endpoint = Endpoint(failing=(401,))
    with (
        served(endpoint) as url,
        pytest.raises(UnreadyError, match="Authentication") as error,
    ):
        ask(url, "print('aaaa')\n", api_key_env="EMBEDDING_KEY")
    assert endpoint.keys == [f"Bearer {KEY}"]
    assert KEY not in str(error.value)


def test_a_key_that_is_not_set_is_found_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("EMBEDDING_KEY", raising=False)
    options = {"field": "task", "base_url": "http://x/v1", "model": "m", "api_key_env": "EMBEDDING_KEY"}
    made = function(Plugin("consistency", options))
    with pytest.raises(UnreadyError, match="EMBEDDING_KEY"):
        made.ready()


def test_without_an_endpoint_every_item_is_unscored():
    made = function(Plugin("consistency", {"field": "task"}))
    made.ready()
    told = made(StageInput(ITEM, {"code": "print(1)"}))
    assert told == {"consistency": None, "program": "print(1)"}
    assert metric(Plugin("number", {"field": "consistency"}))(told, {}) is None


def test_an_empty_program_is_the_items_problem():
    with pytest.raises(ValueError, match="nothing to compare"):
        ask("http://127.0.0.1:9/v1", "# only a comment\n")


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>",
        b"{}",
        b'{"data": [{"index": 0, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}',
        b'{"data": [{"index": 0, "embedding": [0]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": ["x"]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": [Infinity]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": 3}',
        b"[]",
    ],
)
def test_a_reply_that_holds_no_embeddings_is_bad(reply):
    with pytest.raises(BadReply):
        vectors(reply, 2)


@pytest.mark.parametrize(
    "options", [{"field": "task", "base_url": "x"}, {"field": "task", "base_url": "http://a:b@h/v1"}, {}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(OptionError):
        function(Plugin("consistency", options))
