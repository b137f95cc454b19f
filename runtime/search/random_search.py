"""The plainest baseline: uniform over the feasible space, without repeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.records import Archive, Guideline, Proposal
from agenttts.runtime.search.drawing import draw_untried, generator, tried
from agenttts.spec.model import Json, PipelineSpec


@dataclass(frozen=True, slots=True)
class RandomSearch:
    """Draws from the space; what was measured does not matter."""

    space: Space
    seed: int

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Draw allocations that were not tried yet."""
        chance = generator(self.seed, "random", len(archive.results))
        drawn = draw_untried(self.space, tried(archive), count, chance)
        return tuple(Proposal(a, "drawn uniformly from the feasible space", "random") for a in drawn)

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:  # noqa: ARG002
        """Learn nothing."""
        return ()


def random_searcher(
    _spec: PipelineSpec, space: Space, _lengths: Lengths, seed: int, _options: Mapping[str, Json]
) -> RandomSearch:
    """Build the searcher; it has no options."""
    return RandomSearch(space, seed)
