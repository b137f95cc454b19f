"""One problem of a spec, as data: where it is, what is wrong, what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A fault in the user's spec.

    pointer: JSON pointer (RFC 6901) of the offending value; "" is the whole document.
    line, column: 1-based place in the file; (1, 1) when the document has no such place.
    """

    pointer: str
    line: int
    column: int
    what: str
    fix: str

    def __str__(self) -> str:
        """Return `pointer (line L, column C): what. fix`."""
        return f"{self.pointer or '/'} (line {self.line}, column {self.column}): {self.what} {self.fix}"
