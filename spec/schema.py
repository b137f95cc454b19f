"""The hand-written JSON Schema of a spec, and its faults in plain words.

Every keyword the schema uses has one small generator in `_FAULTS`; jsonschema's own wording is never shown.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from agenttts.spec.draft import Finding
from agenttts.spec.model import Json
from agenttts.spec.places import child, pointer_of
from agenttts.spec.words import is_secret, show, unknown

Schema = Mapping[str, Any]
_Fault = Iterator[tuple[str, str, str]]
_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object {...}",
    "array": "a list [...]",
    "null": "null",
}
_SECRET_NAME = "api_key_env"


@functools.cache
def schema() -> dict[str, Any]:
    """Return the schema of version 1."""
    text = resources.files("agenttts.spec").joinpath("pipeline.v1.schema.json").read_text("utf-8")
    return dict(json.loads(text))


def schema_findings(document: Json) -> list[Finding]:
    """Return all faults of shape in a document."""
    return _findings(_validator(), document, "")


def option_findings(rules: Mapping[str, Json], options: Json, pointer: str) -> list[Finding]:
    """Return the faults of a plug-in's options under the schema that the plug-in brings."""
    return _findings(_Validator(rules, format_checker=_FORMATS), options, pointer)


def _whole_pattern(
    _validator: object, pattern: str, value: object, _schema: Schema
) -> Iterator[ValidationError]:
    """Match to the very end: `$` of Python also matches before a last line break."""
    if isinstance(value, str) and (not re.search(pattern, value) or value.endswith("\n")):
        yield ValidationError("pattern")


_FORMATS = FormatChecker(formats=["regex"])
_Validator: Any = extend(Draft202012Validator, {"pattern": _whole_pattern})  # type: ignore[no-untyped-call]


@functools.cache
def _validator() -> Any:
    return _Validator(schema())


def _findings(validator: Any, document: Json, base: str) -> list[Finding]:
    found: dict[Finding, None] = {}
    for error in validator.iter_errors(document):
        for finding in _explain(error, validator.schema, base):
            found.setdefault(finding)
    return list(found)


def _explain(error: ValidationError, root: Schema, base: str) -> Iterator[Finding]:
    at = base + pointer_of(*error.absolute_path)
    if error.validator in ("oneOf", "anyOf"):
        yield from _branch(error, root, base, at)
        return
    if "propertyNames" in error.absolute_schema_path:
        at = child(at, str(error.instance))
    faults = _FAULTS.get(str(error.validator), _other)
    for key, what, fix in faults(error, root):
        yield Finding(child(at, key) if key else at, what, fix)


def _branch(error: ValidationError, root: Schema, base: str, at: str) -> Iterator[Finding]:
    """Explain only the branch that the user meant: the right type, then most keys in common."""
    written: Any = error.validator_value
    branches = [_resolved(branch, root) for branch in written]
    fitting = [i for i, branch in enumerate(branches) if _is_kind(error.instance, branch.get("type"))]
    if not fitting:
        kinds = " or ".join(dict.fromkeys(_kind(branch.get("type")) for branch in branches))
        yield Finding(at, f"must be {kinds}, got {show(error.instance)}.", _example(error.schema))
        return
    meant = max(fitting, key=lambda i: _shared(error.instance, branches[i]))
    if len(fitting) > 1 and _shared(error.instance, branches[meant]) == 0:
        what = (
            f"{show(error.instance)} has none of the keys expected: {_ways([branches[i] for i in fitting])}."
        )
        yield Finding(at, what, _example(error.schema))
        return
    faults = [inner for inner in error.context or () if inner.relative_schema_path[0] == meant]
    if not faults:
        what = f"{show(error.instance)} mixes ways of writing that exclude each other."
        yield Finding(at, what, f"Keep one: {_ways(branches)}.")
    for inner in faults:
        yield from _explain(inner, root, base)


def _ways(branches: Sequence[Schema]) -> str:
    return "; ".join(" and ".join(show(key) for key in branch.get("required", ())) for branch in branches)


def _resolved(branch: Schema, root: Schema) -> Schema:
    name = str(branch.get("$ref", "")).removeprefix("#/$defs/")
    return root.get("$defs", {}).get(name, branch) if name else branch


def _shared(instance: object, branch: Schema) -> int:
    keys = {*branch.get("properties", ()), *branch.get("required", ())}
    return len(set(instance) & keys) if isinstance(instance, dict) else 0


def _is_kind(instance: object, kinds: Any) -> bool:
    wanted = kinds if isinstance(kinds, list) else [kinds]
    return any(kind is None or _Validator.TYPE_CHECKER.is_type(instance, kind) for kind in wanted)


def _kind(kinds: Any) -> str:
    wanted = kinds if isinstance(kinds, list) else [kinds]
    return " or ".join(_KINDS.get(str(kind), "something else") for kind in wanted)


def _example(rules: Any) -> str:
    examples = rules.get("examples", ()) if isinstance(rules, Mapping) else ()
    return (
        f"Write for example {' or '.join(show(example) for example in examples)}."
        if examples
        else "Write a value that fits."
    )


def _type(error: ValidationError, _root: Schema) -> _Fault:
    yield "", f"must be {_kind(error.validator_value)}, got {show(error.instance)}.", _example(error.schema)


def _required(error: ValidationError, root: Schema) -> _Fault:
    rules: Any = error.schema
    wanted: Any = error.validator_value
    instance: Any = error.instance
    for key in wanted:
        if key not in instance:
            of_key = _resolved(rules.get("properties", {}).get(key, {}), root)
            about = of_key.get("description", "").split(". ")[0].rstrip(".")
            shown = _example(of_key) if "examples" in of_key else ""
            yield (
                "",
                f"the key {show(key)} is missing.",
                f"Add it: {about}. {shown}".rstrip() if about else "Add it.",
            )


def _additional(error: ValidationError, _root: Schema) -> _Fault:
    rules: Any = error.schema
    known = list(rules.get("properties", {}))
    instance: Any = error.instance
    for key in instance:
        if key not in known:
            what, fix = unknown("key", key, known, "Remove it, or put it where it belongs.")
            if "options" in known:
                fix = _moved(key, instance[key], fix)
            yield key, what.replace("no key is named", "there is no key"), fix


def _moved(key: str, value: Any, fix: str) -> str:
    """Say how an option is written that stands beside `options`; it may also be a misspelt key."""
    place = f'under "options": {show({key: value})}'
    if fix.startswith("Did you mean"):
        return f"{fix} If it is an option, move it {place}."
    return f"Move it {place}; if it is no option, remove it."


def _enum(error: ValidationError, _root: Schema) -> _Fault:
    values: Any = error.validator_value
    allowed = show(values)[1:-1]
    _, fix = unknown("value", str(error.instance), map(str, values), f"Use one of {allowed}.")
    yield "", f"{show(error.instance)} is not one of {allowed}.", fix


def _const(error: ValidationError, _root: Schema) -> _Fault:
    yield "", f"must be {show(error.validator_value)}, got {show(error.instance)}.", _example(error.schema)


def _pattern(error: ValidationError, _root: Schema) -> _Fault:
    rules: Any = error.schema
    if _SECRET_NAME in error.absolute_path:
        yield _secret_name(str(error.instance))
        return
    if "propertyNames" in error.absolute_schema_path:
        more = "" if "_]*$" in rules["pattern"] else ", dots, dashes"
        signs = f"letters, digits, underscores{more}"
        yield "", f"the name {show(error.instance)} is not allowed.", f"Use {signs}; start with a letter."
        return
    about = rules.get("description", f"It must match {rules.get('pattern')}.")
    yield "", f"{show(error.instance)} is not allowed here.", f"{about} {_example(rules)}"


def _secret_name(value: str) -> tuple[str, str, str]:
    like_a_key = is_secret(value) or len(value) > 24 or "-" in value
    what = "looks like a secret" if like_a_key else "is not the name of an environment variable"
    fix = "Put the key into an environment variable and write the variable's name, for example MY_API_KEY."
    return "", f"the value {what} (not shown).", fix


def _bound(words: str) -> Callable[[ValidationError, Schema], _Fault]:
    def fault(error: ValidationError, _root: Schema) -> _Fault:
        limit = show(error.validator_value)
        yield "", f"must be {words} {limit}, got {show(error.instance)}.", _example(error.schema)

    return fault


def _size(words: str) -> Callable[[ValidationError, Schema], _Fault]:
    def fault(error: ValidationError, _root: Schema) -> _Fault:
        count = show(error.validator_value)
        yield "", f"must have {words.format(count)}, got {show(error.instance)}.", _example(error.schema)

    return fault


def _unique(error: ValidationError, _root: Schema) -> _Fault:
    values: Any = error.instance
    for i, value in enumerate(values):
        if value in values[:i]:
            yield str(i), f"{show(value)} is listed twice.", "Remove one of them."


def _not(error: ValidationError, _root: Schema) -> _Fault:
    forbidden: Any = error.validator_value
    together = " and ".join(show(key) for key in forbidden.get("required", ()))
    what = f"{together} exclude each other." if together else f"{show(error.instance)} is not allowed here."
    yield "", what, "Keep one of them." if together else _example(error.schema)


def _format(error: ValidationError, _root: Schema) -> _Fault:
    kind = {"regex": "regular expression"}.get(str(error.validator_value), error.validator_value)
    yield "", f"{show(error.instance)} is not a valid {kind}.", _example(error.schema)


def _other(error: ValidationError, _root: Schema) -> _Fault:
    yield "", f"{show(error.instance)} is not allowed here.", _example(error.schema)


_FAULTS: dict[str, Callable[[ValidationError, Schema], _Fault]] = {
    "type": _type,
    "required": _required,
    "additionalProperties": _additional,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "minimum": _bound("at least"),
    "exclusiveMinimum": _bound("more than"),
    "maximum": _bound("at most"),
    "exclusiveMaximum": _bound("less than"),
    "minLength": _size("a length of at least {}"),
    "maxLength": _size("a length of at most {}"),
    "minItems": _size("a length of at least {}"),
    "maxItems": _size("a length of at most {}"),
    "minProperties": _size("a key or more, at least {}"),
    "uniqueItems": _unique,
    "not": _not,
    "format": _format,
}
