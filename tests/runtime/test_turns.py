"""Outages cost nothing but time, storms end, rests are kept, and load stays within what was allowed."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.runtime.client import ModelClient
from agenttts.runtime.errors import (
    Authentication,
    BadReply,
    BadRequest,
    ConnectionLost,
    EndpointDown,
    ModelError,
    Overloaded,
    RateLimited,
)
from agenttts.runtime.records import Message, SampleRequest
from agenttts.runtime.replies import Completion
from agenttts.runtime.retry import RetryPolicy
from agenttts.runtime.secret import Secret
from agenttts.runtime.turns import Turns
from agenttts.spec.model import ModelLimits
from tests.runtime.virtual_endpoint import Endpoint, around, clock, failing, run

REQUEST = SampleRequest("m", (Message("user", "x" * 40),), 0.9, 1.0, 5)


async def crowd(endpoint, count, limits=None, chance=0.0, made=None):
    """Let many ask at once; return what became of each, and when the last was done."""
    made = made or ModelClient(
        "http://ann:pw@host/v1?key=pw",
        Secret("k"),
        "m",
        limits,
        around=around(chance),
        transport=endpoint,
    )
    calls = [made.complete(REQUEST, number, 1) for number in range(count)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    return [type(each) for each in found], clock()


def down(start, end, error=ConnectionLost):
    """A mood: fine, but for an outage."""
    return lambda number, now: failing(error, 503) if start <= now < end else None


@pytest.mark.parametrize("error", [ConnectionLost, Overloaded])
def test_an_outage_of_minutes_loses_nothing_and_sends_little(error):
    endpoint = Endpoint(down(5, 500, error), takes_s=1.0)
    found, ended_at = run(crowd(endpoint, 200))
    assert found == [Completion] * 200
    assert ended_at < 540
    assert len(endpoint.begun) < 200 + 100


def test_a_lone_request_survives_an_outage():
    found, ended_at = run(crowd(Endpoint(down(0.1, 590), takes_s=0.2), 1))
    assert found == [EndpointDown]  # it never answered before
    endpoint = Endpoint(down(0.1, 590))

    async def work():
        made = ModelClient("http://host/v1", Secret("k"), "m", around=around(), transport=endpoint)
        await made.complete(REQUEST, 0, 1)
        await asyncio.sleep(1)
        return await crowd(endpoint, 1, made=made)

    found, ended_at = run(work())
    assert found == [Completion]
    assert 590 <= ended_at <= 601


@pytest.mark.parametrize("count", [1, 2, 7, 100])
@pytest.mark.parametrize("takes_s", [0.0, 10.0])
def test_an_endpoint_that_never_answers_is_told_within_half_a_minute(count, takes_s):
    endpoint = Endpoint(lambda *_: failing(ConnectionLost), takes_s)
    found, ended_at = run(crowd(endpoint, count, chance=0.5))
    assert found == [EndpointDown] * count
    assert 20 <= ended_at <= 31


def test_an_endpoint_that_stops_for_good_is_told_with_its_address_and_reason():
    async def work():
        endpoint = Endpoint(down(2, 1e9), takes_s=1.0)
        made = ModelClient(
            "http://ann:pw@host/v1?key=pw", Secret("k"), "m", around=around(), transport=endpoint
        )
        await made.complete(REQUEST, 0, 1)
        with pytest.raises(EndpointDown) as caught:
            await asyncio.gather(*(made.complete(REQUEST, number, 1) for number in range(3)))
        return caught.value, clock()

    error, at = run(work())
    assert error.message == (
        "http://host/v1 has failed every request for 601 s, since 2026-01-01T00:00:01+00:00: "
        "ConnectionLost: trouble"
    )
    assert (error.never_answered, error.policy, at) == (False, "search", 602)


def test_an_endpoint_given_up_is_asked_again_later():
    endpoint = Endpoint(down(0, 100))

    async def work():
        made = ModelClient("http://host/v1", Secret("k"), "m", around=around(), transport=endpoint)
        first = await crowd(endpoint, 3, made=made)
        sent = len(endpoint.begun)
        at_once = await crowd(endpoint, 3, made=made)
        assert len(endpoint.begun) == sent
        await asyncio.sleep(200)
        return first[0] + at_once[0], (await crowd(endpoint, 3, made=made))[0]

    assert run(work()) == ([EndpointDown] * 6, [Completion] * 3)


def test_an_endpoint_that_hangs_is_left_alone():
    endpoint = Endpoint(takes_s=1e9)

    async def work():
        endpoint.takes_s = 0.0
        made = ModelClient("http://host/v1", Secret("k"), "m", around=around(), transport=endpoint)
        await made.complete(REQUEST, 0, 1)
        endpoint.takes_s = 1e9
        return await crowd(endpoint, 100, made=made)

    found, ended_at = run(work())
    assert EndpointDown in found
    assert len(endpoint.begun) < 30
    assert ended_at < 900


def test_a_deadline_below_the_time_limit_hides_no_hanging_endpoint():
    endpoint = Endpoint(takes_s=1e9)
    found, _ = run(crowd(endpoint, 100, ModelLimits(deadline_s=60)))
    assert EndpointDown in found
    assert len(endpoint.begun) < 30


@pytest.mark.parametrize("error", [ConnectionLost, Overloaded])
def test_an_outage_halves_the_limit_once(error):
    """However many requests it catches in flight, and however many probes fail."""

    async def work():
        turns = Turns("http://host/v1", ModelLimits(), RetryPolicy(never_answered_s=600), around(), None)
        caught = [await turns.begin(1, 600) for _ in range(8)]
        await asyncio.sleep(1)
        for turn in caught:
            turns.failed(turn, failing(error, 503), in_time=True)
        for _ in range(10):
            turn = await turns.begin(1, 600)
            assert turn.probe
            turns.failed(turn, failing(error, 503), in_time=True)
        return turns.gate.limit

    assert run(work()) == 4


def test_only_one_probe_is_sent_at_a_time():
    endpoint = Endpoint(down(10, 100), takes_s=3.0)
    run(crowd(endpoint, 200))
    probes = [at for at in endpoint.begun if 30 < at < 95]
    assert probes
    assert all(later - sooner >= 3 for sooner, later in pairwise(probes))


def test_a_storm_of_refusals_ends_and_the_limit_grows_again():
    most_per_second, seen = 10, {}

    def mood(number, now):
        if now >= 60:
            return None
        seen[int(now)] = seen.get(int(now), 0) + 1
        return failing(RateLimited, 429) if seen[int(now)] > most_per_second else None

    endpoint = Endpoint(mood, takes_s=0.5)
    found, ended_at = run(crowd(endpoint, 3000, chance=0.3))
    assert found == [Completion] * 3000
    assert endpoint.most == 32
    assert ended_at < 180


def test_the_limit_never_passes_its_ceiling():
    endpoint = Endpoint(takes_s=1.0)
    run(crowd(endpoint, 200, ModelLimits(concurrency=11)))
    assert endpoint.most == 11


def test_a_rest_asked_for_holds_for_everybody():
    endpoint = Endpoint(
        lambda number, now: failing(RateLimited, 429, 20.0) if number == 3 else None, takes_s=1
    )
    found, _ = run(crowd(endpoint, 100))
    assert found == [Completion] * 100
    assert [at for at in endpoint.begun if 1 < at < 21] == []


def test_an_absurd_rest_freezes_nothing():
    endpoint = Endpoint(lambda number, now: failing(RateLimited, 429, 1e9) if number < 8 else None, takes_s=1)
    found, ended_at = run(crowd(endpoint, 20))
    assert found == [Completion] * 20
    assert ended_at < 70


def test_a_stale_wish_is_not_listened_to():
    """Request 0 is slow; what it is told at last is older than the answers that others got meanwhile."""

    async def work():
        endpoint = Endpoint(lambda number, now: failing(RateLimited, 429, 50.0) if number == 0 else None)
        endpoint.takes_s = 10.0
        made = ModelClient("http://host/v1", Secret("k"), "m", around=around(), transport=endpoint)
        slow = asyncio.ensure_future(made.complete(REQUEST, 0, 1))
        await asyncio.sleep(1)
        endpoint.takes_s = 1.0
        await made.complete(REQUEST, 1, 1)
        await asyncio.sleep(9)
        await made.complete(REQUEST, 2, 1)
        at = clock()
        await slow
        return at

    assert run(work()) == 12.0


def test_an_endpoint_that_refuses_everybody_is_given_up_at_the_deadline():
    endpoint = Endpoint(lambda *_: failing(RateLimited, 429, 30.0))
    found, ended_at = run(crowd(endpoint, 300))
    assert found == [RateLimited] * 300
    assert 570 <= ended_at <= 660


def test_waiting_behind_others_that_are_answered_costs_no_patience():
    endpoint = Endpoint(
        lambda number, now: failing(RateLimited, 429) if number % 3 == 0 else None, takes_s=50
    )
    found, ended_at = run(crowd(endpoint, 60, ModelLimits(concurrency=1)))
    assert found == [Completion] * 60
    assert ended_at > 4000


@pytest.mark.parametrize("error", [failing(BadRequest, 400), failing(Authentication, 401)])
def test_one_bad_request_disturbs_nobody(error):
    endpoint = Endpoint(lambda number, now: error if number == 5 else None)
    found, _ = run(crowd(endpoint, 20))
    assert sorted(kind.__name__ for kind in found) == sorted([type(error).__name__] + ["Completion"] * 19)


def test_every_attempt_counts_as_a_request_of_the_pace():
    endpoint = Endpoint(lambda number, now: failing(Overloaded, 500) if number == 0 else None)
    run(crowd(endpoint, 3, ModelLimits(requests_per_minute=6)))
    assert endpoint.begun == [0, 10, 20, 30]


def test_the_tokens_of_a_refused_attempt_are_given_back():
    endpoint = Endpoint(lambda number, now: failing(Overloaded, 500) if number == 0 else None)
    run(crowd(endpoint, 1, ModelLimits(tokens_per_minute=10)))
    assert endpoint.begun == [0, 0.5]


def test_an_outage_does_not_save_up_a_burst():
    endpoint = Endpoint(down(5, 200), takes_s=0.1)
    run(crowd(endpoint, 60, ModelLimits(requests_per_minute=60)))
    late = [at for at in endpoint.begun if at > 200]
    assert all(later - sooner > 0.99 for sooner, later in pairwise(late))


MOODS = [RateLimited, Overloaded, ConnectionLost, BadReply, BadRequest]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([None, None, None, *MOODS]), min_size=1, max_size=20), st.integers(1, 40))
def test_whatever_the_mood_everybody_is_served_and_nothing_deadlocks(moods, count):
    def mood(number, now):
        kind = moods[number % len(moods)]
        return kind and failing(kind, 503 if kind is Overloaded else None, number % 4 * 20.0)

    endpoint = Endpoint(mood, takes_s=0.7)
    found, _ = run(crowd(endpoint, count, ModelLimits(concurrency=7), chance=0.4))
    assert all(issubclass(kind, Completion | ModelError) for kind in found)
    assert endpoint.most <= 7
    assert endpoint.here == 0
