"""The controller's state as a value, and how it is rebuilt from the journal: resuming is replaying.

Event payloads: `search_started` free facts; `session_started` {}, when it is resumed; `proposal` a whole
batch, so that none is ever half written, {batch, proposals: [{number, proposal, planned_cost}]};
`trial_started` {number}; `trial_finished` {result, counts}; `guidelines` {after, guidelines};
`heat_finished` {trials: [{result, counts}]}, a whole round of the finals, so that none is ever half written;
`agent` one question with its reply, see `agent.dialogue`; `search_finished` {status, ...}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from agenttts.compiler.lengths import Lengths
from agenttts.runtime.measuring import Counts, Measurement, TrialCounts, added, calibrate, joined
from agenttts.runtime.records import Archive, Guideline, Proposal
from agenttts.runtime.store.codec import (
    decode_guideline,
    decode_proposal,
    decode_result,
    encode_guideline,
    encode_proposal,
    encode_result,
)
from agenttts.runtime.store.journal import Kind
from agenttts.spec.model import Json


class Event(Protocol):
    """What is read of a journal's event."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def payload(self) -> Json:
        """Its content."""


class EventLog(Protocol):
    """The part of the journal that a search needs; see `store.journal.Journal`."""

    def append(self, search_id: str, kind: Kind, payload: Json, number: int | None = None) -> int:
        """Write one event; it is safe when this returns. number: the one it must get."""

    def read(self, search_id: str) -> Iterable[Event]:
        """Return the events of a search in order."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A proposal that was journaled and has no result yet. batch: the number its batch began with."""

    number: int
    batch: int
    proposal: Proposal
    planned_cost: float


@dataclass(frozen=True, slots=True)
class History:
    """Everything a search knows.

    counts: by trial number; final_counts: the same of the finals. told: results at the last `tell`.
    """

    archive: Archive = field(default_factory=Archive)
    counts: Mapping[int, TrialCounts] = field(default_factory=dict)
    final_counts: Mapping[int, TrialCounts] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()
    told: int = 0
    started: bool = False

    def lengths(self, planned: Lengths, below: int | None = None) -> Lengths:
        """Return the lengths as measured by the trials numbered under `below`; None means by all."""
        trials = [r for r in self.archive.results if below is None or r.number < below]
        return calibrate(planned, [(r.allocation, self.counts.get(r.number, {})) for r in trials])

    def proposed(self, proposals: tuple[Pending, ...]) -> History:
        """Return the history with a batch of proposals."""
        return replace(self, pending=(*self.pending, *proposals))

    def finished(self, measured: Measurement) -> History:
        """Return the history with one result, which is no longer pending."""
        result = measured.result
        pending = tuple(p for p in self.pending if p.number != result.number)
        counts = {**self.counts, result.number: measured.counts}
        return replace(self, archive=self.archive.with_result(result), counts=counts, pending=pending)

    def settled(self, heat: Iterable[Measurement]) -> History:
        """Return the history with what finalists gave on the further items of one round."""
        finals, counts = {known.number: known for known in self.archive.finals}, dict(self.final_counts)
        for measured in heat:
            result = measured.result
            before = finals.get(result.number)
            finals[result.number] = result if before is None else joined(before, result)
            counts[result.number] = added(counts.get(result.number, {}), measured.counts)
        ordered = tuple(finals[number] for number in sorted(finals))
        return replace(self, archive=replace(self.archive, finals=ordered), final_counts=counts)

    def taught(self, guidelines: tuple[Guideline, ...], after: int) -> History:
        """Return the history with the guidelines told after so many results."""
        return replace(self, archive=self.archive.with_guidelines(guidelines), told=after)


class Timed(Protocol):
    """What is read of an event to tell how long a search ran."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def at(self) -> float:
        """When, seconds since 1970."""


def seconds_run(events: Iterable[Timed]) -> float:
    """Return how long the sessions of a search ran, each from its first event to its last one."""
    total, last = 0.0, None
    for event in events:
        begins = event.kind in ("search_started", "session_started")
        total += 0.0 if begins or last is None else max(0.0, event.at - last)
        last = event.at
    return total


def replay(events: Iterable[Event]) -> History:
    """Rebuild the history from a search's events; unknown kinds say nothing about it."""
    history = History()
    for event in events:
        history = advance(history, event)
    return history


def advance(history: History, event: Event) -> History:
    """Return the history after one more event."""
    payload: Any = event.payload
    match event.kind:
        case "search_started":
            return replace(history, started=True)
        case "proposal":
            return history.proposed(_decode_batch(payload))
        case "trial_finished":
            return history.finished(_decode_measurement(payload))
        case "heat_finished":
            return history.settled(map(_decode_measurement, payload["trials"]))
        case "guidelines":
            return history.taught(tuple(map(decode_guideline, payload["guidelines"])), payload["after"])
    return history


def encode_batch(batch: tuple[Pending, ...]) -> dict[str, Any]:
    """Return the payload of a `proposal` event."""
    rows = [
        {"number": p.number, "proposal": encode_proposal(p.proposal), "planned_cost": p.planned_cost}
        for p in batch
    ]
    return {"batch": batch[0].batch, "proposals": rows}


def _decode_batch(payload: dict[str, Any]) -> tuple[Pending, ...]:
    batch = payload["batch"]
    return tuple(
        Pending(row["number"], batch, decode_proposal(row["proposal"]), row["planned_cost"])
        for row in payload["proposals"]
    )


def encode_measurement(measured: Measurement) -> dict[str, Any]:
    """Return the payload of a `trial_finished` event."""
    counts = {stage: asdict(count) for stage, count in measured.counts.items()}
    return {"result": encode_result(measured.result), "counts": counts}


def _decode_measurement(payload: dict[str, Any]) -> Measurement:
    counts = {stage: Counts(**count) for stage, count in payload["counts"].items()}
    return Measurement(decode_result(payload["result"]), counts)


def encode_heat(heat: Iterable[Measurement]) -> dict[str, Any]:
    """Return the payload of a `heat_finished` event."""
    return {"trials": [encode_measurement(measured) for measured in heat]}


def encode_guidelines(guidelines: tuple[Guideline, ...], after: int) -> dict[str, Any]:
    """Return the payload of a `guidelines` event."""
    return {"after": after, "guidelines": [encode_guideline(guideline) for guideline in guidelines]}
