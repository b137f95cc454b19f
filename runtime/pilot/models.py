"""Insight 1: do stages prefer different models, or models of different size, at equal cost?

Stages that share models are compared model by model (`Split`). Stages with families of their own are
compared by place in size (`SizeSplit`), and more carefully: all that may be best in the one is larger than
all that may be best in the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import comb, inf

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.pilot.contrasts import Contrast, Measured
from agenttts.runtime.pilot.design import Models
from agenttts.runtime.pilot.sizes import places
from agenttts.spec.model import PipelineSpec


@dataclass(frozen=True, slots=True)
class ModelsFinding:
    """One stage. choices: small to large, with their scores. differences: later minus earlier, by numbers of
    choices.

    preferred: the smallest model that no larger one significantly beats. trials: of the choices. sizes: their
    places in size, 0 the smallest to 1 the largest; None: not known.
    """

    stage: str
    trials: tuple[Allocation, ...]
    choices: tuple[tuple[Choice, float], ...]
    differences: tuple[tuple[int, int, Contrast], ...]
    preferred: str
    sizes: tuple[float, ...] | None

    @property
    def unbeaten(self) -> tuple[int, ...]:
        """The choices that no other one significantly beats: the best is among them, with 95 %."""
        beaten = {a if one.sign > 0 else b for a, b, one in self.differences if one.sign}
        return tuple(number for number in range(len(self.choices)) if number not in beaten)

    @property
    def best_sizes(self) -> tuple[float, ...]:
        """The sizes among which the best one is; empty where sizes are not known."""
        return () if self.sizes is None else tuple(self.sizes[number] for number in self.unbeaten)

    def between(self, first: str, second: str) -> Contrast | None:
        """Return the difference of two models, larger minus smaller, in either order."""
        wanted = {first, second}
        found = (d for a, b, d in self.differences if {self._model(a), self._model(b)} == wanted)
        return next(found, None)

    def highest_above(self, model: str) -> float:
        """Return how much better than this one another model may be, infinite where nothing says."""
        tops = []
        for small, large, difference in self.differences:
            if difference.rests and self._model(small) == model:
                tops.append(difference.high)
            if difference.rests and self._model(large) == model:
                tops.append(-difference.low)
        return max(tops) if len(tops) == len(self.choices) - 1 else inf

    @property
    def models(self) -> frozenset[str]:
        """The models that were measured."""
        return frozenset(choice.model for choice, _ in self.choices)

    def trial(self, model: str) -> Allocation:
        """Return the trial of a measured model."""
        return next(trial for trial in self.trials if trial[self.stage].model == model)

    def _model(self, place: int) -> str:
        return self.choices[place][0].model


@dataclass(frozen=True, slots=True)
class Split:
    """Two stages that prefer different models. gap: how much more `model` is ahead of `other` in `first`.

    Each stage prefers its own, so an honest split has a gap above 0. own: the same within `first` and within
    `second` alone.
    """

    first: str
    second: str
    model: str
    other: str
    gap: Contrast | None
    own: tuple[Contrast | None, Contrast | None]

    @property
    def significant(self) -> bool:
        """Say whether the gap is above 0, and at least one stage's own preference significant.

        Without the gap, one stage's significant difference and another's that just misses would be taken for
        a difference between the stages.
        """
        gap = self.gap is not None and self.gap.sign > 0
        return gap and any(side is not None and side.sign for side in self.own)


@dataclass(frozen=True, slots=True)
class Step:
    """Two models of a stage, of different size. larger_minus_smaller: significant."""

    stage: str
    smaller: Choice
    larger: Choice
    larger_minus_smaller: Contrast


@dataclass(frozen=True, slots=True)
class SizeSplit:
    """Two stages that prefer different sizes. up: the larger model wins there. down: the smaller one does."""

    up: Step
    down: Step


def find_models(spec: PipelineSpec, rows: Sequence[Models], measured: Measured) -> tuple[ModelsFinding, ...]:
    """Compare the models of every stage that has two measured ones; the spec gives their sizes."""
    known = [(row.stage, measured.only(row.trials)) for row in rows]
    family = _family(known)
    return tuple(
        _finding(spec, stage, trials, measured, family) for stage, trials in known if len(trials) > 1
    )


def find_splits(found: Sequence[ModelsFinding], measured: Measured) -> tuple[Split, ...]:
    """Return the pairs of stages that prefer different models though both could use both."""
    family = _family([(row.stage, row.trials) for row in found])
    return tuple(
        _split(first, second, measured, family)
        for first, second in combinations(found, 2)
        if first.preferred != second.preferred
        and {first.preferred, second.preferred} <= first.models & second.models
    )


def _split(first: ModelsFinding, second: ModelsFinding, measured: Measured, family: int) -> Split:
    model, other = first.preferred, second.preferred
    terms = ((1.0, first.trial(model)), (-1.0, first.trial(other)))
    against = ((1.0, second.trial(other)), (-1.0, second.trial(model)))
    own = first.between(model, other), second.between(model, other)
    gap = measured.contrast((*terms, *against), family)
    return Split(first.stage, second.stage, model, other, gap, own)


def find_size_splits(found: Sequence[ModelsFinding]) -> tuple[SizeSplit, ...]:
    """Return the pairs of stages, without a model in common, of which one needs a larger model than the
    other, by place in size.

    All that may be best in the one is larger than all that may be best in the other. As the intervals hold
    together, that is false in 5 % of pilots at most: one of two best models would have to be missed.
    """
    pairs = (
        (_strongest(large, 1), _strongest(small, -1))
        for large, small in permutations(found, 2)
        if not large.models & small.models  # a model that both have may stand elsewhere in each
        and large.best_sizes
        and small.best_sizes
        and min(large.best_sizes) > max(small.best_sizes)
    )
    return tuple(SizeSplit(up, down) for up, down in pairs if up is not None and down is not None)


def _strongest(row: ModelsFinding, sign: int) -> Step | None:
    """Return the two models of different size whose difference of this sign is the farthest from 0."""
    assert row.sizes is not None
    found = [
        (one.low if sign > 0 else -one.high, Step(row.stage, row.choices[a][0], row.choices[b][0], one))
        for a, b, one in row.differences
        if one.sign == sign and row.sizes[a] != row.sizes[b]
    ]
    return max(found, key=lambda pair: pair[0], default=(0.0, None))[1]


def _family(stages: Sequence[tuple[str, Sequence[Allocation]]]) -> int:
    """Count the comparisons: pairs of models in every stage, and those that two stages share.

    All of them, as the data choose what is looked at. Comparing sizes adds none: it rests on the former.
    """
    models = [{trial[stage].model for trial in trials} for stage, trials in stages]
    shared = (comb(len(first & second), 2) for first, second in combinations(models, 2))
    return sum(comb(len(one), 2) for one in models) + sum(shared)


def _finding(
    spec: PipelineSpec, stage: str, trials: tuple[Allocation, ...], measured: Measured, pairs: int
) -> ModelsFinding:
    found = (
        (a, b, measured.difference(trials[a], trials[b], pairs))
        for a, b in combinations(range(len(trials)), 2)
    )
    differences = tuple((a, b, difference) for a, b, difference in found if difference is not None)
    beaten = {a for a, _, difference in differences if difference.sign > 0}
    preferred = next(number for number in range(len(trials)) if number not in beaten)
    choices = tuple((trial[stage], measured.mean(trial)) for trial in trials)
    models = [choice.model for choice, _ in choices]
    return ModelsFinding(stage, trials, choices, differences, models[preferred], places(spec, stage, models))
