"""The sample bank: every completion ever drawn, by request and index. Nothing in it is ever changed.

Safe for many processes: writing the same sample twice keeps the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from sqlalchemy import func, select

from agenttts.runtime.records import Sample, SampleRequest
from agenttts.runtime.store.codec import decode_request, encode_request
from agenttts.runtime.store.database import insert_new, open_database
from agenttts.runtime.store.schema import REQUESTS, SAMPLES
from agenttts.runtime.values import canonical, digest

KEYS_AT_ONCE = 500
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

    def __init__(self, url: str) -> None:
        """Open the database, see `open_database`."""
        self._engine = open_database(url)

    def get(self, key: str, count: int) -> list[Sample]:
        """Return the banked samples 0..m-1 without a gap, m <= count."""
        return self.get_many({key: count})[key]

    def get_many(self, wanted: Mapping[str, int]) -> dict[str, list[Sample]]:
        """Return what `get` gives for every key -> count, with one query for up to 500 keys."""
        found: dict[str, list[Sample]] = {key: [] for key in wanted}
        for keys in _batches(list(wanted)):
            for key, samples in self._read(keys, max(wanted[k] for k in keys)):
                found[key] = _prefix(samples, wanted[key])
        return found

    def _read(self, keys: Sequence[str], count: int) -> list[tuple[str, list[Sample]]]:
        query = (
            select(SAMPLES)
            .where(SAMPLES.c.key.in_(keys), SAMPLES.c.place < count)
            .order_by(SAMPLES.c.key, SAMPLES.c.place)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [(key, [Sample(*row[1:]) for row in group]) for key, group in groupby(rows, lambda r: r[0])]

    def put(self, request: SampleRequest, samples: Sequence[Sample]) -> None:
        """Keep samples of a request; those already there stay as they are."""
        self.put_many([(request, samples)])

    def put_many(self, drawn: Sequence[tuple[SampleRequest, Sequence[Sample]]]) -> None:
        """Keep samples of many requests in one transaction."""
        keyed = [(sample_key(request), request, samples) for request, samples in drawn if samples]
        if not keyed:
            return
        requests = [
            {"key": key, "identity": r.identity, "request": canonical(encode_request(r)).decode()}
            for key, r, _ in keyed
        ]
        rows = [_row(key, sample) for key, _, samples in keyed for sample in samples]
        with self._engine.begin() as connection:
            connection.execute(insert_new(self._engine, REQUESTS), sorted(requests, key=lambda r: r["key"]))
            connection.execute(
                insert_new(self._engine, SAMPLES), sorted(rows, key=lambda r: (r["key"], r["place"]))
            )

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
        with self._engine.connect() as connection:
            requests = connection.execute(select(func.count()).select_from(REQUESTS)).scalar_one()
            samples, prompt, output = connection.execute(totals).one()
            by_identity = {str(name): int(number) for name, number in connection.execute(names)}
        return BankStats(requests, samples, int(prompt), int(output), by_identity)

    def entries(self) -> Iterator[tuple[SampleRequest, list[Sample]]]:
        """Give every request with its samples, in the order of keys; `put_many` takes them back."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(REQUESTS.c.key, REQUESTS.c.request).order_by(REQUESTS.c.key)
            ).all()
        for some in _batches(rows):
            texts = {row.key: row.request for row in some}
            for key, samples in self._read(list(texts), 2**31 - 1):
                yield decode_request(json.loads(texts[key])), samples

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _batches(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (values[i : i + KEYS_AT_ONCE] for i in range(0, len(values), KEYS_AT_ONCE))


def _prefix(samples: Sequence[Sample], count: int) -> list[Sample]:
    return [s for place, s in enumerate(samples[:count]) if s.index == place]


def _row(key: str, sample: Sample) -> dict[str, str | int | float]:
    return {
        "key": key,
        "place": sample.index,
        "text": sample.text,
        "finish_reason": sample.finish_reason,
        "prompt_tokens": sample.prompt_tokens,
        "output_tokens": sample.output_tokens,
        "seconds": sample.seconds,
    }
