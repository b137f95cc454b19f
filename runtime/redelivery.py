"""Show a finished search in MLflow from the journal alone: what an outage kept back gets there, only once.

What MLflow already has stays as it is, so doing it again changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agenttts.compiler.lengths import Lengths
from agenttts.runtime.decision import best_so_far
from agenttts.runtime.outcome import SearchOutcome, search_end
from agenttts.runtime.records import Usage
from agenttts.runtime.report.page import render
from agenttts.runtime.searches import Recorded, read_search, report_of
from agenttts.runtime.store.accounts import Account
from agenttts.runtime.store.codec import encode_guideline, encode_result
from agenttts.runtime.store.journal import Event, Journal
from agenttts.runtime.tracking import MlflowTracker, Place, SearchEnd, SearchRecord

IDLE_S = 60.0


class UnfinishedError(Exception):
    """The search has not ended, so a process may be showing it at this moment."""


@dataclass(frozen=True, slots=True)
class Redelivered:
    """What came of it. place: None if MLflow never answered. undelivered: messages it still misses."""

    place: Place | None
    trials: int
    undelivered: int


def redeliver(journal: Journal, search_id: str, uri: str, idle_s: float = IDLE_S) -> Redelivered:
    """Show a search in MLflow at `uri`; give up when nothing gets through for `idle_s` seconds.

    Raises:
        UnknownSearchError: if there is no such search.
        UnfinishedError: if it has not ended.
    """
    recorded, events = read_search(journal, search_id), journal.read(search_id)
    if recorded.status == "running":
        what = f"{search_id} has not ended, so its own command shows it"
        raise UnfinishedError(f"{what}. Let it end, or run `agenttts search` again to go on with it.")
    tracker = MlflowTracker(uri, recorded.spec.tracking.experiment or recorded.spec.name)
    results = list(best_so_far(recorded.archive, recorded.spec.objective.direction))
    ended = _ended(events)
    tracker.start(_record(recorded))
    for result, score in results:
        tracker.trial(result, score, ended[result.number])
    tracker.finish(_end(recorded, events[-1].at), events[-1].at)
    undelivered = tracker.drain(idle_s)
    return Redelivered(tracker.place, len(results), undelivered)


def _ended(events: Sequence[Event]) -> dict[int, float]:
    """Return when each trial ended."""
    payloads: list[tuple[Any, float]] = [(e.payload, e.at) for e in events if e.kind == "trial_finished"]
    return {payload["result"]["number"]: at for payload, at in payloads}


def _record(recorded: Recorded) -> SearchRecord:
    facts, spec = recorded.facts, recorded.spec
    files = {f"spec/{name}": text for name, text in facts["files"].items()}
    return SearchRecord(
        search_id=recorded.search_id,
        pipeline=spec.name,
        spec_digest=spec.digest,
        data_digest=facts["data_digest"],
        commit=facts["commit"],
        dirty=facts["dirty"],
        documents={"spec/pipeline.json": facts["spec"], **files},
        tags=dict(spec.tracking.tags),
        resumed=True,
        began=recorded.began,
        simulation=recorded.simulation,
    )


def _end(recorded: Recorded, ended: float) -> SearchEnd:
    assert recorded.finished is not None
    outcome = SearchOutcome(
        search_id=recorded.search_id,
        status=recorded.finished["status"],
        reason=recorded.finished["reason"],
        archive=recorded.archive,
        decision=recorded.decision,
        holdout=recorded.holdout,
        account=Account(recorded.spent or Usage()),
        lengths=Lengths.planned(recorded.spec),
    )
    return search_end(outcome, _documents(recorded, ended))


def _documents(recorded: Recorded, ended: float) -> Mapping[str, str]:
    """Return the artifacts, as the search itself shows them at its end."""
    page = render(report_of(recorded, datetime.fromtimestamp(ended, UTC).strftime("%Y-%m-%d %H:%M UTC")))
    archive = {
        "results": [encode_result(result) for result in recorded.archive.results],
        "guidelines": [encode_guideline(guideline) for guideline in recorded.archive.guidelines],
    }
    return {"report.html": page, "archive.json": json.dumps(archive, indent=1)}
