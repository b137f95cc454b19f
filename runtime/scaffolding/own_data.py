"""A user's own rows for a new pipeline: read them, find their columns, write them as items."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agenttts.runtime.sources import read_rows
from agenttts.spec.model import Json
from agenttts.spec.paths import format_of
from agenttts.spec.words import names, show

ITEMS = "items.jsonl"
MOST_HELD_OUT = 200
"""Items of the check at the end: each is paid for, and more of them hardly narrow its interval."""
FORMATS = "jsonl, json, csv or parquet"


class OwnDataError(ValueError):
    """A file that cannot be used as data; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A user's rows. columns: those that every row has, in the order of the first."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Json], ...]


def read_own(path: Path) -> Rows:
    """Read a user's file.

    Raises:
        OwnDataError: if it cannot be read, is of no known format, or has no rows.
    """
    kind = format_of(path.name)
    if kind is None:
        raise OwnDataError(f"{path}: its name ends in no known format. Name a file of {FORMATS}.")
    try:
        rows = tuple(row.values for row in read_rows(path.name, kind, path.parent))
    except OSError as error:
        raise OwnDataError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from None
    except UnicodeDecodeError as error:
        raise OwnDataError(f"{path}: it is not UTF-8 (byte {error.start}). Save it as UTF-8.") from None
    except ValueError as error:
        raise OwnDataError(f"{path}: {error} Correct the file.") from None
    if not rows:
        raise OwnDataError(f"{path}: there are no rows. Name a file with at least one.")
    columns = tuple(name for name in rows[0] if all(name in row for row in rows))
    return Rows(path, columns, rows)


def same_name(wanted: str, columns: Iterable[str]) -> str | None:
    """Return the column that is named like a field, whatever its case; None if there is none.

    >>> same_name("answer", ["Question", "Answer"])
    'Answer'
    """
    folded = {column.casefold(): column for column in columns}
    return folded.get(wanted.casefold())


def check_columns(rows: Rows, mapping: Mapping[str, str]) -> None:
    """Refuse columns that are not there.

    Raises:
        OwnDataError: naming the first one, and all that are.
    """
    for field, column in mapping.items():
        if column not in rows.columns:
            what = f"{rows.path}: no column {show(column)} for {show(field)}"
            raise OwnDataError(f"{what}. It has {names(rows.columns)}. Give --field {field}=COLUMN.")


def shaped(
    rows: Rows, mapping: Mapping[str, str], model: Mapping[str, Json], gold: Collection[str] = ()
) -> Rows:
    """Return the rows with values of the kind a template's own item has. Texts that hold JSON become lists,
    objects or numbers where those are wanted: a CSV file has nothing but text.

    Args:
        mapping: column by field. model: an item of the template, by field; fields it lacks may be anything.
        gold: fields that may be null: their items are unscored.
    Raises:
        OwnDataError: if a value cannot be made so.
    """
    wanted = {column: type(model[field]) for field, column in mapping.items() if model.get(field) is not None}
    spared = {mapping[field] for field in gold if field in mapping}
    changed = [
        {
            name: value
            if value is None and name in spared
            else _shaped(value, wanted.get(name), f"{rows.path}, row {number}, column {show(name)}")
            for name, value in row.items()
        }
        for number, row in enumerate(rows.rows, 1)
    ]
    return Rows(rows.path, rows.columns, tuple(changed))


def _shaped(value: Json, kind: type | None, where: str) -> Json:
    if kind not in (list, dict) or isinstance(value, kind):
        return value
    try:
        parsed = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, kind):
        return parsed
    word = "a list" if kind is list else "an object"
    raise OwnDataError(
        f"{where}: {word} is needed, got {show(value)}. Write it as JSON, or map another column."
    )


def as_items(rows: Rows, identity: str | None) -> tuple[bytes, str]:
    """Return the rows as JSON Lines, and the column of their ids: a new one with row numbers if there is
    none.
    """
    column = identity or _free("id", rows.columns)
    numbered = [{column: str(number), **row} for number, row in enumerate(rows.rows, 1)]
    lines: Sequence[Any] = rows.rows if identity else numbered
    return "".join(f"{json.dumps(dict(row), ensure_ascii=True)}\n" for row in lines).encode(), column


def _free(name: str, taken: Iterable[str]) -> str:
    known = set(taken)
    while name in known:
        name = f"row_{name}"
    return name


def parts_of(count: int) -> dict[str, Any]:
    """Return which rows are searched and which are held out: half of them, from four rows on, but at most
    `MOST_HELD_OUT`.

    >>> parts_of(5)
    {'search': {'rows': [0, 3]}, 'holdout': {'rows': [3, 5]}}
    >>> parts_of(10_000)
    {'search': {'rows': [0, 9800]}, 'holdout': {'rows': [9800, 10000]}}
    """
    searched = count - min(count // 2, MOST_HELD_OUT)
    if count < 4:
        return {"search": {"rows": [0, count]}}
    return {"search": {"rows": [0, searched]}, "holdout": {"rows": [searched, count]}}
