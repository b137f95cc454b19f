"""Open the store's database: SQLite by default, PostgreSQL for an organisation."""

from __future__ import annotations

import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.schema import CreateIndex, CreateTable

from agenttts.runtime.store.schema import METADATA

BUSY_TIMEOUT_S = 60
POSTGRES_LOCK = 0x41545453
"""An arbitrary number all of us agree on: only one process creates tables at a time."""


class StoreError(Exception):
    """The store's address is wrong, or what it needs is not installed."""


def open_database(url: str) -> Engine:
    """Connect and create what is missing: the parent folder of a SQLite file, and the tables.

    url: `sqlite:///folder/file.db` or `postgresql+psycopg://user@host/database`.

    Raises:
        StoreError: if the URL is not one of these, or psycopg is missing.
    """
    dialect = _checked_dialect(url)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S} if dialect == "sqlite" else {})
    if dialect == "sqlite":
        _prepare_sqlite(engine)
    with engine.begin() as connection:
        _create_tables(connection)
    return engine


def insert_new(engine: Engine, table: Table) -> Insert:
    """Return an INSERT that leaves rows alone which are already there."""
    if engine.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def _checked_dialect(url: str) -> str:
    try:
        dialect = make_url(url).get_backend_name()
    except ArgumentError as error:
        raise StoreError(f"store: {url!r} is no database URL. Use sqlite:///FILE.") from error
    if dialect not in ("sqlite", "postgresql"):
        raise StoreError(f"store: no support for {dialect!r}. Use sqlite:/// or postgresql+psycopg://.")
    if dialect == "postgresql" and find_spec("psycopg") is None:
        raise StoreError("store: PostgreSQL needs psycopg. Install it: pip install 'agenttts[postgres]'.")
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
