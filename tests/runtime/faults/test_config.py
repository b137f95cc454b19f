"""A config becomes a mood, or every problem at once; the files that it names as well."""

import json
from pathlib import Path

import pytest

from agenttts.runtime.faults.config import ConfigError, read_config, schema
from agenttts.runtime.faults.loading import read_provider
from agenttts.runtime.faults.mood import Faults, Kind, ModelMood, Mood, Task
from agenttts.spec.model import Price
from agenttts.spec.reference import reference

ROOT = Path(__file__).parents[3]


def write(folder, config, items=None):
    (folder / "config.json").write_text(json.dumps(config))
    if items is not None:
        (folder / "items.jsonl").write_text(items)
    return folder / "config.json"


def pointers(error):
    return [problem.pointer for problem in error.value.problems]


def test_an_empty_config_is_the_default_mood():
    assert read_config("{}").mood == Mood()


def test_a_config_sets_what_it_names():
    config = {
        "comment": "x",
        "seed": 7,
        "models": {"m": {"skill": 0.3, "capacity": 4, "price": {"input": 1, "output": 2}}},
        "tasks": [{"comment": "x", "items": "i.jsonl", "match": "q", "answer": "a", "each": "<{}>"}],
        "faults": {"rate": 0.2, "kinds": {"cut_body": 2}, "statuses": [503], "refusal": 0.1},
        "difficulty": 0,
        "idempotency": False,
    }
    assert read_config(json.dumps(config)).mood == Mood(
        seed=7,
        models={"m": ModelMood(skill=0.3, capacity=4, price=Price(1, 2))},
        tasks=(Task("i.jsonl", "q", "a", each="<{}>"),),
        faults=Faults(rate=0.2, kinds={Kind.CUT_BODY: 2.0}, statuses=(503,), refusal=0.1),
        difficulty=0,
        idempotency=False,
    )


def test_all_problems_are_told_at_once_with_place_and_cure():
    text = '{"seed": "x",\n "models": {"a": {"skil": 1}},\n "faults": {"rate": 2, "kinds": {"cut": 1}}}'
    with pytest.raises(ConfigError) as caught:
        read_config(text)
    assert pointers(caught) == ["/faults/kinds/cut", "/faults/rate", "/models/a/skil", "/seed"]
    assert "/models/a/skil (line 2, column 27)" in str(caught.value)
    assert 'Did you mean "skill"?' in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"seed": 1, "seed": 2}', '{"faults": {"rate": NaN}}'])
def test_what_is_no_config_is_a_problem(text):
    with pytest.raises(ConfigError):
        read_config(text)


def test_faults_without_a_kind_are_a_problem():
    with pytest.raises(ConfigError, match="no kind has a weight"):
        read_config('{"faults": {"rate": 0.1, "kinds": {"timeout": 0}}}')


def test_the_defaults_in_the_schema_are_those_of_the_mood():
    for name, defaults in (("model", ModelMood()), ("faults", Faults()), ("task", Task("i", "m", "a"))):
        for key, rules in schema()["$defs"][name]["properties"].items():
            if "default" in rules:
                value = getattr(defaults, key)
                assert rules["default"] == (list(value) if isinstance(value, tuple) else value), key


def test_every_kind_of_fault_is_in_the_schema():
    assert {*schema()["$defs"]["kinds"]["properties"]} == {kind.value for kind in Kind} - {"ok"}


def test_every_fault_of_the_items_is_told_at_once(tmp_path):
    tasks = [
        {"items": "none.jsonl", "match": "q", "answer": "a"},
        {"items": "items.jsonl", "match": "q", "answer": "b", "requires": "r"},
        {"items": "items.jsonl", "match": "q", "answer": "a"},
    ]
    path = write(tmp_path, {"tasks": tasks}, '{"q": "one", "a": 1}\n\n{"q": " ", "a": 2}\n')
    with pytest.raises(ConfigError) as caught:
        read_provider(path)
    assert pointers(caught) == [
        "/tasks/0/items",
        "/tasks/1/answer",
        "/tasks/1/match",
        "/tasks/1/requires",
        "/tasks/2/match",
    ]
    assert 'no usable field "r" (items 1, 2)' in str(caught.value)
    assert 'Fields of item 1: "a", "q".' in str(caught.value)


@pytest.mark.parametrize("items", ["", '{"q": 1}\nnonsense\n', "[1]\n", "\xff"])
def test_items_that_cannot_be_read_are_a_problem(tmp_path, items):
    path = write(tmp_path, {"tasks": [{"items": "items.jsonl", "match": "q", "answer": "q"}]}, items)
    with pytest.raises(ConfigError) as caught:
        read_provider(path)
    assert pointers(caught)[0].startswith("/tasks/0/")


def test_a_config_that_is_not_there_is_a_problem(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_provider(tmp_path / "none.json")


def test_the_reference_in_the_docs_is_generated_from_the_schema():
    table = reference(schema()).split("\n", 4)[-1].replace("## Pipeline spec", "## Config")
    page = (ROOT / "docs" / "faults.md").read_text("utf-8")
    assert table in page, f"Put this into docs/faults.md:\n{table}"
