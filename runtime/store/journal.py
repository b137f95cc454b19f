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

from sqlalchemy import func, insert, literal, select
from sqlalchemy.exc import IntegrityError

from agenttts.runtime.store.database import StoreError, open_database
from agenttts.runtime.store.schema import EVENTS
from agenttts.spec.model import Json

Kind = Literal[
    "search_started", "proposal", "trial_started", "trial_finished", "guidelines", "search_finished"
]
KINDS: tuple[str, ...] = get_args(Kind)
APPEND_TRIES = 20


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

    def __init__(self, url: str, now: Callable[[], float] = time.time) -> None:
        """Open the database, see `open_database`. now: the clock that stamps events."""
        self._engine = open_database(url)
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
        text = json.dumps(payload, allow_nan=False)
        for tries in range(1, APPEND_TRIES + 1):
            try:
                return self._insert(search_id, kind, text, number)
            except IntegrityError as error:
                if number is not None:
                    what = f"the search {search_id!r} is run by another process at this moment"
                    raise TakenError(f"{what}. Wait for it, or stop it; the same command goes on.") from error
                # on PostgreSQL another writer may have taken the number
                if tries == APPEND_TRIES:
                    raise
        raise AssertionError("unreachable")

    def _insert(self, search_id: str, kind: str, payload: str, number: int | None) -> int:
        last = func.coalesce(func.max(EVENTS.c.number), 0)
        following = select(
            literal(search_id),
            last + 1 if number is None else last * 0 + number,
            literal(kind),
            literal(self._now()),
            literal(payload),
        ).where(EVENTS.c.search_id == search_id)
        columns = ["search_id", "number", "kind", "at", "payload"]
        statement = insert(EVENTS).from_select(columns, following).returning(EVENTS.c.number)
        with self._engine.begin() as connection:
            return int(connection.execute(statement).scalar_one())

    def read(self, search_id: str, after: int = 0) -> list[Event]:
        """Return the events of a search in order, those numbered above `after`."""
        query = (
            select(EVENTS.c.number, EVENTS.c.kind, EVENTS.c.payload, EVENTS.c.at)
            .where(EVENTS.c.search_id == search_id, EVENTS.c.number > after)
            .order_by(EVENTS.c.number)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [Event(number, kind, json.loads(payload), at) for number, kind, payload, at in rows]

    def searches(self) -> list[str]:
        """Return the ids of all searches, oldest first."""
        query = (
            select(EVENTS.c.search_id).where(EVENTS.c.number == 1).order_by(EVENTS.c.at, EVENTS.c.search_id)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
