"""Read a config and the items that it names from disk. Every fault of any file is reported at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agenttts.runtime.faults.config import Config, ConfigError, read_config
from agenttts.runtime.faults.knowledge import Knowledge
from agenttts.runtime.faults.mood import Task
from agenttts.runtime.faults.provider import Provider
from agenttts.spec.draft import Finding
from agenttts.spec.problem import Problem
from agenttts.spec.words import names, show

MOST_ROWS_SHOWN = 5
SCHEME = b"agenttts answers 1"
"""Part of every digest. Count it up when the same config would give other answers than before."""
OWN_ITEMS = ""
"""In place of a path: the items that come with the config, see `Files`."""


class Files:
    """Reads files of a folder, each once, so that the digest is of the very bytes that were used."""

    def __init__(self, folder: Path, items: Path | bytes | None = None) -> None:
        """Start without any. items: the items of tasks that name none, as JSONL, or where they lie."""
        self._folder, self._items = folder, items
        self._read: dict[str, bytes] = {}

    @property
    def has_items(self) -> bool:
        """Whether there are items for tasks that name none."""
        return self._items is not None

    def text(self, name: str) -> str:
        """Return a file's text; the name OWN_ITEMS is the items.

        Raises:
            OSError: if it cannot be read.
            UnicodeDecodeError: if it is not UTF-8.
        """
        if name not in self._read:
            self._read[name] = self._bytes(name)
        return self._read[name].decode("utf-8")

    def _bytes(self, name: str) -> bytes:
        if name == OWN_ITEMS and self._items is not None:
            return self._items if isinstance(self._items, bytes) else self._items.read_bytes()
        return (self._folder / name).read_bytes()

    def digest(self) -> str:
        """Return the SHA-256 over all that was read."""
        parts = [SCHEME, *(part for name in sorted(self._read) for part in (name.encode(), self._read[name]))]
        sums = b"".join(hashlib.sha256(part).digest() for part in parts)
        return f"sha256:{hashlib.sha256(sums).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A provider, and the digest of the config and all items it was read from."""

    provider: Provider
    digest: str


def read_provider(path: Path, items: Path | bytes | None = None) -> Loaded:
    """Return the provider that a config file describes. items: of tasks that name none, as JSONL.

    Raises:
        ConfigError: with every problem of the config and of its items.
    """
    files = Files(path.parent, items)
    try:
        text = files.text(path.name)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            [Problem("", 1, 1, f"{path} cannot be read: {reason}.", "Check the path.")]
        ) from None
    return Loaded(provider_of(read_config(text), files), files.digest())


def provider_of(config: Config, files: Files) -> Provider:
    """Return the provider of a config and its files.

    Raises:
        ConfigError: with every problem of the items.
    """
    findings: list[Finding] = []
    known: list[Knowledge] = []
    rows_of: dict[str | None, list[Any] | Finding] = {}
    for number, task in enumerate(config.mood.tasks):
        if task.items not in rows_of:
            rows_of[task.items] = _read_rows(f"/tasks/{number}", task.items, files)
        rows = rows_of[task.items]
        faults = [rows] if isinstance(rows, Finding) else _faults(number, task, rows)
        findings += faults
        known += [Knowledge(task, rows)] if isinstance(rows, list) and not faults else []
    if findings:
        raise config.error(findings)
    return Provider(config.mood, tuple(known))


def _read_rows(task: str, name: str | None, files: Files) -> list[Any] | Finding:
    if name is None and not files.has_items:
        fix = "Name a JSONL file under 'items', relative to the folder of this config."
        return Finding(task, "it names no items, and none came with the config.", fix)
    pointer, shown = f"{task}/items", name or "the items"
    try:
        lines = files.text(name or OWN_ITEMS).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        return Finding(pointer, f"{shown} cannot be read: {reason}.", "Paths start at the config's folder.")
    rows: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            return Finding(
                pointer, f"line {number} of {shown} is not JSON: {error}.", "Write one object a line."
            )
    return rows or Finding(pointer, f"{shown} has no items.", "Write one JSON object a line.")


def _faults(number: int, task: Task, rows: Sequence[Any]) -> list[Finding]:
    fields = [("match", task.match), *(("answer", field) for field in task.fields)]
    fields += [(key, getattr(task, key)) for key in ("requires", "requires_of", "wrong")]
    found = [
        Finding(f"/tasks/{number}/{key}", *fault)
        for key, field in fields
        if field is not None and (fault := _fault(key, field, rows))
    ]
    return found or _places(number, task, rows)


def _places(number: int, task: Task, rows: Sequence[Any]) -> list[Finding]:
    """Look for places that `requires_of` does not have."""
    if task.requires is None or task.requires_of is None:
        return []
    for row_number, row in enumerate(rows, 1):
        named, size = row[task.requires], len(row[task.requires_of])
        for place in named if isinstance(named, list) else [named]:
            if type(place) is not int or not 1 <= place <= size:
                what = (
                    f"item {row_number} requires {show(place)} of {size} members of {show(task.requires_of)}."
                )
                return [Finding(f"/tasks/{number}/requires", what, f"Use whole numbers from 1 to {size}.")]
    return []


def _fault(key: str, field: str, rows: Sequence[Any]) -> tuple[str, str] | None:
    """Say in which rows a field is missing or empty."""
    lacking = [place for place, row in enumerate(rows, 1) if not _has(key, row, field)]
    if not lacking:
        return None
    shown = ", ".join(map(str, lacking[:MOST_ROWS_SHOWN])) + (
        ", ..." if len(lacking) > MOST_ROWS_SHOWN else ""
    )
    what = f"{len(lacking)} of {len(rows)} items have no usable field {show(field)} (items {shown})."
    first = rows[lacking[0] - 1]
    known = names(first) if isinstance(first, Mapping) else "none, it is no object"
    return what, f"Fields of item {lacking[0]}: {known}."


def _has(key: str, row: Any, field: str) -> bool:
    value = row.get(field) if isinstance(row, Mapping) else None
    if key in ("wrong", "requires_of"):
        return isinstance(value, list) and bool(value)
    return value is not None and (key != "match" or bool(str(value).strip()))
