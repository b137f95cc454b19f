"""What every searcher must hold to, and landscapes with a known optimum to try it on.

For tests of our own and of packages that add a searcher: call `conformance(factory)` and expect no faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.deciding import decide
from agenttts.runtime.records import Archive, Proposal, TrialResult, TrialState, Usage
from agenttts.runtime.search.drawing import generator, tried
from agenttts.runtime.search.protocol import Searcher, SearcherFactory
from agenttts.runtime.statistics import mean, scored_values, standard_error
from agenttts.spec.model import Json, PipelineSpec

Truth = Callable[[Allocation], float]
COMMON = 0.6  # share of an item's luck that all allocations have in common


@dataclass(frozen=True)
class Simulation:
    """A pipeline whose true scores are known. items: 0 measures the truth itself; states: by trial number."""

    spec: PipelineSpec
    truth: Truth
    items: int = 0
    seed: int = 0
    states: Mapping[int, TrialState] = field(default_factory=dict)

    @cached_property
    def space(self) -> Space:
        """The feasible allocations."""
        return Space.of(self.spec, Lengths.planned(self.spec))

    @cached_property
    def optimum(self) -> float:
        """The best true score of the space."""
        return max(map(self.truth, self.space))

    def measure(self, number: int, proposal: Proposal) -> TrialResult:
        """Simulate one trial: every item is solved or not, easy items by most allocations."""
        state = self.states.get(number, TrialState.COMPLETE)
        failed = state is TrialState.FAILED
        scores = dict[str, float | None]() if failed else self._scores(proposal.allocation)
        values = scored_values(scores)
        return TrialResult(
            number=number,
            proposal=proposal,
            state=state,
            score=mean(values),
            standard_error=standard_error(values),
            scores=scores,
            stage_scores={},
            planned_cost=self.space.cost(proposal.allocation).amount,
            measured_cost=None,
            usage=Usage(),
            drawn=Usage(),
            seconds=0.0,
        )

    def _scores(self, allocation: Allocation) -> dict[str, float | None]:
        truth = self.truth(allocation)
        if not self.items:
            return {str(item): truth for item in range(50)}
        common, own = generator(self.seed, "items"), generator(self.seed, allocation.key)
        luck = [(common.random(), own.random(), own.random()) for _ in range(self.items)]
        return {
            str(item): float((shared if which < COMMON else alone) < truth)
            for item, (shared, alone, which) in enumerate(luck)
        }

    def run(self, searcher: Searcher, trials: int, batch: int = 5) -> Archive:
        """Search: ask, measure, tell, until the trials are used up or the searcher has nothing left."""
        archive = Archive()
        while len(archive.results) < trials:
            first = len(archive.results)
            proposals = searcher.ask(archive, min(batch, trials - first))
            if not proposals:
                return archive
            for number, proposal in enumerate(proposals, first + 1):
                archive = archive.with_result(self.measure(number, proposal))
            archive = archive.with_guidelines(searcher.tell(archive))
        return archive

    def regret(self, archive: Archive) -> float:
        """Return what the decision on an archive loses in true score; the whole optimum when there is
        none.
        """
        decision = decide(replace(self.spec, search=replace(self.spec.search, tolerance=0.0)), archive)
        return self.optimum - (self.truth(decision.winner.allocation) if decision else 0.0)


def conformance(
    factory: SearcherFactory,
    simulations: Mapping[str, Simulation],
    trials: int = 24,
    options: Mapping[str, Json] | None = None,
) -> tuple[str, ...]:
    """Return every fault of a searcher over named simulations; none for a searcher that holds to the
    protocol.
    """
    return tuple(
        f"{name}: {fault}"
        for name, simulation in simulations.items()
        for fault in _faults(_build(factory, simulation, options or {}), simulation, trials)
    )


def _build(factory: SearcherFactory, simulation: Simulation, options: Mapping[str, Json]) -> Searcher:
    space = simulation.space
    return factory(simulation.spec, space, space.lengths, simulation.seed, options)


def _faults(searcher: Searcher, simulation: Simulation, trials: int) -> Iterator[str]:
    archive = Archive()
    total = simulation.space.count()
    while len(archive.results) < min(trials, total):
        count = 1 + len(archive.results) % 7
        proposals = searcher.ask(archive, count)
        yield from _batch_faults(searcher, simulation, archive, (count, proposals))
        if not proposals:
            return
        first = len(archive.results) + 1
        for number, proposal in enumerate(proposals, first):
            archive = archive.with_result(simulation.measure(number, proposal))
        told = searcher.tell(archive)
        if told != searcher.tell(archive):
            yield "two equal calls of tell differ"
        archive = archive.with_guidelines(told)
    yield from _ending_faults(searcher, archive, total)


def _batch_faults(
    searcher: Searcher, simulation: Simulation, archive: Archive, batch: tuple[int, tuple[Proposal, ...]]
) -> Iterator[str]:
    count, proposals = batch
    asked = [proposal.allocation for proposal in proposals]
    left = simulation.space.count() - len(tried(archive))
    if proposals != searcher.ask(archive, count):
        yield "two equal calls of ask differ"
    if len(asked) != min(count, left):
        yield f"asked for {count} of {left} left, got {len(asked)}"
    if len(set(asked)) < len(asked) or tried(archive) & set(asked):
        yield "an allocation is proposed twice"
    yield from (f"{a.key} is not feasible" for a in asked if a not in simulation.space)
    yield from (f"{p.allocation.key} has no reason" for p in proposals if not p.reason)


def _ending_faults(searcher: Searcher, archive: Archive, total: int) -> Iterator[str]:
    numbers = [guideline.number for guideline in archive.guidelines]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"guidelines are not numbered in order: {numbers}"
    known = {result.number for result in archive.results}
    for guideline in archive.guidelines:
        if not guideline.trials or not known.issuperset(guideline.trials):
            yield f"guideline {guideline.number} rests on trials {guideline.trials}"
    if len(archive.results) == total and searcher.ask(archive, 3):
        yield "proposals are left in a space that is used up"
