"""The sample bank: every completion ever drawn, by request and index. Nothing in it is ever changed; only
whole requests are pruned.

Safe for many processes: writing the same sample twice keeps the first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, delete, func, select

from agenttts.runtime.records import Sample, SampleRequest
from agenttts.runtime.store.codec import decode_request, encode_request
from agenttts.runtime.store.database import insert_new, open_database, read, write
from agenttts.runtime.store.schema import CLAIMS, REQUESTS, SAMPLES
from agenttts.runtime.values import canonical, digest

KEYS_AT_ONCE = 500
COLUMNS = ("key", "place", "text", "finish_reason", "prompt_tokens", "output_tokens", "seconds")
_T = TypeVar("_T")


def sample_key(request: SampleRequest) -> str:
    """Return the bank's key: SHA-256 over the canonical JSON of every field of the request.

    Raises:
        ValueError: if a message holds text that is not Unicode.
    """
    return digest(encode_request(request))


@dataclass(frozen=True, slots=True)
class BankStats:
    """What the bank holds, in all and by model identity (samples)."""

    requests: int
    samples: int
    prompt_tokens: int
    output_tokens: int
    by_identity: Mapping[str, int]


class SampleBank:
    """The bank in one database."""

    def __init__(self, url: str, patience_s: float = 0.0) -> None:
        """Open the database, see `open_database`."""
        self.engine = open_database(url, patience_s)

    def get(self, key: str, count: int) -> list[Sample]:
        """Return the banked samples 0..m-1 without a gap, m <= count."""
        return self.get_many({key: count})[key]

    def get_many(self, wanted: Mapping[str, int]) -> dict[str, list[Sample]]:
        """Return what `get` gives for every key -> count, with one query for up to 500 keys."""
        return {key: _prefix(samples) for key, samples in self.known(wanted).items()}

    def known(self, wanted: Mapping[str, int]) -> dict[str, list[Sample]]:
        """Return for every key -> count the banked samples below count, in order; there may be gaps."""
        found: dict[str, list[Sample]] = {key: [] for key in wanted}
        for keys in _batches(list(wanted)):
            for key, samples in self._read(keys, max(wanted[k] for k in keys)):
                found[key] = [sample for sample in samples if sample.index < wanted[key]]
        return found

    def _read(self, keys: Sequence[str], count: int) -> list[tuple[str, list[Sample]]]:
        query = (
            select(*(SAMPLES.c[name] for name in COLUMNS))
            .where(SAMPLES.c.key.in_(keys), SAMPLES.c.place < count)
            .order_by(SAMPLES.c.key, SAMPLES.c.place)
        )
        rows = read(self.engine, lambda connection: connection.execute(query).all())
        return [(key, [Sample(*row[1:]) for row in group]) for key, group in groupby(rows, lambda r: r[0])]

    def put(self, request: SampleRequest, samples: Sequence[Sample]) -> None:
        """Keep samples of a request; those already there stay as they are."""
        self.put_many([(request, samples)])

    def put_many(self, drawn: Sequence[tuple[SampleRequest, Sequence[Sample]]]) -> int:
        """Keep samples of many requests in one transaction; return how many were new."""
        return write(self.engine, lambda connection, _: insert_samples(connection, drawn))

    def stats(self) -> BankStats:
        """Count what is there."""
        totals = select(
            func.count(),
            func.coalesce(func.sum(SAMPLES.c.prompt_tokens), 0),
            func.coalesce(func.sum(SAMPLES.c.output_tokens), 0),
        ).select_from(SAMPLES)
        names = (
            select(REQUESTS.c.identity, func.count())
            .join(SAMPLES, SAMPLES.c.key == REQUESTS.c.key)
            .group_by(REQUESTS.c.identity)
            .order_by(REQUESTS.c.identity)
        )

        def count(connection: Connection) -> BankStats:
            requests = connection.execute(select(func.count()).select_from(REQUESTS)).scalar_one()
            samples, prompt, output = connection.execute(totals).one()
            by_identity = {str(name): int(number) for name, number in connection.execute(names)}
            return BankStats(requests, samples, int(prompt), int(output), by_identity)

        return read(self.engine, count)

    def entries(self, identity: str | None = None) -> Iterator[tuple[SampleRequest, list[Sample]]]:
        """Give every request with its samples, in the order of keys; `put_many` takes them back.

        identity: of one model only.
        """
        last = ""
        while some := self._requests_after(last, identity):
            texts = {row.key: row.request for row in some}
            for key, samples in self._read(list(texts), 2**31 - 1):
                yield decode_request(json.loads(texts[key])), samples
            last = some[-1].key

    def _requests_after(self, key: str, identity: str | None) -> Sequence[Any]:
        query = select(REQUESTS.c.key, REQUESTS.c.request).where(REQUESTS.c.key > key)
        if identity is not None:
            query = query.where(REQUESTS.c.identity == identity)
        query = query.order_by(REQUESTS.c.key).limit(KEYS_AT_ONCE)
        return read(self.engine, lambda connection: connection.execute(query).all())

    def prune(self, identity: str | None, before: float | None, delete_them: bool) -> BankStats:
        """Return what the requests hold whose every sample is of `identity` and older than `before`.

        before: seconds since 1970; samples of an older release have no time and count as old. delete_them:
        delete those requests with their samples; one that is being drawn at this moment stays.
        """

        def work(connection: Connection) -> BankStats:
            doomed = connection.execute(_doomed(identity, before)).all()
            counted = _stats(doomed)
            for some in _batches([row.key for row in doomed] if delete_them else []):
                connection.execute(delete(SAMPLES).where(SAMPLES.c.key.in_(some)))
                connection.execute(delete(REQUESTS).where(REQUESTS.c.key.in_(some)))
            return counted

        return write(self.engine, lambda connection, _: work(connection))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _batches(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (values[i : i + KEYS_AT_ONCE] for i in range(0, len(values), KEYS_AT_ONCE))


def _prefix(samples: Sequence[Sample]) -> list[Sample]:
    return [s for place, s in enumerate(samples) if s.index == place]


def _doomed(identity: str | None, before: float | None) -> Select[Any]:
    newest = func.max(func.coalesce(SAMPLES.c.at, 0.0))
    sums = (func.count(), func.sum(SAMPLES.c.prompt_tokens), func.sum(SAMPLES.c.output_tokens))
    query = (
        select(REQUESTS.c.key, REQUESTS.c.identity, *sums)
        .join(SAMPLES, SAMPLES.c.key == REQUESTS.c.key)
        .where(REQUESTS.c.key.not_in(select(CLAIMS.c.key)))
        .group_by(REQUESTS.c.key, REQUESTS.c.identity)
    )
    query = query if identity is None else query.where(REQUESTS.c.identity == identity)
    return query if before is None else query.having(newest < before)


def _stats(rows: Sequence[Any]) -> BankStats:
    by_identity: dict[str, int] = {}
    for _, identity, samples, _, _ in rows:
        by_identity[identity] = by_identity.get(identity, 0) + samples
    prompt, output = sum(int(row[3]) for row in rows), sum(int(row[4]) for row in rows)
    return BankStats(len(rows), sum(by_identity.values()), prompt, output, dict(sorted(by_identity.items())))


def insert_samples(connection: Connection, drawn: Sequence[tuple[SampleRequest, Sequence[Sample]]]) -> int:
    """Write samples within a transaction, always in the same order, so that two writers never wait for each
    other; those already there stay as they are. Return how many were new.
    """
    keyed = [(sample_key(request), request, samples) for request, samples in drawn if samples]
    if not keyed:
        return 0
    requests = [
        {"key": key, "identity": r.identity, "request": canonical(encode_request(r)).decode()}
        for key, r, _ in keyed
    ]
    now = time.time()
    rows = [_row(key, sample, now) for key, _, samples in keyed for sample in samples]
    engine = connection.engine
    connection.execute(insert_new(engine, REQUESTS), sorted(requests, key=lambda r: r["key"]))
    done = connection.execute(insert_new(engine, SAMPLES), sorted(rows, key=lambda r: (r["key"], r["place"])))
    return int(done.rowcount)


def _row(key: str, sample: Sample, now: float) -> dict[str, str | int | float]:
    return {
        "key": key,
        "place": sample.index,
        "text": sample.text,
        "finish_reason": sample.finish_reason,
        "prompt_tokens": sample.prompt_tokens,
        "output_tokens": sample.output_tokens,
        "seconds": sample.seconds,
        "at": now,
    }
