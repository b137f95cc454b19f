"""What `agenttts init` asks, and the files that its answers make. Writes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from agenttts.runtime.cli import common
from agenttts.runtime.scaffolding.drafts import Endpoint, Source, drafted, simulation, slug, with_data
from agenttts.runtime.scaffolding.own_data import (
    ITEMS,
    OwnDataError,
    Rows,
    as_items,
    check_columns,
    parts_of,
    read_own,
    same_name,
    shaped,
)
from agenttts.runtime.scaffolding.templates import SIMULATION, SPEC, Template, templates

OWN = "own"
FIRST = "two-hop-qa"
NEEDED = {"question": "the question", "answer": "the right answer"}
OPTIONAL = {
    "passages": "passages to select from first, a list of texts",
    "gold": "the numbers of the right passages, a list, from 1",
}
SHAPES: Mapping[str, Any] = {"passages": [""], "gold": [1]}
URL = "http://localhost:8000/v1"
MODELS = "small=8e9 large=70e9"
FEWEST_PARAMETERS = 1e6
"""Fewer are a slip: `7` for seven billion."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of the command, as given. fields: column by field. key: name of a variable."""

    folder: Path
    template: str | None
    data: Path | None
    identity: str | None
    fields: Mapping[str, str]
    base_url: str | None
    models: tuple[str, ...]
    key: str | None

    @property
    def name(self) -> str:
        """The new pipeline's name."""
        return slug(self.folder.resolve().name)


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks on stderr, or takes the default. yes: never ask."""

    yes: bool

    def __call__(self, question: str, option: str, default: str | None = None) -> str:
        """Return an answer; where the default is empty, so may be the answer.

        Raises:
            Stop: if there is no default and nobody to ask.
        """
        if self.yes and default is not None:
            return default
        if self.yes:
            raise common.Stop(f"init: {question}? Give {option}.", common.Exit.MISTAKE)
        try:
            answer: str = click.prompt(question, default=default, err=True, show_default=bool(default))
        except click.Abort:
            if sys.stdin.isatty():
                raise
            click.echo(err=True)
            what = f"init: {question}? Nobody answers here. Give {option}, or --yes for the defaults."
            raise common.Stop(what, common.Exit.MISTAKE) from None
        return answer.strip()


def files_of(wish: Wish, ask: Ask) -> tuple[str, dict[str, bytes]]:
    """Return what the new pipeline is made from, and its files.

    Raises:
        OwnDataError: if the user's items cannot be used.
        Stop: if an option cannot.
    """
    offered = templates()
    known = {name: one for one in offered for name in (one.name, one.short)}
    chosen = wish.template or _template(wish, ask)
    if chosen == OWN:
        return OWN, _own(wish, ask)
    if chosen not in known:
        shorts = ", ".join(one.short for one in offered)
        what = f"init: --template: no template named {chosen!r}. Known: {shorts}, {OWN}."
        raise common.Stop(what, common.Exit.MISTAKE)
    found = known[chosen]
    return found.name, dict(found.files) if wish.data is None else _adapted(found, wish, ask)


def _template(wish: Wish, ask: Ask) -> str:
    if not ask.yes:
        listed = {one.short: one.description for one in templates()}
        for name, words in {**listed, OWN: "Answer a question, with your own items and models."}.items():
            click.echo(f"  {name:<22}{words}", err=True)
    return ask("Template", "--template NAME", OWN if wish.data else FIRST)


def _adapted(template: Template, wish: Wish, ask: Ask) -> dict[str, bytes]:
    """Return a template's files with the user's own items."""
    assert wish.data is not None
    rows, document = read_own(wish.data), template.document
    mapping = {field: _column(rows, field, field, wish, ask) for field in document["data"]["fields"]}
    items, source = _source(rows, mapping, wish, template.first_item, template.gold)
    dropped = template.data_files | template.own_simulation
    kept = {path: content for path, content in template.files.items() if path not in dropped}
    specs = {path: _json(with_data(spec, wish.name, source)) for path, spec in template.specs.items()}
    if template.own_simulation:
        click.echo(f"left out {SIMULATION}: it knows only the template's own items", err=True)
    return {**kept, **specs, ITEMS: items}


def _own(wish: Wish, ask: Ask) -> dict[str, bytes]:
    """Return a pipeline made from answers, and a simulation of its models."""
    rows = read_own(wish.data or Path(ask("File with your items", "--data FILE")))
    mapping = {field: _column(rows, field, words, wish, ask) for field, words in NEEDED.items()}
    for field, words in OPTIONAL.items():
        column = _column(rows, field, words, wish, ask, optional=True)
        mapping |= {field: column} if column else {}
    if "gold" in mapping and "passages" not in mapping:
        raise OwnDataError("the field 'gold' holds numbers of 'passages'. Map them too, or leave it out.")
    items, source = _source(rows, mapping, wish, SHAPES, frozenset({"answer", "gold"}))
    by_field = [{field: row[column] for field, column in mapping.items()} for row in rows.rows]
    spec = drafted(wish.name, source, by_field, _endpoint(wish, ask))
    return {SPEC: _json(spec), ITEMS: items, SIMULATION: _json(simulation(spec))}


def _source(
    rows: Rows, mapping: Mapping[str, str], wish: Wish, model: Mapping[str, Any], gold: frozenset[str]
) -> tuple[bytes, Source]:
    """Return the items as a file's contents, and how a spec names them. model: an item of the right shape.
    gold: fields that may be null.
    """
    check_columns(rows, {**mapping, **({"id": wish.identity} if wish.identity else {})})
    identity = wish.identity or ("id" if "id" in rows.columns else None)
    items, column = as_items(shaped(rows, mapping, model, gold), identity)
    return items, Source(ITEMS, column, mapping, parts_of(len(rows.rows)))


def _column(rows: Rows, field: str, words: str, wish: Wish, ask: Ask, optional: bool = False) -> str:
    """Return the column of a field: as the options say, else as the answer does; "" for none."""
    if field in wish.fields:
        return wish.fields[field]
    default = same_name(field, rows.columns) or ("" if optional else None)
    shown = ", ".join(rows.columns) + (", or nothing" if optional else "")
    return ask(f"Column with {words} ({shown})", f"--field {field}=COLUMN", default)


def _endpoint(wish: Wish, ask: Ask) -> Endpoint:
    url = wish.base_url or ask("Address of an OpenAI-compatible endpoint", "--base-url URL", URL)
    asked = () if wish.models else ask("Its models, as NAME=PARAMETERS", "--model", MODELS).split()
    sizes = {name: _size(name, text) for name, text in pairs("--model", (*wish.models, *asked)).items()}
    question = "Environment variable with its key, or nothing"
    return Endpoint(url, sizes, wish.key or ask(question, "--api-key-env NAME", "") or None)


def _size(name: str, text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not FEWEST_PARAMETERS <= size < float("inf"):
        what = f"init: --model: {name}={text} is no model's number of parameters. Write e.g. {name}=8e9."
        raise common.Stop(what, common.Exit.MISTAKE)
    return size


def pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """Read `NAME=VALUE` texts. Names of models may hold an equals sign, names of columns too.

    Raises:
        Stop: if one is no such text.
    """
    split = [text.rpartition("=") if option == "--model" else text.partition("=") for text in given]
    for text, (name, _, value) in zip(given, split, strict=True):
        if not name or not value:
            raise common.Stop(f"init: {option}: {text!r} is not NAME=VALUE.", common.Exit.MISTAKE)
    return {name: value for name, _, value in split}


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
