"""Published rows become items; what is wrong with one is said."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.converting.convert import Converted, convert
from agenttts.runtime.converting.fields import shuffled
from agenttts.runtime.converting.pool import Pool
from agenttts.runtime.converting.rows import Fault, Row
from agenttts.runtime.converting.settings import Settings
from agenttts.runtime.converting.triples import on_shortest_paths
from agenttts.runtime.functions import bm25_scores

CONTEXT = [
    ["Ferry A", ["The ferry A links Orm and Tal. ", "It was built by Ines Roe."]],
    ["Ines Roe", ["Ines Roe is an engineer.", "She was born in Velt."]],
    ["Tal", ["Tal is a harbour."]],
]
HOP = {
    "_id": "h1",
    "type": "bridge",
    "level": "hard",
    "question": "Where was the builder of the ferry A born?",
    "answer": "Velt",
    "answer_id": "Q7",
    "context": CONTEXT,
    "supporting_facts": [["Ferry A", 1], ["Ines Roe", 1]],
}
COLUMNS = {
    **HOP,
    "context": {"title": [t for t, _ in CONTEXT], "sentences": [s for _, s in CONTEXT]},
    "supporting_facts": {"title": ["Ferry A", "Ines Roe"], "sent_id": [1, 1]},
}
OTHER = {
    **HOP,
    "_id": "h2",
    "context": [*CONTEXT, ["Born", ["Where the ferry was born."]], ["Far", ["Snow."]]],
}
CWQ = {
    "ID": "q1",
    "question": "Who leads the club?",
    "answers": [{"answer": "Ann", "answer_id": "m.1", "aliases": ["Annie"]}],
}
TRIPLES = [["Club", "led.by", "Ann"], ["Club", "in", "Orm"], ["Orm", "near", "Tal"]]
WEBQSP = {
    "QuestionId": "w1",
    "RawQuestion": "who leads the club?",
    "Parses": [
        {"Answers": [{"AnswerArgument": "m.1", "EntityName": "Ann"}]},
        {"Answers": [{"AnswerArgument": "1999", "EntityName": None}, {"EntityName": "Ann"}]},
    ],
    "triples": TRIPLES,
    "gold_triples": [1],
}
TOOLS = ({"id": "send_mail", "desc": "Sends.", "parameters": []}, {"id": "call", "desc": "Calls."})
TASK = {
    "id": "17",
    "user_request": "Mail Ann.",
    "task_steps": ["Step 1: Mail Ann"],
    "task_nodes": [{"task": "send_mail", "arguments": [{"name": "to", "value": "Ann"}]}],
    "task_links": [],
}


def run(name, *values, **settings):
    rows = [Row(f"line {n}", dict(v)) for n, v in enumerate(values, 1)]
    return list(convert(name, lambda: iter(rows), Settings(**settings)))


def item(name, *values, **settings):
    found = run(name, *values, **settings)[0]
    assert isinstance(found, Converted), found
    return found.item


def fault(name, values, **settings):
    found = run(name, values, **settings)[0]
    assert isinstance(found, Fault), found
    return found.what


def gold(made, kind="chunks"):
    return [made[kind][place - 1] for place in made[f"gold_{kind}"]]


@pytest.mark.parametrize("row", [HOP, COLUMNS, {**HOP, "context": json.dumps(CONTEXT)}])
def test_hotpotqa_texts_are_paragraphs_with_titles(row):
    made = item("hotpotqa", row, candidates=3)
    assert gold(made) == [
        "Ferry A: The ferry A links Orm and Tal. It was built by Ines Roe.",
        "Ines Roe: Ines Roe is an engineer. She was born in Velt.",
    ]
    assert sorted(made["chunks"])[2] == "Tal: Tal is a harbour."
    assert {k: made[k] for k in ("id", "question", "answers", "type", "level")} == {
        "id": "h1",
        "question": HOP["question"],
        "answers": ["Velt"],
        "type": "bridge",
        "level": "hard",
    }


def test_2wikimultihopqa_texts_are_sentences():
    made = item("2wikimultihopqa", HOP, candidates=5)
    assert gold(made) == ["It was built by Ines Roe.", "She was born in Velt."]
    assert len(made["chunks"]) == 5


def test_aliases_are_further_answers():
    assert item("2wikimultihopqa", HOP, aliases={"Q7": ["Velt City", "Velt"]})["answers"] == [
        "Velt",
        "Velt City",
    ]


def test_unit_and_titles_can_be_chosen():
    made = item("hotpotqa", HOP, unit="sentence", titles=True)
    assert gold(made) == ["Ferry A: It was built by Ines Roe.", "Ines Roe: She was born in Velt."]


def test_candidates_are_filled_up_with_the_nearest_texts_of_other_rows():
    made = item("hotpotqa", HOP, OTHER, candidates=4)
    assert len(made["chunks"]) == 4
    assert "Born: Where the ferry was born." in made["chunks"]
    assert "Far: Snow." not in made["chunks"]


def test_of_too_many_own_texts_those_nearest_to_the_question_stay():
    made = item("hotpotqa", OTHER, candidates=3)
    assert "Born: Where the ferry was born." in made["chunks"]


def test_gold_texts_stay_when_fewer_candidates_are_asked_for():
    made = item("hotpotqa", HOP, candidates=1)
    assert sorted(made["gold_chunks"]) == [1, 2]


def test_rows_that_were_converted_before_are_converted_again():
    once = item("hotpotqa", HOP, candidates=3)
    again = item("hotpotqa", once, candidates=3)
    assert again == once


@pytest.mark.parametrize("row", [HOP, {**HOP, "context": list(reversed(CONTEXT))}])
def test_the_order_depends_on_seed_and_id_alone(row):
    first = item("hotpotqa", HOP, candidates=3)
    assert item("hotpotqa", row, candidates=3)["chunks"] == first["chunks"]
    orders = {tuple(item("hotpotqa", {**row, "_id": f"h{n}"}, candidates=3)["chunks"]) for n in range(30)}
    assert len(orders) > 3
    assert len({tuple(item("hotpotqa", row, candidates=3, seed=n)["chunks"]) for n in range(30)}) > 3


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"question": None}, "no 'question'"),
        ({"question": " "}, "'question' must be a text"),
        ({"answer": None}, "no 'answer'"),
        ({"supporting_facts": [["Nowhere", 0]]}, "'Nowhere' is not in the context"),
        ({"supporting_facts": []}, "no supporting text"),
        ({"supporting_facts": [["Tal"]]}, "must hold pairs"),
        ({"supporting_facts": [["Tal", "0"]]}, "must be a whole number"),
        ({"context": "no list"}, "'context' must be a list"),
        ({"chunks": ["a"], "gold_chunks": [2]}, "names place 2, but there are 1"),
        ({"_id": None}, "no 'id' or '_id'"),
    ],
)
def test_what_is_wrong_with_a_multi_hop_row_is_said(change, what):
    assert what in fault("hotpotqa", {**HOP, **change})


def test_a_sentence_that_is_not_there_is_said():
    row = {**HOP, "supporting_facts": [["Tal", 1]]}
    assert fault("2wikimultihopqa", row) == "supporting fact 'Tal' names sentence 1, but it has 1"
    assert gold(item("hotpotqa", row)) == ["Tal: Tal is a harbour."]


def test_empty_sentences_are_counted_and_not_shown():
    row = {**HOP, "context": [["Tal", ["A.", " ", "B."]]], "supporting_facts": [["Tal", 2]]}
    made = item("2wikimultihopqa", row)
    assert (gold(made), sorted(made["chunks"])) == (["B."], ["A.", "B."])
    assert gold(item("hotpotqa", row)) == ["Tal: A. B."]
    assert "names a text that is empty" in fault("2wikimultihopqa", {**row, "supporting_facts": [["Tal", 1]]})


def test_paragraphs_with_the_same_title_all_stay():
    row = {**HOP, "context": [*CONTEXT, ["Tal", ["Tal is a song."]]]}
    assert {"Tal: Tal is a harbour.", "Tal: Tal is a song."} <= set(item("hotpotqa", row)["chunks"])


def test_text_that_is_not_unicode_is_a_fault():
    task = {**TASK, "task_links": ["\ud800"]}
    assert fault("taskbench", task, tools=TOOLS) == "it holds text that is not Unicode"


def test_the_second_row_with_an_id_is_a_fault():
    first, second = run("hotpotqa", HOP, HOP)
    assert isinstance(first, Converted)
    assert second == Fault("line 2", "the id 'h1' is also that of line 1")


def test_published_questions_get_their_triples_by_id():
    more = {"q1": {"triples": TRIPLES, "gold_triples": [1, 3]}}
    made = item("cwq", CWQ, triples=more)
    assert gold(made, "triples") == [TRIPLES[0], TRIPLES[2]]
    assert made["answers"] == ["Ann", "Annie"]
    assert "no triples" in fault("cwq", CWQ)


def test_crucial_triples_are_gold_and_the_first_others_candidates():
    made = item("cwq", {**CWQ, "subgraph": TRIPLES, "crucial_triples": TRIPLES[2:]}, candidates=2)
    assert gold(made, "triples") == [TRIPLES[2]]
    assert sorted(made["triples"]) == sorted([TRIPLES[0], TRIPLES[2]])


def test_gold_triples_are_found_on_shortest_paths():
    row = {**CWQ, "graph": TRIPLES, "q_entity": ["Tal"], "a_entity": ["Club"]}
    assert gold(item("webqsp", row), "triples") == TRIPLES[1:]
    assert "no crucial triples" in fault("cwq", {**row, "a_entity": ["Nobody"]})


def test_webqsp_answers_are_those_of_all_parses():
    assert item("webqsp", WEBQSP)["answers"] == ["Ann", "1999"]
    assert fault("webqsp", {**WEBQSP, "Parses": [{"Answers": []}]}) == "no answer"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"gold_triples": [0]}, "names place 0"),
        ({"triples": [["a", "b"]]}, "a triple has three parts, got 2"),
        ({"triples": [["a", "b", 3]]}, "must be a text"),
        ({"gold_triples": []}, "no crucial triples"),
        ({"RawQuestion": 5.5, "question": ""}, "must be a text"),
    ],
)
def test_what_is_wrong_with_a_graph_row_is_said(change, what):
    assert what in fault("webqsp", {**WEBQSP, **change})


@given(
    edges=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.just("r"), st.sampled_from("abcdef")), max_size=12
    ),
    start=st.sampled_from("abcdef"),
    end=st.sampled_from("abcdef"),
)
def test_the_facts_found_are_those_without_which_no_path_is_as_short(edges, start, end):
    def length(facts):
        reached, steps = {start}, 0
        while end not in reached:
            more = {b for x, _, y in facts for a, b in ((x, y), (y, x)) if a in reached} - reached
            if not more:
                return None
            reached, steps = reached | more, steps + 1
        return steps

    found = on_shortest_paths(edges, [start], [end])
    if start != end:
        assert length(found) == length(edges)
        assert (length(edges) is None) == (not found)


@pytest.mark.parametrize(
    "row",
    [
        TASK,
        {
            "id": 17,
            "instruction": "Mail Ann.",
            "tool_steps": json.dumps(TASK["task_steps"]),
            "tool_nodes": json.dumps(TASK["task_nodes"]),
            "tool_links": "[]",
        },
    ],
)
def test_taskbench_rows_become_steps_nodes_and_calls(row):
    assert item("taskbench", row, tools=TOOLS) == {
        "id": "17",
        "request": "Mail Ann.",
        "tool_list": list(TOOLS),
        "steps": ["Step 1: Mail Ann"],
        "nodes": ["send_mail"],
        "calls": [{"task": "send_mail", "arguments": [{"name": "to", "value": "Ann"}]}],
        "links": [],
    }


def test_tools_without_arguments_have_no_calls_to_score():
    made = item(
        "taskbench", {"id": "0", "request": "Mail.", "steps": ["Mail"], "tools": ["call"]}, tools=TOOLS
    )
    assert (made["nodes"], made["calls"]) == (["call"], None)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"task_nodes": [{"task": "fly", "arguments": []}]}, "the tool 'fly' is not among the 2"),
        ({"task_nodes": [{"task": "call"}]}, "no 'arguments'"),
        ({"task_nodes": [{"task": "call", "arguments": [{"name": "to"}]}]}, "has no name and value"),
        ({"task_nodes": ["call", {"task": "call", "arguments": []}]}, "must be an object"),
        ({"task_steps": None}, "no 'task_steps'"),
        ({"task_steps": [1]}, "must be a text"),
    ],
)
def test_what_is_wrong_with_a_taskbench_row_is_said(change, what):
    assert what in fault("taskbench", {**TASK, **change}, tools=TOOLS)


def test_srdd_rows_are_known_by_their_names():
    row = {"name": "Tide Table", "category": "Utility", "description": "Prints tides."}
    assert item("srdd", row) == {
        "id": "srdd-Tide_Table",
        "name": "Tide Table",
        "category": "Utility",
        "task": "Prints tides.",
    }


@given(
    texts=st.lists(st.text("ab c", max_size=12), min_size=1, max_size=8), query=st.text("abc ", max_size=8)
)
def test_the_pool_scores_as_bm25_does(texts, query):
    pool = Pool(texts)
    expected = bm25_scores(query, pool.texts)
    np.testing.assert_allclose(pool.scores(query), expected, atol=1e-12)
    nearest = pool.nearest(query, 3, {texts[0]})
    assert texts[0] not in nearest
    left = [e for t, e in zip(pool.texts, expected, strict=True) if t != texts[0]]
    found = [dict(zip(pool.texts, expected, strict=True))[t] for t in nearest]
    np.testing.assert_allclose(found, sorted(left, reverse=True)[:3], atol=1e-12)


@given(keys=st.sets(st.text()), seed=st.integers())
def test_shuffling_loses_nothing(keys, seed):
    assert sorted(shuffled(keys, seed, "x")) == sorted(keys)


def test_settings_are_values():
    assert replace(Settings(), candidates=5) == Settings(candidates=5)
