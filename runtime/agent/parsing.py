"""Read the list out of an answer that should be `{"<key>": [...]}`: with prose around it, fenced, cut short.

Whatever comes, reading ends after a bounded amount of work, and complete elements before the fault are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agenttts.runtime.values import JSON_DECODER
from agenttts.spec.model import Json

MOST_CHARACTERS = 200_000
MOST_ELEMENTS = 1000
MOST_PLACES = 20
"""So many places of a text may be tried as the beginning of the list, the last ones first."""
_BETWEEN = re.compile(r"[\s,]*")


def elements(text: str, key: str) -> list[Json]:
    """Return the elements of the last list under a key that has any, else of the last bare list of objects.

    The last one counts because models that think aloud write drafts first.

    >>> elements('Sure! {"guidelines": [{"text": "a"}, {"te', "guidelines")
    [{'text': 'a'}]
    """
    text = text[:MOST_CHARACTERS]
    for pattern in (rf'"{re.escape(key)}"\s*:\s*\[', r"\[(?=\s*\{)"):
        starts = [match.end() for match in re.finditer(pattern, text)]
        for start in reversed(starts[-MOST_PLACES:]):
            found = list(_from(text, start))
            if found:
                return found
    return []


def _from(text: str, place: int) -> Iterator[Json]:
    for _ in range(MOST_ELEMENTS):
        between = _BETWEEN.match(text, place)
        try:
            value, place = JSON_DECODER.raw_decode(text, between.end() if between else place)
        except (ValueError, RecursionError):
            return
        yield value


def whole(value: Json) -> int | None:
    """Return a whole number of a model's answer as one, also where it is written 3.0; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if abs(value) < 10**9 else None
