"""Every request is granted, tried with patience under one key, and kept or given back, whatever ends it."""

import asyncio

import pytest

from agenttts.runtime.client import ModelClient
from agenttts.runtime.desk import Permit
from agenttts.runtime.errors import (
    BadRequest,
    ConnectionLost,
    Draining,
    LimitReached,
    ModelError,
    Overloaded,
    RateLimited,
    Timeout,
)
from agenttts.runtime.records import Message, SampleRequest
from agenttts.runtime.retry import ONE_TRY
from agenttts.runtime.secret import Secret
from agenttts.spec.model import ModelLimits
from tests.runtime.virtual_endpoint import EPOCH, Endpoint, around, clock, failing, run

REQUEST = SampleRequest("m", (Message("user", "q"),), 0.9, 1.0, 5, seed=100)


class NotedDesk:
    """Notes what it hears. closed, refuses: what `open` and `failed` raise. slow_s: how long it takes."""

    def __init__(self, closed=None, slow_s=0.0, refuses=None):
        self.closed, self.slow_s, self.refuses = closed, slow_s, refuses
        self.heard, self.kept, self.dropped, self.granted = [], [], [], 0

    async def open(self, first_index, count):
        if self.closed is not None:
            raise self.closed
        self.granted += 1
        return Permit(first_index, count, f"t{self.granted}")

    async def failed(self, permit, error, delay_s):
        await asyncio.sleep(self.slow_s)
        self.heard.append((permit.token, type(error), error.uncertain, delay_s))
        if self.refuses is not None:
            raise self.refuses

    async def keep(self, permit, completion):
        await asyncio.sleep(self.slow_s)
        self.kept.append((permit.token, [sample.index for sample in completion.samples]))

    async def drop(self, permit, error):
        await asyncio.sleep(self.slow_s)
        self.dropped.append((permit.token, type(error), getattr(error, "uncertain", None)))


def client(endpoint, limits=None, policy=None, ends_at=None):
    return ModelClient(
        "http://ann:pw@host/v1?key=pw",
        Secret("k"),
        "m",
        limits,
        None,
        policy,
        around(),
        endpoint,
        None if ends_at is None else EPOCH + ends_at,
    )


def complete(endpoint, desk, first=0, count=1, **more):
    async def work():
        async with client(endpoint, **more) as made:
            return await made.complete(REQUEST, first, count, desk)

    return run(work())


def first(*errors):
    """A mood that fails with these first."""
    return lambda number, now: errors[number] if number < len(errors) else None


def test_every_request_is_granted_and_kept_under_its_own_key():
    desk, endpoint = NotedDesk(), Endpoint()
    drawn = complete(endpoint, desk, first=5, count=130)
    assert [sample.index for sample in drawn.samples] == list(range(5, 135))
    assert desk.kept == [("t1", list(range(5, 133))), ("t2", [133, 134])]
    assert endpoint.headers == [{"Idempotency-Key": "t1"}, {"Idempotency-Key": "t2"}]


def test_every_failure_is_heard_and_the_key_stays():
    desk, endpoint = NotedDesk(), Endpoint(first(failing(RateLimited, 429, 7.0), cut_off()))
    complete(endpoint, desk)
    assert desk.heard == [("t1", RateLimited, False, 7.0), ("t1", ConnectionLost, True, 1.0)]
    assert [headers["Idempotency-Key"] for headers in endpoint.headers] == ["t1"] * 3
    assert endpoint.bodies[0] == endpoint.bodies[1] == endpoint.bodies[2]
    assert (desk.kept, desk.dropped) == ([("t1", [0])], [])


def test_what_finally_fails_is_given_back_with_the_last_failures_doubt():
    desk, endpoint = NotedDesk(), Endpoint()

    async def work():
        made = client(endpoint, ModelLimits(deadline_s=6000))
        await made.complete(REQUEST, 0, 1)
        endpoint.takes_s = 999
        with pytest.raises(Timeout, match=r"gave up after 5 tries in 608 s: no answer within 120 s"):
            await made.complete(REQUEST, 0, 1, desk)

    run(work())
    assert [heard[1] for heard in desk.heard] == [Timeout] * 4
    assert desk.dropped == [("t1", Timeout, True)]


def test_a_request_that_is_refused_is_given_back_at_once():
    desk = NotedDesk()
    with pytest.raises(BadRequest):
        complete(Endpoint(first(failing(BadRequest, 400))), desk)
    assert (desk.heard, desk.dropped) == ([], [("t1", BadRequest, False)])


@pytest.mark.parametrize("closed", [LimitReached("/search/limits/usd"), KeyError("elsewhere")])
def test_what_the_desk_raises_passes_through(closed):
    endpoint = Endpoint()
    with pytest.raises(type(closed)) as caught:
        complete(endpoint, NotedDesk(closed))
    assert caught.value is closed
    assert endpoint.begun == []


def test_a_limit_reached_between_attempts_ends_the_request():
    desk = NotedDesk(refuses=LimitReached("no room"))
    with pytest.raises(LimitReached):
        complete(Endpoint(lambda *_: failing(Overloaded, 500)), desk)
    assert desk.dropped == [("t1", LimitReached, False)]


def test_all_parts_end_before_the_first_error_is_raised():
    def mood(number, now):
        return failing(BadRequest, 400) if number == 1 else None

    desk, endpoint = NotedDesk(), Endpoint(mood, takes_s=1.0)

    async def work():
        made = client(endpoint)
        await made.complete(REQUEST, 0, 2, desk)
        with pytest.raises(BadRequest):
            await made.complete(REQUEST, 2, 300, desk)

    run(work())
    kept = {token: (indices[0], len(indices)) for token, indices in desk.kept}
    assert kept == {"t1": (0, 2), "t3": (130, 128), "t4": (258, 44)}


def test_a_permit_is_sent_again_under_its_key():
    desk, endpoint = NotedDesk(), Endpoint()

    async def work():
        return await client(endpoint).again(REQUEST, Permit(7, 2, "old"), desk)

    assert [sample.index for sample in run(work()).samples] == [7, 8]
    assert (endpoint.headers, desk.granted) == ([{"Idempotency-Key": "old"}], 0)
    assert (endpoint.bodies[0]["n"], endpoint.bodies[0]["seed"]) == (2, 107)
    assert desk.kept == [("old", [7, 8])]


def cancelled_at(seconds, endpoint, desk):
    """Cancel a request after some seconds, and see that its place is free."""

    async def work():
        made = client(endpoint, ModelLimits(concurrency=1))
        task = asyncio.ensure_future(made.complete(REQUEST, 0, 1, desk))
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await made.idle()
        endpoint.takes_s, endpoint.mood = 0.0, first()
        await made.complete(REQUEST, 0, 1)

    run(work())


def test_a_request_cancelled_in_flight_is_given_back_in_doubt():
    desk = NotedDesk(slow_s=1.0)
    cancelled_at(2, Endpoint(takes_s=5.0), desk)
    assert desk.dropped == [("t1", asyncio.CancelledError, None)]


def cut_off(*_):
    lost = failing(ConnectionLost)
    lost.uncertain = True
    return lost


@pytest.mark.parametrize(
    ("mood", "slow_s", "dropped"),
    [
        (lambda *_: failing(Overloaded, 500), 0.0, (Draining, False)),
        (lambda *_: failing(Overloaded, 500), 1.0, (Draining, False)),
        (cut_off, 0.0, (Draining, False)),  # the desk has heard of the doubt before
        (cut_off, 1.0, (asyncio.CancelledError, None)),  # cancelled while it heard
    ],
)
def test_a_request_cancelled_between_attempts_is_in_doubt_only_while_the_desk_knows_less(
    mood, slow_s, dropped
):
    desk = NotedDesk(slow_s=slow_s)
    cancelled_at(0.2, Endpoint(mood), desk)
    assert desk.dropped == [("t1", *dropped)]


def test_a_reply_that_came_is_kept_even_when_cancelled():
    desk = NotedDesk(slow_s=1.0)
    cancelled_at(0.5, Endpoint(), desk)
    assert (desk.kept, desk.dropped) == ([("t1", [0])], [])


def test_the_deadline_bounds_the_attempt_in_flight():
    endpoint = Endpoint(first(failing(Overloaded, 500)), takes_s=6.0)
    with pytest.raises(Timeout, match=r"gave up after 2 tries in 10 s"):
        complete(endpoint, NotedDesk(), limits=ModelLimits(timeout_s=9, deadline_s=10))
    assert endpoint.timeouts == [9, 3.5]


def test_nothing_is_sent_once_the_search_is_over():
    endpoint, desk = Endpoint(), NotedDesk()
    with pytest.raises(LimitReached, match=r"^LimitReached: /search/limits/wall_clock_s: "):
        complete(endpoint, desk, ends_at=0.0)
    assert (endpoint.begun, desk.granted) == ([], 0)


def test_the_searchs_end_bounds_the_attempt_in_flight():
    desk = NotedDesk()
    with pytest.raises(LimitReached, match="wall_clock_s"):
        complete(Endpoint(takes_s=60.0), desk, ends_at=10.0)
    assert desk.dropped == [("t1", LimitReached, True)]


def test_no_retry_waits_beyond_the_searchs_end():
    async def work():
        with pytest.raises(LimitReached):
            await client(Endpoint(lambda *_: failing(RateLimited, 429, 60.0)), ends_at=30.0).complete(
                REQUEST, 0, 1
            )
        return clock()

    assert run(work()) == 0


def test_waits_for_a_place_end_with_the_search():
    async def work():
        made = client(Endpoint(takes_s=60.0), ModelLimits(concurrency=1), ends_at=10.0)
        calls = [made.complete(REQUEST, 0, 1) for _ in range(5)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        return [type(error) for error in found], clock()

    assert run(work()) == ([LimitReached] * 5, 10.0)


def drained(endpoint, desk, at, count=5, limits=None):
    """Drain while requests are under way; return what became of each, and when all was idle."""

    async def work():
        made = client(endpoint, limits or ModelLimits(concurrency=2))
        calls = [made.complete(REQUEST, 0, 1, desk) for _ in range(count)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(at)
        made.drain()
        await made.idle()
        idle_at = clock()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [type(each).__name__ for each in found], idle_at

    return run(work())


def test_a_drain_ends_waits_for_a_place_and_keeps_what_is_in_flight():
    desk = NotedDesk(slow_s=1.0)
    found, idle_at = drained(Endpoint(takes_s=10.0), desk, at=3.0)
    assert found == ["Completion"] * 2 + ["Draining"] * 3
    assert idle_at == 11.0
    assert (desk.granted, desk.dropped) == (2, [])  # nothing is claimed before it can be sent


def test_a_drain_ends_sleeping_retries():
    found, idle_at = drained(Endpoint(lambda *_: failing(RateLimited, 429, 60.0)), NotedDesk(), at=3.0)
    assert (found, idle_at) == (["Draining"] * 5, 3.0)


def test_a_drain_ends_waits_for_the_pace():
    limits = ModelLimits(requests_per_minute=1)
    found, idle_at = drained(Endpoint(), NotedDesk(), at=3.0, count=3, limits=limits)
    assert (found, idle_at) == (["Completion", "Draining", "Draining"], 3.0)


def test_a_request_in_flight_that_fails_while_draining_is_not_tried_again():
    endpoint = Endpoint(lambda *_: failing(Overloaded, 500), takes_s=5.0)
    found, idle_at = drained(endpoint, NotedDesk(), at=3.0, count=1)
    assert (found, idle_at, len(endpoint.begun)) == (["Draining"], 5.0, 1)


def test_nothing_is_granted_after_a_drain():
    async def work():
        desk, made = NotedDesk(), client(Endpoint())
        made.drain()
        with pytest.raises(Draining):
            await made.complete(REQUEST, 0, 1, desk)
        return desk.granted

    assert run(work()) == 0


def test_the_clients_errors_survive_another_process():
    with pytest.raises(ModelError) as caught:
        complete(Endpoint(lambda *_: failing(Overloaded, 500)), NotedDesk(), policy=ONE_TRY)
    assert caught.value.args == ("gave up after 1 try in 0 s: trouble", None)
