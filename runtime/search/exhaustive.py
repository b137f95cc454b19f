"""The whole space in a fixed order, or evenly spread places of it when the trials do not cover it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import gcd, sqrt

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.records import Archive, Guideline, Proposal
from agenttts.runtime.search.drawing import tried
from agenttts.spec.model import Json, PipelineSpec

GOLDEN = (sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Exhaustive:
    """Lists the space. trials: how many the search may make; if that is too few for the space, it strides."""

    space: Space
    trials: int

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return the first allocations of the order that were not tried."""
        taken = tried(archive)
        spread = self.space.count() > self.trials
        order = _spread(self.space) if spread else iter(self.space)
        reason = (
            "next of evenly spread places in the space" if spread else "next of the space in listed order"
        )
        fresh = (allocation for allocation in order if allocation not in taken)
        return tuple(Proposal(a, reason, "exhaustive") for a in islice(fresh, count))

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:  # noqa: ARG002
        """Learn nothing."""
        return ()


def stride(count: int) -> int:
    """Return the step, coprime to `count`, next to the golden section: any first steps lie evenly apart.

    >>> [7 * stride(10) % 10, stride(10), stride(1)]
    [9, 7, 1]
    """
    wanted = max(1, round(count * GOLDEN))
    return next(step for step in range(wanted, 2 * count + 2) if gcd(step, count) == 1)


def _spread(space: Space) -> Iterator[Allocation]:
    """Yield every allocation, by strides over the numbered ones, then those that have no number."""
    count = space.count()
    step = stride(count) if count else 1
    for place in range(count):
        yield space.number(place * step % count)
    if not space.count_is_exact:
        yield from space


def exhaustive_searcher(
    spec: PipelineSpec, space: Space, _lengths: Lengths, _seed: int, _options: Mapping[str, Json]
) -> Exhaustive:
    """Build the searcher; it has no options and uses no chance."""
    return Exhaustive(space, spec.search.trials)
