"""Read a config and the items that it names from disk. Every fault of any file is reported at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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


def read_provider(path: Path) -> Provider:
    """Return the provider that a config file describes.

    Raises:
        ConfigError: with every problem of the config and of its items.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            [Problem("", 1, 1, f"{path} cannot be read: {reason}.", "Check the path.")]
        ) from None
    return provider_of(read_config(text), path.parent)


def provider_of(config: Config, folder: Path) -> Provider:
    """Return the provider of a config whose items lie in a folder.

    Raises:
        ConfigError: with every problem of the items.
    """
    findings: list[Finding] = []
    known: list[Knowledge] = []
    rows_of: dict[str, list[Any] | Finding] = {}
    for number, task in enumerate(config.mood.tasks):
        if task.items not in rows_of:
            rows_of[task.items] = _read_rows(f"/tasks/{number}/items", folder / task.items)
        rows = rows_of[task.items]
        faults = [rows] if isinstance(rows, Finding) else _faults(number, task, rows)
        findings += faults
        known += [Knowledge(task, rows)] if isinstance(rows, list) and not faults else []
    if findings:
        raise config.error(findings)
    return Provider(config.mood, tuple(known))


def _read_rows(pointer: str, path: Path) -> list[Any] | Finding:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        return Finding(pointer, f"{path} cannot be read: {reason}.", "Paths start at the config's folder.")
    rows: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            return Finding(
                pointer, f"line {number} of {path} is not JSON: {error}.", "Write one object a line."
            )
    return rows or Finding(pointer, f"{path} has no items.", "Write one JSON object a line.")


def _faults(number: int, task: Task, rows: Sequence[Any]) -> list[Finding]:
    fields = {"match": task.match, "answer": task.answer, "requires": task.requires}
    found = (
        Finding(f"/tasks/{number}/{key}", *fault)
        for key, field in fields.items()
        if field is not None and (fault := _fault(key, field, rows))
    )
    return list(found)


def _fault(key: str, field: str, rows: Sequence[Any]) -> tuple[str, str] | None:
    """Say in which rows a field is missing or empty."""
    lacking = [place for place, row in enumerate(rows, 1) if not _has(row, field, needs_text=key == "match")]
    if not lacking:
        return None
    shown = ", ".join(map(str, lacking[:MOST_ROWS_SHOWN])) + (
        ", ..." if len(lacking) > MOST_ROWS_SHOWN else ""
    )
    what = f"{len(lacking)} of {len(rows)} items have no usable field {show(field)} (items {shown})."
    first = rows[lacking[0] - 1]
    known = names(first) if isinstance(first, Mapping) else "none, it is no object"
    return what, f"Fields of item {lacking[0]}: {known}."


def _has(row: Any, field: str, needs_text: bool) -> bool:
    value = row.get(field) if isinstance(row, Mapping) else None
    return value is not None and (not needs_text or bool(str(value).strip()))
