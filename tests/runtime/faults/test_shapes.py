"""The forms of answers: ids, texts, JSON objects, programs; what makes them wrong; what merges them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.runtime.faults.mood import Fusing, Task
from agenttts.runtime.faults.shapes import perturbed, stands_in, written
from agenttts.runtime.faults.skill import merged
from agenttts.runtime.faults.testing import provider
from agenttts.spec.template import render

SCALARS = st.none() | st.booleans() | st.integers(0, 99) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
ROWS = [
    {
        "q": f"Question {n}?",
        "ids": [n, n + 1],
        "steps": [f"Step {n}.1", f"Step {n}.2"],
        "nodes": [{"task": f"tool{n}", "arguments": [{"name": "to", "value": f"<{n}>"}]}],
        "program": f"def f():\n    return {n}\n",
        "defects": [f"def f():\n    return -{n + d}\n" for d in (1, 2)],
    }
    for n in range(1, 13)
]


def at_work(tmp_path, **task):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "items.jsonl").write_text(lines, "utf-8")
    models = {"half": {"skill": 0.5}, "never": {"skill": 0.0}, "sure": {"skill": 1.0}}
    return provider({"models": models, "tasks": [{"items": "items.jsonl", "match": "q", **task}]}, tmp_path)


def said(of, text, model="sure", count=1):
    body = {"model": model, "messages": [{"role": "user", "content": text}], "n": count, "seed": 1}
    return [choice["message"]["content"] for choice in json.loads(of.reply(body).body)["choices"]]


@pytest.mark.parametrize(
    ("task", "row", "right"),
    [
        ({"answer": "ids"}, 3, "[4], [5]"),
        ({"answer": "program", "form": "```python\n{}```"}, 0, "```python\ndef f():\n    return 1\n```"),
        ({"answer": {"s": "steps"}}, 0, '{"s": ["Step 1.1", "Step 1.2"]}'),
        ({"answer": "nodes"}, 0, json.dumps(ROWS[0]["nodes"])),
    ],
)
def test_a_sure_model_writes_the_answer_in_its_form(tmp_path, task, row, right):
    assert said(at_work(tmp_path, **task), ROWS[row]["q"]) == [right]


def test_wrong_programs_come_from_the_items_own_list(tmp_path):
    of = at_work(tmp_path, answer="program", wrong="defects")
    assert set(said(of, ROWS[0]["q"], "never", 60)) == set(ROWS[0]["defects"])


@pytest.mark.parametrize("answer", ["ids", "nodes", {"task_steps": "steps", "task_nodes": "nodes"}])
def test_a_perturbed_answer_keeps_its_form_and_is_wrong(tmp_path, answer):
    of = at_work(tmp_path, answer=answer, perturbed=True)
    for row in ROWS:
        right, wrong = said(of, row["q"])[0], set(said(of, row["q"], "never", 40))
        assert right not in wrong
        assert 1 < len(wrong) <= 4
        if answer != "ids":
            assert all(type(json.loads(text)) is type(json.loads(right)) for text in wrong)


@given(VALUES, VALUES, st.integers())
@settings(max_examples=300, deadline=None)
def test_a_perturbed_value_differs_and_is_of_the_same_kind(value, other, about):
    changed = perturbed(value, other, about)
    if changed is not None:
        assert changed != value
        assert isinstance(changed, type(value)) or not isinstance(value, list | dict)
    assert perturbed(value, other, about) == changed


@given(st.text(min_size=1))
def test_a_text_is_found_inside_json_however_that_is_written(text):
    for writing in (json.dumps([text]), json.dumps({"a": text}, ensure_ascii=False)):
        assert stands_in(text, f"Steps: {writing}")


def test_a_text_is_found_in_what_a_template_writes_as_json():
    text = 'Tom & Ann\'s <b>"plan"</b>'
    assert stands_in(text, render("{{ item.steps | tojson }}", {"steps": [text]}, {}))


def test_skills_of_a_task_come_before_the_models_own(tmp_path):
    of = at_work(tmp_path, answer="ids", skills={"never": 1.0})
    assert said(of, ROWS[0]["q"], "never") == ["[1], [2]"]


def test_places_in_a_list_are_required_as_texts(tmp_path):
    rows = [{"q": "Q?", "a": "yes", "n": "no", "chunks": ["one", "two"], "gold": [2], "wrong": ["no"]}]
    (tmp_path / "i.jsonl").write_text(json.dumps(rows[0]), "utf-8")
    task = {"items": "i.jsonl", "match": "q", "answer": "a", "wrong": "wrong", "without": 0}
    of = provider(
        {"models": {"m": {"skill": 1}}, "tasks": [{**task, "requires": "gold", "requires_of": "chunks"}]},
        tmp_path,
    )
    assert (said(of, "[9] two Q?", "m"), said(of, "[2] one Q?", "m")) == (["yes"], ["no"])


def test_who_misses_what_is_required_may_differ_by_model(tmp_path):
    of = at_work(tmp_path, answer="ids", requires="steps", without={"sure": 1.0, "half": 0.0})
    right = "[1], [2]"
    assert said(of, ROWS[0]["q"], "sure", 20).count(right) == 20
    assert said(of, ROWS[0]["q"], "half", 20).count(right) == 0
    assert right in said(of, ROWS[0]["q"] + " ".join(ROWS[0]["steps"]), "half", 20)


def test_reported_tokens_replace_the_counted_ones(tmp_path):
    of = at_work(tmp_path, answer="ids", tokens={"prompt": 2048, "output": 128})
    body = {"model": "sure", "messages": [{"role": "user", "content": ROWS[0]["q"]}], "n": 3, "seed": 1}
    usage = json.loads(of.reply(body).body)["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (2048, 384)
    assert json.loads(of.reply({**body, "max_tokens": 100}).body)["usage"]["completion_tokens"] == 300


def test_a_fusing_model_takes_what_most_samples_say():
    weights = {"yes": 0.2, "no": 0.8}
    prompt = "Say yes or no.\n\nResponses:\n[1] yes\n\n[2] yes\n\n[3] no"
    assert merged(Fusing(), weights, 1.0, prompt) == ({"yes": 1.0, "no": 0.0}, 3)
    assert merged(Fusing(), weights, 0.0, prompt)[0] == pytest.approx({"yes": 2 / 3, "no": 1 / 3})
    crowded = merged(Fusing(crowd=3), weights, 1.0, prompt)[0]
    assert crowded == pytest.approx({"yes": 0.5 + 0.5 * 2 / 3, "no": 0.5 / 3})


def test_a_model_may_merge_better_than_it_answers(tmp_path):
    of = at_work(tmp_path, answer="ids", fusing={"skills": {"never": 1.0}})
    shown = "\n\nResponses:\n[1] [1], [2]\n\n[2] [1], [2]\n\n[3] [4], [5]"
    assert set(said(of, ROWS[0]["q"] + shown, "never", 30)) == {"[1], [2]"}
    assert "[1], [2]" not in said(of, ROWS[0]["q"], "never", 30)


def test_without_answers_to_merge_beliefs_stand():
    weights = {"yes": 0.2, "no": 0.8}
    for fusing, prompt in ((None, "Responses:\nyes"), (Fusing(), "yes"), (Fusing(), "\n\nResponses:\n")):
        assert merged(fusing, weights, 1.0, prompt) == (weights, 0)


def test_a_list_of_objects_is_written_as_json():
    assert json.loads(written(Task(None, "q", "a"), [{"task": "t"}])) == [{"task": "t"}]
