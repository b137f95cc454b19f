"""What `plan` says the agent will take, against what searches really ask."""

from dataclasses import replace

import pytest

from agenttts.compiler.agent_estimate import characters, estimate_agent, questions
from agenttts.compiler.estimate import estimate
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.agent.dialogue import drive
from agenttts.runtime.agent.testing import ScriptedAgent
from agenttts.runtime.records import Archive
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.testing_catalog import ADVERSARIAL, TRUE
from agenttts.spec.model import Price

from . import agents
from .test_dialogue import begun
from .test_scripted import Search

SEARCHERS = ["agenttts", "agenthpo", "llm-zero-shot", "mlcopilot"]


def space_of(spec):
    return Space.of(spec, Lengths.planned(spec))


def options(searcher):
    return {"similar": ["Small models do."]} if searcher == "mlcopilot" else {}


@pytest.mark.parametrize("searcher", SEARCHERS)
@pytest.mark.parametrize(("trials", "batch"), [(18, 4), (9, 1), (4, 5), (30, 7)])
def test_the_questions_are_those_that_a_search_asks(tmp_path, searcher, trials, batch):
    with ScriptedAgent() as server:
        search = Search(
            tmp_path, server, searcher=searcher, trials=trials, batch=batch, options=options(searcher)
        )
        search.run()
    asked = [(talk["purpose"], talk["wanted"]) for talk in search.talks]
    guessed = [(question.purpose, question.places) for question in questions(space_of(search.spec))]
    if searcher != "agenttts":
        assert guessed == asked
        return
    kinds = [purpose for purpose, _ in asked]
    assert kinds.count("guidelines") == [purpose for purpose, _ in guessed].count("guidelines")
    assert estimate_agent(space_of(search.spec)).low.calls <= len(asked) + 1 and len(asked) <= len(guessed)
    assert max((wanted for _, wanted in asked), default=0) <= max(
        (wanted for _, wanted in guessed), default=0
    )


@pytest.mark.parametrize(("trials", "batch"), [(18, 4), (4, 5)])
def test_raced_initial_trials_make_the_questions_that_are_expected(tmp_path, trials, batch):
    with ScriptedAgent() as server:
        search = Search(tmp_path, server, trials=trials, batch=batch, options={"initial": "raced"})
        search.run()
    asked = [talk["purpose"] for talk in search.talks]
    guessed = [question.purpose for question in questions(space_of(search.spec))]
    assert asked.count("guidelines") == guessed.count("guidelines")
    assert len(asked) <= len(guessed)


@pytest.mark.parametrize("name", [*TRUE, *ADVERSARIAL])
def test_questions_are_about_as_long_as_estimated(name):
    world = {**TRUE, **ADVERSARIAL}[name]()
    spec = replace(world.spec, search=replace(world.spec.search, agent=agents.AGENT, batch=5))
    space = space_of(spec)
    for count in (10, 40, 120):
        archive = Archive(tuple(row for row in long_archive(spec, space, count)))
        hand = agents.ByHand()
        searcher = create_searcher("agenttts", spec, space, space.lengths, 0, {})
        drive(searcher.asking(archive, 25), hand)
        question = next(q for q in questions(space) if q.purpose == "proposals")
        guess = characters(space, agents.AGENT, replace(question, trials=count))
        taught = 3 * 420  # three guidelines of usual length, which this archive has not
        assert 0.6 * guess < len(hand.text) + taught < 1.5 * guess


def long_archive(spec, space, count):
    from agenttts.runtime.records import Proposal

    base = begun(1).results[0]
    for number in range(1, count + 1):
        allocation = space.number(number * space.count() // (count + 1))
        yield replace(base, number=number, proposal=Proposal(allocation, "r", "rules"))


def test_low_expected_and_high_are_in_order_and_priced():
    spec = agents.spec(replace(agents.AGENT, price=Price(1.0, 4.0), reasoning_effort="medium"))
    found = estimate_agent(space_of(spec))
    for measure in ("calls", "prompt_tokens", "output_tokens", "usd"):
        low, expected, high = (getattr(row, measure) for row in (found.low, found.expected, found.high))
        assert 0 < low <= expected <= high
    assert found.high.calls == found.expected.calls * (agents.AGENT.refusals + 1)
    assert found.high.output_tokens == found.high.calls * agents.AGENT.max_tokens


def test_what_a_search_pays_lies_between_low_and_high(tmp_path):
    with ScriptedAgent("duplicates") as server:
        search = Search(tmp_path, server, price=Price(10.0, 20.0))
        spent = search.run().spent
    found = estimate_agent(space_of(search.spec))
    assert found.low.calls <= spent.requests <= found.high.calls
    assert 0.5 * found.low.prompt_tokens < spent.prompt_tokens < found.high.prompt_tokens


@pytest.mark.parametrize(("agent", "searcher"), [(None, "agenttts"), (agents.AGENT, "random")])
def test_searches_that_ask_no_agent_estimate_none(agent, searcher):
    spec = agents.spec(agent, searcher=searcher)
    assert estimate_agent(space_of(spec)) is None
    assert estimate(spec, Lengths.planned(spec), 5, 5).document()["agent"] is None


def test_without_a_price_the_dollars_are_not_known():
    document = estimate_agent(space_of(agents.spec())).document()
    assert document["usd"] is None and document["calls"]["low"] > 0
