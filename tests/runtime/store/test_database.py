"""Opening a database that is away."""

import sqlite3
import threading

import pytest
from sqlalchemy import text

from agenttts.runtime.store import database
from agenttts.runtime.store.database import StoreError, open_database


def test_a_database_that_is_away_is_waited_for_as_long_as_told(postgres_server, postgres_url):
    opened = []
    postgres_server.crash()
    thread = threading.Thread(target=lambda: opened.append(open_database(postgres_url, patience_s=60)))
    thread.start()
    postgres_server.start()
    thread.join()
    with opened[0].connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM events")).scalar_one() == 0
    opened[0].dispose()


def test_a_new_sqlite_file_that_another_process_is_preparing_is_waited_for(tmp_path, monkeypatch):
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # beside this, SQLite refuses the switch to WAL at once
    waits = []
    monkeypatch.setattr(database.time, "sleep", lambda s: (waits.append(s), other.rollback()))
    open_database(f"sqlite:///{tmp_path}/store.db").dispose()
    other.close()
    assert waits == [database.FIRST_WAIT_S]


def test_without_patience_a_database_that_is_away_is_named_at_once(postgres_server, postgres_url):
    postgres_server.crash()
    try:
        with pytest.raises(StoreError, match=r"cannot be opened: .* Check the address"):
            open_database(postgres_url)
    finally:
        postgres_server.start()
