"""Read the files that some data sets need beside their rows: tools, aliases, triples."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from agenttts.runtime.converting.fields import MalformedError, member, text, texts
from agenttts.runtime.converting.rows import FormatError, Row, read_rows
from agenttts.runtime.values import JSON_DECODER
from agenttts.spec.model import Json

ID = ("id", "ID", "QuestionId")
OF_THE_QUESTION = ("id", "question", "answers", "answer")


def read_tools(path: Path) -> tuple[Mapping[str, Json], ...]:
    """Return the descriptions in TaskBench's `tool_desc.json`: `{"nodes": [{"id", "desc", ...}]}`.

    Raises:
        OSError: if the file cannot be read.
        FormatError: if it is no such file.
    """
    try:
        document: Json = JSON_DECODER.decode(path.read_text("utf-8-sig"))
        tools = member(document, "nodes") if isinstance(document, dict) else document
        if not isinstance(tools, list) or not tools:
            raise MalformedError('it must be {"nodes": [...]} with at least one tool')
        found = [tool if isinstance(tool, dict) else {"tool": tool} for tool in tools]
        for tool in found:
            text(tool, "id")
    except (ValueError, RecursionError) as error:
        raise FormatError(f"no description of tools: {error}") from error
    return tuple(found)


def read_aliases(path: Path) -> dict[str, list[str]]:
    """Return the further names by Wikidata id in 2WikiMultiHopQA's `id_aliases.json`, one object a line.

    Raises:
        OSError: if the file cannot be read.
        FormatError: at the first line that is none.
    """
    found: dict[str, list[str]] = {}
    for row in _sound(path, "Q_id"):
        with _at(row):
            names = [row.values.get(field) or [] for field in ("aliases", "demonyms")]
            listed = [one for given in names for one in texts(_written(given), "aliases")]
            found.setdefault(text(row.values, "Q_id"), []).extend(listed)
    return found


def _written(names: Json) -> Json:
    """Return names without the empty ones, of which Wikidata has some."""
    return [name for name in names if name != ""] if isinstance(names, list) else names


@contextlib.contextmanager
def _at(row: Row) -> Iterator[None]:
    try:
        yield
    except MalformedError as error:
        raise FormatError(f"{row.where}: {error}") from error


def read_triples(path: Path) -> dict[str, Mapping[str, Json]]:
    """Return members of knowledge-graph rows by id: rows of `{"id", "triples" or "graph", ...}`.

    Raises:
        OSError: if the file cannot be read.
        FormatError: at the first row that has no id, or one that was there before.
    """
    found: dict[str, Mapping[str, Json]] = {}
    for row in _sound(path, "id"):
        with _at(row):
            identity = text(row.values, *ID)
            if identity in found:
                raise MalformedError(f"the id {identity!r} was there before: one of the two would be lost")
        found[identity] = {k: v for k, v in row.values.items() if k not in OF_THE_QUESTION}
    return found


def _sound(path: Path, name: str) -> list[Row]:
    rows = []
    for row in read_rows(path):
        if not isinstance(row, Row):
            raise FormatError(f"{row.where}: {row.what}")
        if not {name, "ID", "QuestionId"} & row.values.keys():
            raise FormatError(f"{row.where}: no {name!r}; it has {json.dumps(list(row.values))[:200]}")
        rows.append(row)
    return rows
