"""What a report says of the agent, read back from the journal of whole searches."""

import json

import pytest

from agenttts.runtime.agent.record import LONGEST_ANSWER, agent_record
from agenttts.runtime.agent.testing import ScriptedAgent, candidates, good
from agenttts.runtime.testing import Refusal
from agenttts.spec.model import Price

from .test_scripted import Search


def told_back(talks):
    """The refusals of every question that tells some back, as the agent read them."""
    for talk in talks:
        asked = talk["messages"][-1]["content"]
        if talk["purpose"] == "proposals" and 'name="refused">' in asked:
            yield json.loads(asked.partition('name="refused">')[2].partition("</data>")[0])


def recorded(folder, script, **fields):
    with ScriptedAgent(script) as server:
        search = Search(folder, server, **fields)
        outcome = search.run()
    return search, outcome, agent_record(search.spec, search.events)


def test_batches_are_the_trials_with_their_reasons_and_who_decided(tmp_path):
    _, outcome, record = recorded(tmp_path, "good")
    places = [place for batch in record.batches for place in batch.proposals]
    assert [(p.number, p.choices, p.reason, p.source) for p in places] == [
        (r.number, r.allocation.stages, r.proposal.reason, r.proposal.source) for r in outcome.archive.results
    ]
    assert [batch.number for batch in record.batches] == list(range(1, len(record.batches) + 1))
    assert record.model == "talker" and not any(batch.refused for batch in record.batches)


@pytest.mark.parametrize("character", ["wrong names", "over budget", "duplicates", "ten thousand"])
def test_refusals_are_those_told_back_and_the_last_ones_too(tmp_path, character):
    search, _, record = recorded(tmp_path, character, trials=26, batch=8)
    told = list(told_back(search.talks))
    assert told
    heard = [exchange.refused for exchange in record.exchanges if exchange.refused]
    again = [
        record.exchanges[n - 1].refused
        for n, exchange in enumerate(record.exchanges)
        if exchange.again and exchange.purpose == "proposals" and record.exchanges[n - 1].refused
    ]
    assert again == [tuple(rows) for rows in told]
    assert len(heard) >= len(again)
    listed = {text for batch in record.batches for text in batch.refused}
    assert listed == {text for rows in heard for text in rows}


def test_refusals_are_known_where_nothing_may_be_told_back(tmp_path):
    search, _, record = recorded(tmp_path, "wrong names", refusals=0)
    assert not list(told_back(search.talks))
    assert all('no stage is named "nowhere"' in " ".join(batch.refused) for batch in record.batches[2:])


@pytest.mark.parametrize(("character", "author"), [("good", "agent"), ("malformed", "rules")])
def test_every_guideline_says_who_wrote_it(tmp_path, character, author):
    _, outcome, record = recorded(tmp_path, character)
    assert [(row.number, row.text, row.trials) for row in record.lessons] == [
        (g.number, g.text, g.trials) for g in outcome.archive.guidelines
    ]
    assert {lesson.author for lesson in record.lessons} == {author}


def test_what_the_agent_spent_is_what_the_account_says(tmp_path):
    search, _, record = recorded(tmp_path, "good", price=Price(10.0, 20.0))
    assert record.priced and record.spent.usd == pytest.approx(search.account.total.usd)
    assert record.spent.requests == record.questions == len(search.talks)


def test_a_question_without_an_answer_says_why(tmp_path):
    _, _, record = recorded(tmp_path, lambda asked: good(asked) if asked.number < 3 else Refusal(400))
    assert record.unanswered > 1 and "HTTP 400" in record.exchanges[-1].problem
    assert any("HTTP 400" in problem for batch in record.batches for problem in batch.problems)


def test_long_and_hostile_texts_are_cut_and_plain(tmp_path):
    def script(asked):
        rows = candidates(asked, asked.wanted)
        for row in rows:
            row["reason"] = "\x1b[2J" + "y" * 9999
        said = json.dumps({"candidates": rows}) if asked.wanted else good(asked)
        return "\x1b[31m\u202e" + "x" * 50_000 + "\n" + said

    _, _, record = recorded(tmp_path, script)
    answers = [exchange.answer for exchange in record.exchanges]
    assert all(len(text) < LONGEST_ANSWER + 100 for text in answers) and "characters left out" in answers[0]
    assert not any("\x1b" in text or "\u202e" in text for text in answers)
    reasons = [p.reason for batch in record.batches for p in batch.proposals if p.source == "agent"]
    assert reasons and all(reason.isprintable() and len(reason) < 500 for reason in reasons)


def test_a_search_by_the_rules_has_batches_and_lessons_and_no_dialogue(tmp_path):
    search, outcome, _ = recorded(tmp_path, "malformed")
    silent = [event for event in search.events if event.kind != "agent"]
    record = agent_record(search.spec, silent)
    assert (record.model, record.exchanges, record.questions) == (None, (), 0)
    assert sum(len(batch.proposals) for batch in record.batches) == len(outcome.archive.results)
    assert record.lessons and {lesson.author for lesson in record.lessons} == {"rules"}
