"""Consistency: embeddings over real HTTP, of a loopback stand-in for an endpoint."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agenttts.runtime.blocks import Block, Passed
from agenttts.runtime.checking import load_and_check
from agenttts.runtime.embeddings import cosine
from agenttts.runtime.functions import UnreadyError
from agenttts.runtime.options import OptionError
from agenttts.runtime.plugins import function, metric
from agenttts.runtime.records import Item, StageInput, Usage
from agenttts.runtime.retry import Surroundings
from agenttts.runtime.session import refuse_unready
from agenttts.runtime.store.accounts import Account
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.members import Member
from agenttts.runtime.worker import EndpointError, StageWorker, WorkerSettings, check_endpoints
from agenttts.spec.model import Limits, PipelineSpec, Plugin, StageSpec
from tests.runtime.pipelines import pipeline

ITEM = Item("1", {"task": "print a greeting"})
KEY = "sk-canary-abc123456789"
PROGRAM = "# a comment\nprint('a')\n"
TEXTS = ["print a greeting", "print('a')"]


class Endpoint:
    """Embeds a text as its counts of the letters a, p and r. failing: statuses to give before. tokens: that
    it reports for every request.
    """

    def __init__(self, failing: tuple[int, ...] = (), body: str | None = None, tokens: int | None = None):
        self.failing, self.body, self.tokens = list(failing), body, tokens
        self.asked, self.keys, self.requests = [], [], []

    def answer(self, request: dict) -> tuple[int, str]:
        self.asked.append(request)
        if self.failing:
            return self.failing.pop(0), json.dumps({"error": {"message": f"no, {KEY}"}})
        data = [
            {"index": n, "embedding": [text.count(letter) for letter in "apr"]}
            for n, text in enumerate(request["input"])
        ]
        usage = {"usage": {"prompt_tokens": self.tokens, "total_tokens": self.tokens}} if self.tokens else {}
        return 200, self.body or json.dumps({"data": data[::-1], "model": request["model"], **usage})


@contextmanager
def served(endpoint: Endpoint) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.keys.append(self.headers["Authorization"])
            endpoint.requests.append(self.headers["Idempotency-Key"])
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


class Asleep:
    """A clock that only sleeping moves."""

    now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    @property
    def around(self) -> Surroundings:
        return Surroundings(clock=lambda: self.now, sleep=self.sleep)


class Place:
    """A store, and an endpoint, where stages that compare are run by workers."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store, self.url, self.account = f"sqlite:///{folder / 'store.db'}", url, "search"

    def spec(self, **options) -> PipelineSpec:
        chosen = {"field": "task", "base_url": self.url, "model": "embedder", **options}
        scored = Plugin("number", {"field": "consistency"})
        stage = StageSpec("near", needs=("code",), function=Plugin("consistency", chosen), metric=scored)
        return pipeline(stage)

    def blocks(self, *programs: str, limits: Limits | None = None, **options) -> Block:
        """Run the stage for programs as one block of one new worker; items have their program's place."""
        spec = self.spec(**options)
        spec = replace(spec, search=replace(spec.search, limits=limits or Limits()))
        items = tuple(Item(str(n), ITEM.fields) for n, _ in enumerate(programs))
        code = Passed("code", {str(n): text for n, text in enumerate(programs)})

        async def work() -> Block:
            settings = WorkerSettings(spec, self.store, account=self.account)
            worker = StageWorker(settings, {"EMBEDDING_KEY": KEY}, Asleep().around)
            try:
                return (await worker.run_block("near", None, items, code))[1]
            finally:
                await worker.close()

        return asyncio.run(work())

    def balance(self) -> Account:
        with closing(SampleBank(self.store)) as bank, closing(Member(bank.engine)) as member:
            return Claims(bank.engine, member, self.account).balance()


@contextmanager
def compared(folder: Path, endpoint: Endpoint) -> Iterator[Place]:
    with served(endpoint) as url:
        yield Place(folder, url)


def test_the_program_is_compared_with_the_requirement_without_its_comments(tmp_path):
    endpoint = Endpoint()
    with compared(tmp_path, endpoint) as place:
        outcome = place.blocks(PROGRAM).outcomes["0"]
    assert outcome.output["consistency"] == outcome.score == pytest.approx(cosine([1, 1, 2], [1, 1, 1]))
    assert outcome.output["program"] == PROGRAM
    assert endpoint.asked == [{"model": "embedder", "input": TEXTS, "encoding_format": "float"}]
    assert metric(Plugin("number", {"field": "consistency"}))(outcome.output, {}) == outcome.score


def test_the_same_pair_is_asked_once_whoever_asks_and_whenever(tmp_path):
    endpoint = Endpoint(tokens=9)
    with compared(tmp_path, endpoint) as place:
        first = place.blocks(PROGRAM, PROGRAM + "  # again\n")
        later = place.blocks(PROGRAM).outcomes["0"]
    assert len(endpoint.asked) == 1
    assert len({*(outcome.score for outcome in first.outcomes.values()), later.score}) == 1
    assert (later.drawn, later.usage.prompt_tokens) == (Usage(), 9)


def test_reported_tokens_and_their_dollars_are_charged_to_the_search(tmp_path):
    with compared(tmp_path, Endpoint(tokens=500_000)) as place:
        outcome = place.blocks(PROGRAM, price=0.1).outcomes["0"]
        spent = place.balance().spent
    assert outcome.drawn == replace(outcome.usage, seconds=outcome.drawn.seconds)
    for usage in (outcome.drawn, spent):
        assert (usage.requests, usage.prompt_tokens, usage.output_tokens) == (1, 500_000, 0)
        assert (usage.usd, usage.estimated) == (pytest.approx(0.05), 0)


def test_tokens_that_are_not_reported_are_estimated_and_said_to_be(tmp_path):
    with compared(tmp_path, Endpoint()) as place:
        drawn = place.blocks(PROGRAM).outcomes["0"].drawn
    assert (drawn.prompt_tokens, drawn.output_tokens, drawn.estimated) == (6, 0, 1)


@pytest.mark.parametrize("limits", [Limits(tokens=50), Limits(usd=1e-5)])
def test_what_does_not_fit_under_a_limit_is_not_asked(tmp_path, limits):
    endpoint = Endpoint()
    with compared(tmp_path, endpoint) as place:
        block = place.blocks(PROGRAM, limits=limits, price=0.2)
    assert block.failure is not None and block.failure.policy == "limit"
    assert endpoint.asked == []


def test_a_limit_is_not_overshot_by_many_comparisons_at_once(tmp_path):
    endpoint = Endpoint(tokens=40)
    programs = [f"print({n})\n" for n in range(20)]
    with compared(tmp_path, endpoint) as place:
        block = place.blocks(*programs, limits=Limits(tokens=300))
        account = place.balance()
    assert block.failure is not None and block.failure.policy == "limit"
    assert 0 < account.spent.prompt_tokens == 40 * len(endpoint.asked) <= 300


def test_a_passing_failure_is_tried_again_under_the_same_key(tmp_path):
    endpoint = Endpoint(failing=(503,))
    with compared(tmp_path, endpoint) as place:
        assert place.blocks(PROGRAM).outcomes["0"].score > 0
    assert len(endpoint.asked) == 2
    assert endpoint.requests[0] is not None and len(set(endpoint.requests)) == 1


def test_an_endpoint_that_never_answers_ends_the_search_and_is_the_users_to_mend(tmp_path):
    failure = Place(tmp_path, "http://127.0.0.1:9/v1").blocks(PROGRAM).failure
    assert (failure.policy, failure.mistake) == ("search", True)
    assert failure.problem.startswith("stage 'near': EndpointDown: ")
    assert "http://127.0.0.1:9/v1" in failure.problem


def test_what_the_endpoint_refuses_is_the_items_problem(tmp_path):
    with compared(tmp_path, Endpoint(failing=(400,))) as place:
        outcome = place.blocks(PROGRAM).outcomes["0"]
    assert outcome.score is None
    assert outcome.problem.startswith("BadRequest")


def test_the_key_is_read_from_the_environment_and_shown_nowhere(tmp_path):
    endpoint = Endpoint(failing=(401,))
    with compared(tmp_path, endpoint) as place:
        failure = place.blocks(PROGRAM, api_key_env="EMBEDDING_KEY").failure
    assert endpoint.keys == [f"Bearer {KEY}"]
    assert (failure.policy, failure.mistake) == ("search", True)
    assert failure.problem.startswith(f"stage 'near': {place.url}: Authentication")
    assert failure.problem.endswith("See model and api_key_env.")
    assert KEY not in failure.problem


def test_a_key_that_is_not_set_is_found_before_anything_is_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("EMBEDDING_KEY", raising=False)
    spec = Place(tmp_path, "http://x/v1").spec(api_key_env="EMBEDDING_KEY")
    with pytest.raises(EndpointError, match="EMBEDDING_KEY"):
        refuse_unready(spec, None)
    with pytest.raises(UnreadyError, match="EMBEDDING_KEY"):
        function(spec.stages[0].function).ready()


def test_without_an_endpoint_every_item_is_unscored():
    made = function(Plugin("consistency", {"field": "task"}))
    told = made(StageInput(ITEM, {"code": "print(1)"}))
    assert told == {"consistency": None, "program": "print(1)"}
    assert metric(Plugin("number", {"field": "consistency"}))(told, {}) is None


def test_an_empty_program_is_the_items_problem(tmp_path):
    outcome = Place(tmp_path, "http://127.0.0.1:9/v1").blocks("# only a comment\n").outcomes["0"]
    assert "nothing to compare" in outcome.problem


def test_a_limit_of_dollars_needs_the_price_of_embeddings(tmp_path):
    place, limits = Place(tmp_path, "http://x/v1"), Limits(usd=1.0)

    def settings(**options) -> WorkerSettings:
        spec = place.spec(**options)
        return WorkerSettings(replace(spec, search=replace(spec.search, limits=limits)), place.store)

    check_endpoints(settings(price=0.0))
    with pytest.raises(EndpointError, match="stage 'near': its embeddings have no price"):
        check_endpoints(settings())


def test_check_names_the_place_where_the_price_is_missing(tmp_path):
    example = Path(__file__).parents[2] / "examples" / "software"
    document = json.loads((example / "api.json").read_text("utf-8"))
    assert load_and_check(example / "api.json").problems == ()
    del document["stages"][-1]["function"]["options"]["price"]
    shutil.copytree(example, tmp_path, dirs_exist_ok=True)
    (tmp_path / "api.json").write_text(json.dumps(document), "utf-8")
    (problem,) = load_and_check(tmp_path / "api.json").problems
    assert problem.pointer == "/stages/6/function/options"
    assert "a limit in usd needs the price of the embeddings of the stage 'near'" in problem.what


@pytest.mark.parametrize(
    "options",
    [
        {"field": "task", "base_url": "x"},
        {"field": "task", "base_url": "http://a:b@h/v1"},
        {"field": "task", "base_url": "http://h/v1", "model": "m", "price": -1},
        {},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(OptionError):
        function(Plugin("consistency", options))
