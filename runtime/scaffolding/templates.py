"""The templates: the examples, which are shipped as the data of `agenttts.examples`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

SPEC = "pipeline.json"
SIMULATION = "simulated.json"
LEFT_OUT = re.compile(r"^\.|^__|\.parquet$|\.pyc?$|^README\.md$")
NUMBER = re.compile(r"^\d+-")
"""What belongs to an example, not to a pipeline made from it: its recording, its page, its scripts."""


@dataclass(frozen=True, slots=True)
class Template:
    """A folder to begin from. files: contents by path inside it."""

    name: str
    files: Mapping[str, bytes]

    @property
    def document(self) -> dict[str, Any]:
        """The spec as JSON."""
        return dict(json.loads(self.files[SPEC]))

    @property
    def short(self) -> str:
        """The name without its number."""
        return NUMBER.sub("", self.name)

    @property
    def data_files(self) -> frozenset[str]:
        """The files with its items."""
        data = self.document["data"]
        parts = (data.get(part) or {} for part in ("search", "holdout"))
        return frozenset({data["source"], *(part["source"] for part in parts if "source" in part)})

    @property
    def specs(self) -> dict[str, dict[str, Any]]:
        """All its specs by file: others are the same pipeline with other models, or another search."""
        found = {name: json.loads(text) for name, text in self.files.items() if name.endswith(".json")}
        return {name: document for name, document in found.items() if "stages" in document}

    @property
    def gold(self) -> frozenset[str]:
        """The fields that metrics compare with."""
        metrics = (stage.get("metric") for stage in self.document["stages"])
        options = (metric.get("options", {}) for metric in metrics if isinstance(metric, Mapping))
        return frozenset(said["target"] for said in options if "target" in said)

    @property
    def own_simulation(self) -> frozenset[str]:
        """The simulation, and the items it names, if it names any: it knows no others then."""
        tasks = json.loads(self.files.get(SIMULATION, b"{}")).get("tasks", ())
        named = {task["items"] for task in tasks if "items" in task}
        return frozenset({SIMULATION, *named} if named else ())

    @property
    def first_item(self) -> dict[str, Any]:
        """Its first item, by field."""
        data = self.document["data"]
        row = json.loads(self.files[data["source"]].split(b"\n", 1)[0])
        return {field: row.get(column) for field, column in data["fields"].items()}

    @property
    def description(self) -> str:
        """What it is, in its spec's words."""
        return str(self.document.get("description", ""))


def templates(root: Traversable | None = None) -> tuple[Template, ...]:
    """Return all templates, by name. root: where their folders lie, None: those that come with agenttts."""
    folders = (root or files("agenttts.examples")).iterdir()
    found = (Template(one.name, dict(_files(one, ""))) for one in folders if one.is_dir())
    return tuple(sorted((one for one in found if SPEC in one.files), key=lambda one: one.name))


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if LEFT_OUT.search(entry.name):
            continue
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()
