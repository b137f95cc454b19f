"""JSON pointers (RFC 6901), and where in a text they stand."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass


def child(pointer: str, key: str | int) -> str:
    """Return the pointer one step further down.

    >>> child("/models", "a/b")
    '/models/a~1b'
    """
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def pointer_of(*keys: str | int) -> str:
    """Return the pointer of a path of keys and indices.

    >>> pointer_of("stages", 0, "name")
    '/stages/0/name'
    """
    pointer = ""
    for key in keys:
        pointer = child(pointer, key)
    return pointer


def natural(pointer: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which /stages/2 comes before /stages/10."""
    parts = pointer.split("/")[1:]
    return tuple((0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in parts)


@dataclass(frozen=True, slots=True)
class Places:
    """Where every value of a text starts. offsets: pointer -> offset; lines: offset of every line's start."""

    offsets: Mapping[str, int]
    lines: tuple[int, ...]

    @classmethod
    def of(cls, text: str, offsets: Mapping[str, int]) -> Places:
        """Build the places of a text."""
        lengths = (len(line) + 1 for line in text.split("\n"))
        return cls(offsets, (0, *itertools.accumulate(lengths)))

    def position(self, offset: int) -> tuple[int, int]:
        """Return the 1-based (line, column) of an offset."""
        line = bisect.bisect_right(self.lines, offset)
        return line, offset - self.lines[line - 1] + 1

    def at(self, pointer: str) -> tuple[int, int]:
        """Return (line, column) of the value, or of the nearest enclosing value that is written."""
        while pointer and pointer not in self.offsets:
            pointer = pointer.rpartition("/")[0]
        return self.position(self.offsets.get(pointer, 0))
