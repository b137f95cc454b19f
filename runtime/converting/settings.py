"""What a conversion is told beside its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from agenttts.runtime.converting.rows import Fault, Row
from agenttts.spec.model import Json

Unit = Literal["paragraph", "sentence"]
Rows = Callable[[], Iterator[Row | Fault]]
"""Reads the file again each time it is called."""
Make = Callable[[Mapping[str, Json]], dict[str, Json]]
"""Turns a row into an item; raises MalformedError."""
Prepare = Callable[[Rows, "Settings"], Make]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to convert.

    candidates: texts or triples of an item, gold ones included; more only where gold alone is more.
    seed: of the candidates' order. unit: what a text is; None: the data set's own. titles: whether texts
    begin with their title; None: paragraphs do. aliases: further answers by Wikidata id. triples: further
    members of knowledge-graph rows by id. tools: descriptions of the tools.
    """

    candidates: int = 100
    seed: int = 0
    unit: Unit | None = None
    titles: bool | None = None
    aliases: Mapping[str, list[str]] = field(default_factory=dict)
    triples: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    tools: tuple[Mapping[str, Json], ...] = ()
