"""Fusions: hand-computed votes, and laws that hold for all samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.fusions import FUSIONS, NOTHING, Ask, Candidate, fuse, fuse_by_model, fusion_words
from agenttts.runtime.options import OptionError
from agenttts.runtime.parsers import PARSERS, Unparsed

VALUES = st.lists(st.lists(st.integers(1, 6), max_size=5), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("name", "options", "values", "fused"),
    [
        ("first", {}, ["b", "a", "a"], "b"),
        ("majority", {}, ["Rome", "Paris", " paris. "], "Paris"),
        ("majority", {}, ["a", "b"], "a"),
        ("majority", {}, ["-1", "1", "1"], "1"),
        ("majority", {}, ["-1", "-1", "1"], "-1"),
        ("majority", {}, [1, 1.0, 2], 1),
        ("majority", {}, [True, 1, 1], 1),
        ("majority", {}, [{"a": "X"}, {"a": "x"}, {"a": "y"}], {"a": "X"}),
        ("majority", {"normalize": "squad"}, ["Beatles", "The Beatles!", "Stones"], "Beatles"),
        ("majority", {"normalize": "exact"}, ["x", "X", "X"], "X"),
        ("set_vote", {}, [[1, 2], [2, 3], [2]], [2, 1]),
        ("set_vote", {}, [[3], [1, 2], [1]], [1]),
        ("set_vote", {}, [[], [], [1]], []),
        ("set_vote", {}, [[5, 5, 4]], [5, 4]),
        ("set_vote", {}, ["a", "b", "b"], ["b"]),
        ("set_vote", {"min_share": 0.5}, [[1, 2], [2, 3], [2, 1]], [2, 1]),
        ("set_vote", {"min_share": 1}, [[1, 2], [2, 3]], [2]),
        ("set_vote", {"min_share": 0.28}, [[1]] * 7 + [[2]] * 18, [2, 1]),
        ("set_vote", {"keep": "union"}, [[1, 2], [3, 2]], [2, 1, 3]),
    ],
)
def test_fused_value(name, options, values, fused):
    assert FUSIONS[name](options)(values) == fused


@given(values=VALUES)
def test_majority_and_first_give_one_of_the_samples(values):
    assert FUSIONS["majority"]({})(values) in values
    assert FUSIONS["first"]({})(values) == values[0]


@given(values=VALUES)
def test_set_vote_keeps_as_many_ids_as_some_sample_names(values):
    fused = FUSIONS["set_vote"]({})(values)
    assert len(fused) == len(set(fused))
    assert len(fused) in {len(set(v)) for v in values}
    assert set(fused) <= set(FUSIONS["set_vote"]({"keep": "union"})(values))


@given(values=VALUES, share=st.floats(0, 1), more=st.floats(0, 1))
def test_a_higher_share_keeps_fewer(values, share, more):
    low, high = sorted((share, more))
    wide, narrow = (FUSIONS["set_vote"]({"min_share": s})(values) for s in (low, high))
    assert set(narrow) <= set(wide)


@given(value=st.text(min_size=1), count=st.integers(1, 9))
def test_equal_samples_fuse_to_themselves(value, count):
    assert all(FUSIONS[name]({})([value] * count) == value for name in ("first", "majority"))


def test_unparsed_samples_are_ignored():
    candidates = [Candidate("?", Unparsed("no")), Candidate("b", "b"), Candidate("a", "a")]
    assert fuse(FUSIONS["first"]({}), candidates) == "b"
    assert fuse(FUSIONS["first"]({}), candidates[:1]) == NOTHING


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("first", {"n": 1}),
        ("majority", {"normalize": "soft"}),
        ("set_vote", {"min_share": 2}),
        ("set_vote", {"min_share": 0.5, "keep": "union"}),
        ("set_vote", {"keep": "all"}),
    ],
)
def test_bad_options_are_refused(name, options):
    with pytest.raises(OptionError):
        FUSIONS[name](options)


def _candidates(*texts):
    return [Candidate(text, PARSERS["text"]({})(text)) for text in texts]


def test_a_model_is_asked_with_numbered_texts_and_its_reply_is_parsed():
    flow = fuse_by_model(
        _candidates("a", "  ", "b"), lambda t: fusion_words("Which?", t), PARSERS["text"]({})
    )
    ask = next(flow)
    assert isinstance(ask, Ask)
    assert "Which?" in ask.messages[0].content
    assert "[1] a\n\n[2] b" in ask.messages[0].content
    with pytest.raises(StopIteration) as stop:
        flow.send(" c ")
    assert stop.value.value == "c"


def test_a_single_sample_is_not_fused_by_a_model():
    with pytest.raises(StopIteration) as stop:
        next(fuse_by_model(_candidates("a"), lambda texts: "", PARSERS["text"]({})))
    assert stop.value.value == "a"
