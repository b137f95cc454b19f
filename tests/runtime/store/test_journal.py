"""The journal is append-only, numbered per search, and holds JSON."""

import threading

import pytest

from agenttts.runtime.records import Message, Sample, SampleRequest
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.journal import Event, Journal


@pytest.fixture
def journal(store_url):
    journal = Journal(store_url, now=lambda: 7.0)
    yield journal
    journal.close()


def test_events_are_numbered_within_their_search(journal):
    assert journal.append("a", "search_started", {"spec": {"b": [1, None]}}) == 1
    assert journal.append("b", "search_started", None) == 1
    assert journal.append("a", "proposal", "x") == 2
    assert journal.read("a") == [
        Event(1, "search_started", {"spec": {"b": [1, None]}}, 7.0),
        Event(2, "proposal", "x", 7.0),
    ]
    assert journal.read("a", after=1) == [Event(2, "proposal", "x", 7.0)]
    assert journal.searches() == ["a", "b"]
    assert journal.read("absent") == []


def test_an_appended_event_is_seen_by_another_connection_at_once(journal, store_url):
    journal.append("a", "search_started", {})
    other = Journal(store_url)
    assert [e.kind for e in other.read("a")] == ["search_started"]
    other.close()


def test_what_is_no_json_or_no_kind_is_refused(journal):
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.append("a", "proposal", float("nan"))
    with pytest.raises(ValueError, match="no event kind 'gossip'"):
        journal.append("a", "gossip", {})
    assert journal.searches() == []


def test_concurrent_writers_leave_no_gap(journal):
    def write():
        for _ in range(10):
            journal.append("a", "proposal", 1)

    threads = [threading.Thread(target=write) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.number for e in journal.read("a")] == list(range(1, 101))


def test_an_appended_event_survives_a_crash_of_the_server(postgres_server, postgres_url):
    journal = Journal(postgres_url)
    for number in range(1, 4):
        assert journal.append("a", "proposal", number) == number
    postgres_server.crash()
    postgres_server.start()
    journal.close()
    again = Journal(postgres_url)
    assert [e.payload for e in again.read("a")] == [1, 2, 3]
    again.close()


def test_events_and_samples_get_through_a_restart_of_the_server_exactly_once(postgres_server, postgres_url):
    """Writers go on while the server is killed and started again: nothing is lost, nothing is there twice."""
    journal, bank = Journal(postgres_url), SampleBank(postgres_url)
    begun = threading.Barrier(3)

    def write(name):
        begun.wait()
        for number in range(1, 201):
            journal.append(name, "proposal", number, number)
            request = SampleRequest("m", (Message("user", f"{name} {number}"),), None, None, 5)
            bank.put(request, [Sample(0, "text", "stop", 1, 1)])

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    begun.wait()
    for _ in range(3):
        before = len(journal.read("a"))
        postgres_server.crash()
        postgres_server.start()
        while any(thread.is_alive() for thread in threads) and len(journal.read("a")) <= before:
            threads[0].join(0.01)
    for thread in threads:
        thread.join()
    for name in ("a", "b"):
        assert [e.payload for e in journal.read(name)] == list(range(1, 201))
    assert bank.stats().samples == 400
    journal.close()
    bank.close()
