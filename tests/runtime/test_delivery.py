import logging
import threading

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


def test_a_resumed_search_always_looks_first():
    flaky = Flaky(outages=0)
    tracker = MlflowTracker("u", "e", patience=QUICK, clock=lambda: 0.0, open_writer=lambda *_: flaky)
    tracker.start(SearchRecord("s", "p", "d", "e", resumed=True))
    tracker.trial(result(1, GOOD), None)
    assert tracker.close(10) == 0
    assert flaky.calls == [("start", True), ("trial", 1, None, 0, True)]


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
