"""A journaled search as a recording."""

from __future__ import annotations

from collections.abc import Iterable

from agenttts.runtime.history import Event, replay
from agenttts.runtime.recording import Searched, Trial, outcomes_of
from agenttts.runtime.searches import Recorded


def what_was_searched(recorded: Recorded) -> Searched:
    """Return what a recording says of its search. items: as the trials had them, in their order."""
    facts = recorded.facts
    items = dict.fromkeys(item for result in recorded.archive.results for item in result.scores)
    digest, simulation = facts["data_digest"], recorded.simulation
    return Searched(facts["spec"], facts["files"], facts["overrides"], digest, tuple(items), simulation)


def trials_of(events: Iterable[Event]) -> tuple[Trial, ...]:
    """Return every finished trial of a search's events, with its items."""
    history = replay(events)
    return tuple(
        (result, outcomes_of(result, history.counts.get(result.number, {})))
        for result in history.archive.results
    )
