"""One controller per search: a lease that only a living process holds, and that falls to the next one when
its holder is dead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, select, update

from agenttts.runtime.store.database import PATIENCE_S, StoreError, insert_new, open_database, read, write
from agenttts.runtime.store.members import TTL_S, Member, Process, dead, who
from agenttts.runtime.store.schema import LEASES


class HeldError(StoreError):
    """Another living process runs this search."""


@contextlib.contextmanager
def lease(url: str, search_id: str) -> Iterator[Member]:
    """Hold the lease of a search for the length of the block; yield this process's membership.

    Raises:
        HeldError: if another process holds it and lives, naming it.
    """
    engine = open_database(url, PATIENCE_S)
    try:
        with contextlib.closing(Member(engine)) as member:
            holder = write(engine, lambda connection, _: _take(connection, member, search_id))
            if holder is not None:
                raise HeldError(
                    f"search {search_id!r} is run by {holder} at this moment. Wait for it, or stop it; then "
                    f"the same command goes on. A process lost elsewhere counts as dead after {TTL_S:g} s."
                )
            yield member
    finally:
        engine.dispose()


def _take(connection: Connection, member: Member, name: str) -> str | None:
    """Take the lease if it is free or its holder is dead; else return who holds it."""
    connection.execute(insert_new(connection.engine, LEASES).values(name=name, owner=member.owner))
    found = select(LEASES.c.owner).where(LEASES.c.name == name).with_for_update()
    holder = str(connection.execute(found).scalar_one())
    if holder == member.owner:
        return None
    if not member.dead(connection, {holder}):
        return who(connection, holder)
    connection.execute(update(LEASES).where(LEASES.c.name == name).values(owner=member.owner))
    return None


def holders(engine: Engine) -> dict[str, str]:
    """Return who runs each search at this moment, for people, by search id."""

    def look(connection: Connection) -> dict[str, str]:
        rows = connection.execute(select(LEASES)).all()
        gone = dead(connection, {row.owner for row in rows}, Process.this())
        return {row.name: who(connection, row.owner) for row in rows if row.owner not in gone}

    return read(engine, look)
