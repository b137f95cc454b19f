"""Put a search together: spec, data, store, tracker, workers, loop, report: where all parts meet."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.agent.line import Surveillance
from agenttts.runtime.agent.opening import Wanted, agent_line, wanted_agent
from agenttts.runtime.agent.similar import FACT, named_search, with_similar
from agenttts.runtime.artifacts import PILOT, REPORT, artifacts
from agenttts.runtime.context import SearchContext
from agenttts.runtime.control import run_search
from agenttts.runtime.data import DataSet
from agenttts.runtime.files import write_text
from agenttts.runtime.history import seconds_run
from agenttts.runtime.home import Home, beside
from agenttts.runtime.listening import ProgressListener
from agenttts.runtime.notice import notice
from agenttts.runtime.options import OptionError
from agenttts.runtime.outcome import SearchOutcome
from agenttts.runtime.provenance import provenance
from agenttts.runtime.records import Item
from agenttts.runtime.search.protocol import Searcher
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.searches import (
    SIMULATED,
    Overrides,
    data_digest,
    facts_of,
    read_search,
    search_id_for,
)
from agenttts.runtime.session import Session, workers
from agenttts.runtime.simulated import SimulatedModels, pointless, silent
from agenttts.runtime.spec_files import Loaded
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.journal import Event, Journal
from agenttts.runtime.store.leases import lease
from agenttts.runtime.tracking import MlflowTracker, Place, SearchRecord
from agenttts.spec.model import Json, PipelineSpec

DELIVER_S = 60.0
RESTART_S = 10.0
"""So long a store may be away when a search begins: it may be the restart that took the search down too."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What the command line decided. search_id: a search to resume, None: the one this command means.
    simulated: what takes the place of the real endpoints.
    """

    loaded: Loaded
    data: DataSet
    home: Home
    store_url: str
    tracking_uri: str
    overrides: Overrides = field(default_factory=Overrides)
    ray_address: str | None = None
    search_id: str | None = None
    simulated: SimulatedModels | None = None

    @property
    def spec(self) -> PipelineSpec:
        """The spec as it runs: changed by the command line, with simulated models in place of real ones."""
        assert self.loaded.spec is not None
        spec = self.overrides.apply(self.loaded.spec)
        return self.simulated.apply(spec) if self.simulated else spec

    @property
    def simulation(self) -> dict[str, Json] | None:
        """What says that, and how, models are simulated; None when they are real."""
        return self.simulated.document() if self.simulated else None


@dataclass(frozen=True, slots=True)
class Launched:
    """What came out. report: the page. place: None if MLflow never answered. undelivered: what it missed.
    simulation: see `Launch`.
    """

    outcome: SearchOutcome
    spec: PipelineSpec
    report: Path
    place: Place | None
    undelivered: int
    simulation: Mapping[str, Json] | None = None


def launch(request: Launch, listener: ProgressListener) -> Launched:
    """Run a search, or go on with it, and write its report."""
    assert request.loaded.spec is not None
    spec = request.spec
    _refuse_pointless(request)
    wanted = wanted_agent(spec, os.environ)
    if named_search(spec) is None:
        _searcher(spec)(Space.of(spec, Lengths.planned(spec)))  # refuses wrong options before anything starts
    digest = digest_of(request)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(request.store_url, patience_s=RESTART_S)))
        search_id = request.search_id or search_id_for(
            journal, request.loaded.spec, digest, request.overrides, request.simulation
        )
        spec = with_similar(spec, journal, journal.read(search_id))
        member = stack.enter_context(lease(request.store_url, search_id))
        claims = Claims(journal.engine, member, search_id)
        claims.settle_left()
        tracker = MlflowTracker(request.tracking_uri, spec.tracking.experiment or spec.name)
        try:
            outcome = _search(
                request, _Open(spec, search_id, digest, journal, claims, tracker, wanted), listener
            )
        finally:
            undelivered = tracker.close(DELIVER_S)
    page = request.home.report(search_id)
    return Launched(outcome, spec, page, tracker.place, undelivered, request.simulation)


@dataclass(frozen=True, slots=True)
class _Open:
    """What is open while a search runs. digest: of its items."""

    spec: PipelineSpec
    search_id: str
    digest: str
    journal: Journal
    claims: Claims
    tracker: MlflowTracker
    wanted: Wanted | None


def _search(request: Launch, opened: _Open, listener: ProgressListener) -> SearchOutcome:
    spec, search_id, journal = opened.spec, opened.search_id, opened.journal
    events = journal.read(search_id)
    session = Session(search_id, _ends_at(spec, events), request.simulated)
    if request.simulation is not None:
        listener.noted(notice(request.simulation))
        for words in silent(request.loaded.spec) if request.loaded.spec else ():
            listener.noted(words)
    with (
        workers(spec, request.home, request.store_url, request.ray_address, session) as executor,
        asked_to_stop() as stop,
        agent_line(
            opened.wanted,
            spec,
            request.store_url,
            opened.claims,
            Surveillance(stop, listener.noted, spec.search.stall_s, session.ends_at),
        ) as agent,
    ):
        return run_search(
            SearchContext(
                search_id=search_id,
                spec=spec,
                items=_items(request),
                further=_further(request),
                holdout=request.data.holdout,
                executor=executor,
                journal=journal,
                build=_searcher(spec),
                record=_record(request, spec, search_id, opened.digest, resumed=bool(events)),
                facts=_facts(request, spec, opened.digest),
                tracker=opened.tracker,
                listener=listener,
                documents=lambda outcome: _documents(journal, outcome, request.home.report(search_id)),
                stop=stop,
                ends_at=session.ends_at,
                balance=opened.claims.balance,
                agent=agent,
            )
        )


def _refuse_pointless(request: Launch) -> None:
    """Refuse a search that is nothing where nothing real may be asked.

    Raises:
        OptionError: saying why, and what to do.
    """
    if request.simulated is None or request.loaded.spec is None:
        return
    if (words := pointless(request.overrides.apply(request.loaded.spec))) is not None:
        raise OptionError(words)


def _ends_at(spec: PipelineSpec, events: Sequence[Event]) -> float | None:
    """Return when the wall-clock limit is over: all sessions count, the time between them does not."""
    limit = spec.search.limits.wall_clock_s
    return None if limit is None else time.time() + limit - seconds_run(events)


def digest_of(request: Launch) -> str:
    """Return the digest of the items a search uses."""
    further = _further(request)
    return data_digest((_items(request), request.data.holdout, *((further,) if further else ())))


def _further(request: Launch) -> tuple[Item, ...]:
    """Return the items that the finals may use."""
    return request.data.search[len(_items(request)) :] if request.spec.search.finals else ()


def _items(request: Launch) -> tuple[Item, ...]:
    return request.data.search[: request.spec.search.items]


def _searcher(spec: PipelineSpec) -> Callable[[Space], Searcher]:
    search = spec.search

    def build(space: Space) -> Searcher:
        return create_searcher(search.searcher, spec, space, space.lengths, search.seed, search.options)

    return build


def _record(request: Launch, spec: PipelineSpec, search_id: str, digest: str, resumed: bool) -> SearchRecord:
    source = provenance(request.loaded.folder)
    files = {f"spec/{name}": text for name, text in request.loaded.files.items()}
    return SearchRecord(
        search_id=search_id,
        pipeline=spec.name,
        spec_digest=spec.digest,
        data_digest=digest,
        commit=source.commit,
        dirty=source.dirty,
        documents={"spec/pipeline.json": request.loaded.text, **files},
        tags=dict(spec.tracking.tags),
        resumed=resumed,
        simulation=request.simulation,
    )


def _facts(request: Launch, spec: PipelineSpec, digest: str) -> dict[str, Json]:
    source = provenance(request.loaded.folder)
    assert request.loaded.spec is not None
    named = named_search(request.overrides.apply(request.loaded.spec))
    similar = {} if named is None else {FACT: spec.search.options[FACT]}
    return facts_of(
        request.loaded.text,
        request.loaded.files,
        request.overrides,
        data_digest=digest,
        commit=source.commit,
        dirty=source.dirty,
        version=version("agenttts"),
        folder=str(request.loaded.folder),
        **similar,
        **({SIMULATED: request.simulation} if request.simulation else {}),
    )


def _documents(journal: Journal, outcome: SearchOutcome, path: Path) -> Mapping[str, str]:
    """Write the report page and return the artifacts for the tracker."""
    documents = artifacts(read_search(journal, outcome.search_id), time.time())
    write_text(path, documents[REPORT])
    if PILOT in documents:
        write_text(beside(path), documents[PILOT])
    return documents


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Yield a question: did SIGINT or SIGTERM come? The first asks nicely, a second SIGINT interrupts."""
    asked: list[int] = []

    def note(number: int, _frame: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
