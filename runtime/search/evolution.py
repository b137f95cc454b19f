"""Regularised evolution (Real et al. 2019, arXiv:1802.01548): parents are the best of a few recent trials.

The population is the last trials of the archive, so old ones die of age, lucky measurements included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.options import StageOptions
from agenttts.compiler.space import Space
from agenttts.runtime.decision import Direction, covered, signed
from agenttts.runtime.records import Archive, Guideline, Proposal, TrialResult
from agenttts.runtime.search.drawing import draw_untried, generator, tried
from agenttts.runtime.search.repair import belongs, fitted, nearest
from agenttts.spec.model import Json, PipelineSpec

POPULATION = 15
TOURNAMENT = 5
CROSSOVER = 0.5  # share of children with two parents
NEW_MODEL = 0.4  # share of mutations that change a stage's model, the others its samples
STEP = 4.0  # samples change by at most this factor
TRIES = 40  # children that fit nowhere or were tried, for each place, before chance fills it


@dataclass(frozen=True, slots=True)
class Evolution:
    """Breeds from the archive."""

    space: Space
    seed: int
    direction: Direction

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return children of good recent trials; random ones first, and where breeding gives nothing."""
        chance, taken = generator(self.seed, "evolution", len(archive.results)), tried(archive)
        usable = [r for r in covered(archive.complete) if belongs(self.space, r.allocation)]
        grown = len(archive.results) >= POPULATION and bool(usable)
        found: dict[Allocation, Proposal] = {}
        if grown:
            for proposal in self._children(usable[-POPULATION:], chance, TRIES * count):
                if proposal.allocation not in taken:
                    found.setdefault(proposal.allocation, proposal)
                if len(found) == count:
                    break
        drawn = draw_untried(self.space, taken | found.keys(), count - len(found), chance)
        reason = "no child was new: drawn at random" if grown else "first generation: drawn at random"
        return (*found.values(), *(Proposal(a, reason, "evolution") for a in drawn))

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:  # noqa: ARG002
        """Learn nothing in words."""
        return ()

    def _children(self, population: Sequence[TrialResult], chance: Random, tries: int) -> Iterator[Proposal]:
        for _ in range(tries):
            parents = [self._parent(population, chance)]
            if chance.random() < CROSSOVER:
                parents.append(self._parent(population, chance))
            genes = {stage: chance.choice(parents).allocation[stage] for stage, _ in parents[0].allocation}
            row = chance.choice(self.space.options)
            child = fitted(self.space, {**genes, row.stage: _mutated(row, genes[row.stage], chance)})
            if child is not None:
                names = " and ".join(str(n) for n in dict.fromkeys(p.number for p in parents))
                yield Proposal(child, f"child of trial {names}, changed in {row.stage!r}", "evolution")

    def _parent(self, population: Sequence[TrialResult], chance: Random) -> TrialResult:
        entrants = chance.sample(population, min(TOURNAMENT, len(population)))
        return max(entrants, key=lambda r: signed(r, self.direction))


def _mutated(row: StageOptions, choice: Choice, chance: Random) -> Choice:
    """Return another model with about as many samples, or the same one with fewer or more."""
    others = [m for m, options in row.by_model.items() if options.samples and m != choice.model]
    if others and chance.random() < NEW_MODEL:
        return nearest(row.by_model[chance.choice(others)], choice.samples)
    options = row.by_model[choice.model]
    changed = nearest(options, choice.samples * STEP ** chance.uniform(-1.0, 1.0))
    if changed != choice:
        return changed
    place = options.samples.index(choice.samples) + chance.choice((-1, 1))
    return Choice(choice.model, options.samples[min(max(place, 0), len(options.samples) - 1)])


def evolution_searcher(
    spec: PipelineSpec, space: Space, _lengths: Lengths, seed: int, _options: Mapping[str, Json]
) -> Evolution:
    """Build the searcher; it has no options."""
    return Evolution(space, seed, spec.objective.direction)
