"""Functions of Python stages."""

import math

import pytest

from agenttts.runtime.functions import FUNCTIONS, bm25_scores
from agenttts.runtime.options import OptionError
from agenttts.runtime.records import Item, StageInput

ITEM = Item("1", {"question": "cat food", "documents": ["dog food", "the cat", "cat food!", "nothing"]})


def test_bm25_follows_its_formula():
    idf = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5))  # two documents, one holds the word
    expected = idf * 1 * 2.2 / (1 + 1.2 * (1 - 0.75 + 0.75 * 2 / 1.5))
    assert bm25_scores("cat", ["a cat", "dog"]) == [pytest.approx(expected), 0.0]


def test_bm25_ranks_by_overlap_and_leaves_out_what_shares_no_word():
    assert FUNCTIONS["bm25"]({})(StageInput(ITEM)) == [3, 1, 2]
    assert FUNCTIONS["bm25"]({"top": 1})(StageInput(ITEM)) == [3]


def test_bm25_of_nothing_is_nothing():
    assert bm25_scores("cat", []) == []
    assert bm25_scores("", ["a", ""]) == [0.0, 0.0]


def test_identity_passes_on_a_field_or_an_upstream_output():
    assert FUNCTIONS["identity"]({"field": "question"})(StageInput(ITEM)) == "cat food"
    assert FUNCTIONS["identity"]({"stage": "pick"})(StageInput(ITEM, {"pick": [1]})) == [1]


@pytest.mark.parametrize(("name", "options"), [("identity", {}), ("bm25", {"top": "many"})])
def test_bad_options_are_refused(name, options):
    with pytest.raises(OptionError):
        FUNCTIONS[name](options)
