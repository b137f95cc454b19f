"""The gate finds out how much an endpoint takes, lets everybody through in order, and never locks up."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.runtime.adaptive import START, Gate, Limit
from tests.runtime.virtual_endpoint import clock, run


def grown(limit, rounds):
    """Play rounds in which every place is taken and every request succeeds; return the limits after each."""
    values = []
    for _ in range(rounds):
        for _ in range(limit.value):
            limit.succeeded(full=True)
        values.append(limit.value)
    return values


def test_it_doubles_until_the_first_push_back():
    assert grown(Limit(100, 8), 4) == [16, 32, 64, 100]


def test_after_a_push_back_it_halves_and_grows_by_one_a_round():
    limit = Limit(100, 32)
    limit.pushed_back(started_at=0.0, now=1.0)
    assert limit.value == 16
    assert grown(limit, 3) == [17, 18, 19]


def test_a_round_trip_halves_it_once():
    limit = Limit(100, 32)
    for started_at in (0.0, 0.3, 0.9):
        limit.pushed_back(started_at, now=1.0 + started_at)
    assert limit.value == 16
    limit.pushed_back(started_at=1.1, now=2.0)
    assert limit.value == 8


def test_a_place_that_nobody_needed_proves_nothing():
    limit = Limit(100, 8)
    for _ in range(99):
        limit.succeeded(full=False)
    assert limit.value == 8


def test_a_storm_never_freezes_it():
    limit = Limit(32, 32)
    for second in range(1000):
        limit.pushed_back(second, second + 0.5)
    assert limit.value == 1
    assert grown(limit, 31)[-1] == 32


@given(
    st.integers(1, 40),
    st.integers(1, 60),
    st.lists(st.one_of(st.booleans(), st.floats(0, 100))),
)
def test_it_stays_between_one_and_the_ceiling(ceiling, start, events):
    limit = Limit(ceiling, min(start, ceiling))
    for event in events:
        if isinstance(event, bool):
            limit.succeeded(event)
        else:
            limit.pushed_back(event, event + 1)
        assert 1 <= limit.value <= ceiling


def test_a_gate_starts_small_and_below_its_ceiling():
    assert run(_limits()) == (START, 3)


async def _limits():
    return Gate(100, clock).limit, Gate(3, clock).limit


async def _crowd(gate, seed, guests):
    """Many requests with random fates; returns who was served, in order, and the most in flight."""
    chance, served, most = random.Random(seed), [], [0]

    async def guest(number):
        async with gate:
            served.append(number)
            most[0] = max(most[0], gate.in_flight)
            assert 1 <= gate.limit <= 6
            assert gate.in_flight <= 6
            started_at = clock()
            await asyncio.sleep(chance.random())
            if chance.random() < 0.5:
                gate.succeeded()
            elif chance.random() < 0.8:
                gate.pushed_back(started_at)
            else:
                raise ValueError

    tasks = [asyncio.ensure_future(guest(number)) for number in range(guests)]
    await asyncio.sleep(0)
    gone = {number for number in range(guests) if chance.random() < 0.2}
    for number in gone:
        tasks[number].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return served, gone, gate.in_flight


@settings(deadline=None, max_examples=50)
@given(st.integers(), st.integers(1, 40), st.integers(1, 6))
def test_all_who_wait_are_served_in_order_whatever_happens(seed, guests, ceiling):
    served, gone, left = run(_at(seed, guests, ceiling))
    assert served == sorted(served)
    assert set(served) | gone == set(range(guests))
    assert left == 0


async def _at(seed, guests, ceiling):
    return await _crowd(Gate(ceiling, clock), seed, guests)


def test_growth_lets_the_next_in_line_begin():
    assert run(_growing()) == (2, 2)


async def _growing():
    gate, held = Gate(2, clock, start=1), asyncio.Event()

    async def hold():
        async with gate:
            await held.wait()

    tasks = [asyncio.ensure_future(hold()) for _ in range(2)]
    await asyncio.sleep(1)
    assert gate.in_flight == 1
    gate.succeeded()
    await asyncio.sleep(1)
    found = gate.in_flight, gate.limit
    held.set()
    await asyncio.gather(*tasks)
    return found


def test_whoever_is_not_cleared_leaves_the_line_to_the_next():
    assert run(_refusing()) == 1


async def _refusing():
    gate = Gate(1, clock)

    async def no():
        raise ValueError

    first = asyncio.ensure_future(gate.enter(no))
    await asyncio.wait([first])
    assert isinstance(first.exception(), ValueError)
    await gate.enter()
    return gate.in_flight
