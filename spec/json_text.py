"""Read JSON strictly and remember where every value stands.

Python's own reader drops positions, accepts NaN, and lets the last of two equal keys win. This one never
raises: what is wrong becomes a `Problem`. Small faults are collected; a syntax error ends the reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agenttts.spec.model import Json
from agenttts.spec.places import Places, child
from agenttts.spec.problem import Problem
from agenttts.spec.words import hidden, show

DEEPEST = 100
LARGEST = 2**53 - 1

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[^\s\[\]{},:\"]{1,200}")
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS: dict[str, Json] = {"true": True, "false": False, "null": None}
_MISTAKES = (
    (("True", "False"), "JSON has no {word}.", "Write it in small letters: true or false."),
    (("None", "undefined", "nil"), "JSON has no {word}.", "Write null, or leave the key out."),
    (("NaN", "-NaN", "Infinity", "-Infinity", "+Infinity"), "{word} is no JSON number.", "Write a number."),
    (("//", "/*", "#"), "JSON has no comments.", 'Remove it, or put the text under a "comment" key.'),
    (("'",), "a text stands in single quotes.", 'Use double quotes: "...".'),
    (("+", "."), "this is not a JSON number.", "Start a number with a digit or a minus sign."),
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text holds. readable: False after a syntax error; value is then None."""

    value: Json
    places: Places
    problems: tuple[Problem, ...]
    readable: bool


def parse(text: str) -> Parsed:
    """Read one JSON document; never raises.

    >>> parse('{"a": [1, 2]}').value
    {'a': [1, 2]}
    >>> str(parse('{"a": 1,}').problems[0])
    '/ (line 1, column 8): there is a comma with nothing after it. Remove the comma.'
    """
    scanner = _Scanner(text)
    try:
        value, readable = scanner.document(), True
    except _StopError as stop:
        scanner.note("", *stop.args)
        value, readable = None, False
    places = Places.of(text, scanner.offsets)
    problems = (Problem(pointer, *places.position(at), what, fix) for pointer, at, what, fix in scanner.notes)
    return Parsed(value, places, tuple(problems), readable)


class _StopError(Exception):
    """Ends the reading. args: (offset, what, fix)."""


@dataclass(slots=True)
class _Scanner:
    """One reading of one text. offsets: pointer -> start of its value; notes: (pointer, start, what, fix)."""

    text: str
    offsets: dict[str, int] = field(default_factory=dict)
    notes: list[tuple[str, int, str, str]] = field(default_factory=list)

    def note(self, pointer: str, at: int, what: str, fix: str) -> None:
        self.notes.append((pointer, at, what, fix))

    def document(self) -> Json:
        start = 0
        if self.text.startswith("\ufeff"):
            self.note("", 0, "the file starts with a byte order mark.", "Save it as UTF-8 without BOM.")
            start = 1
        value, end = self._value(start, "", 0)
        end = self._skip(end)
        if end < len(self.text):
            raise _StopError(end, "there is more text after the document.", "Keep one JSON object only.")
        return value

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def _value(self, at: int, pointer: str, depth: int) -> tuple[Json, int]:
        at = self._skip(at)
        self.offsets[pointer] = at
        if depth > DEEPEST:
            raise _StopError(at, f"values are nested more than {DEEPEST} deep.", "Flatten the document.")
        start = self.text[at : at + 1]
        if start == "{":
            return self._object(at, pointer, depth)
        if start == "[":
            return self._array(at, pointer, depth)
        if start == '"':
            return self._string(at, pointer)
        return self._number(at, pointer) if _NUMBER.match(self.text, at) else self._literal(at)

    def _object(self, start: int, pointer: str, depth: int) -> tuple[Json, int]:
        found: dict[str, Json] = {}
        at = self._skip(start + 1)
        done = self.text.startswith("}", at)
        end = at + 1
        while not done:
            key, value_at = self._key(at, pointer, start)
            if key in found:
                self.note(
                    child(pointer, key), at, f"the key {show(key)} is written twice.", "Keep one of them."
                )
            found[key], end = self._value(value_at, child(pointer, key), depth + 1)
            at, end, done = self._next(end, "}", start)
        return found, end

    def _key(self, at: int, pointer: str, start: int) -> tuple[str, int]:
        if not self.text.startswith('"', at):
            if at >= len(self.text):
                raise self._unclosed(start, "}")
            self._explain(at)
            raise _StopError(at, f"a key is expected, got {self._word(at)}.", 'Write keys as "key": value.')
        key, end = self._string(at, pointer)
        end = self._skip(end)
        if not self.text.startswith(":", end):
            raise _StopError(end, f"a colon is missing after the key {show(key)}.", 'Write "key": value.')
        return key, end + 1

    def _array(self, start: int, pointer: str, depth: int) -> tuple[Json, int]:
        found: list[Json] = []
        at = self._skip(start + 1)
        done = self.text.startswith("]", at)
        end = at + 1
        while not done:
            value, end = self._value(at, f"{pointer}/{len(found)}", depth + 1)
            found.append(value)
            at, end, done = self._next(end, "]", start)
        return found, end

    def _next(self, at: int, closer: str, start: int) -> tuple[int, int, bool]:
        """Step over a comma or the closing bracket: (next member, end, whether it closed)."""
        at = self._skip(at)
        if self.text.startswith(closer, at):
            return at, at + 1, True
        if at >= len(self.text):
            raise self._unclosed(start, closer)
        if not self.text.startswith(",", at):
            self._explain(at)
            fix = f"Put a comma between values, or close with {closer}."
            raise _StopError(at, f"a comma or {closer} is expected, got {self._word(at)}.", fix)
        after = self._skip(at + 1)
        if self.text.startswith(("}", "]"), after):
            raise _StopError(at, "there is a comma with nothing after it.", "Remove the comma.")
        return after, after, False

    def _number(self, at: int, pointer: str) -> tuple[Json, int]:
        match = _NUMBER.match(self.text, at)
        assert match is not None
        rest = _WORD.match(self.text, match.end())
        if rest:
            self._explain(at)
            what = f"{hidden(match[0] + rest[0])[:20]!a} is not a JSON number."
            raise _StopError(at, what, "Write e.g. 12, 0.5 or 7e9, without leading zeros or units.")
        whole = match[1] is None and match[2] is None
        value: int | float = int(match[0]) if whole and len(match[0]) < 20 else float(match[0])
        if abs(value) > LARGEST if whole else value in (float("inf"), float("-inf")):
            what = f"the number {match[0]:.40} is too large."
            self.note(pointer, at, what, f"Stay within ±{LARGEST}.")
            value = 0
        return value, match.end()

    def _literal(self, at: int) -> tuple[Json, int]:
        word = _WORD.match(self.text, at)
        if word and word[0] in _LITERALS:
            return _LITERALS[word[0]], word.end()
        self._explain(at)
        if at >= len(self.text):
            raise _StopError(at, "the text ends where a value is expected.", "Complete the document.")
        fix = 'Put texts in double quotes: "...".'
        raise _StopError(at, f"a value is expected, got {self._word(at)}.", fix)

    def _string(self, start: int, pointer: str) -> tuple[str, int]:
        parts: list[str] = []
        at = start + 1
        while True:
            plain = _PLAIN.match(self.text, at)
            assert plain is not None
            parts.append(plain[0])
            at = plain.end()
            if not self.text.startswith("\\", at):
                break
            part, at = self._escape(at)
            parts.append(part)
        if not self.text.startswith('"', at):
            raise self._bad_text(start, at)
        value = "".join(parts)
        if _SURROGATE.search(value):
            fix = "Write both halves of the pair, or the character itself."
            self.note(pointer, start, "the text holds half of a character (a lone surrogate).", fix)
            value = _SURROGATE.sub("\ufffd", value)
        return value, at + 1

    def _escape(self, at: int) -> tuple[str, int]:
        pair = _PAIR.match(self.text, at)
        if pair:
            high, low = int(pair[1], 16), int(pair[2], 16)
            return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00), pair.end()
        letter = self.text[at + 1 : at + 2]
        if letter in _ESCAPES and letter:
            return _ESCAPES[letter], at + 2
        code = _HEX.match(self.text, at + 2) if letter == "u" else None
        if code is None:
            fix = r"Use \n, \t, \", \\ or \uXXXX; write \\ for a backslash itself."
            raise _StopError(at, f"the escape {self.text[at : at + 2]!a} does not exist.", fix)
        return chr(int(code[0], 16)), code.end()

    def _bad_text(self, start: int, at: int) -> _StopError:
        if at >= len(self.text):
            return _StopError(start, "a text is not closed.", 'Add the closing ".')
        what = f"a text holds the control character {self.text[at]!a}."
        return _StopError(at, what, r"Write a line break as \n and a tab as \t inside a text.")

    def _unclosed(self, start: int, closer: str) -> _StopError:
        opened = Places.of(self.text, {}).position(start)
        what = f"the {self.text[start]} opened at line {opened[0]}, column {opened[1]} is not closed."
        return _StopError(len(self.text), what, f"Add {closer}.")

    def _word(self, at: int) -> str:
        word = re.compile(r"[^\s\[\]{},:\"]+").match(self.text, at)
        return ascii(hidden(word[0])[:20] if word else self.text[at])

    def _explain(self, at: int) -> None:
        """Stop with plain words if this is one of the usual mistakes."""
        word = _WORD.match(self.text, at)
        for starts, what, fix in _MISTAKES:
            if word and (word[0] in starts or (not starts[0].isalnum() and word[0].startswith(starts))):
                raise _StopError(at, what.format(word=word[0]), fix)
