"""One search and everything it may touch: the effects that `control` is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, time

from agenttts.compiler.space import Space
from agenttts.runtime.agent.counsel import Agent
from agenttts.runtime.executor import Executor
from agenttts.runtime.history import EventLog
from agenttts.runtime.listening import ProgressListener, Silent
from agenttts.runtime.outcome import SearchOutcome
from agenttts.runtime.records import Item
from agenttts.runtime.search.protocol import Searcher
from agenttts.runtime.store.accounts import Account
from agenttts.runtime.tracking import NullTracker, SearchRecord, Tracker
from agenttts.spec.model import Json, PipelineSpec


@dataclass(frozen=True, slots=True)
class SearchContext:
    """One search and everything it may touch.

    items: those of every trial. further: the other items of the search part, for the finals. holdout: fresh
    items for the final check. Both may be empty. build: searcher for a space. facts: written to the journal's
    first event. record: for the tracker. documents: artifacts to show at the end. stop: asked often; True
    ends the search cleanly. clock: seconds, monotonic. now: seconds since 1970. ends_at: when the wall-clock
    limit is over, by `now`. balance: what the store says was spent. agent: the language model that is asked,
    None for none.
    """

    search_id: str
    spec: PipelineSpec
    items: tuple[Item, ...]
    holdout: tuple[Item, ...]
    executor: Executor
    journal: EventLog
    build: Callable[[Space], Searcher]
    record: SearchRecord
    further: tuple[Item, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    tracker: Tracker = field(default_factory=NullTracker)
    listener: ProgressListener = field(default_factory=Silent)
    documents: Callable[[SearchOutcome], Mapping[str, str]] = lambda outcome: {}  # noqa: ARG005
    stop: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = monotonic
    now: Callable[[], float] = time
    ends_at: float | None = None
    balance: Callable[[], Account] | None = None
    poll_s: float = 0.2
    agent: Agent | None = None
