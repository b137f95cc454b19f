"""Open the store's database, and run transactions that survive its restart: SQLite by default, PostgreSQL for
an organisation.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy.orm  # noqa: F401  MLflow's thread imports it: a query beside a half-done import fails
from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    Table,
    create_engine,
    event,
    func,
    literal_column,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.sql.elements import ColumnElement

from agenttts.runtime.store.migrate import NewerStoreError, migrate

BUSY_TIMEOUT_S = 60
PATIENCE_S = 90.0
"""How long a database may be away, e.g. restarted, before those who need it give up."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0
CHECK = "Check the address, and that it can be reached and written."
POSTGRES_LOCK = 0x41545453
"""An arbitrary number all of us agree on: only one process creates tables at a time."""
_T = TypeVar("_T")


class StoreError(Exception):
    """The store's address is wrong, or what it needs is not installed."""


class StoreLostError(StoreError):
    """The store worked and does not any more: full, read-only, or away for too long."""


def open_database(url: str, patience_s: float = 0.0) -> Engine:
    """Connect and create what is missing: the parent folder of a SQLite file, and the tables.

    url: `sqlite:///folder/file.db` or `postgresql+psycopg://user@host/database`. patience_s: how long it may
    be away; wait where the address is known to be right.

    Raises:
        StoreError: if the URL is not one of these, psycopg is missing, or the database cannot be opened.
    """
    dialect = _checked_dialect(url)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S} if dialect == "sqlite" else {})
    try:
        if dialect == "sqlite":
            _prepare_sqlite(engine)
            patience_s = max(patience_s, BUSY_TIMEOUT_S)  # a switch to WAL beside a writer fails at once
        _until_done(engine.execution_options(writes=True), _create_tables, patience_s)
    except NewerStoreError as error:
        engine.dispose()
        raise StoreError(f"store {engine.url!r}: {error}") from error
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        raise StoreError(f"store {engine.url!r} cannot be opened: {_reason(error)}. {CHECK}") from error
    return engine


def write(engine: Engine, work: Callable[[Connection, bool], _T], patience_s: float = PATIENCE_S) -> _T:
    """Run `work(connection, again)` in one transaction that writes; it is committed when this returns.

    A lost connection, a deadlock or a lock is tried again for `patience_s`. Then `again` is True: the lost
    attempt may have been committed, so what must not happen twice has to look.

    Raises:
        StoreLostError: if the database is full, or away for longer.
    """
    return _patiently(engine.execution_options(writes=True), work, patience_s)


def read(engine: Engine, work: Callable[[Connection], _T], patience_s: float = PATIENCE_S) -> _T:
    """Run `work(connection)` in one transaction that only reads, as patiently as `write`."""
    return _patiently(engine, lambda connection, _: work(connection), patience_s)


def _create_tables(connection: Connection, _again: bool) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})"))
    migrate(connection)


def _patiently(engine: Engine, work: Callable[[Connection, bool], _T], patience_s: float) -> _T:
    try:
        return _until_done(engine, work, patience_s)
    except (OperationalError, InterfaceError) as error:
        raise StoreLostError(_lost(engine, error)) from error


def _until_done(engine: Engine, work: Callable[[Connection, bool], _T], patience_s: float) -> _T:
    """Run a transaction, again as long as what goes wrong is passing."""
    deadline, wait, again = time.monotonic() + patience_s, FIRST_WAIT_S, False
    while True:
        try:
            with engine.begin() as connection:
                return work(connection, again)
        except DBAPIError as error:
            if not _passing(error) or time.monotonic() + wait > deadline:
                raise
        time.sleep(wait)
        again, wait = True, min(LONGEST_WAIT_S, 2 * wait)


def _passing(error: DBAPIError) -> bool:
    """Tell whether the next attempt may succeed: restarted, locked, deadlocked, but not full."""
    if isinstance(error.orig, sqlite3.Error):
        return "locked" in str(error.orig)
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def _lost(engine: Engine, error: DBAPIError) -> str:
    return (
        f"store {engine.url!r}: {_reason(error)}. Nothing that was stored is lost. Free some space, or bring "
        "the database back (--store, AGENTTTS_STORE); then the same command goes on."
    )


def _reason(error: Exception) -> str:
    """Return the database's own first line, without SQLAlchemy's words around it."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0].rstrip(".")


def database_now(engine: Engine) -> ColumnElement[Any]:
    """Return seconds since 1970 by the database's clock, the only one that all hosts share."""
    if engine.dialect.name == "sqlite":
        return literal_column("(julianday('now') - 2440587.5) * 86400.0")
    return func.extract("epoch", func.clock_timestamp())


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
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not wait for each other
        connection.execute("PRAGMA synchronous=FULL")  # a commit survives a power cut

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # A transaction that reads first and writes later fails at once when another one wrote in between.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
