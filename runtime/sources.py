"""Read rows of a file: JSON Lines, JSON, CSV or Parquet; on this machine, or in an object store by URI.

pyarrow is imported only here and only when needed: for CSV, Parquet and anything that is not a local path.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from agenttts.runtime.values import JSON_DECODER
from agenttts.spec.model import Json


class RepeatedError(ValueError):
    """Two columns have one name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number, from 1 (for JSON Lines the line), and its columns."""

    number: int
    values: Mapping[str, Json]


def read_rows(source: str, kind: str, folder: Path) -> Iterator[Row]:
    """Read every row.

    source: a path relative to `folder`, or a URI. kind: `jsonl`, `json`, `csv` or `parquet`.

    Raises:
        OSError: if the source cannot be read.
        ValueError: if it is not what `kind` says, with the line or row.
    """
    return READERS[kind](_content(source, folder))


def _content(source: str, folder: Path) -> bytes:
    if "://" not in source:
        return (folder / source).read_bytes()
    from pyarrow import fs

    system, path = fs.FileSystem.from_uri(source)
    with system.open_input_stream(path) as stream:
        content: bytes = stream.read()
    return content


def _jsonl(content: bytes) -> Iterator[Row]:
    for number, line in enumerate(content.decode("utf-8-sig").split("\n"), 1):
        if line.strip():
            yield Row(number, _object(_parsed(line, f"line {number}"), f"line {number}"))


def _json(content: bytes) -> Iterator[Row]:
    rows = _parsed(content.decode("utf-8-sig"), "the file")
    if not isinstance(rows, list):
        raise ValueError(f"the JSON must be a list of objects, got {type(rows).__name__}.")
    return (Row(number, _object(row, f"row {number}")) for number, row in enumerate(rows, 1))


def _parsed(text: str, where: str) -> Json:
    try:
        value: Json = JSON_DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}.") from error
    return value


def _object(value: Json, where: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object, got {type(value).__name__}.")
    return value


def _csv(content: bytes) -> Iterator[Row]:
    """Read every cell as text: a column of digits may be codes with leading zeros."""
    reader = csv_reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    try:
        header: list[str] = next(reader, [])
        check_header(header)
        for number, cells in enumerate(reader, 1):
            if cells:
                yield Row(number, _named(header, cells, number))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is not CSV: {error}.") from error
    except RepeatedError as error:
        raise ValueError(f"{error}.") from error


def csv_reader(text: IO[str]) -> Any:
    """Return a strict reader of CSV, whose cells may be of any length: passages are long."""
    csv.field_size_limit(sys.maxsize)
    return csv.reader(text, strict=True)


def check_header(header: Sequence[str]) -> None:
    """Refuse two columns of one name, of which one would be lost.

    Raises:
        RepeatedError: naming them.
    """
    repeated = sorted(name for name, count in Counter(header).items() if name and count > 1)
    if repeated:
        raise RepeatedError(f"the header names {', '.join(map(repr, repeated))} more than once")


def _named(header: list[str], cells: list[str], number: int) -> dict[str, Json]:
    if len(cells) != len(header):
        raise ValueError(f"row {number} has {len(cells)} cells, the header has {len(header)}.")
    return dict(zip(header, cells, strict=True))


def _parquet(content: bytes) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(pyarrow.BufferReader(content)).to_pylist()
    except pyarrow.ArrowException as error:
        raise ValueError(f"not Parquet: {error}") from error
    return (
        Row(number, {name: plain(value) for name, value in row.items()}) for number, row in enumerate(rows, 1)
    )


def plain(value: Any) -> Json:
    """Return a value of Arrow as plain JSON: dates as ISO texts, binary as base64, not-a-number as null.

    >>> plain({"day": date(2020, 1, 2), "cells": (1, float("nan"))})
    {'day': '2020-01-02', 'cells': [1, None]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | timedelta) else json.dumps(value, default=str)


READERS: Mapping[str, Callable[[bytes], Iterator[Row]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
    "parquet": _parquet,
}
