"""A journaled search as a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agenttts.runtime.agent.similar import FACT
from agenttts.runtime.history import Event, History, replay
from agenttts.runtime.racing import data_order
from agenttts.runtime.recording import Searched, Trial, outcomes_of
from agenttts.runtime.records import TrialResult
from agenttts.runtime.searches import Recorded


def what_was_searched(recorded: Recorded) -> Searched:
    """Return what a recording says of its search. items: as the data has them, so that a search on them
    draws the same order again.
    """
    facts, archive = recorded.facts, recorded.archive
    items, further = (
        tuple(dict.fromkeys(item for result in results for item in result.scores))
        for results in (archive.results, archive.finals)
    )
    items = data_order(recorded.spec, items)
    digest, models = facts["data_digest"], recorded.simulation
    similar = tuple(facts.get(FACT, ()))
    return Searched(
        facts["spec"], facts["files"], facts["overrides"], digest, items, further, models, similar
    )


def trials_of(events: Iterable[Event]) -> tuple[Trial, ...]:
    """Return every finished trial of a search's events, with its items, those of the finals too."""
    history = replay(events)
    finals = {final.number: final for final in history.archive.finals}
    return tuple(_trial(history, result, finals.get(result.number)) for result in history.archive.results)


def _trial(history: History, result: TrialResult, final: TrialResult | None) -> Trial:
    outcomes = outcomes_of(result, history.counts.get(result.number, {}))
    if final is None:
        return result, outcomes
    whole = replace(result, scores={**result.scores, **final.scores})
    return whole, (*outcomes, *outcomes_of(final, history.final_counts.get(result.number, {})))
