"""The searcher of a pilot: proposes the allocations of its design in order, and learns nothing.

So a pilot is a search like others: limits, crashes, resuming and the sample bank need no second loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.pilot.design import design
from agenttts.runtime.records import Archive, Guideline, Item, Proposal
from agenttts.runtime.search.drawing import generator, tried
from agenttts.spec.model import Json, PipelineSpec

NAME = "pilot"


@dataclass(frozen=True, slots=True)
class Listed:
    """Proposes a list. space: as it is known now; what no longer fits it is passed over."""

    space: Space
    allocations: tuple[Allocation, ...]

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return the next of the list that were not tried and still fit."""
        taken = tried(archive)
        left = (a for a in self.allocations if a not in taken and a in self.space)
        return tuple(Proposal(a, "the pilot's design", NAME) for a in islice(left, count))

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:  # noqa: ARG002
        """Learn nothing."""
        return ()


def pilot_searcher(
    spec: PipelineSpec, space: Space, _lengths: Lengths, _seed: int, _options: Mapping[str, Json]
) -> Listed:
    """Build the searcher. The design is that of the planned lengths, whatever was measured since."""
    return Listed(space, design(Space.of(spec, Lengths.planned(spec))).allocations)


def drawn(items: Sequence[Item], count: int | None, seed: int) -> tuple[Item, ...]:
    """Return `count` of the items (None: all), drawn by the seed and kept in order: data may be sorted."""
    most = len(items) if count is None else min(count, len(items))
    places = generator(seed, NAME).sample(range(len(items)), most)
    return tuple(items[place] for place in sorted(places))
