"""Whole searches with a scripted agent behind a real endpoint: whatever it is, they complete."""

import contextlib
import json
import time
from dataclasses import replace

import pytest

from agenttts.runtime.agent.line import AgentLine, Surveillance
from agenttts.runtime.agent.testing import SCRIPTS, ScriptedAgent, good
from agenttts.runtime.context import SearchContext
from agenttts.runtime.control import run_search
from agenttts.runtime.records import Item
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.secret import Secret
from agenttts.runtime.store.accounts import Caps
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.store.members import Member
from agenttts.runtime.testing import Refusal
from agenttts.runtime.till import Till
from agenttts.runtime.tracking import SearchRecord
from agenttts.spec.model import AgentSpec, Limits, Price

from ..fakes import FakeExecutor, Notes, solved
from ..search.landscapes import coupled, pipeline

ITEMS = tuple(Item(f"i{n}", {}) for n in range(20))
KEY = "sk-canary-1234567890abcdef"
USABLE = {"good", "truncated", "prose", "ten thousand", "no schema"}


class Search:
    """A search in one store that may be run, killed and resumed; the trials themselves cost nothing."""

    def __init__(self, folder, server, executor=None, **fields):
        self.store = f"sqlite:///{folder}/store.db"
        names = ("timeout_s", "price", "max_tokens", "reasoning_effort", "temperature", "refusals")
        own = {name: fields.pop(name) for name in names if name in fields}
        agent = AgentSpec("talker", server.url, **{"timeout_s": 2.0, **own})
        self.spec = pipeline(**{"trials": 18, "batch": 4, "agent": agent, **fields})
        self.notes, self.executor = Notes(), executor

    def run(self, stop=lambda: False, journal=lambda journal: journal):
        spec, limits = self.spec, self.spec.search.limits
        with contextlib.ExitStack() as stack:
            kept = stack.enter_context(contextlib.closing(Journal(self.store)))
            bank = stack.enter_context(contextlib.closing(SampleBank(self.store)))
            member = stack.enter_context(contextlib.closing(Member(bank.engine)))
            claims = Claims(bank.engine, member, "s1", Caps(limits.usd, limits.tokens, limits.gpu_seconds))
            watch = Surveillance(stop, self.notes.noted)
            line = AgentLine(spec.search.agent, Secret(KEY), Till(bank, claims), watch)
            outcome = run_search(
                SearchContext(
                    search_id="s1",
                    spec=spec,
                    items=ITEMS,
                    holdout=(),
                    executor=self.executor or FakeExecutor(solved(coupled)),
                    journal=journal(kept),
                    build=lambda space: create_searcher(
                        spec.search.searcher, spec, space, space.lengths, 0, spec.search.options
                    ),
                    record=SearchRecord("s1", spec.name, spec.digest, "d"),
                    poll_s=0.0,
                    listener=self.notes,
                    stop=stop,
                    balance=claims.balance,
                    agent=stack.enter_context(line),
                )
            )
            self.account = claims.balance()
            self.events = kept.read("s1")
        return outcome

    @property
    def noted(self):
        return [message for kind, message, *_ in self.notes.heard if kind == "noted"]

    @property
    def talks(self):
        return [event.payload for event in self.events if event.kind == "agent"]


def sources(outcome):
    return [result.proposal.source for result in outcome.archive.results]


@pytest.mark.parametrize("character", SCRIPTS)
def test_every_search_completes(tmp_path, character):
    with ScriptedAgent(character) as server:
        patience = 0.5 if character not in USABLE else 5.0
        search = Search(tmp_path, server, timeout_s=patience, trials=24, batch=6)
        began = time.monotonic()
        outcome = search.run()
    assert (outcome.status, len(outcome.archive.results)) == ("complete", 24)
    assert outcome.decision is not None and outcome.archive.guidelines
    assert time.monotonic() - began < 20
    asked = sources(outcome)
    assert asked[:4] == ["rules"] * 4 and "random" not in asked
    assert ("agent" in asked) is (character in USABLE | {"dying"})
    for batch in (asked[6:12], asked[12:18], asked[18:24]):
        assert "rules" in batch
    assert bool(search.noted) is (character not in USABLE) or character == "truncated"
    assert len(search.noted) <= 3 and all("/search/agent" in note for note in search.noted)
    assert not search.account.reserved
    assert KEY not in json.dumps([event.payload for event in search.events])


def test_a_good_agent_is_heard_and_its_guidelines_are_kept(tmp_path):
    with ScriptedAgent() as server:
        search = Search(tmp_path, server, temperature=0.5)
        outcome = search.run()
    body = server.requests[0]
    assert body["model"] == "talker" and body["n"] == 1 and body["max_tokens"] == 8192
    assert body["response_format"]["json_schema"]["strict"] is True and body["temperature"] == 0.5
    assert server.keys[0] == f"Bearer {KEY}"
    assert sources(outcome).count("agent") == 3  # of 18, 6 of them initial: what it proposes loses
    assert "Spend less on the early stage." in outcome.archive.guidelines[0].text
    assert len(search.talks) == len(server.requests) and search.noted == []
    assert outcome.spent.requests == len(server.requests)
    assert all(talk["reply"] and talk["spent"]["requests"] == 1 for talk in search.talks)


def test_reasoning_models_get_their_own_fields(tmp_path):
    with ScriptedAgent() as server:
        Search(tmp_path, server, reasoning_effort="low", max_tokens=500, trials=8).run()
    body = server.requests[0]
    assert body["reasoning_effort"] == "low" and body["max_completion_tokens"] == 500
    assert "max_tokens" not in body and "temperature" not in body


def test_an_endpoint_without_schemas_is_asked_for_a_fenced_block(tmp_path):
    with ScriptedAgent("no schema") as server:
        outcome = Search(tmp_path, server).run()
    refused = [body for body in server.requests if "response_format" in body]
    assert len(refused) == 1 and "agent" in sources(outcome)
    assert "fenced block" in server.requests[-1]["messages"][-1]["content"]


def test_people_hear_of_each_change_once(tmp_path):
    def script(asked):
        return good(asked) if asked.number not in range(3, 7) else Refusal(400)

    with ScriptedAgent(script) as server:
        search = Search(tmp_path, server, trials=30)
        search.run()
    assert len(search.noted) == 2
    assert search.noted[0].startswith("/search/agent: BadRequest: HTTP 400")
    assert search.noted[1] == "the search agent gives usable answers again"


def test_a_wrong_key_is_not_tried_again(tmp_path):
    with ScriptedAgent("bad key") as server:
        search = Search(tmp_path, server)
        search.run()
    assert len(server.requests) == 1 and len(search.noted) == 1
    assert "Put a valid key" in search.noted[0]


def test_an_endpoint_that_keeps_failing_is_left_alone_more_and_more(tmp_path):
    with ScriptedAgent("bad request") as server:
        search = Search(tmp_path, server, trials=60)
        search.run()
    assert len(search.talks) > 20 > len(server.requests)


@pytest.mark.parametrize("delay_s", [30.0])
def test_a_slow_endpoint_costs_its_time_limit_and_no_more(tmp_path, delay_s):
    with ScriptedAgent(delay_s=delay_s) as server:
        began = time.monotonic()
        search = Search(tmp_path, server, trials=10, timeout_s=0.3)
        outcome = search.run()
    assert outcome.status == "complete" and time.monotonic() - began < 5
    assert "Timeout" in search.noted[0] and search.account.lost.tokens > 0


def test_an_endless_answer_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("agenttts.runtime.agent.line.MOST_BYTES", 500_000)
    with ScriptedAgent(endless=True) as server:
        search = Search(tmp_path, server, trials=10, timeout_s=5.0)
        outcome = search.run()
    assert outcome.status == "complete"
    assert "more than 500000 bytes" in search.noted[0]


def test_a_resumed_search_asks_nothing_anew(tmp_path):
    (tmp_path / "whole").mkdir()
    with ScriptedAgent() as server:
        whole = Search(tmp_path / "whole", server)
        expected = whole.run()
        asked = len(server.requests)
        for die_at in range(1, len(whole.events) + 1, 2):
            with contextlib.suppress(ConnectionError):
                Search(tmp_path, server).run(journal=lambda kept, at=die_at: Dying(kept, at))
        search = Search(tmp_path, server)
        outcome = search.run()
    assert len(server.requests) == 2 * asked
    assert sources(outcome) == sources(expected)
    assert [r.allocation for r in outcome.archive.results] == [r.allocation for r in expected.archive.results]
    assert outcome.archive.guidelines == expected.archive.guidelines
    assert [talk["digest"] for talk in search.talks] == [talk["digest"] for talk in whole.talks]


class Dying:
    """A journal whose process dies before it writes an event."""

    def __init__(self, journal, die_at):
        self.journal, self.die_at = journal, die_at

    def read(self, search_id):
        return self.journal.read(search_id)

    def append(self, search_id, kind, payload, number=None):
        if number >= self.die_at:
            raise ConnectionError("killed")
        return self.journal.append(search_id, kind, payload, number)


def test_a_stop_while_the_agent_thinks_is_heard_and_the_search_goes_on_later(tmp_path):
    with ScriptedAgent(delay_s=0.6) as server:
        search = Search(tmp_path, server, timeout_s=10.0, trials=10)
        stopped = search.run(stop=lambda: bool(server.requests))
        assert stopped.status == "interrupted" and len(server.requests) == 1
        outcome = Search(tmp_path, server, timeout_s=10.0, trials=10).run()
    assert outcome.status == "complete" and "agent" in sources(outcome)
    assert len(server.requests) == outcome.spent.requests  # the one in flight was waited for and banked


@pytest.mark.parametrize("kind", ["usd", "tokens"])
def test_what_the_agent_spends_counts_against_the_limits(tmp_path, kind):
    price = Price(10.0, 20.0)
    with ScriptedAgent() as server:
        free = Search(tmp_path, server, price=price, max_tokens=400)
        spent = free.run().spent
    assert spent.usd > 0 and spent.prompt_tokens > 0
    limit = {"usd": 0.06, "tokens": 6000.0}[kind]
    (tmp_path / "limited").mkdir()
    with ScriptedAgent() as server:
        limits = Limits(**{kind: limit})
        search = Search(tmp_path / "limited", server, price=price, max_tokens=400, limits=limits)
        search.run()
    used = {"usd": search.account.total.usd, "tokens": float(search.account.total.tokens)}[kind]
    assert used <= limit
    refused = [talk["problem"] for talk in search.talks if talk["problem"]]
    assert all("/search/limits/" in problem or "not asked" in problem for problem in refused)


@pytest.mark.parametrize("searcher", ["llm-zero-shot", "agenthpo", "mlcopilot"])
@pytest.mark.parametrize("character", ["good", "malformed", "server error"])
def test_the_baselines_complete_too(tmp_path, searcher, character):
    options = {"similar": ["Small models do."]} if searcher == "mlcopilot" else {}
    with ScriptedAgent(character) as server:
        search = Search(tmp_path, server, searcher=searcher, options=options, timeout_s=0.5, trials=12)
        outcome = search.run()
    assert outcome.status == "complete" and len(outcome.archive.results) == 12
    assert set(sources(outcome)) == {"agent" if character == "good" else "random"}


def test_a_search_without_a_connected_agent_is_the_rules(tmp_path):
    with ScriptedAgent() as server:
        spec = Search(tmp_path, server).spec
    rules = replace(spec, search=replace(spec.search, agent=None))

    def run(spec):
        return run_search(
            SearchContext(
                search_id="s1",
                spec=spec,
                items=ITEMS,
                holdout=(),
                executor=FakeExecutor(solved(coupled)),
                journal=Memory(),
                build=lambda space: create_searcher("agenttts", spec, space, space.lengths, 0, {}),
                record=SearchRecord("s1", spec.name, spec.digest, "d"),
                poll_s=0.0,
            )
        )

    assert run(spec).archive.guidelines == run(rules).archive.guidelines


class Memory:
    def __init__(self):
        self.events = []

    def append(self, search_id, kind, payload, number=None):
        assert kind != "agent"
        self.events.append(kind)
        return len(self.events)

    def read(self, search_id):
        return []
