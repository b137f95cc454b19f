"""How alike two allocations are, between 0 and 1: the kernels of the landscape.

*Plain*: they are alike in a stage when their models are near in size and their samples near on a log scale;
together by the stages' own effects (Insights 1 and 2) and their joint effect (Insight 3).

*Chained*: a stage does alike with like choices on inputs of like quality. So what the stages before it chose
does not matter where they score themselves, only how well they did; where they do not, their choices stand
for it. That is Insight 3 as the pipeline has it: what is best for a stage hangs on what it gets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from math import log

import numpy as np

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.plan import topological
from agenttts.compiler.sizes import by_size
from agenttts.runtime.search.insights import Insights
from agenttts.spec.model import PipelineSpec

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

NEXT_SIZE = 0.6  # likeness of two models one step apart in size


@dataclass(frozen=True, slots=True)
class Codes:
    """Allocations as numbers. choices: (allocations, stages, 2), place of the model by size and log samples.
    quality: (allocations, stages), scores of the stages themselves; NaN where a stage has none.
    """

    choices: Array
    quality: Array

    def __getitem__(self, rows: slice) -> Codes:
        """Return some of the allocations."""
        return Codes(self.choices[rows], self.quality[rows])

    @property
    def scored(self) -> frozenset[int]:
        """The places of the stages whose quality is known."""
        return frozenset(np.flatnonzero(~np.isnan(self.quality).any(axis=0)).tolist())

    def with_quality(self, place: int, quality: Array) -> Codes:
        """Return the codes with the quality of one stage, (allocations,)."""
        known = self.quality.copy()
        known[:, place] = quality
        return Codes(self.choices, known)


Kernel = Callable[[Codes, Codes], Array]
"""Likeness of allocations: (left, right), 1 for equal ones."""


@dataclass(frozen=True, slots=True)
class Coder:
    """Turns allocations into numbers, and says how alike they are.

    ranks: by model stage, the models' places by size. before: by stage, the places of the stages whose
    outputs it gets. order: places, each after those before it. target: the objective's place, None when its
    stage has no model. inputs: the stages whose outputs the objective's stage gets.
    """

    insights: Insights
    names: tuple[str, ...]
    ranks: tuple[dict[str, int], ...]
    before: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    target: int | None
    inputs: tuple[int, ...]

    @classmethod
    def of(cls, spec: PipelineSpec, insights: Insights) -> Coder:
        """Read the stages and their models from the spec."""
        names = tuple(stage.name for stage in spec.model_stages)
        sizes = (by_size(spec, stage) for stage in spec.model_stages)
        feeding = {stage: tuple(map(names.index, needs)) for stage, needs in _feeding(spec).items()}
        objective = spec.objective.stage
        return cls(
            insights,
            names,
            tuple({model: rank for rank, model in enumerate(order)} for order in sizes),
            tuple(feeding[name] for name in names),
            tuple(names.index(stage.name) for stage in topological(spec.stages) if stage.name in names),
            names.index(objective) if objective in names else None,
            feeding[objective],
        )

    def behind(self, inputs: Sequence[int], scored: Collection[int]) -> list[int]:
        """Return the places of what inputs hang on: of those that score themselves nothing more than they;
        behind the others, what these hang on.
        """
        found, waiting = set[int](), list(inputs)
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting.extend(() if place in scored else self.before[place])
        return sorted(found)

    def encode(self, allocations: Sequence[Allocation]) -> Codes:
        """Return the codes of allocations, whose stages' quality is not known yet."""
        rows = [
            [
                (rank[choice.model], log(choice.samples))
                for rank, (_, choice) in zip(self.ranks, allocation, strict=True)
            ]
            for allocation in allocations
        ]
        shape = (len(allocations), len(self.ranks))
        choices = np.array(rows, dtype=np.float64).reshape(*shape, 2)
        return Codes(choices, np.full(shape, np.nan))

    def plain(self, length: float) -> Kernel:
        """Return the plain kernel. length: of log samples."""
        return partial(self._plain, length)

    def chained(self, place: int | None, length: float, reach: float) -> Kernel:
        """Return the chained kernel of a stage's score, None: of the objective's. reach: of quality."""
        if place is None:
            return partial(self._chained, self.target, self.inputs, length, reach)
        return partial(self._chained, place, self.before[place], length, reach)

    def _plain(self, length: float, left: Codes, right: Codes) -> Array:
        powers = np.stack([self._power(place, length, left, right) for place in range(len(self.names))])
        own: Array = np.exp(powers).mean(axis=0)
        return 0.5 * own + 0.5 * np.exp(powers.sum(axis=0)) if self.insights.budget else own

    def _chained(
        self, place: int | None, inputs: Sequence[int], length: float, reach: float, left: Codes, right: Codes
    ) -> Array:
        scored = left.scored & right.scored
        powers = [
            _near(left.quality[:, other], right.quality[:, other], reach)
            if other in scored
            else self._power(other, length, left, right)
            for other in self.behind(inputs, scored)
        ]
        if place is not None:
            powers.append(self._power(place, length, left, right))
        own: Array = np.mean([np.exp(power) for power in powers], axis=0)
        return np.asarray(0.5 * own + 0.5 * np.exp(sum(powers)), dtype=np.float64)

    def _power(self, place: int, length: float, left: Codes, right: Codes) -> Array:
        """Return the log of how alike the choices of a stage are."""
        (rank, samples), (other_rank, other_samples) = left.choices[:, place].T, right.choices[:, place].T
        power = np.zeros((len(rank), len(other_rank)))
        if self.insights.models:
            power += log(NEXT_SIZE) * np.abs(rank[:, None] - other_rank)
        if self.insights.samples:
            power += _near(samples, other_samples, length)
        return power


def _near(left: Array, right: Array, length: float) -> Array:
    """Return the log of how alike numbers are: (left, right)."""
    gaps = (left[:, None] - right) / length
    return np.asarray(-0.5 * gaps * gaps, dtype=np.float64)


def _feeding(spec: PipelineSpec) -> dict[str, tuple[str, ...]]:
    """Return by stage the model stages whose outputs it gets, also through stages without a model."""
    models = {stage.name for stage in spec.model_stages}
    found = dict[str, tuple[str, ...]]()
    for stage in topological(spec.stages):
        nearest = ((need,) if need in models else found[need] for need in stage.needs)
        found[stage.name] = tuple(dict.fromkeys(name for names in nearest for name in names))
    return found
