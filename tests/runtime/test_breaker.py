"""The breaker leaves a dead endpoint alone, notices when it is back, and gives it up in the end."""

import pytest

from agenttts.runtime.breaker import FAILURES, Breaker, is_failure
from agenttts.runtime.errors import BadReply, BadRequest, ConnectionLost, Overloaded, RateLimited, Timeout
from tests.runtime.virtual_endpoint import EPOCH, failing


def breaker(answered=True):
    made = Breaker("http://host/v1", 20.0, 600.0, lambda: EPOCH)
    if answered:
        made.answered(0.0)
    return made


def fail(made, at, error=None, probe=False, times=1):
    for _ in range(times):
        made.failed(error or ConnectionLost("refused"), probe, at, at, 0.0)
    return made


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (ConnectionLost(""), True),
        (failing(Overloaded, 500), True),
        (Timeout(""), True),
        (failing(Overloaded, 409), False),
        (failing(RateLimited, 429), False),
        (BadReply(""), False),
        (BadRequest(""), False),
    ],
)
def test_an_answer_is_no_failure(error, counts):
    assert is_failure(error) is counts


def test_it_opens_after_failures_in_a_row():
    made = fail(breaker(), 1.0, times=FAILURES - 1)
    assert not made.open
    made.answered(2.0)
    assert not fail(made, 3.0, times=FAILURES - 1).open
    assert fail(made, 3.0).open


def test_an_endpoint_that_hangs_opens_it():
    assert fail(breaker(), 1.0, Timeout(""), times=FAILURES).open


def test_probes_come_at_growing_waits():
    made, now, waits = fail(breaker(), 0.0, times=FAILURES), 0.0, []
    for _ in range(7):
        waits.append(made.wait_s(now))
        now += waits[-1]
        assert made.began()
        made.ended(probe=True)
        fail(made, now, probe=True)
    assert waits == [0.5, 1, 2, 4, 8, 10, 10]


def test_failures_of_older_requests_do_not_lengthen_the_wait():
    made = fail(breaker(), 0.0, times=FAILURES)
    assert fail(made, 0.1, times=20).wait_s(0.1) == 0.4


def test_only_a_probes_own_end_allows_the_next_one():
    made = fail(breaker(), 0.0, times=FAILURES)
    made.began()
    made.ended(probe=False)
    assert made.probing
    made.ended(probe=True)
    assert not made.probing


def test_an_answer_closes_it():
    made = fail(breaker(), 0.0, times=FAILURES)
    made.answered(1.0)
    assert (made.open, made.wait_s(1.0), made.began()) == (False, 0.0, False)


def test_an_endpoint_that_never_answered_is_given_up_soon():
    made = fail(breaker(answered=False), 0.0, times=FAILURES)
    assert fail(made, 19.9, probe=True).down(19.9) is None
    assert made.wait_s(19.9) == pytest.approx(0.1)
    down = fail(made, 20.0, probe=True).down(20.0)
    assert down.never_answered
    assert down.message == (
        "http://host/v1 has never answered for 20 s, since 2025-12-31T23:59:40+00:00: ConnectionLost: refused"
    )


def test_an_endpoint_that_answered_before_is_given_up_late():
    made = fail(breaker(), 0.0, times=FAILURES)
    for second in range(0, 600, 10):
        assert fail(made, second, probe=True).down(second) is None
    down = fail(made, 600, probe=True).down(600)
    assert (down.never_answered, "has failed every request for 600 s" in down.message) == (False, True)


def test_a_failure_long_ago_is_another_outage():
    made = fail(breaker(), 0.0, times=FAILURES)
    assert fail(made, 1000.0, times=FAILURES).down(1000.0) is None


def test_an_outage_begins_after_the_last_answer():
    made = breaker()
    made.answered(500.0)
    for _ in range(FAILURES):
        made.failed(ConnectionLost(""), False, 0.0, 601.0, 0.0)
    assert made.down(601.0) is None


def test_one_slow_first_answer_is_not_the_end():
    made = breaker(answered=False)
    for started_at in (0.0, 0.0, 120.0):
        made.failed(Timeout(""), False, started_at, started_at + 120, 0.0)
        assert (made.down(started_at + 120) is None) is (started_at == 0.0)
