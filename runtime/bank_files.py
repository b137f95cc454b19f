"""Move samples between banks as Parquet files: one row per sample, no pickle, readable by others.

Streams in both directions, so that memory does not grow with the bank.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from agenttts.runtime.records import Sample, SampleRequest
from agenttts.runtime.store.bank import KEYS_AT_ONCE, SampleBank
from agenttts.runtime.store.codec import decode_request, encode_request
from agenttts.runtime.values import canonical

COLUMNS = ("request", "index", "text", "finish_reason", "prompt_tokens", "output_tokens", "seconds")
"""request: as canonical JSON; the rows of a request follow each other."""
Entry = tuple[SampleRequest, list[Sample]]


class BankFileError(Exception):
    """A file is no export of a bank."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: requests and samples in the file. new: samples that the bank did not have."""

    requests: int = 0
    samples: int = 0
    new: int = 0


def export_bank(bank: SampleBank, path: Path, identity: str | None = None) -> Moved:
    """Write a bank's samples to a file, replacing it whole. identity: of one model only."""
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    moved = Moved()
    with pyarrow.parquet.ParquetWriter(partial, _schema(), compression="zstd") as writer:
        for entries in _chunks(bank.entries(identity)):
            rows = [row for request, samples in entries for row in _rows(request, samples)]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=_schema()))
            moved = Moved(moved.requests + len(entries), moved.samples + len(rows))
    partial.replace(path)
    return moved


def import_bank(bank: SampleBank, path: Path) -> Moved:
    """Add a file's samples to a bank; those it has stay as they are, so importing twice changes nothing.

    Keys are computed anew from the requests: a file cannot claim that a sample belongs to another request.

    Raises:
        BankFileError: if the file is no export of a bank; nothing before the fault is taken back.
    """
    moved = Moved()
    for entries in _chunks(_entries(path)):
        new = bank.put_many(entries)
        samples = sum(len(found) for _, found in entries)
        moved = Moved(moved.requests + len(entries), moved.samples + samples, moved.new + new)
    return moved


def _schema() -> Any:
    import pyarrow

    kinds = (pyarrow.string(), pyarrow.int64(), pyarrow.string(), pyarrow.string())
    numbers = (pyarrow.int64(), pyarrow.int64(), pyarrow.float64())
    return pyarrow.schema(list(zip(COLUMNS, (*kinds, *numbers), strict=True)))


def _rows(request: SampleRequest, samples: list[Sample]) -> Iterator[dict[str, Any]]:
    text = canonical(encode_request(request)).decode()
    for sample in samples:
        yield {"request": text, **{name: getattr(sample, name) for name in COLUMNS[1:]}}


def _entries(path: Path) -> Iterator[Entry]:
    import pyarrow
    import pyarrow.parquet

    try:
        with closing(pyarrow.parquet.ParquetFile(path)) as file:
            if tuple(file.schema_arrow.names) != COLUMNS:
                raise BankFileError(
                    f"{path}: its columns are {file.schema_arrow.names}, not {list(COLUMNS)}."
                )
            rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
            for text, group in groupby(rows, lambda row: row["request"]):
                yield decode_request(json.loads(text)), [_sample(row) for row in group]
    except (pyarrow.ArrowException, ValueError, TypeError, KeyError) as error:
        raise BankFileError(f"{path}: not an export of a bank ({type(error).__name__}: {error}).") from error


def _sample(row: dict[str, Any]) -> Sample:
    if row["index"] < 0 or any(row[name] is None for name in COLUMNS):
        raise ValueError("a sample with an empty field, or a negative index")
    return Sample(**{name: row[name] for name in COLUMNS[1:]})


def _chunks(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    chunk: list[Entry] = []
    for entry in entries:
        chunk.append(entry)
        if len(chunk) == KEYS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
