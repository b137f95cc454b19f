"""The tables of the store. One database holds the sample bank (requests, samples), the journal (events), and
who does what at this moment (members, claims, accounts, leases).
"""

from __future__ import annotations

from sqlalchemy import CHAR, BigInteger, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text

METADATA = MetaData()
VERSION = 2
"""Of the tables. 1 had no claims, accounts, members and leases, and no time of a sample."""

META = Table("meta", METADATA, Column("name", String, primary_key=True), Column("value", String))
"""`version`: of the tables; see `migrate`."""

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
    Column("at", Float),
)
"""place: the sample's index in the stream of its request, from 0; at: when it was banked, None: long ago."""

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

MEMBERS = Table(
    "members",
    METADATA,
    Column("owner", CHAR(32), primary_key=True),
    Column("place", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("until", Float, nullable=False),
)
"""The living processes. place: where a pid means something (host, boot, namespace); started: of the process,
seconds since 1970; until: alive at least so long, by the database's clock, renewed by a heartbeat."""

CLAIMS = Table(
    "claims",
    METADATA,
    Column("token", CHAR(32), primary_key=True),
    Column("key", CHAR(64), nullable=False, index=True),
    Column("first", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("owner", CHAR(32), nullable=False),
    Column("account", String, index=True),
    Column("tokens", BigInteger, nullable=False),
    Column("usd", Float, nullable=False),
    Column("seconds", Float, nullable=False),
)
"""Requests that were sent and have not come back: journal before acting. token: the idempotency key; first,
count: the samples asked for; tokens, usd, seconds: the worst case, reserved in `account` (None: settled)."""

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("account", String, primary_key=True),
    Column("requests", BigInteger, nullable=False, default=0),
    Column("completions", BigInteger, nullable=False, default=0),
    Column("prompt_tokens", BigInteger, nullable=False, default=0),
    Column("output_tokens", BigInteger, nullable=False, default=0),
    Column("usd", Float, nullable=False, default=0.0),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("estimated", BigInteger, nullable=False, default=0),
    Column("lost_requests", BigInteger, nullable=False, default=0),
    Column("lost_tokens", BigInteger, nullable=False, default=0),
    Column("lost_usd", Float, nullable=False, default=0.0),
    Column("lost_seconds", Float, nullable=False, default=0.0),
)
"""What a search spent (account: its id), in all its sessions. lost_*: the worst case of requests that may
have been billed and never gave an answer."""

LEASES = Table(
    "leases",
    METADATA,
    Column("name", String, primary_key=True),
    Column("owner", CHAR(32), nullable=False),
)
"""Who runs a search: one living member, or nobody."""
