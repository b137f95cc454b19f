"""Chance that can be replayed: generators derived from a seed and a place, and draws from a space."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.space import Space
from agenttts.runtime.records import Archive, Proposal


def generator(seed: int, *place: object) -> Random:
    """Return a generator that depends on the seed and the place alone.

    >>> generator(1, "random", 5).random() == generator(1, "random", 5).random()
    True
    """
    return Random(":".join(map(str, (seed, *place))))  # strings are hashed with SHA-512: stable everywhere


def tried(archive: Archive) -> set[Allocation]:
    """Return every allocation the archive holds, however its trial ended."""
    return {result.allocation for result in archive.results}


def draw_untried(space: Space, taken: Collection[Allocation], count: int, chance: Random) -> list[Allocation]:
    """Draw different allocations uniformly from those not taken; fewer when not enough are left.

    Repeats are redrawn, and only a space that is nearly used up is listed.
    """
    if count <= 0 or space.count() == 0:
        return []
    found: dict[Allocation, None] = {}
    for _ in range(20 * count + 20):
        allocation = space.sample(chance.randrange)
        if allocation not in taken:
            found.setdefault(allocation)
        if len(found) == count:
            return list(found)
    left = [a for a in space if a not in taken and a not in found]
    return [*found, *chance.sample(left, min(len(left), count - len(found)))]


def usable(proposals: Sequence[Proposal], space: Space, archive: Archive) -> tuple[Proposal, ...]:
    """Return the proposals that fit and are new, each allocation once: not every searcher is ours."""
    taken = tried(archive)
    found: dict[Allocation, Proposal] = {}
    for proposal in proposals:
        if proposal.allocation in space and proposal.allocation not in taken:
            found.setdefault(proposal.allocation, proposal)
    return tuple(found.values())
