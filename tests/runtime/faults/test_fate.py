"""What happens to a request is decided by the seed, the request and the number of its try alone."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.runtime.faults.asked import RefusedError, read_request
from agenttts.runtime.faults.fate import fate_of, lasting_fault
from agenttts.runtime.faults.mood import WEIGHTS, Faults, Kind, ModelMood, Mood
from agenttts.runtime.refusals import refusal


def body(text="Hi", **more):
    return {"model": "weak", "messages": [{"role": "user", "content": text}], **more}


def asked(text="Hi", **more):
    return read_request(body(text, **more))


def mood(rate=0.5, seed=1, **faults):
    return Mood(seed=seed, faults=Faults(rate=rate, **faults))


def only(kind, rate=1.0, **faults):
    return mood(rate, kinds={kind: 1.0}, **faults)


SEEDS = st.integers(0, 2**31)
TRIES = st.integers(1, 50)


@given(SEEDS, st.text(min_size=1), TRIES, st.integers(0, 9), st.integers(0, 9))
def test_the_same_try_of_the_same_request_meets_the_same_fate_whenever_it_comes(
    seed, text, attempt, one, other
):
    assert fate_of(mood(seed=seed), asked(text), attempt, one) == fate_of(
        mood(seed=seed), asked(text), attempt, other
    )


@given(SEEDS, st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_the_share_of_faults_is_the_rate(seed, rate):
    fates = [fate_of(mood(rate, seed), asked(), attempt) for attempt in range(1, 401)]
    faulty = sum(fate.kind is not Kind.OK for fate in fates)
    assert abs(faulty - 400 * rate) <= 5 * math.sqrt(400 * rate * (1 - rate)) + 1e-9


def test_kinds_come_as_often_as_they_weigh():
    kinds = {Kind.OVERLOADED: 3.0, Kind.CUT_BODY: 1.0, Kind.NO_USAGE: 0.0}
    found = Counter(fate_of(mood(1.0, kinds=kinds), asked(), attempt).kind for attempt in range(1, 2001))
    assert found.keys() == {Kind.OVERLOADED, Kind.CUT_BODY}
    assert found[Kind.CUT_BODY] == pytest.approx(500, abs=5 * math.sqrt(2000 * 0.25 * 0.75))


def test_every_kind_but_bursts_is_in_the_default_mix():
    found = {fate_of(mood(1.0), asked(), attempt).kind for attempt in range(1, 500)}
    assert found == set(Kind) - {Kind.OK, Kind.BURST}


def test_another_try_meets_another_fate():
    assert len({fate_of(mood(), asked(), attempt).kind for attempt in range(1, 20)}) > 3


def test_requests_that_differ_anywhere_have_fates_of_their_own():
    variants = [asked("Hi"), asked("Ho"), asked("Hi", n=2), asked("Hi", seed=1), asked("Hi", temperature=1)]
    assert len({tuple(fate_of(mood(), one, t) for t in range(1, 30)) for one in variants}) == len(variants)


def test_the_order_of_keys_makes_no_difference():
    backwards = dict(reversed(body(seed=3, n=2).items()))
    assert read_request(backwards).fingerprint == asked(seed=3, n=2).fingerprint


def test_a_burst_takes_a_whole_window_of_requests():
    bursts = mood(0.3, kinds={Kind.BURST: 1.0}, burst_length=10)
    fates = [fate_of(bursts, asked(), 1, ordinal).kind for ordinal in range(2000)]
    windows = [set(fates[start : start + 10]) for start in range(0, 2000, 10)]
    assert all(len(window) == 1 for window in windows)
    assert 30 < sum(window == {Kind.BURST} for window in windows) < 90


def test_bursts_beside_other_faults_keep_to_the_rate():
    mixed = mood(0.4, kinds={**WEIGHTS, Kind.BURST: 5.0}, burst_length=1)
    faulty = sum(fate_of(mixed, asked(), 1 + o, o).kind is not Kind.OK for o in range(4000))
    assert faulty == pytest.approx(1600, abs=5 * math.sqrt(4000 * 0.24))


def test_retry_after_comes_by_turns_as_seconds_and_as_a_date():
    forms = [
        fate_of(only(Kind.RATE_LIMITED), asked(), attempt).retry_after.as_date for attempt in range(1, 7)
    ]
    assert forms in ([True, False] * 3, [False, True] * 3)


def test_overload_uses_the_statuses_given():
    overloads = only(Kind.OVERLOADED, statuses=(500, 529))
    assert {fate_of(overloads, asked(), attempt).status for attempt in range(1, 40)} == {500, 529}


@given(st.integers(1, 9), TRIES)
def test_fewer_choices_are_fewer_but_never_none(count, attempt):
    given_choices = fate_of(only(Kind.FEWER_CHOICES), asked(n=count), attempt).choices
    assert 1 <= given_choices <= max(1, count - 1)


def test_latency_has_the_median_asked_for():
    slow = replace(mood(0.0), models={"weak": ModelMood(latency_ms=200, sigma=0.5)})
    waits = sorted(fate_of(slow, asked(), attempt).wait_s for attempt in range(1, 1001))
    assert waits[500] == pytest.approx(0.2, rel=0.1)
    assert waits[841] == pytest.approx(0.2 * math.exp(0.5), rel=0.1)


def test_a_request_that_does_not_fit_the_context_is_refused_for_good():
    small = replace(mood(0.0), models={"weak": ModelMood(context=30)})
    assert lasting_fault(small, asked("x" * 80, max_tokens=10)) is None
    assert lasting_fault(small, asked("x" * 80, max_tokens=11)).kind == "context"


def test_our_client_reads_both_forms_of_a_context_error():
    small = replace(mood(0.0), models={"weak": ModelMood(context=1)})
    found = [lasting_fault(small, asked(str(place))) for place in range(40)]
    assert {one.code for one in found} == {None, "context_length_exceeded"}
    kinds = {type(refusal(one.status, one.code, one.message, {})).__name__ for one in found}
    assert kinds == {"ContextTooLong"}


@pytest.mark.parametrize(("name", "kind"), [("context", "context"), ("content_filter", "content_filter")])
def test_lasting_faults_hit_prompts_and_not_tries(name, kind):
    harsh = mood(0.0, **{name: 0.3})
    hit = [lasting_fault(harsh, asked(str(place))) for place in range(500)]
    assert sum(one is not None for one in hit) == pytest.approx(150, abs=5 * math.sqrt(500 * 0.21))
    assert {one.kind for one in hit if one} == {kind}
    again = [lasting_fault(harsh, asked(str(place), n=7, seed=9)) for place in range(500)]
    assert [one is None for one in again] == [one is None for one in hit]


def test_lasting_faults_do_not_happen_by_themselves():
    assert all(lasting_fault(mood(1.0), asked(str(place))) is None for place in range(300))


@pytest.mark.parametrize(
    "broken",
    [
        [],
        {"messages": []},
        body(n=0),
        body(n=True),
        body(seed="1"),
        body(stream=True),
        body(stop=[1]),
        body(max_tokens=0),
        {"model": 3, "messages": [{"content": "a"}]},
        {"model": "weak", "messages": [{"content": 3}]},
        {"model": "weak", "messages": ["a"]},
    ],
)
def test_what_no_provider_takes_is_refused(broken):
    with pytest.raises(RefusedError) as caught:
        read_request(broken)
    assert (caught.value.status, caught.value.kind) == (400, "bad_request")
