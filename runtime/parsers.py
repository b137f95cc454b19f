"""Turn a completion's text into a value. A parser never raises and never guesses: it returns `Unparsed`.

`PARSERS` maps a name to a factory that takes options and gives the parser. Factories do raise, on bad
options.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema
import referencing

from agenttts.runtime.options import OptionError, Options, known, option, optional_text
from agenttts.runtime.values import JSON_DECODER, fold, is_storable
from agenttts.spec.model import Json

MAX_ID_DIGITS = 15
MAX_JSON_STARTS = 1000
FENCE = re.compile(r"```[\w-]*\s*\n?(.*?)```", re.DOTALL)
LEAD = r"(?:answer|option|choice)(?:\s+is)?\s*:?\s*[(\[*\"']*"


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A text that holds no value of the wanted kind, and why."""

    reason: str


Parsed = Json | Unparsed
Parser = Callable[[str], Parsed]
ParserFactory = Callable[[Options], Parser]


def text_parser(options: Options) -> Parser:
    """Give the text itself, without surrounding white space.

    Options:
        after: keep only what follows the last occurrence of this marker.

    >>> text_parser({"after": "Answer:"})("Hm. Answer: Paris ")
    'Paris'
    """
    known(options, "after")
    after = optional_text(options, "after")

    def parse(text: str) -> Parsed:
        if after is not None and after not in text:
            return Unparsed(f"no {after!r} in the text")
        value = text if after is None else text.rpartition(after)[2]
        return value.strip() or Unparsed("empty text")

    return parse


def ids_parser(options: Options) -> Parser:
    r"""Give the distinct ids in the text, in order of appearance.

    Options:
        pattern: regular expression whose first group (or whole match) is an id; default `\[(\d+)\]`.
        allow_empty: a text without ids means "none" and gives []; default false.

    >>> ids_parser({})("[2] and [1], so [2]")
    [2, 1]
    """
    known(options, "pattern", "allow_empty")
    pattern = _compile(option(options, "pattern", r"\[(\d+)\]"))
    allow_empty = option(options, "allow_empty", False)

    def parse(text: str) -> Parsed:
        found = [m.group(1 if pattern.groups else 0) for m in pattern.finditer(text)]
        ids: list[Json] = list(dict.fromkeys(_id(i) for i in found if i))
        return ids if ids or allow_empty else Unparsed(f"no id matches {pattern.pattern}")

    return parse


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise OptionError(f"option 'pattern' is no regular expression: {error}.") from error


def _id(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) <= MAX_ID_DIGITS else text


def choice_parser(options: Options) -> Parser:
    """Give the one of the choices that the text names, as it is written there.

    The whole text, folded, may be the choice; otherwise exactly one must occur as a whole word (the
    longest wins where they overlap). Choices of one character count only where they are marked as an answer
    ("answer is B", "(B)", "B."), because "a" is also a word.

    Options:
        choices: the allowed texts.

    >>> choice_parser({"choices": ["yes", "no"]})("No, it is not.")
    'no'
    """
    known(options, "choices")
    texts = options.get("choices")
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and fold(t) for t in texts):
        raise OptionError("option 'choices' must be a list of texts.")
    by_fold = {fold(str(t)): str(t) for t in texts}
    words = _choice_pattern(by_fold)

    def parse(text: str) -> Parsed:
        if fold(text) in by_fold:
            return by_fold[fold(text)]
        found = {next(g for g in m.groups() if g is not None) for m in words.finditer(fold(text))}
        if len(found) == 1:
            return by_fold[found.pop()]
        return Unparsed(f"names {len(found)} of the {len(by_fold)} choices")

    return parse


def _choice_pattern(names: Mapping[str, str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    long = "|".join(re.escape(n) for n in longest_first if len(n) > 1)
    short = "|".join(re.escape(n) for n in longest_first if len(n) == 1)
    parts = [rf"(?<!\w)({long})(?!\w)"] if long else []
    if short:
        marks = rf"{LEAD}({short})(?!\w)", rf"^[(\[]?({short})[)\].:]", rf"[(\[]({short})[)\]]"
        parts += marks
    return re.compile("|".join(parts))


def json_parser(options: Options) -> Parser:
    """Give the first JSON value of the text: the whole text, a fenced block, or an object or array inside it.

    Options:
        schema: a JSON Schema (draft 2020-12); the first value that fits it is taken.

    >>> json_parser({})('Sure: {"a": [1]} as asked')
    {'a': [1]}
    """
    known(options, "schema")
    fault = _schema_check(options.get("schema", True))

    def parse(text: str) -> Parsed:
        reason = None
        for value in _json_values(text):
            problem = fault(value)
            if problem is None:
                return value
            reason = reason or problem
        return Unparsed(reason or "no JSON value in the text")

    return parse


def _schema_check(schema: Json) -> Callable[[Json], str | None]:
    plain: Any = schema
    try:
        jsonschema.Draft202012Validator.check_schema(plain)
    except jsonschema.SchemaError as error:
        raise OptionError(f"option 'schema' is no JSON Schema: {error.message}.") from error
    registry: Any = referencing.Registry()
    validator = jsonschema.Draft202012Validator(plain, registry=registry)  # an empty registry: no network

    def fault(value: Json) -> str | None:
        if not is_storable(value):
            return "the JSON holds text that is not Unicode"
        try:
            error = next(validator.iter_errors(value), None)
        except (referencing.exceptions.Unresolvable, RecursionError) as failure:
            return f"the schema cannot be applied: {failure}"
        return None if error is None else f"JSON does not fit the schema: {error.message[:200]}"

    return fault


def _json_values(text: str) -> Iterator[Json]:
    for whole in (text, *FENCE.findall(text)):
        value, end = _decode(whole.strip(), 0)
        if end is not None and not whole.strip()[end:].strip():
            yield value
    start, tries = 0, 0
    while tries < MAX_JSON_STARTS and (match := re.compile(r"[{\[]").search(text, start)):
        value, end = _decode(text, match.start())
        if end is not None:
            yield value
        start, tries = end or match.start() + 1, tries + 1


def _decode(text: str, start: int) -> tuple[Json, int | None]:
    try:
        value, end = JSON_DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, None
    return value, end


PARSERS: dict[str, ParserFactory] = {
    "text": text_parser,
    "ids": ids_parser,
    "choice": choice_parser,
    "json": json_parser,
}
