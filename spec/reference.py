"""The reference page of the spec format, generated from its schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agenttts.spec.words import show

Schema = Mapping[str, Any]
_KINDS = {"array": "list", "string": "text", "integer": "whole number"}


def reference(schema: Schema) -> str:
    """Return the reference page of a schema as Markdown: one section per object, one row per key."""
    sections = [_section("Pipeline spec", schema, schema)]
    for body in schema.get("$defs", {}).values():
        sections.append(_section(body["title"], body, schema))
    head = "# The pipeline spec\n\nGenerated from the schema; every key, its type, its default, an example.\n"
    return "\n".join([head, *(section for section in sections if section)])


def _section(title: str, body: Schema, root: Schema) -> str:
    if "oneOf" not in body and "properties" not in body:
        return ""
    lines = [f"## {title}", "", str(body["description"]), ""]
    if "properties" in body:
        lines += _table(body, root)
    for branch in body.get("oneOf", ()):
        lines += [f"**{branch['title']}** ({_type(branch, root)}): {branch['description']}", ""]
        lines += _table(branch, root) if "properties" in branch else []
    return "\n".join(lines)


def _table(body: Schema, root: Schema) -> list[str]:
    rows = ["| key | type | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
    for key, written in body["properties"].items():
        rows.append(_row(key, key in body.get("required", ()), written, root))
    return [*rows, ""]


def _row(key: str, required: bool, written: Schema, root: Schema) -> str:
    rules = {**_target(written, root), **written}
    default = "**required**" if required else _code(rules["default"]) if "default" in rules else "–"
    meaning = str(rules["description"]).replace("|", "\\|")
    examples = " ".join(_code(example) for example in rules.get("examples", ()))
    return f"| `{key}` | {_type(written, root)} | {default} | {meaning} | {examples} |"


def _target(written: Schema, root: Schema) -> Schema:
    name = str(written.get("$ref", "")).removeprefix("#/$defs/")
    return dict(root["$defs"][name]) if name else {}


def _type(written: Schema, root: Schema) -> str:
    if "$ref" in written:
        target = _target(written, root)
        if "oneOf" not in target and "properties" not in target:
            return _type(target, root)
        return f"[{target['title']}](#{str(target['title']).lower().replace(' ', '-')})"
    if "enum" in written:
        return " ".join(_code(value) for value in written["enum"])
    if "const" in written:
        return _code(written["const"])
    return " or ".join(_kinds(written, root))


def _kinds(written: Schema, root: Schema) -> Iterator[str]:
    kinds = written["type"] if isinstance(written["type"], list) else [written["type"]]
    for kind in kinds:
        inner = written.get("items") if kind == "array" else written.get("additionalProperties")
        if isinstance(inner, Mapping) and kind in ("array", "object"):
            yield f"{'list' if kind == 'array' else 'object'} of {_type(inner, root)}"
        else:
            yield _KINDS.get(str(kind), str(kind))


def _code(value: object) -> str:
    return f"`{show(value)}`".replace("|", "\\|")
