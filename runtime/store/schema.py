"""The tables of the store. One database holds the sample bank (requests, samples) and the journal
(events).
"""

from __future__ import annotations

from sqlalchemy import CHAR, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text

METADATA = MetaData()

REQUESTS = Table(
    "requests",
    METADATA,
    Column("key", CHAR(64), primary_key=True),
    Column("identity", String, nullable=False, index=True),
    Column("request", Text, nullable=False),
)
"""key: SHA-256 of the canonical request; request: the request as JSON."""

SAMPLES = Table(
    "samples",
    METADATA,
    Column("key", CHAR(64), ForeignKey("requests.key"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("finish_reason", String, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
)
"""place: the sample's index in the stream of its request, from 0."""

EVENTS = Table(
    "events",
    METADATA,
    Column("search_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("payload", Text, nullable=False),
)
"""number: 1, 2, 3, ... within a search; at: seconds since 1970; payload: JSON."""
