"""The journal is append-only, numbered per search, and holds JSON."""

import threading

import pytest

from agenttts.runtime.store.journal import Event, Journal


@pytest.fixture
def journal(tmp_path):
    journal = Journal(f"sqlite:///{tmp_path}/store.db", now=lambda: 7.0)
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


def test_an_appended_event_is_seen_by_another_connection_at_once(journal, tmp_path):
    journal.append("a", "search_started", {})
    other = Journal(f"sqlite:///{tmp_path}/store.db")
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

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.number for e in journal.read("a")] == list(range(1, 41))
