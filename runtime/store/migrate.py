"""Bring the tables of a store to the version that this release writes."""

from __future__ import annotations

from sqlalchemy import Connection, insert, inspect, select, text, update
from sqlalchemy.schema import CreateIndex, CreateTable

from agenttts.runtime.store.schema import META, METADATA, VERSION


class NewerStoreError(Exception):
    """A later release wrote this store."""


def migrate(connection: Connection) -> None:
    """Create the tables that are missing, and change those of an older release; inside a transaction that
    writes, so that of many processes one does it.

    Raises:
        NewerStoreError: if a later release wrote the store.
    """
    known = _version(connection)
    if known == VERSION:
        return
    if known is not None and known > VERSION:
        raise NewerStoreError(
            f"it has version {known}, this release knows up to {VERSION}. Install a newer agenttts."
        )
    for table in METADATA.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    if "at" not in {column["name"] for column in inspect(connection).get_columns("samples")}:
        connection.execute(text("ALTER TABLE samples ADD COLUMN at FLOAT"))
    _note(connection, known)


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(META.name):
        return None
    found = connection.execute(select(META.c.value).where(META.c.name == "version")).scalar()
    return None if found is None else int(found)


def _note(connection: Connection, known: int | None) -> None:
    if known is None:
        connection.execute(insert(META).values(name="version", value=str(VERSION)))
    else:
        connection.execute(update(META).where(META.c.name == "version").values(value=str(VERSION)))
