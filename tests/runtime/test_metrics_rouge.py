"""ROUGE-L: hand-computed scores, laws, and agreement with the reference implementation."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.metrics import METRICS
from agenttts.runtime.metrics_text import lcs_length
from agenttts.runtime.options import OptionError
from agenttts.runtime.stemming import stem
from tests.runtime.rouge_reference import RECORD

REFERENCE = json.loads(RECORD.read_text("utf-8"))
LETTERS = st.lists(st.sampled_from("abcd"), max_size=40)
STEPS = st.lists(st.text("ab c", max_size=8), max_size=5)


def score(output, gold, **options):
    return METRICS["rouge_l"]({"target": "gold", **options})(output, {"gold": gold})


@pytest.mark.parametrize(
    ("output", "gold", "expected"),
    [
        (["Find the movie", "Get its cast"], ["Find the movie", "Get its cast"], 1.0),
        ("find the cast", ["Find the movie", "Get its cast"], 2 * 3 / (3 + 6)),
        ("a b c d", "a c b d", 2 * 3 / 8),
        ("booking flights", "book flight", 1.0),
        ("go to Zürich", "Zürich", 2 * 1 / 4),
        ([], [], 1.0),
        ([], ["x"], 0.0),
        (["x"], "", 0.0),
        ("!?", "", 1.0),
        (["x"], None, None),
    ],
)
def test_score(output, gold, expected):
    assert score(output, gold) == expected


def test_without_stems_other_forms_of_a_word_are_other_words():
    assert score("booking flights", "book flight", stem=False) == 0.0


def test_stems_are_the_references():
    wrong = {word: stem(word) for word, right in REFERENCE["stems"].items() if stem(word) != right}
    assert len(REFERENCE["stems"]) > 1200
    assert not wrong


@pytest.mark.parametrize("kind", ["stemmed", "plain"])
def test_scores_are_the_references(kind):
    for pair in REFERENCE["pairs"]:
        if pair["output"] or pair["gold"]:  # for two empty texts the reference gives 0
            ours = score(pair["output"], pair["gold"], stem=kind == "stemmed")
            assert ours == pytest.approx(pair[kind], abs=1e-12), pair


def table(first, second):
    """The longest common subsequence by the textbook's table."""
    row = [0] * (len(second) + 1)
    for a in first:
        before = row[:]
        for at, b in enumerate(second, 1):
            row[at] = before[at - 1] + 1 if a == b else max(before[at], row[at - 1])
    return row[-1]


@given(
    first=st.lists(st.sampled_from("abcd"), max_size=40),
    second=st.lists(st.sampled_from("abcd"), max_size=40),
)
def test_the_subsequence_is_as_long_as_the_table_says(first, second):
    assert lcs_length(first, second) == table(first, second)


@given(one=STEPS, other=STEPS)
def test_the_score_is_symmetric_and_within_bounds(one, other):
    assert score(one, other) == score(other, one)
    assert 0 <= score(one, other) <= 1


@given(one=STEPS)
def test_equal_steps_score_1(one):
    assert score(one, one) == 1


@given(word=st.text("abcdefghijklmnopqrstuvwxyz0123456789é", min_size=1))
def test_every_word_has_a_stem(word):
    assert stem(word)


def test_a_wrong_option_is_refused():
    with pytest.raises(OptionError):
        score("x", "x", stem="yes")
