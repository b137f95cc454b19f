"""A text of a user, of an item or of a model stays a text wherever it goes: template, parser, store, fault
server, journal, report.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenttts.runtime.faults.testing import FaultServer, provider
from agenttts.runtime.fusions import FUSIONS, fusion_words
from agenttts.runtime.parsers import PARSERS, Unparsed
from agenttts.runtime.records import Guideline, Item, Message, Sample, SampleRequest, StageInput
from agenttts.runtime.refusals import refusal
from agenttts.runtime.report.document import document
from agenttts.runtime.report.figures import ReportHeader, report_data
from agenttts.runtime.report.page import render as render_page
from agenttts.runtime.stage import build, run_function, run_model
from agenttts.runtime.store.bank import SampleBank, sample_key
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.values import clean, is_storable
from agenttts.spec.model import Plugin, StageSpec
from agenttts.spec.template import render
from tests.runtime.pipelines import ANSWER
from tests.runtime.report.test_report import ARCHIVE, SPEC, Outline
from tests.runtime.results import result
from tests.runtime.test_stage import Source

from .texts import ANY, TEXTS

EVERY = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
SCHEMA = {"schema": {"type": "object"}}
PARSER_OPTIONS = {"choice": {"choices": ["A", "B"]}, "json": SCHEMA}
STORED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def parser(name):
    return PARSERS[name](PARSER_OPTIONS.get(name, {}))


@EVERY
def test_a_template_shows_a_text_and_never_runs_it(text):
    assert render("<{{ item.q }}>", {"q": text}, {}) == f"<{text}>"
    assert render("{{ item.q | numbered }}", {"q": [text]}, {}) == f"[1] {text}"
    assert render("{{ stages.before }}", {}, {"before": text}) == text
    assert json.loads(render("{{ item.q | tojson }}", {"q": text}, {})) == text


@given(ANY)
def test_any_text_comes_out_of_a_template_as_it_went_in(text):
    assert render("<{{ item.q }}|{{ stages.a }}>", {"q": text}, {"a": text}) == f"<{text}|{text}>"


@EVERY
def test_a_prompt_that_is_sent_is_real_unicode_without_nul(text):
    item = Item("i", {"question": text, "answer": "a"})
    source = Source("a", "a")
    fused = replace(ANSWER, fusion=replace(ANSWER.fusion, name="llm"))
    for stage in (ANSWER, fused):
        work = run_model(build(stage), StageInput(item, {"pick": text}), 2, source, Source("a"))
        assert asyncio.run(work).problem is None
    for request, _ in source.requests:
        assert all(clean(message.content) == message.content for message in request.messages)
        assert sample_key(request)
    assert text == clean(text) or clean(text) in source.requests[0][0].messages[-1].content


@pytest.mark.parametrize("name", PARSERS)
@EVERY
def test_a_parser_never_raises_and_gives_what_can_be_stored(name, text):
    value = parser(name)(clean(text))
    assert isinstance(value, Unparsed) or is_storable(value)


@pytest.mark.parametrize("name", PARSERS)
@given(text=ANY, wrapped=st.sampled_from(["%s", '{"a": "%s"}', "```\n%s\n```", "Answer: %s", "[%s]"]))
def test_no_text_at_all_breaks_a_parser(name, text, wrapped):
    parser(name)(wrapped.replace("%s", text))
    value = parser(name)(clean(wrapped.replace("%s", text)))
    assert isinstance(value, Unparsed) or is_storable(value)


@pytest.mark.parametrize("name", FUSIONS)
@given(st.lists(ANY, min_size=1, max_size=5))
def test_no_text_at_all_breaks_a_fusion(name, texts):
    assert FUSIONS[name]({})(texts) is not None
    assert all(text.strip() in fusion_words("q", texts) for text in texts)


@EVERY
def test_a_text_of_a_function_or_of_its_failure_is_real_unicode(text, monkeypatch):
    def fail(_given):
        raise RuntimeError(text)

    stage = StageSpec("f", function=Plugin("echo"))
    for function in (fail, lambda _given: text, lambda _given: [{"deep": text}]):
        program = replace(build(ANSWER), stage=stage, function=function, metric=None)
        outcome = asyncio.run(run_function(program, StageInput(Item("i", {}))))
        assert is_storable(outcome.output)
        assert is_storable(outcome.problem)


@EVERY
def test_what_an_endpoint_says_when_it_refuses_is_real_unicode(text):
    assert is_storable(str(refusal(400, None, text, {})))
    assert "\0" not in str(refusal(400, None, text, {}))


def _stored(store_url: str, text: str) -> None:
    request = SampleRequest(f"m {text[:200]}", (Message("user", text),), 0.9, 1.0, 5, (text,), 1, {"e": text})
    sample = Sample(0, text, "stop", 3, 2, 0.5)
    with closing(SampleBank(store_url)) as bank:
        bank.put(request, [sample])
        assert bank.get(sample_key(request), 1) == [sample]
        assert (request, [sample]) in list(bank.entries())


@EVERY
def test_the_bank_gives_back_what_it_was_given(store_url, text):
    _stored(store_url, clean(text))


@STORED
@given(text=ANY)
def test_the_bank_gives_back_any_text(store_url, text):
    _stored(store_url, clean(text))


@EVERY
def test_the_journal_gives_back_what_it_was_given(store_url, text):
    payload = {"text": text, text: [text]}
    with closing(Journal(store_url)) as journal:
        journal.append("s", "search_started", payload)
        assert journal.read("s")[0].payload == payload
        assert journal.searches() == ["s"]


@EVERY
def test_the_fault_server_knows_an_item_by_any_text(tmp_path, text):
    row = {"q": f"Q {text}", "a": "right", "other": [text]}
    (tmp_path / "items.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    task = {"items": "items.jsonl", "match": "q", "answer": "a", "requires": "other"}
    of = provider({"models": {"m": {"skill": 1, "context": 10**6}}, "tasks": [task]}, tmp_path)
    prompt = clean(f"{row['q']} and {text}")
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "seed": 1}
    answered = json.loads(of.reply(body).body)
    assert answered["choices"][0]["message"]["content"] == "right"


@given(ANY)
def test_the_fault_server_answers_any_prompt(text):
    body = {"model": "weak", "messages": [{"role": "user", "content": text}], "seed": 1}
    assert json.loads(provider().reply(body).body)["choices"]


def test_the_fault_server_takes_them_over_the_wire():
    import urllib.request

    with FaultServer({"models": {"m": {"context": 10**6}}}) as server:
        for text in TEXTS.values():
            body = {"model": "m", "messages": [{"role": "user", "content": text}], "seed": 1}
            url = f"{server.base_url}/chat/completions"
            headers = {"Content-Type": "application/json"}
            asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
            with urllib.request.urlopen(asked, timeout=30) as reply:
                assert json.load(reply)["choices"]
        assert server.stats()["outcomes"] == {"ok": len(TEXTS)}


@EVERY
def test_a_report_shows_a_text_and_loads_nothing(text):
    text = clean(text)
    told = (result(9, [1.0] * 10, cost=2.0, problem=text), *ARCHIVE.results)
    archive = replace(ARCHIVE, results=told, guidelines=(Guideline(1, text, (9,)),))
    header = ReportHeader(text, text, text, text, True, text, text, text)
    data = report_data(replace(SPEC, description=text), archive, header)
    page = render_page(data)
    outline = Outline(page)
    assert (outline.scripts, outline.loads) == (0, [])
    assert page.encode()
    assert json.loads(json.dumps(document(data), default=str))
