"""decode(encode(x)) == x, through JSON text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.records import (
    Guideline,
    Message,
    Proposal,
    SampleRequest,
    TrialResult,
    TrialState,
    Usage,
)
from agenttts.runtime.store import codec

NAME = st.text(max_size=5)
NUMBER = st.floats(0, 1e9)
SCORE = st.none() | st.floats(0, 1)
USAGE = st.builds(Usage, *[st.integers(0, 9)] * 4, NUMBER, NUMBER, st.integers(0, 9))
CHOICES = st.dictionaries(NAME, st.builds(Choice, NAME, st.integers(1, 99)), max_size=3)
PROPOSAL = st.builds(Proposal, CHOICES.map(lambda d: Allocation(tuple(d.items()))), NAME, NAME)
SCORES = st.dictionaries(NAME, SCORE, max_size=3)
RESULT = st.builds(
    TrialResult,
    number=st.integers(1, 99),
    proposal=PROPOSAL,
    state=st.sampled_from(TrialState),
    score=SCORE,
    standard_error=SCORE,
    scores=SCORES,
    stage_scores=st.dictionaries(NAME, SCORES, max_size=2),
    planned_cost=NUMBER,
    measured_cost=st.none() | NUMBER,
    usage=USAGE,
    drawn=USAGE,
    seconds=NUMBER,
    problem=st.none() | NAME,
)
REQUEST = st.builds(
    SampleRequest,
    identity=NAME,
    messages=st.lists(st.builds(Message, NAME, NAME), max_size=2).map(tuple),
    temperature=st.none() | NUMBER,
    top_p=st.none() | NUMBER,
    max_tokens=st.integers(1, 9),
    stop=st.lists(NAME, max_size=2).map(tuple),
    seed=st.none() | st.integers(0, 9),
    extra=st.dictionaries(NAME, st.none() | st.integers(0, 9) | st.lists(NAME, max_size=2), max_size=2),
)


def _round_trip(kind, value):
    text = json.dumps(getattr(codec, f"encode_{kind}")(value), allow_nan=False)
    return getattr(codec, f"decode_{kind}")(json.loads(text))


@given(result=RESULT, request_=REQUEST)
def test_values_come_back(result, request_):
    assert _round_trip("result", result) == result
    assert _round_trip("request", request_) == request_


@given(
    proposal=PROPOSAL,
    usage=USAGE,
    guideline=st.builds(Guideline, st.integers(1), NAME, st.lists(st.integers()).map(tuple)),
)
def test_parts_come_back(proposal, usage, guideline):
    assert _round_trip("proposal", proposal) == proposal
    assert _round_trip("usage", usage) == usage
    assert _round_trip("guideline", guideline) == guideline
