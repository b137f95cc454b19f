"""Searches as the journal holds them: their ids, the facts they began with, and what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agenttts.runtime.checking import catalog
from agenttts.runtime.decision import Decision, best
from agenttts.runtime.history import replay
from agenttts.runtime.plugins import plugins
from agenttts.runtime.records import Archive, Item, TrialState, Usage
from agenttts.runtime.report.figures import ReportData, ReportHeader, report_data
from agenttts.runtime.spec_files import Loaded
from agenttts.runtime.statistics import Interval, Summary
from agenttts.runtime.store.codec import decode_usage
from agenttts.runtime.store.journal import Event, Journal
from agenttts.runtime.values import digest, identity_of
from agenttts.spec.check import check
from agenttts.spec.model import Json, Limits, PipelineSpec

RESUMABLE = ("running", "interrupted")
SIMULATED = "simulated"
"""The fact that a search's models were simulated, with how; the searches of real models do not have it."""


class UnknownSearchError(LookupError):
    """The store holds no search of that id."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line changes in a spec's search; None: as the spec says. limits: by name."""

    searcher: str | None = None
    trials: int | None = None
    items: int | None = None
    seed: int | None = None
    limits: tuple[tuple[str, float], ...] = ()
    racing: bool | None = None

    def apply(self, spec: PipelineSpec) -> PipelineSpec:
        """Return the spec with its search changed; its digest stays that of the file."""
        given: dict[str, Any] = self.document()
        given.pop("limits")
        search = replace(spec.search, **{name: value for name, value in given.items() if value is not None})
        limits: Limits = replace(search.limits, **dict(self.limits))
        return replace(spec, search=replace(search, limits=limits))

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        given = {"searcher": self.searcher, "trials": self.trials, "items": self.items, "seed": self.seed}
        raced = {} if self.racing is None else {"racing": self.racing}
        return {**given, **raced, "limits": dict(self.limits)}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Overrides:
        """Read the JSON form back."""
        limits = tuple(sorted(document["limits"].items()))
        searcher, trials, items, seed = (document[name] for name in ("searcher", "trials", "items", "seed"))
        return cls(searcher, trials, items, seed, limits, document.get("racing"))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A search read back. status: `running` until it said how it ended. facts: what it began with."""

    search_id: str
    status: str
    spec: PipelineSpec
    facts: Mapping[str, Any]
    archive: Archive
    began: float
    finished: Mapping[str, Any] | None

    @property
    def simulation(self) -> Mapping[str, Any] | None:
        """What simulated the models, None when they were real."""
        found: Mapping[str, Any] | None = self.facts.get(SIMULATED)
        return found

    @property
    def decision(self) -> Decision | None:
        """The answer the archive supports."""
        return best(self.archive, self.spec.search.tolerance, self.spec.objective.direction)

    @property
    def spent(self) -> Usage | None:
        """What the last session's end said was drawn in all, None before that."""
        found = self.finished and self.finished.get("spent")
        return decode_usage(dict(found)) if found else None

    @property
    def holdout(self) -> Summary | None:
        """The held-out check, None when there was none."""
        found = self.finished and self.finished.get("holdout")
        if not found:
            return None
        bounds = found["interval"] and Interval(**found["interval"])
        return Summary(found["score"], found["standard_error"], bounds, found["scored"], found["unscored"])


def data_digest(parts: Sequence[Sequence[Item]]) -> str:
    """Return the digest of the items of a search, in order: search part, then held-out part."""
    text = identity_of([[[item.id, dict(item.fields)] for item in part] for part in parts])
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def search_id_for(
    journal: Journal,
    spec: PipelineSpec,
    data: str,
    overrides: Overrides,
    simulation: Mapping[str, Any] | None = None,
) -> str:
    """Return the id of the search that this command means: an unfinished equal one, else the next new one.

    Equal spec, data and overrides give equal ids up to the last number, so the same command resumes. With
    simulated models the id says so, and another simulation is another search.
    """
    parts = [spec.digest, data, overrides.document(), *([simulation["digest"]] if simulation else [])]
    name = f"{spec.name}-{SIMULATED}" if simulation else spec.name
    prefix = f"{name}-{digest(parts)[:8]}-"
    known = [name for name in journal.searches() if name.startswith(prefix)]
    if known:
        last = max(known, key=lambda name: int(name.removeprefix(prefix)))
        if _resumable(journal.read(last), overrides.apply(spec).search.trials):
            return last
    return f"{prefix}{len(known) + 1}"


def _resumable(events: Sequence[Event], trials: int) -> bool:
    """Tell whether the same command goes on with a search. One in which every trial failed, or that has no
    trial left, would only fail again: what was wrong may be mended by now, and deserves a fresh one.
    """
    status = _status(events)
    if status != "failed":
        return status in RESUMABLE
    results = replay(events).archive.results
    worked = [result for result in results if result.state is not TrialState.FAILED]
    return len(results) < trials and (bool(worked) or not results)


def read_search(journal: Journal, search_id: str) -> Recorded:
    """Read one search back from its events.

    Raises:
        UnknownSearchError: if there is none.
    """
    events = journal.read(search_id)
    if not events:
        known = ", ".join(journal.searches()[-5:]) or "none"
        raise UnknownSearchError(f"no search {search_id!r} in this store. Latest: {known}.")
    facts: Any = events[0].payload
    checked = check(facts["spec"], facts["files"], plugins(), catalog())
    if checked.spec is None:
        raise UnknownSearchError(f"the spec of {search_id!r} is not valid here: {checked.problems[0]}")
    spec = Overrides.read(facts["overrides"]).apply(checked.spec)
    ends: list[Any] = [event.payload for event in events if event.kind == "search_finished"]
    finished = ends[-1] if ends else None
    return Recorded(search_id, _status(events), spec, facts, replay(events).archive, events[0].at, finished)


def loaded_of(recorded: Recorded) -> Loaded:
    """Return the spec of a search as its file gave it, for the same data in the same folder."""
    facts = recorded.facts
    checked = check(facts["spec"], facts["files"], plugins(), catalog())
    folder = Path(facts["folder"])
    return Loaded(checked.spec, checked.problems, facts["spec"], facts["files"], folder, checked.document)


def _status(events: Sequence[Event]) -> str:
    last: Any = events[-1].payload
    return str(last["status"]) if events[-1].kind == "search_finished" else "running"


def report_of(recorded: Recorded, finished: str) -> ReportData:
    """Return the figures of a search's report. finished: when, as text."""
    facts = recorded.facts
    header = ReportHeader(
        search_id=recorded.search_id,
        status=recorded.status,
        data_digest=facts["data_digest"],
        commit=facts["commit"],
        dirty=facts["dirty"],
        finished=finished,
        version=facts["version"],
        searcher=recorded.spec.search.searcher,
        seed=recorded.spec.search.seed,
        holdout=recorded.holdout,
        spent=recorded.spent,
        simulation=recorded.simulation,
    )
    return report_data(recorded.spec, recorded.archive, header)


def facts_of(text: str, files: Mapping[str, str], overrides: Overrides, **more: Json) -> dict[str, Json]:
    """Return what a search's first event says: enough to read it back without any file."""
    return {"spec": text, "files": dict(files), "overrides": overrides.document(), **more}
