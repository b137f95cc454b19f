"""Fixtures for tests that need a database: every store must behave the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from .postgres import INSTALL, PostgresServer, find_binaries

settings.register_profile("agenttts", deadline=None)  # a busy machine is no fault of an example
settings.load_profile("agenttts")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server, one per test process; a test that stops or crashes it starts it again."""
    if find_binaries() is None:
        reason = f"needs a PostgreSQL server (initdb, postgres). {INSTALL}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database of either kind; the SQLite file's folder does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/er/store.db"
    url: str = request.getfixturevalue("postgres_url")
    return url
