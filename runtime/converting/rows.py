"""Read the rows of a published file one by one: JSON Lines, a JSON array, CSV, Parquet, or WebQSP's object.

A row that cannot be read is a `Fault` and reading goes on, where the format allows that (JSON Lines). Memory
does not grow with the file, but for the one object that WebQSP is.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agenttts.runtime.sources import RepeatedError, check_header, csv_reader, plain
from agenttts.runtime.values import JSON_DECODER
from agenttts.spec.model import Json

CHUNK = 1 << 20
BETWEEN = re.compile(r"[\s,]*")
WRAPPERS = ("Questions", "data")
"""Members under which an object holds the rows: WebQSP's, and a common one."""


class FormatError(ValueError):
    """A file is not of a form that its rows can be found in."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, and where it stands, e.g. "line 3" or "array index 2"."""

    where: str
    values: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one row, and where it stands."""

    where: str
    what: str


def read_rows(path: Path) -> Iterator[Row | Fault]:
    """Read every row of a file.

    Raises:
        OSError: if the file cannot be read.
        FormatError: if it is none of the formats, or breaks off where reading cannot go on.
    """
    reader = {".csv": _csv, ".parquet": _parquet}.get(path.suffix.lower(), _json)
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8: {error.reason} at byte {error.start}") from error


def _json(path: Path) -> Iterator[Row | Fault]:
    with path.open(encoding="utf-8-sig") as file:
        start = next((c for c in iter(lambda: file.read(1), "") if not c.isspace()), "")
        if start == "[":
            yield from _array(file)
        elif start == "{":
            file.seek(0)
            yield from _lines_or_object(file)
        elif start:
            raise FormatError(f"neither JSON nor JSON Lines: it begins with {start!r}")


def _array(file: IO[str]) -> Iterator[Row | Fault]:
    text, at, number = "", 0, 0
    while True:
        at = _match_end(text, at)
        if text[at : at + 1] == "]":
            _check_end(text[at + 1 :], file)
            return
        value, end = _decoded(text, at, number)
        if end is None or end == len(text):  # a number or an element may go on in what was not read yet
            more = file.read(max(CHUNK, len(text)))
            if not more:
                raise FormatError(f"array index {number}: the JSON is broken from here on")
            text, at = text[at:] + more, 0
            continue
        yield _row(f"array index {number}", value)
        at, number = end, number + 1


def _check_end(rest: str, file: IO[str]) -> None:
    """See that nothing comes after an array: a second one would be lost."""
    while not (more := rest.strip()) and (rest := file.read(CHUNK)):
        pass
    if more:
        raise FormatError(f"after the array's end comes {more[:40]!r}: one file must be one JSON value")


def _match_end(text: str, at: int) -> int:
    found = BETWEEN.match(text, at)
    return found.end() if found else at


def _decoded(text: str, at: int, number: int) -> tuple[Json, int | None]:
    try:
        value, end = JSON_DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        return None, None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"array index {number}: {error}") from error
    return value, end


def _lines_or_object(file: IO[str]) -> Iterator[Row | Fault]:
    first = file.readline()
    while not first.strip():
        first = file.readline()
    file.seek(0)
    if _is_json(first):
        yield from _lines(file)
        return
    text = file.read()
    try:
        whole: Json = JSON_DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        if first.rstrip().endswith("}"):  # a broken line among lines
            file.seek(0)
            yield from _lines(file)
            return
        raise FormatError(f"neither JSON nor JSON Lines: {error}") from error
    yield from _members(whole, "the file")


def _is_json(text: str) -> bool:
    try:
        JSON_DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(file: IO[str]) -> Iterator[Row | Fault]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            value: Json = JSON_DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            yield Fault(f"line {number}", f"not JSON: {error}")
            continue
        yield from _members(value, f"line {number}")


def _members(value: Json, where: str) -> Iterator[Row | Fault]:
    wrapped = [value[k] for k in WRAPPERS if k in value] if isinstance(value, dict) else []
    if wrapped and isinstance(wrapped[0], list):
        yield from (_row(f"array index {number}", one) for number, one in enumerate(wrapped[0]))
    else:
        yield _row(where, value)


def _row(where: str, value: Json) -> Row | Fault:
    if isinstance(value, dict):
        return Row(where, value)
    return Fault(where, f"must be an object, got {json.dumps(value)[:60]}")


def _csv(path: Path) -> Iterator[Row | Fault]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv_reader(file)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            check_header(header)
            for cells in reader:
                where = f"line {reader.line_num}"
                if len(cells) == len(header):
                    yield Row(where, dict(zip(header, cells, strict=True)))
                elif cells:
                    yield Fault(where, f"{len(cells)} cells, but the header has {len(header)}")
        except csv.Error as error:
            raise FormatError(f"line {reader.line_num}: not CSV: {error}") from error
        except RepeatedError as error:
            raise FormatError(str(error)) from error


def _parquet(path: Path) -> Iterator[Row | Fault]:
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(f"row {number}", {name: plain(value) for name, value in values.items()})
    except pyarrow.ArrowException as error:
        raise FormatError(f"row {number + 1}: not Parquet: {error}") from error
