"""Searches of plain models that were written to a store as `agenttts search` does, without running any."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, cast

from click.testing import CliRunner, Result

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.checking import catalog
from agenttts.runtime.cli.main import cli
from agenttts.runtime.plugins import plugins
from agenttts.runtime.records import ItemOutcome, StageOutcome, Usage
from agenttts.runtime.searches import Overrides, facts_of
from agenttts.runtime.simulation import MemoryLog, Simulated, simulate
from agenttts.runtime.store.journal import Journal, Kind
from agenttts.spec.check import check
from agenttts.spec.model import PipelineSpec

ITEMS = tuple(f"i{n:03}" for n in range(150))
DATA: Mapping[str, Any] = {
    "source": "items.jsonl",
    "id": "id",
    "fields": {"question": "q", "answer": "a"},
    "search": {"rows": [0, 150]},
}
STAGE: Mapping[str, Any] = {
    "name": "answer",
    "prompt": "{{ item.question }}",
    "models": ["tiny", "base"],
    "samples": {"min": 1, "max": 20},
    "metric": {"name": "exact_match", "options": {"target": "answer"}},
    "decoding": {"max_tokens": 4},
    "tokens": {"prompt": 40, "output": 2},
}


@dataclass
class Plain:
    """Models whose score grows with samples; an answer is right by chance, the same in every run."""

    spec: PipelineSpec
    items = ITEMS
    optimum = 1.0

    def truth(self, allocation: Allocation) -> float:
        choice = allocation["answer"]
        return {"tiny": 0.2, "base": 0.5}[choice.model] + 0.02 * choice.samples

    def run(self, allocation: Allocation, items: Sequence[str]) -> TrialOutcome:
        return TrialOutcome(tuple(self._item(item, allocation) for item in items))

    def _item(self, item: str, allocation: Allocation) -> ItemOutcome:
        used = Usage(1, allocation["answer"].samples, 40, 2 * allocation["answer"].samples)
        score = float(Random(f"{item} {allocation.key}").random() < self.truth(allocation))
        return ItemOutcome(item, {"answer": StageOutcome("x", score, used, used)})


def text(per_item: float = 2e8, models: Sequence[str] = ("tiny", "base"), **search: Any) -> str:
    return json.dumps(
        {
            "version": 1,
            "name": "exported",
            "data": DATA,
            "models": {name: {"worker": "embedded", "model": name} for name in models},
            "stages": [{**STAGE, "models": list(models)}],
            "budget": {"unit": "flops", "per_item": per_item},
            "search": {"trials": 12, "batch": 3, "items": 50, **search},
        }
    )


def searched(
    folder: Path,
    spec_text: str,
    further: int = 0,
    ends_after: int | None = None,
    keep: int | None = None,
    name: str = "s-1",
    digest: str = "sha256:x",
) -> Simulated:
    """Search, and keep the events in the store `s.db` of a folder.

    keep: events, the others are lost. name: of the search. digest: of its items.
    """
    spec = check(spec_text, {}, plugins(), catalog()).spec
    assert spec is not None
    log = MemoryLog()
    found = simulate(Plain(spec), ITEMS[:50], ITEMS[50 : 50 + further], journal=log, ends_after=ends_after)
    facts = facts_of(
        spec_text, {}, Overrides(), data_digest=digest, commit="", dirty=False, version="0", folder="/"
    )
    with contextlib.closing(Journal(f"sqlite:///{folder}/s.db")) as journal:
        for event in log.events[:keep]:
            payload = facts if event.kind == "search_started" else event.payload
            journal.append(name, cast("Kind", event.kind), payload)
    return found


def command(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, arguments)
