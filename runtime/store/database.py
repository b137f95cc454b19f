"""Open the store's database: SQLite by default, PostgreSQL for an organisation."""

from __future__ import annotations

import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from agenttts.runtime.store.schema import METADATA

BUSY_TIMEOUT_S = 60
CHECK = "Check the address, and that it can be reached and written."
POSTGRES_LOCK = 0x41545453
"""An arbitrary number all of us agree on: only one process creates tables at a time."""


class StoreError(Exception):
    """The store's address is wrong, or what it needs is not installed."""


def open_database(url: str) -> Engine:
    """Connect and create what is missing: the parent folder of a SQLite file, and the tables.

    url: `sqlite:///folder/file.db` or `postgresql+psycopg://user@host/database`.

    Raises:
        StoreError: if the URL is not one of these, psycopg is missing, or the database cannot be opened.
    """
    dialect = _checked_dialect(url)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S} if dialect == "sqlite" else {})
    try:
        if dialect == "sqlite":
            _prepare_sqlite(engine)
        with engine.begin() as connection:
            _create_tables(connection)
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        raise StoreError(f"store {engine.url!r} cannot be opened: {_reason(error)}. {CHECK}") from error
    return engine


def _reason(error: Exception) -> str:
    """Return the database's own first line, without SQLAlchemy's words around it."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0].rstrip(".")


def insert_new(engine: Engine, table: Table) -> Insert:
    """Return an INSERT that leaves rows alone which are already there."""
    if engine.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def _checked_dialect(url: str) -> str:
    try:
        address = make_url(url)
    except ArgumentError as error:
        shown = f"***@{url.rpartition('@')[2]}" if "@" in url else url  # there may be a password
        raise StoreError(f"store: {shown!r} is no database URL. Use sqlite:///FILE.") from error
    dialect = address.get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise StoreError(f"store: no support for {dialect!r}. Use sqlite:/// or postgresql+psycopg://.")
    if dialect == "postgresql" and find_spec("psycopg") is None:
        raise StoreError("store: PostgreSQL needs psycopg. Install it: pip install 'agenttts[postgres]'.")
    if dialect == "sqlite" and address.database in (None, "", ":memory:"):
        raise StoreError(f"store: {url!r} names no file, so nothing would be kept. Use sqlite:///FILE.")
    return dialect


def _prepare_sqlite(engine: Engine) -> None:
    if engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not wait for each other
        connection.execute("PRAGMA synchronous=FULL")  # a commit survives a power cut


def _create_tables(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})"))
    for table in METADATA.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
