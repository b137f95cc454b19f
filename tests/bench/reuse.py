"""What the bank saves: random allocations with one bank, and with one for each, counted by the server."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.records import Item, ItemOutcome
from agenttts.runtime.services import Endpoint
from agenttts.spec.model import PipelineSpec
from tests.bench.measure import run_all


@dataclass(frozen=True)
class Reuse:
    """Completions drawn by so many trials, with one bank for all and with one for each; same_scores: both
    measured the same on every item.
    """

    trials: int
    with_bank: int
    without: int
    same_scores: bool

    @property
    def ratio(self) -> float:
        """How many times more is drawn without the bank."""
        return self.without / self.with_bank


def measure(spec: PipelineSpec, items: Sequence[Item], trials: int, seed: int, server: Endpoint) -> Reuse:
    """Run different random allocations of the space on all items, both ways."""
    space = Space.of(spec, Lengths.planned(spec))
    chosen = [space.number(n) for n in random.Random(seed).sample(range(space.count()), trials)]
    before = _drawn(server)
    shared = _run(spec, chosen, items, server)
    between = _drawn(server)
    alone: dict[Allocation, tuple[ItemOutcome, ...]] = {}
    for allocation in chosen:
        alone |= _run(spec, [allocation], items, server)
    same = _scores(shared) == _scores(alone)
    return Reuse(trials, between - before, _drawn(server) - between, same)


def _run(
    spec: PipelineSpec, allocations: Sequence[Allocation], items: Sequence[Item], server: Endpoint
) -> Mapping[Allocation, tuple[ItemOutcome, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        return run_all(spec, allocations, items, Path(folder), server)


def _scores(
    outcomes: Mapping[Allocation, tuple[ItemOutcome, ...]],
) -> dict[str, list[tuple[str, dict[str, float | None]]]]:
    return {
        allocation.key: [(o.item, {s: stage.score for s, stage in o.stages.items()}) for o in items]
        for allocation, items in outcomes.items()
    }


def _drawn(server: Endpoint) -> int:
    return sum(int(counts["completions"]) for counts in server.stats()["models"].values())
