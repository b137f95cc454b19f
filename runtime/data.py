"""Load items: which belong to the search, which are held out, and what is wrong with them.

Every fault of a source is found before anything is spent; they are reported together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agenttts.runtime.records import Item
from agenttts.runtime.sources import Row, read_rows
from agenttts.runtime.values import digest, identity_of, is_storable, text_of
from agenttts.spec.model import DataSpec, Json, Part

MOST_FAULTS = 50


class DataError(Exception):
    """The data set is not usable. faults: one line each, with the row (counted from 1)."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Keep the faults, shortened when there are very many."""
        more = [f"... and {len(faults) - MOST_FAULTS} more."] if len(faults) > MOST_FAULTS else []
        self.faults = (*faults[:MOST_FAULTS], *more)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True, slots=True)
class DataSet:
    """The items of a search and the held-out ones (none without a holdout part)."""

    search: tuple[Item, ...]
    holdout: tuple[Item, ...]


def load_data(data: DataSpec, folder: Path) -> DataSet:
    """Read both parts. folder: where the spec lies; local sources are relative to it.

    Raises:
        DataError: with every fault found.
    """
    search, faults = _part(data, data.search, "search", folder)
    holdout, more = _part(data, data.holdout, "holdout", folder) if data.holdout else ((), [])
    parts = [part.field for part in (data.search, data.holdout) if part and part.field]
    overlap = leaks(search, holdout, parts)
    faults = [*dict.fromkeys([*faults, *more]), *overlap]
    if faults:
        raise DataError(faults)
    return DataSet(search, holdout)


def load_items(data: DataSpec, source: str, folder: Path, optional: Collection[str] = ()) -> tuple[Item, ...]:
    """Read every item of another source with the same mapping, e.g. new items to run an allocation on.

    optional: fields that are null where the source does not have them.

    Raises:
        DataError: with every fault found.
    """
    items, faults = _part(data, Part(source=source), "items", folder, optional)
    if faults:
        raise DataError(faults)
    return items


def leaks(search: Sequence[Item], holdout: Sequence[Item], parts: Collection[str] = ()) -> list[str]:
    """Return a line for every held-out item that the search also sees: same id, or same content.

    parts: fields that only say which part an item belongs to; they always differ, and are no content.
    """
    ids = {item.id for item in search}
    contents = {_content(item, parts): item.id for item in search}
    return [
        f"holdout item '{item.id}' is also in the search part: same {_likeness(item, ids, contents, parts)}."
        for item in holdout
        if item.id in ids or _content(item, parts) in contents
    ]


def _likeness(item: Item, ids: set[str], contents: dict[str, str], parts: Collection[str]) -> str:
    return "id" if item.id in ids else f"content as '{contents[_content(item, parts)]}'"


def _content(item: Item, parts: Collection[str]) -> str:
    return identity_of({name: value for name, value in item.fields.items() if name not in parts})


def data_digest(items: Sequence[Item]) -> str:
    """Return the SHA-256 over ids and fields, in order.

    Raises:
        ValueError: if a field holds what canonical JSON cannot (an integer beyond 2**53).
    """
    return digest([{"id": item.id, "fields": dict(item.fields)} for item in items])


def _part(
    data: DataSpec, part: Part, name: str, folder: Path, optional: Collection[str] = ()
) -> tuple[tuple[Item, ...], list[str]]:
    source = part.source or data.source
    absent = {data.fields[field]: None for field in optional}
    try:
        read = (Row(row.number, {**absent, **row.values}) for row in read_rows(source, data.format, folder))
        rows = _chosen(list(read), data, part)
    except OSError as error:
        return (), [f"{source}: cannot be read ({error.strerror or error}). Fix its path or address."]
    except ValueError as error:
        return (), [f"{source}: {error}"]
    faults = list(_row_faults(rows, data, source)) or list(_duplicates(rows, data, source))
    if not rows:
        faults = [f"{source}: the {name} part has no items. Fix /data/{name}."]
    return () if faults else tuple(_item(row, data) for row in rows), faults


def _chosen(rows: Sequence[Row], data: DataSpec, part: Part) -> list[Row]:
    if part.rows is not None:
        return list(rows[part.rows[0] : part.rows[1]])
    if part.field is not None:
        column = data.fields.get(part.field, part.field)
        return [row for row in rows if text_of(row.values.get(column)) == text_of(part.value)]
    return list(rows)


def _row_faults(rows: Sequence[Row], data: DataSpec, source: str) -> Iterator[str]:
    wanted = dict.fromkeys((data.id, *data.fields.values()))
    for row in rows:
        for column in wanted:
            if column not in row.values:
                known = ", ".join(map(repr, row.values))
                yield f"{source}, row {row.number}: no column {column!r}. It has {known}. Fix /data."
        if data.id in row.values and not _is_id(row.values[data.id]):
            yield f"{source}, row {row.number}: the id {row.values[data.id]!r} is no text or number."


def _is_id(value: Json) -> bool:
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return plain and value != "" and is_storable(value)


def _duplicates(rows: Sequence[Row], data: DataSpec, source: str) -> Iterator[str]:
    counts = Counter(text_of(row.values[data.id]) for row in rows)
    for identity, count in counts.items():
        if count > 1:
            at = [str(row.number) for row in rows if text_of(row.values[data.id]) == identity]
            yield f"{source}, rows {', '.join(at[:10])}: the id '{identity}' occurs {count} times."


def _item(row: Row, data: DataSpec) -> Item:
    fields: dict[str, Json] = {name: row.values[column] for name, column in data.fields.items()}
    return Item(text_of(row.values[data.id]), fields)
