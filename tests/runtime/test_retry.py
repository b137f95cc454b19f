"""Patience: waits grow and are capped, costly failures are few, everything else has until the deadline."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.errors import BadReply, ModelError, Overloaded, RateLimited, Timeout
from agenttts.runtime.refusals import refusal, retry_after_s
from agenttts.runtime.retry import ONE_TRY, Patience, RetryPolicy, explained


def tries(error, deadline_s=600.0, seconds=0.0, policy=None, probe=False):
    """Fail until it is given up; return the waits."""
    patience, waits = Patience(policy or RetryPolicy(), deadline_s), []
    while (wait := patience.failed(error, seconds, 0.0, probe)) is not None and len(waits) < 999:
        waits.append(wait)
        patience.spent_s += 0 if probe else wait
    return waits


def test_waits_double_up_to_the_cap():
    waits = [RetryPolicy().delay_s(number, Overloaded(""), 0.0) for number in range(1, 10)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_no_number_of_tries_is_too_large():
    assert RetryPolicy().delay_s(10**6, Overloaded(""), 0.0) == 30


@given(st.integers(1, 50), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1e9))
def test_chance_shortens_a_wait_by_half_at_most_and_never_below_what_was_asked(number, chance, asked):
    longest = RetryPolicy().delay_s(number, Overloaded(""), 0.0)
    wait = RetryPolicy().delay_s(number, Overloaded("", asked), chance)
    assert wait >= max(longest / 2, min(asked or 0.0, 60))
    assert wait <= max(longest, 66)


def test_costly_failures_are_few():
    assert len(tries(Timeout(""))) == 4
    assert len(tries(BadReply(""))) == 4


def test_other_failures_are_retried_until_the_deadline():
    assert 590 - 30 < sum(tries(RateLimited(""))) < 600
    assert len(tries(Overloaded(""))) > 20


def test_attempts_count_against_the_deadline():
    assert len(tries(Overloaded(""), seconds=100.0)) == 5


def test_no_try_starts_at_the_deadline_or_later():
    assert tries(RateLimited("", 60), deadline_s=60) == []
    assert tries(RateLimited("", 60), deadline_s=61) == [60]


def test_a_probe_costs_no_patience_but_its_bill_counts():
    assert len(tries(Overloaded(""), seconds=100.0, probe=True)) == 999
    assert len(tries(Timeout(""), seconds=100.0, probe=True)) == 4


def test_one_try_is_one_try():
    assert tries(Overloaded(""), policy=ONE_TRY) == tries(Overloaded(""), policy=ONE_TRY, probe=True) == []


def test_an_explained_error_keeps_its_facts():
    error = refusal(429, None, "slow", {"retry-after": "2"})
    error.uncertain = True
    found = pickle.loads(pickle.dumps(explained(error, "why")))
    assert (type(found), found.message, found.retry_after_s) == (RateLimited, "why", 2.0)
    assert (found.uncertain, found.status) == (True, 429)
    assert error.message == "HTTP 429: slow"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:09 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 9),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:09 GMT", "date": "Thu, 01 Jan 2026 00:01:00 GMT"}, 0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert retry_after_s(headers) == seconds


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_header_breaks_the_reader(value, finer, date):
    asked = retry_after_s({"retry-after": value, "retry-after-ms": finer, "date": date})
    assert asked is None or asked >= 0
    assert RetryPolicy().delay_s(1, ModelError("", asked), 0.0) <= 60
