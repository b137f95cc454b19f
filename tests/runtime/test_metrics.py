"""Metrics: hand-computed scores and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.metrics import METRICS, normalise_answer
from agenttts.runtime.options import OptionError

ANSWERS = ("exact_match", "contains", "token_f1", "set_f1")
GOLD = st.text() | st.lists(st.text(), max_size=3)
OUTPUT = st.none() | st.integers() | st.text() | st.lists(st.integers() | st.text())


def score(name, output, gold, **options):
    return METRICS[name]({"target": "gold", **options})(output, {"gold": gold})


@pytest.mark.parametrize(
    ("name", "output", "gold", "expected"),
    [
        ("exact_match", "The  Beatles!", "beatles", 1.0),
        ("exact_match", "Paris", ["Lyon", "paris"], 1.0),
        ("exact_match", "Paris, France", "Paris", 0.0),
        ("exact_match", 42, "42", 1.0),
        ("exact_match", "Paris", [], None),
        ("exact_match", "Paris", None, None),
        ("contains", "It is Paris, of course.", "paris", 1.0),
        ("contains", "comparison", "paris", 0.0),
        ("contains", "Par", "Paris", 0.0),
        ("contains", "anything", "the", 0.0),
        ("contains", "", "the", 1.0),
        ("token_f1", "Barack Obama", "Obama", 2 / 3),
        ("token_f1", "a b b", "b c", 2 / 4),
        ("token_f1", "x", ["y", "x z"], 2 / 3),
        ("token_f1", "", "", 1.0),
        ("token_f1", "", "x", 0.0),
        ("set_f1", [1, 2, 2], ["2", 3], 0.5),
        ("set_f1", [], [], 1.0),
        ("set_f1", [], [1], 0.0),
        ("set_f1", [1], [], 0.0),
        ("set_f1", "Rome ", ["rome"], 1.0),
        ("set_f1", [{"a": 1}], [{"a": 1.0}], 1.0),
    ],
)
def test_score(name, output, gold, expected):
    assert score(name, output, gold) == expected


def test_a_field_of_the_output_is_scored():
    assert score("exact_match", {"final": "x"}, "X", field="final") == 1.0
    assert score("exact_match", {"other": "x"}, "X", field="final") is None
    assert score("exact_match", "x", "X", field="final") is None


@pytest.mark.parametrize("name", METRICS)
def test_an_item_without_gold_is_unscored(name):
    assert METRICS[name]({"target": "gold"})("x", {}) is None


@pytest.mark.parametrize("name", ANSWERS)
@given(output=OUTPUT, gold=GOLD)
def test_scores_lie_between_0_and_1(name, output, gold):
    value = score(name, output, gold)
    assert value is None or 0 <= value <= 1


@given(ids=st.lists(st.integers()), other=st.lists(st.integers()))
def test_set_f1_is_symmetric_and_1_for_equal_sets(ids, other):
    assert score("set_f1", ids, other) == score("set_f1", other, ids)
    assert score("set_f1", ids, ids[::-1]) == 1


@given(text=st.text())
def test_equal_texts_match(text):
    assert score("exact_match", text, text) == score("token_f1", text, text) == 1
    assert normalise_answer(normalise_answer(text)) == normalise_answer(text)


@pytest.mark.parametrize("options", [{}, {"target": 3}, {"target": "gold", "goal": "x"}])
@pytest.mark.parametrize("name", METRICS)
def test_bad_options_are_refused(name, options):
    with pytest.raises(OptionError):
        METRICS[name](options)
