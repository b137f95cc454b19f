"""SRDD: names and descriptions of small programs to write.

Reads the published CSV (Name, Category, Description) and rows with `task`. The data set has no tests and no
reference programs; those fields are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agenttts.runtime.converting.fields import text
from agenttts.runtime.converting.settings import Make, Rows, Settings
from agenttts.spec.model import Json


def prepare(rows: Rows, settings: Settings) -> Make:  # noqa: ARG001  # every conversion has this form
    """Return the conversion of a row."""
    return item


def item(values: Mapping[str, Json]) -> dict[str, Json]:
    """Return the item of a row; without an id of its own it is known by its name."""
    name = text(values, "name")
    named = {"id": values.get("id") or "srdd-" + re.sub(r"\s+", "_", name)}
    return {
        "id": text(named, "id"),
        "name": name,
        "category": text(values, "category"),
        "task": text(values, "task", "description"),
    }
