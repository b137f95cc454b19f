"""The journal: what happened in every search, in order. Append-only; it is the truth, everything else is a
view.

An event is on disk when `append` returns, so a search that lost its controller goes on by replaying it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Connection, func, insert, literal, select, text
from sqlalchemy.exc import IntegrityError

from agenttts.runtime.store.database import StoreError, open_database, read, write
from agenttts.runtime.store.schema import EVENTS
from agenttts.spec.model import Json

Kind = Literal[
    "search_started",
    "session_started",
    "proposal",
    "trial_started",
    "trial_finished",
    "heat_finished",
    "guidelines",
    "agent",
    "search_finished",
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. number: 1, 2, 3, ... within the search; at: seconds since 1970."""

    number: int
    kind: str
    payload: Json
    at: float


class TakenError(StoreError):
    """Two processes run one search; the one that comes too late gets this."""


class Journal:
    """The journal in one database; many processes may append to it."""

    def __init__(self, url: str, now: Callable[[], float] = time.time, patience_s: float = 0.0) -> None:
        """Open the database, see `open_database`. now: the clock that stamps events."""
        self.engine = open_database(url, patience_s)
        self._now = now

    def append(self, search_id: str, kind: Kind, payload: Json, number: int | None = None) -> int:
        """Write one event and return its number; it is committed when this returns.

        number: the number it must get, for a writer that has to be the only one; None: the next one.

        Raises:
            ValueError: if the kind is unknown, or the payload is no JSON.
            TakenError: if another process wrote the event of that number.
        """
        if kind not in KINDS:
            raise ValueError(f"no event kind {kind!r}. Known: {', '.join(KINDS)}.")
        event = Event(number or 0, kind, json.dumps(payload, allow_nan=False), self._now())
        try:
            return write(
                self.engine, lambda connection, again: self._insert(connection, event, search_id, again)
            )
        except IntegrityError as error:
            what = f"the search {search_id!r} is run by another process at this moment"
            raise TakenError(f"{what}. Wait for it, or stop it; the same command goes on.") from error

    def _insert(self, connection: Connection, event: Event, search_id: str, again: bool) -> int:
        """Insert an event; again: the attempt before may have got through."""
        if connection.dialect.name == "postgresql":  # one writer at a time, or numbers would collide
            lock = "SELECT pg_advisory_xact_lock(hashtextextended(:search_id, 0))"
            connection.execute(text(lock), {"search_id": search_id})
        mine = EVENTS.c.search_id == search_id
        if again:
            same = (EVENTS.c.kind == event.kind, EVENTS.c.at == event.at, EVENTS.c.payload == event.payload)
            found = connection.execute(select(EVENTS.c.number).where(mine, *same)).scalar()
            if found is not None:
                return int(found)
        last = func.coalesce(func.max(EVENTS.c.number), 0)
        following = select(
            literal(search_id),
            last + 1 if not event.number else last * 0 + event.number,
            literal(event.kind),
            literal(event.at),
            literal(event.payload),
        ).where(mine)
        columns = ["search_id", "number", "kind", "at", "payload"]
        statement = insert(EVENTS).from_select(columns, following).returning(EVENTS.c.number)
        return int(connection.execute(statement).scalar_one())

    def read(self, search_id: str, after: int = 0) -> list[Event]:
        """Return the events of a search in order, those numbered above `after`."""
        query = (
            select(EVENTS.c.number, EVENTS.c.kind, EVENTS.c.payload, EVENTS.c.at)
            .where(EVENTS.c.search_id == search_id, EVENTS.c.number > after)
            .order_by(EVENTS.c.number)
        )
        rows = read(self.engine, lambda connection: connection.execute(query).all())
        return [Event(number, kind, json.loads(payload), at) for number, kind, payload, at in rows]

    def searches(self) -> list[str]:
        """Return the ids of all searches, oldest first."""
        query = (
            select(EVENTS.c.search_id).where(EVENTS.c.number == 1).order_by(EVENTS.c.at, EVENTS.c.search_id)
        )
        return read(self.engine, lambda connection: list(connection.execute(query).scalars()))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
