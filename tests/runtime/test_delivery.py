import logging
import threading
import tracemalloc

import pytest

from agenttts.runtime.delivery import Delivery, Job, Patience, RefusedError
from agenttts.runtime.tracking import MlflowTracker, NullTracker, Place, SearchEnd, SearchRecord

from .results import GOOD, result

QUICK = Patience(first_s=0.001, longest_s=0.002, refusals=3)


def failing(times: int, error: Exception, done: list[int]):
    def act(attempt: int) -> None:
        if attempt <= times:
            raise error
        done.append(attempt)

    return act


def test_jobs_are_delivered_in_order_and_tried_again_after_an_outage():
    done: list[int] = []
    delivery = Delivery("test", QUICK)
    delivery.put(Job("first", failing(5, ConnectionError("away"), done)))
    delivery.put(Job("second", failing(0, ConnectionError("away"), done)))
    assert delivery.close(10) == 0
    assert done == [6, 1]


class Outage:
    """A clock that waiting moves on, so that hours pass at once; the other side is away until `over_s`."""

    def __init__(self, over_s: float) -> None:
        self.now, self.over_s = 0.0, over_s
        self.queued = threading.Event()
        self.waits: list[float] = []
        self.done: list[int] = []

    def wait(self, event: threading.Event, seconds: float) -> bool:
        assert self.queued.wait(60)
        self.waits.append(seconds)
        self.now += seconds
        return event.is_set()

    def job(self, number: int) -> Job:
        def act(attempt: int) -> None:
            if self.now < self.over_s:
                raise ConnectionError("away")
            self.done.append(number)

        return Job(f"trial {number}", act)


@pytest.mark.parametrize("hours", [1 / 6, 8])
def test_a_long_outage_drops_nothing_and_ends_within_half_a_minute(hours, caplog):
    outage = Outage(hours * 3600)
    delivery = Delivery("MLflow", Patience(), outage.wait)
    for number in range(1000):
        delivery.put(outage.job(number))
    outage.queued.set()
    assert delivery.flush(60) and delivery.close(10) == 0
    assert outage.done == list(range(1000))
    assert max(outage.waits) == 30 and outage.now < outage.over_s + 30
    assert outage.waits[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [r.message for r in caplog.records] == [
        "MLflow: trial 0 waits, will be tried again: away",
        "MLflow is back, 1000 messages delivered",
    ]


def test_a_waiting_trial_costs_little_memory():
    gate, one = threading.Event(), result(1, GOOD)
    tracker = MlflowTracker("u", "e", patience=QUICK, open_writer=lambda *_: gate.wait(60) and Flaky(0))
    tracker.trial(one, 0.9)
    tracemalloc.start()
    try:
        for _ in range(1000):
            tracker.trial(one, 0.9)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    gate.set()
    assert tracker.close(60) == 0
    assert held / 1000 < 1024


def test_two_outages_are_told_of_twice(caplog):
    delivery, done = Delivery("MLflow", QUICK), []
    for _ in range(2):
        delivery.put(Job("it", failing(2, ConnectionError("away"), done)))
        assert delivery.flush(10)
    assert delivery.close(10) == 0
    told = [r.message for r in caplog.records]
    assert told == ["MLflow: it waits, will be tried again: away", "MLflow is back, 1 message delivered"] * 2


def test_close_says_what_an_outage_left_behind(caplog):
    delivery = Delivery("test", QUICK)
    for name in ("first", "second"):
        delivery.put(Job(name, failing(10**9, ConnectionError("away"), [])))
    with caplog.at_level(logging.WARNING):
        assert delivery.close(0.05) == 2
    assert len([r for r in caplog.records if "first waits" in r.message]) <= 1


def test_a_refused_job_does_not_hold_up_the_others():
    done: list[int] = []
    delivery = Delivery("test", QUICK)
    delivery.put(Job("bad", failing(99, RefusedError("no"), done)))
    delivery.put(Job("good", failing(0, RefusedError("no"), done)))
    assert delivery.close(10) == 1
    assert done == [1]


def test_an_outage_does_not_use_up_the_tries_of_a_refused_job():
    tries: list[int] = []

    def act(attempt: int) -> None:
        tries.append(attempt)
        if attempt <= 5:
            raise ConnectionError("away")
        if attempt == 6:
            raise RefusedError("not yet")

    delivery = Delivery("test", QUICK)
    delivery.put(Job("it", act))
    assert delivery.close(10) == 0
    assert tries == [1, 2, 3, 4, 5, 6, 7]


def test_close_ends_the_wait_between_two_attempts():
    failed, done = threading.Event(), []

    def act(attempt: int) -> None:
        if attempt == 1:
            failed.set()
            raise ConnectionError("away")
        done.append(attempt)

    delivery = Delivery("test", Patience(first_s=3600, longest_s=3600))
    delivery.put(Job("it", act))
    assert failed.wait(10)
    assert delivery.close(10) == 0
    assert done == [2]


def test_close_does_not_wait_for_an_attempt_that_hangs_and_nothing_follows_it():
    gate, begun, ended, followed = (threading.Event() for _ in range(4))

    def hang(attempt: int) -> None:
        begun.set()
        gate.wait(60)
        ended.set()

    delivery = Delivery("test", QUICK)
    delivery.put(Job("hangs", hang))
    delivery.put(Job("next", lambda attempt: followed.set()))
    assert begun.wait(10)
    assert delivery.close(0.01) == 2
    gate.set()
    assert ended.wait(10) and delivery.close(10) == 1
    assert not followed.is_set()


def test_drain_goes_on_while_something_gets_through():
    delivery, done = Delivery("test", QUICK), []
    for _ in range(50):
        delivery.put(Job("it", failing(1, ConnectionError("away"), done)))
    assert delivery.drain(10) == 0
    assert len(done) == 50


def test_drain_gives_up_when_nothing_does():
    delivery, done = Delivery("test", QUICK), []
    delivery.put(Job("first", failing(0, ConnectionError("away"), done)))
    for _ in range(2):
        delivery.put(Job("stuck", failing(10**9, ConnectionError("away"), done)))
    assert delivery.drain(0.05) == 2
    assert done == [1]


def test_put_never_waits_for_the_other_side():
    gate = threading.Event()
    delivery = Delivery("test", QUICK)
    for _ in range(100):
        delivery.put(Job("slow", lambda attempt: gate.wait(10) and None))
    assert not delivery.flush(0.01)
    gate.set()
    assert delivery.flush(10) and delivery.close(10) == 0


def test_closing_without_jobs_is_immediate():
    assert Delivery("test", QUICK).close(0) == 0


class Flaky:
    """A writer whose server is away for the first calls; create got through once although it failed."""

    def __init__(self, outages: int) -> None:
        self.place: Place | None = None
        self.calls: list[tuple[object, ...]] = []
        self._outages = outages

    def _called(self, *call: object) -> None:
        self.calls.append(call)
        if self._outages > 0:
            self._outages -= 1
            raise ConnectionError("away")

    def start(self, record, look_first):
        self._called("start", look_first)
        self.place = Place("u", "1", "r")

    def trial(self, result, best_score, ended_ms, look_first):
        self._called("trial", result.number, best_score, ended_ms, look_first)

    def finish(self, end, ended_ms):
        self._called("finish", end.status)


def test_the_tracker_keeps_its_backlog_and_looks_before_it_creates_again():
    flaky = Flaky(outages=2)
    tracker = MlflowTracker("u", "e", patience=QUICK, clock=lambda: 7.0, open_writer=lambda *_: flaky)
    assert tracker.place is None
    tracker.start(SearchRecord("s", "p", "d", "e"))
    tracker.trial(result(1, GOOD), 0.9)
    tracker.finish(SearchEnd("complete"))
    assert tracker.close(10) == 0 and tracker.place == Place("u", "1", "r")
    assert flaky.calls == [
        ("start", False),
        ("start", True),
        ("start", True),
        ("trial", 1, 0.9, 7000, False),
        ("finish", "complete"),
    ]


def test_a_resumed_search_learns_all_its_trials_at_the_start():
    flaky = Flaky(outages=0)
    tracker = MlflowTracker("u", "e", patience=QUICK, clock=lambda: 0.0, open_writer=lambda *_: flaky)
    tracker.start(SearchRecord("s", "p", "d", "e", resumed=True))
    tracker.trial(result(1, GOOD), None)
    assert tracker.close(10) == 0
    assert flaky.calls == [("start", True), ("trial", 1, None, 0, False)]


def test_the_null_tracker_shows_nothing():
    tracker = NullTracker()
    tracker.start(SearchRecord("s", "p", "d", "e"))
    tracker.trial(result(1, GOOD), None)
    tracker.finish(SearchEnd("complete"))
    assert (tracker.close(0), tracker.place) == (0, None)


def test_a_password_in_an_address_never_gets_into_the_log(caplog):
    def act(attempt):
        raise ConnectionError("no answer from http://ann:hunter22@mlflow:5000/api")

    delivery = Delivery("MLflow", Patience(first_s=0.01))
    delivery.put(Job("the search", act))
    assert delivery.close(0.2) == 1
    assert "http://***@mlflow:5000/api" in caplog.text and "hunter22" not in caplog.text
