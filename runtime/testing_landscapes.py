"""Synthetic pipelines as worlds to search in: what is true in them is known, because it is computed.

An item is harder or easier for a stage; a model is more or less able; a sample is right when its luck is
below ability minus difficulty, and minus what a wrong upstream stage costs. Luck depends on (seed, item,
stage, model, sample index) alone, so trials share items and samples as the bank shares them: 40 samples
contain the first 10. Samples are fused as in real pipelines, which may hurt. For the catalog see
`testing_catalog`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.records import ItemOutcome, StageOutcome, Usage
from agenttts.spec.model import PipelineSpec

POPULATION = 3000
"""Items of a landscape; the truth is the mean over them."""
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Fusing = Literal["first", "majority", "verifier", "any"]


@dataclass(frozen=True, slots=True)
class StageTruth:
    """How a stage answers; abilities, difficulties and luck are in standard deviations of luck.

    ability: by model, for an item of average difficulty. need: by model, what a wrong upstream stage costs.
    spread: how much items differ. alike: 0 to 1, share of luck that all models have in common.
    fusing: `first` takes one sample; `majority` the most frequent answer, where a share `agreement` of the
    wrong samples agree; `verifier` the one a judge likes best, whom a share `fooled` of the wrong ones fools;
    `any` is right as soon as one sample is.
    """

    ability: Mapping[str, float]
    need: Mapping[str, float] = field(default_factory=dict)
    spread: float = 1.0
    alike: float = 0.3
    fusing: Fusing = "majority"
    agreement: float = 0.6
    fooled: float = 0.0


@dataclass(frozen=True)
class Landscape:
    """A world with known truth. mixed: the score is the mean of all stages' outcomes, not the last one's."""

    spec: PipelineSpec
    stages: Mapping[str, StageTruth]
    seed: int = 0
    mixed: bool = False

    @cached_property
    def items(self) -> tuple[str, ...]:
        """The ids of all items."""
        return tuple(f"item{n}" for n in range(POPULATION))

    @cached_property
    def truths(self) -> Mapping[Allocation, float]:
        """The true scores of all feasible allocations."""
        space = Space.of(self.spec, Lengths.planned(self.spec))
        return {allocation: self.truth(allocation) for allocation in space}

    @cached_property
    def optimum(self) -> float:
        """The best true score of the space."""
        return max(self.truths.values())

    def truth(self, allocation: Allocation) -> float:
        """Return the mean over all items."""
        return float(self._scores(self._rights(allocation, slice(None))).mean())

    def run(self, allocation: Allocation, items: Sequence[str]) -> TrialOutcome:
        """Return what a trial gives on these items."""
        rights = self._rights(allocation, np.array([int(item.removeprefix("item")) for item in items]))
        values = {stage: right.astype(float).tolist() for stage, right in rights.items()}
        values[self.spec.objective.stage] = self._scores(rights).tolist()
        rows = zip(*values.values(), strict=True)
        names = tuple(values)
        return TrialOutcome(
            tuple(
                ItemOutcome(item, dict(zip(names, map(_scored, row), strict=True)))
                for item, row in zip(items, rows, strict=True)
            )
        )

    def _scores(self, rights: Mapping[str, Bools]) -> Floats:
        if not self.mixed:
            return rights[self.spec.objective.stage].astype(np.float64)
        mean: Floats = np.mean([right.astype(np.float64) for right in rights.values()], axis=0)
        return mean

    def _rights(self, allocation: Allocation, items: Any) -> dict[str, Bools]:
        """Return by stage where it is right; stages are written in order in these specs."""
        rights: dict[str, Bools] = {}
        for stage in self.spec.stages:
            after_wrong, after_right = self._table(stage.name, allocation[stage.name])
            supported = np.all([rights[name] for name in stage.needs], axis=0) if stage.needs else True
            rights[stage.name] = np.where(supported, after_right[items], after_wrong[items])
        return rights

    def _table(self, stage: str, choice: Choice) -> tuple[Bools, Bools]:
        """Return where a choice is right after a wrong and after a right upstream stage: (items,) each."""
        key = (stage, choice.model)
        if key not in self._tables:
            self._tables[key] = self._computed(stage, choice.model)
        wrong, right = self._tables[key]
        place = self._grid(stage).index(choice.samples)
        return wrong[place], right[place]

    @cached_property
    def _tables(self) -> dict[tuple[str, str], tuple[Bools, Bools]]:
        return {}

    def _grid(self, stage: str) -> tuple[int, ...]:
        return tuple(self.spec.stage(stage).samples.values())

    def _computed(self, stage: str, model: str) -> tuple[Bools, Bools]:
        truth, grid = self.stages[stage], self._grid(stage)
        shape = POPULATION, grid[-1]
        own, common = self._luck(stage, model).normal(size=shape), self._luck(stage).normal(size=shape)
        luck = np.sqrt(truth.alike) * common + np.sqrt(1 - truth.alike) * own
        limit = truth.ability[model] - truth.spread * self._difficulty(stage)
        judged = self._luck(stage, model, "judge").normal(size=shape)
        fooled = self._luck(stage, model, "fooled").random(size=shape) < truth.fooled
        wrong, right = (
            _fused(truth, luck < (limit - less)[:, None], judged + 6.0 * fooled, grid)
            for less in (truth.need.get(model, 0.0), 0.0)
        )
        return wrong, right

    def _difficulty(self, stage: str) -> Floats:
        """Return how hard each item is for a stage: half of that is the same for all stages."""
        common, own = (self._luck(name, "items").normal(size=POPULATION) for name in ("", stage))
        hard: Floats = (common + own) / np.sqrt(2.0)
        return hard

    def _luck(self, *place: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32("/".join(place).encode())])


def _fused(truth: StageTruth, correct: Bools, judged: Floats, grid: Sequence[int]) -> Bools:
    """Return where the fused answer is right: (grid, items). correct, judged: (items, samples)."""
    places = [samples - 1 for samples in grid]
    match truth.fusing:
        case "first":
            chosen = np.repeat(correct[:, :1], len(places), axis=1)
        case "any":
            chosen = np.logical_or.accumulate(correct, axis=1)[:, places]
        case "majority":
            chosen = _most_frequent(correct, truth.agreement)[:, places]
        case "verifier":
            chosen = _preferred(correct, np.where(correct, np.minimum(judged, 3.0) + 2.0, judged))[:, places]
    return np.ascontiguousarray(chosen.T)


def _most_frequent(correct: Bools, agreement: float) -> Bools:
    votes = np.cumsum(correct, axis=1)
    against = np.ceil(agreement * (np.arange(1, correct.shape[1] + 1) - votes))
    winning: Bools = (votes > against) | ((votes == against) & correct[:, :1])
    return winning


def _preferred(correct: Bools, liked: Floats) -> Bools:
    leading = liked >= np.maximum.accumulate(liked, axis=1)
    latest = np.maximum.accumulate(np.where(leading, np.arange(liked.shape[1]), 0), axis=1)
    return np.take_along_axis(correct, latest, axis=1)


_KNOWN = {value: StageOutcome(None, value, Usage(), Usage()) for value in (0.0, 1.0)}


def _scored(value: float) -> StageOutcome:
    return _KNOWN.get(value) or StageOutcome(None, value, Usage(), Usage())
