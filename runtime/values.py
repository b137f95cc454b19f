"""Small questions about plain JSON values: their canonical form, their text, whether they can be stored."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, NoReturn

import rfc8785

from agenttts.spec.model import Json

EDGE = re.compile(r"^[\s\"'`*.,;:!?]+|[\s\"'`*.,;:!?]+$")


def canonical(value: Json) -> bytes:
    """Return the value as canonical JSON (RFC 8785).

    Raises:
        ValueError: if it holds something JSON cannot (NaN, lone surrogates, integers beyond 2**53).

    >>> canonical({"b": 1.0, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    plain: Any = value
    return rfc8785.dumps(plain)


def digest(value: Json) -> str:
    """Return the SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def identity_of(value: Json) -> str:
    """Return a text that is equal for equal values, also for those RFC 8785 refuses."""
    try:
        return canonical(value).decode()
    except ValueError:
        return json.dumps(value, sort_keys=True)


def fold(text: str) -> str:
    """Return the text for comparison: lower case, one space between words, no quotes or stops at its ends.

    Signs inside stay, so that "-1", "1" and "1.5" remain three answers.

    >>> fold('  "New   York". ')
    'new york'
    """
    return EDGE.sub("", " ".join(text.casefold().split()))


def text_of(value: Json) -> str:
    """Return a value as text: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_storable(value: Json) -> bool:
    """Tell whether the value is JSON whose every text is real Unicode (escapes allow lone surrogates)."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def clean(text: str) -> str:
    """Replace what neither database takes: lone surrogates and NUL characters."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _refuse_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


JSON_DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant, parse_float=_finite
)
"""Strict JSON: no NaN, nothing that is infinite (`1e999`), no duplicate keys."""
