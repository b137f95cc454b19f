"""What was generated is completed and paid, once for each generation; what is drawn twice shows."""

import asyncio
import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.runtime.faults.asked import RefusedError, read_request
from agenttts.runtime.faults.fate import Fate
from agenttts.runtime.faults.mood import Kind
from agenttts.runtime.faults.state import State
from agenttts.runtime.faults.testing import provider

PRICED = {"models": {"weak": {"price": {"input": 1e6, "output": 2e6}}, "free": {}}}


async def at_once(_seconds):
    pass


def state(config=None, sleep=at_once, clock=lambda: 0.0):
    return State(provider(config or {}), sleep, clock)


def request(text="Hi", **more):
    return read_request({"model": "weak", "messages": [{"role": "user", "content": text}], **more})


async def serve(of, asked, key=None, whole=True):
    """What the application does with a request, without the wire."""
    fate = of.admit(asked, key)
    try:
        if not fate.generates:
            return None
        made = await of.make(asked, fate, key)
        of.arrived(made, whole and fate.delivers)
        return of.provider.body(asked, made.fate, made.completion)
    finally:
        of.leave(asked)


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(1, 3),
        st.none() | st.integers(0, 4),
        st.none() | st.sampled_from(["k1", "k2"]),
        st.booleans(),
    ),
    max_size=25,
)


def run_all(of, requests):
    """Serve requests one after the other; return the (request, choices) of those that got a completion."""
    served = []

    async def work():
        for text, count, seed, key, whole in requests:
            asked = request(text, n=count, **({} if seed is None else {"seed": seed}))
            with contextlib.suppress(RefusedError):
                reply = await serve(of, asked, key, whole)
                if reply is not None:
                    served.append((asked, len(json.loads(reply)["choices"])))

    asyncio.run(work())
    return served


@given(REQUESTS, st.sampled_from([0.0, 0.5, 1.0]))
@settings(deadline=None)
def test_the_books_balance(requests, rate):
    of = state({**PRICED, "faults": {"rate": rate}})
    served = run_all(of, requests)
    counts = of.document()
    weak, paid = counts["models"]["weak"], counts["paid"]
    assert counts["requests"] == len(requests) == sum(counts["outcomes"].values())
    assert paid["prompt_tokens"] == len(served) - counts["replayed"]  # a prompt of one letter is one token
    assert weak["paid"]["usd"] == paid["prompt_tokens"] + 2 * paid["output_tokens"]
    assert max(counts["undelivered"], counts["drawn_twice"]) <= counts["completed"]
    assert counts["delivered_twice"] <= counts["drawn_twice"]


@given(REQUESTS, st.sampled_from([0.0, 0.5, 1.0]))
@settings(deadline=None)
def test_completed_samples_are_different_ones_and_those_drawn_twice(requests, rate):
    of = state({"faults": {"rate": rate}})
    served = run_all(of, [(text, count, seed, None, whole) for text, count, seed, _, whole in requests])
    unseeded = sum(count for asked, count in served if asked.seed is None)
    seeded = [
        (a.prompt, a.seed + place) for a, count in served if a.seed is not None for place in range(count)
    ]
    counts = of.document()
    assert counts["completed"] == unseeded + len(seeded)
    assert counts["drawn_twice"] == len(seeded) - len(set(seeded))


def test_dollars_follow_the_price_and_the_prompt_is_paid_once_a_request():
    of = state(PRICED)
    asyncio.run(serve(of, request("x" * 40, n=3, max_tokens=1)))
    assert of.document()["paid"] == {"prompt_tokens": 10, "output_tokens": 3, "usd": 16.0}
    assert of.document()["models"]["free"]["paid"]["usd"] is None


def test_a_sample_that_is_asked_for_again_counts_as_drawn_twice():
    of = state()
    asyncio.run(serve(of, request(n=3, seed=5)))
    asyncio.run(serve(of, request(n=2, seed=7)))
    assert (of.document()["drawn_twice"], of.document()["delivered_twice"]) == (1, 1)


def test_a_sample_that_was_lost_on_its_way_may_be_drawn_again():
    of = state()
    asyncio.run(serve(of, request(seed=5), whole=False))
    asyncio.run(serve(of, request(seed=5)))
    counts = of.document()
    assert (counts["undelivered"], counts["drawn_twice"], counts["delivered_twice"]) == (1, 1, 0)


def test_other_decoding_makes_other_samples():
    of = state()
    for more in ({}, {"temperature": 1}, {"max_tokens": 9}):
        asyncio.run(serve(of, request(seed=5, **more)))
    assert of.document()["drawn_twice"] == 0


def test_samples_without_a_seed_are_never_drawn_twice():
    of = state()
    for _ in range(3):
        asyncio.run(serve(of, request(n=2)))
    assert (of.document()["completed"], of.document()["drawn_twice"]) == (6, 0)


@pytest.mark.parametrize("seed", [{}, {"seed": 4}])
def test_a_key_replays_its_first_completion_and_is_paid_once(seed):
    of = state()

    async def work():
        return [await serve(of, request(n=2, **seed), "k") for _ in range(3)]

    first, *others = asyncio.run(work())
    assert others == [first, first]
    counts = of.document()
    assert (counts["completed"], counts["replayed"], counts["drawn_twice"]) == (2, 2, 0)


def test_a_replay_is_what_was_generated_whatever_the_fate_of_the_second_try():
    of = state({"faults": {"rate": 1, "kinds": {"fewer_choices": 1}}})

    async def work():
        return [await serve(of, request(n=9), "k") for _ in range(5)]

    assert len(set(asyncio.run(work()))) == 1


def test_a_key_of_another_request_is_refused():
    of = state()
    asyncio.run(serve(of, request("a"), "k"))
    with pytest.raises(RefusedError) as caught:
        asyncio.run(serve(of, request("b"), "k"))
    assert (caught.value.status, of.document()["outcomes"]) == (422, {"key_reused": 1, "ok": 1})


class Hold:
    """A sleep that lasts until it is let go."""

    def __init__(self):
        self.begun, self.end = asyncio.Event(), asyncio.Event()

    async def __call__(self, _seconds):
        self.begun.set()
        await self.end.wait()


def test_a_request_waits_for_the_one_that_uses_its_key_already():
    async def work():
        hold = Hold()
        of = state(sleep=hold)
        both = [asyncio.create_task(serve(of, request(), "k")) for _ in range(2)]
        await hold.begun.wait()
        assert of.document()["models"]["weak"]["in_flight"] == 2
        hold.end.set()
        return await asyncio.gather(*both), of.document()

    (one, other), counts = asyncio.run(work())
    assert one == other
    assert (counts["completed"], counts["replayed"]) == (1, 1)


def test_whoever_leaves_before_the_end_has_nothing_to_pay():
    async def work():
        hold = Hold()
        of = state(sleep=hold)
        task = asyncio.create_task(serve(of, request()))
        await hold.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return of.document()

    counts = asyncio.run(work())
    assert (counts["completed"], counts["paid"]["output_tokens"], counts["dropped"]) == (0, 0, 1)
    assert counts["models"]["weak"]["in_flight"] == 0


def test_the_next_one_draws_when_the_first_of_a_key_leaves():
    async def work():
        hold = Hold()
        of = state(sleep=hold)
        first, second = (asyncio.create_task(serve(of, request(), "k")) for _ in range(2))
        await hold.begun.wait()
        hold.end.set()
        first.cancel()
        await second
        return of.document()

    counts = asyncio.run(work())
    assert (counts["completed"], counts["replayed"], counts["dropped"]) == (1, 0, 1)


def test_more_requests_in_flight_than_the_capacity_are_refused_and_are_no_tries():
    async def work():
        hold = Hold()
        of = state({"models": {"weak": {"capacity": 2}}}, hold)
        tasks = [asyncio.create_task(serve(of, request(str(place)))) for place in range(3)]
        done = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        hold.end.set()
        refused = done[0].pop().exception()
        await asyncio.gather(*tasks, return_exceptions=True)
        return refused, of.document()["models"]["weak"]

    refused, counts = asyncio.run(work())
    assert (refused.status, refused.kind, refused.retry_after_s) == (429, "over_capacity", 0.05)
    assert (counts["most_in_flight"], counts["in_flight"]) == (2, 0)
    assert counts["outcomes"] == {"ok": 2, "over_capacity": 1}


def test_requests_beyond_the_rate_are_refused_until_a_minute_has_passed():
    now = [0.0]
    of = state({"models": {"weak": {"requests_per_minute": 2}}}, clock=lambda: now[0])
    for now[0] in (0.0, 10.0):
        asyncio.run(serve(of, request()))
    now[0] = 20.0
    with pytest.raises(RefusedError) as caught:
        of.admit(request(), None)
    assert (caught.value.kind, caught.value.retry_after_s) == ("over_rate", 40.0)
    now[0] = 60.0
    asyncio.run(serve(of, request()))


def test_a_refusal_by_a_limit_does_not_change_the_fates_that_follow():
    faults = {"faults": {"rate": 0.5}}
    free, now = state(faults), [0.0]
    limits = {"models": {"weak": {"requests_per_minute": 1}}, **faults}
    limited = state(limits, clock=lambda: now[0])
    kinds: list[Kind] = []
    for minute in range(20):
        now[0] = 60.0 * minute
        kinds.append(limited.admit(request(), None).kind)
        with pytest.raises(RefusedError):
            limited.admit(request(), None)
    assert kinds == [free.admit(request(), None).kind for _ in range(20)]


def test_the_time_of_tokens_is_that_of_the_longest_choice():
    of = provider({"models": {"weak": {"token_ms": 10}}})
    asked = request(n=5, seed=1)
    done = of.complete(asked, Fate(Kind.OK))
    assert of.wait_s(Fate(Kind.OK, wait_s=1.0), done) == 1 + 0.01 * max(c.tokens for c in done.choices)
