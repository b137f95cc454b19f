"""A spec that may still be wrong: what the rules read.

The accessors give an empty value where the user wrote the wrong type, because the schema has already
reported that; so a rule sees right types only and stays one idea long.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agenttts.spec.model import Json
from agenttts.spec.places import pointer_of

MOST_STAGES = 50

Names = Collection[str] | Mapping[str, Mapping[str, Json]]
"""Registered names; as a mapping, with the JSON Schema of each one's options."""

Catalog = Mapping[str, Mapping[str, float]]
"""Embedded models: name -> their `parameters`, `layers`, `hidden`, `context`."""


class Finding(NamedTuple):
    """A fault before its place in the text is looked up."""

    pointer: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class Plugins:
    """What may be named in a spec. The runtime fills this from its tables and from entry points."""

    parsers: Names = frozenset()
    fusions: Names = frozenset()
    metrics: Names = frozenset()
    functions: Names = frozenset()
    searchers: Names = frozenset()


def as_object(value: Json) -> dict[str, Json]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str:
    """Return the value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def as_number(value: Json) -> float | None:
    """Return the value if it is a number, else None."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class TemplateDraft:
    """One template of a stage. text: None when its file is missing; fuses: it is the prompt of a fusion."""

    pointer: str
    text: str | None
    fuses: bool = False


@dataclass(frozen=True, slots=True)
class StageDraft:
    """One stage as written. files: prompt files by path."""

    index: int
    body: dict[str, Json]
    files: Mapping[str, str]

    @property
    def name(self) -> str:
        """The stage's name, "" when it has none."""
        return as_text(self.body.get("name"))

    @property
    def is_function(self) -> bool:
        """Whether this is a Python stage."""
        return "function" in self.body

    def at(self, *keys: str | int) -> str:
        """Return the pointer of a value inside this stage."""
        return pointer_of("stages", self.index, *keys)

    def named(self, key: str) -> list[tuple[str, str]]:
        """Return (pointer, name) of every text in the list `needs` or `models`."""
        values = as_list(self.body.get(key))
        return [(self.at(key, i), value) for i, value in enumerate(values) if isinstance(value, str)]

    def plugin(self, key: str) -> dict[str, Json]:
        """Return a parser, fusion, metric or function as an object; empty when left out."""
        value = self.body.get(key)
        return {"name": value} if isinstance(value, str) else as_object(value)

    def templates(self) -> Iterator[TemplateDraft]:
        """Yield the templates that are written."""
        fusion = as_object(self.body.get("fusion"))
        for key, body in (("system", self.body), ("prompt", self.body), ("prompt", fusion)):
            if key in body:
                at = self.at("fusion", key) if body is fusion else self.at(key)
                yield TemplateDraft(at, self._text(body[key]), body is fusion)

    def _text(self, value: Json) -> str | None:
        if isinstance(value, str):
            return value
        return self.files.get(as_text(as_object(value).get("file")))


@dataclass(frozen=True, slots=True)
class Draft:
    """A document with all that its rules need."""

    document: dict[str, Json]
    files: Mapping[str, str]
    plugins: Plugins
    catalog: Catalog = field(default_factory=dict)

    def part(self, *keys: str) -> dict[str, Json]:
        """Return the object at a path of keys, empty where there is none."""
        value: Json = self.document
        for key in keys:
            value = as_object(value).get(key)
        return as_object(value)

    @property
    def models(self) -> dict[str, dict[str, Json]]:
        """Models by name, the facts of embedded ones filled in from the catalog."""
        return {name: self._filled(as_object(body)) for name, body in self.part("models").items()}

    @property
    def stages(self) -> tuple[StageDraft, ...]:
        """The stages in the order written; no more than the schema allows, so that rules end soon."""
        bodies = enumerate(as_list(self.document.get("stages"))[:MOST_STAGES])
        return tuple(StageDraft(i, body, self.files) for i, body in bodies if isinstance(body, dict))

    @property
    def model_stages(self) -> tuple[StageDraft, ...]:
        """The stages that draw samples."""
        return tuple(stage for stage in self.stages if not stage.is_function)

    @property
    def fields(self) -> frozenset[str]:
        """The names of the mapped fields."""
        return frozenset(self.part("data", "fields"))

    def _filled(self, body: dict[str, Json]) -> dict[str, Json]:
        if body.get("worker") != "embedded":
            return body
        return {**self.catalog.get(as_text(body.get("model")), {}), **body}
