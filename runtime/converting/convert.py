"""The data sets that can be converted, and the loop over their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agenttts.runtime.converting import software, tools, triples
from agenttts.runtime.converting.fields import MalformedError
from agenttts.runtime.converting.passages import preparer
from agenttts.runtime.converting.rows import Fault
from agenttts.runtime.converting.settings import Prepare, Rows, Settings
from agenttts.runtime.values import is_storable
from agenttts.spec.model import Json

CONVERSIONS: Mapping[str, Prepare] = {
    "2wikimultihopqa": preparer("sentence"),
    "cwq": triples.prepare,
    "hotpotqa": preparer("paragraph"),
    "srdd": software.prepare,
    "taskbench": tools.prepare,
    "webqsp": triples.prepare,
}


@dataclass(frozen=True, slots=True)
class Converted:
    """One item, and where its row stands."""

    where: str
    item: dict[str, Json]

    @property
    def candidates(self) -> int | None:
        """How many texts or triples it has to choose from, None where it has neither."""
        found = self.item.get("chunks", self.item.get("triples"))
        return len(found) if isinstance(found, list) else None


def convert(name: str, rows: Rows, settings: Settings) -> Iterator[Converted | Fault]:
    """Convert every row of a data set, in order; a row that cannot be, or whose id came before, is a `Fault`.

    Raises:
        FormatError, OSError: as `read_rows`.
    """
    make = CONVERSIONS[name](rows, settings)
    places: dict[str, str] = {}
    for row in rows():
        if isinstance(row, Fault):
            yield row
            continue
        try:
            item = make(row.values)
        except MalformedError as error:
            yield Fault(row.where, str(error))
            continue
        if not is_storable(item):
            yield Fault(row.where, "it holds text that is not Unicode")
            continue
        identity = str(item["id"])
        if identity in places:
            yield Fault(row.where, f"the id '{identity}' is also that of {places[identity]}")
            continue
        places[identity] = row.where
        yield Converted(row.where, item)
