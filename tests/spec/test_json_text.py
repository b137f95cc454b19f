"""The strict reader: values as Python reads them, positions that are right, faults instead of exceptions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.spec.json_text import DEEPEST, parse
from agenttts.spec.places import child

LARGEST = 2**53 - 1
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | TEXTS
SCALARS |= st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)

FAULTS = [
    ("", 1, 1, "the text ends"),
    ("{", 1, 2, "the { opened at line 1, column 1 is not closed"),
    ('{"a": [1,\n 2}', 2, 3, "a comma or ] is expected"),
    ('{"a": 1,}', 1, 8, "a comma with nothing after it"),
    ("[1,]", 1, 3, "a comma with nothing after it"),
    ('{"a" 1}', 1, 6, "a colon is missing"),
    ('{"a": 1 "b": 2}', 1, 9, "a comma or } is expected"),
    ("{a: 1}", 1, 2, "a key is expected"),
    ("{'a': 1}", 1, 2, "single quotes"),
    ("[NaN]", 1, 2, "NaN is no JSON number"),
    ("[-Infinity]", 1, 2, "-Infinity is no JSON number"),
    ("[01]", 1, 2, "is not a JSON number"),
    ("[1.]", 1, 2, "is not a JSON number"),
    ("[+1]", 1, 2, "not a JSON number"),
    ("[.5]", 1, 2, "not a JSON number"),
    ("[1e999]", 1, 2, "too large"),
    ("[9007199254740992]", 1, 2, "too large"),
    ("9" * 5000, 1, 1, "too large"),
    ("[True]", 1, 2, "JSON has no True"),
    ("[None]", 1, 2, "JSON has no None"),
    ("[1 // one\n]", 1, 4, "JSON has no comments"),
    ("# one\n{}", 1, 1, "JSON has no comments"),
    ('["a\nb"]', 1, 4, "control character"),
    ('["\\x"]', 1, 3, "the escape"),
    ('["\\u12g4"]', 1, 3, "the escape"),
    ('["\\ud800"]', 1, 2, "lone surrogate"),
    ('["\ud800"]', 1, 2, "lone surrogate"),
    ('["abc', 1, 2, "a text is not closed"),
    ('{"a": 1,\n "a": 2}', 2, 2, "written twice"),
    ("\ufeff{}", 1, 1, "byte order mark"),
    ("{} {}", 1, 4, "more text after the document"),
    ("[" * 100_000, 1, DEEPEST + 2, "nested more than"),
    ('{"a":' * 100_000, 1, 5 * (DEEPEST + 1) + 1, "nested more than"),
]


@pytest.mark.parametrize(("text", "line", "column", "words"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_has_its_place_and_plain_words(text, line, column, words):
    (problem,) = parse(text).problems
    assert (problem.line, problem.column) == (line, column)
    assert words in problem.what
    assert problem.fix.endswith(".")


def test_a_pair_of_surrogates_is_one_character():
    assert parse(r'"\ud83d\ude00"').value == "😀"


@given(VALUES, st.sampled_from([None, 0, 1, "\t"]), st.booleans())
def test_what_was_written_is_read(value, indent, ascii_only):
    outcome = parse(json.dumps(value, indent=indent, ensure_ascii=ascii_only))
    assert (outcome.value, outcome.problems, outcome.readable) == (value, (), True)


@given(VALUES, st.sampled_from([None, 2]))
def test_every_value_starts_at_its_place(value, indent):
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    places = parse(text).places
    for pointer, inner in _values(value, ""):
        line, column = places.at(pointer)
        rest = "\n".join(text.split("\n")[line - 1 :])[column - 1 :]
        start = "{" if isinstance(inner, dict) else "[" if isinstance(inner, list) else None
        assert rest.startswith(start or json.dumps(inner, ensure_ascii=False))


@given(st.text(max_size=60) | st.text('{}[]",:\\ue+-01.truefalsn \n', max_size=60))
def test_no_text_raises_and_only_json_is_accepted(text):
    outcome = parse(text)
    if outcome.readable and not outcome.problems:
        assert json.loads(text) == outcome.value
    else:
        assert outcome.problems


@settings(max_examples=200)
@given(VALUES, st.data())
def test_a_damaged_document_never_raises(value, data):
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text)))
    parse(text[:at] + data.draw(st.text(max_size=3)) + text[at + 1 :])


def _values(value, pointer):
    yield pointer, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from _values(inner, child(pointer, key))
