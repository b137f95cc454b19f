"""Take typed members out of a row, or say what is wrong with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from agenttts.runtime.values import JSON_DECODER, is_storable
from agenttts.spec.model import Json


class MalformedError(ValueError):
    """A row does not hold what its data set promises; the message says what."""


def member(values: Mapping[str, Json], *names: str) -> Json:
    """Return the first of the members that is there and not null.

    Raises:
        MalformedError: if none is.
    """
    for name in names:
        if values.get(name) is not None:
            return values[name]
    has = ", ".join(map(repr, values)) or "nothing"
    raise MalformedError(f"no {' or '.join(map(repr, names))}; it has {has}")


def text(values: Mapping[str, Json], *names: str) -> str:
    """Return a text that is not empty; a number is written as one."""
    found = member(values, *names)
    if isinstance(found, int | float) and not isinstance(found, bool):
        found = json.dumps(found)
    return plain_text(found, names[0])


def plain_text(value: Json, name: str) -> str:
    """Return the value if it is a text that is not empty and can be stored, without outer space."""
    if not isinstance(value, str) or not value.strip() or not is_storable(value):
        raise MalformedError(f"{name!r} must be a text, got {json.dumps(value)[:80]}")
    return value.strip()


def array(value: Json, name: str) -> list[Json]:
    """Return a list; a text that holds a JSON list, as some releases store it, is read."""
    if isinstance(value, str):
        written = value
        try:
            value = JSON_DECODER.decode(written)
        except (ValueError, RecursionError):
            raise MalformedError(f"{name!r} must be a list, got the text {written[:60]!r}") from None
    if not isinstance(value, list):
        raise MalformedError(f"{name!r} must be a list, got {json.dumps(value)[:80]}")
    return value


def texts(value: Json, name: str) -> list[str]:
    """Return a list of texts."""
    return [plain_text(one, name) for one in array(value, name)]


def whole(value: Json, name: str) -> int:
    """Return a whole number."""
    if type(value) is not int:
        raise MalformedError(f"{name!r} must be a whole number, got {json.dumps(value)[:60]}")
    return value


def chosen(members: list[Json], places: Json, name: str) -> list[Json]:
    """Return the members at places counted from 1."""
    numbers = [whole(place, name) for place in array(places, name)]
    for number in numbers:
        if not 1 <= number <= len(members):
            raise MalformedError(f"{name!r} names place {number}, but there are {len(members)}")
    return [members[number - 1] for number in numbers]


def shuffled(keys: Iterable[str], seed: int, identity: str) -> list[str]:
    """Return the keys in an order that depends on seed, id and keys alone, not on where they stood.

    >>> shuffled("abc", 0, "x") == shuffled("cba", 0, "x")
    True
    """

    def place(key: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{identity}\0{key}".encode()).digest()

    return sorted(keys, key=place)
