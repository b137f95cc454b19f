"""Parsers give the value or `Unparsed`, and never raise."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.options import OptionError
from agenttts.runtime.parsers import PARSERS, Unparsed

OPTIONS = {"choice": {"choices": ["yes", "no", "B"]}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("name", "options", "text", "value"),
    [
        ("text", {}, "  Paris\n", "Paris"),
        ("text", {"after": "Answer:"}, "Answer: no. Answer: yes ", "yes"),
        ("ids", {}, "[2] and [10], then [2]", [2, 10]),
        ("ids", {"pattern": r"#(\w+)"}, "#a #b1 #a", ["a", "b1"]),
        ("ids", {"pattern": r"\d+"}, "7, 07", [7]),
        ("ids", {"allow_empty": True}, "none", []),
        ("choice", {"choices": ["Yes", "No"]}, "no!", "No"),
        ("choice", {"choices": ["safe", "not safe"]}, "It is not safe.", "not safe"),
        ("choice", {"choices": ["likely", "unlikely"]}, "Quite unlikely", "unlikely"),
        ("choice", {"choices": ["A", "B"]}, "A dog is what I see; the answer is (B).", "B"),
        ("choice", {"choices": ["A", "B"]}, "B) because", "B"),
        ("choice", {"choices": ["A", "B"]}, "a", "A"),
        ("json", {}, '{"a": 1}', {"a": 1}),
        ("json", {}, " 42 ", 42),
        ("json", {}, 'Here:\n```json\n[1, 2]\n```\nand {"b": 3}', [1, 2]),
        ("json", {}, 'so {bad} but {"a": {"b": []}} holds', {"a": {"b": []}}),
        ("json", {"schema": {"type": "object"}}, '[1] says {"a": 1}', {"a": 1}),
    ],
)
def test_value_is_found(name, options, text, value):
    assert PARSERS[name](options)(text) == value


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("text", {}, " \n"),
        ("text", {"after": "Answer:"}, "Paris"),
        ("ids", {}, "two and three"),
        ("choice", {"choices": ["yes", "no"]}, "yes or no"),
        ("choice", {"choices": ["yes", "no"]}, "nothing known"),
        ("choice", {"choices": ["A", "B"]}, "A dog"),
        ("json", {}, "no json"),
        ("json", {}, "NaN"),
        ("json", {}, '{"a": 1, "a": 2}'),
        ("json", {}, '"\\ud800"'),
        ("json", {"schema": {"required": ["b"]}}, '{"a": 1}'),
        ("json", {"schema": {"$ref": "https://example.org/absent"}}, '{"a": 1}'),
    ],
)
def test_no_value_is_unparsed_with_a_reason(name, options, text):
    parsed = PARSERS[name](options)(text)
    assert isinstance(parsed, Unparsed)
    assert parsed.reason


def test_the_reason_names_the_schema_fault():
    parsed = PARSERS["json"]({"schema": {"required": ["b"]}})('{"a": 1}')
    assert parsed == Unparsed("JSON does not fit the schema: 'b' is a required property")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{" * 100_000, '{"a":' * 100_000, "[" + "9" * 5000 + "]", "```" * 999]
)
@pytest.mark.parametrize("name", PARSERS)
def test_hostile_texts_end_soon(name, text):
    PARSERS[name](OPTIONS.get(name, {}))(text)


@pytest.mark.parametrize("name", PARSERS)
@given(text=st.text())
def test_any_text_is_parsed_or_unparsed(name, text):
    parsed = PARSERS[name](OPTIONS.get(name, {}))(text)
    assert isinstance(parsed, Unparsed) or json.dumps(parsed)


@given(value=JSON, before=st.sampled_from(["", "```json\n"]))
def test_json_that_was_written_is_read_back(value, before):
    text = before + json.dumps(value) + ("\n```" if before else "")
    assert PARSERS["json"]({})(text) == value


@given(ids=st.lists(st.integers(0, 99)))
def test_ids_are_distinct_and_in_order(ids):
    parsed = PARSERS["ids"]({"allow_empty": True})(" ".join(f"[{i}]" for i in ids))
    assert parsed == list(dict.fromkeys(ids))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("text", {"befor": "x"}),
        ("ids", {"pattern": "("}),
        ("ids", {"pattern": 3}),
        ("choice", {}),
        ("choice", {"choices": ["..."]}),
        ("json", {"schema": {"type": "nonsense"}}),
    ],
)
def test_bad_options_are_refused(name, options):
    with pytest.raises(OptionError):
        PARSERS[name](options)
