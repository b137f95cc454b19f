"""Insight 1: do stages prefer different models at equal cost?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.pilot.contrasts import Contrast, Measured
from agenttts.runtime.pilot.design import Models
from agenttts.runtime.pilot.verdict import Judgement


@dataclass(frozen=True, slots=True)
class ModelsFinding:
    """One stage. choices: small to large, with their scores. differences: larger minus smaller, by places.

    preferred: the smallest model that no larger one significantly beats. trials: of the choices.
    """

    stage: str
    trials: tuple[Allocation, ...]
    choices: tuple[tuple[Choice, float], ...]
    differences: tuple[tuple[int, int, Contrast], ...]
    preferred: str

    def between(self, first: str, second: str) -> Contrast | None:
        """Return the difference of two models, larger minus smaller, in either order."""
        wanted = {first, second}
        found = (d for a, b, d in self.differences if {self._model(a), self._model(b)} == wanted)
        return next(found, None)

    def highest_above(self, model: str) -> float:
        """Return by how much another model may at most be better than this one."""
        tops = [-1.0]
        for small, large, difference in self.differences:
            if self._model(small) == model:
                tops.append(difference.high)
            if self._model(large) == model:
                tops.append(-difference.low)
        return max(tops)

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


def find_models(rows: Sequence[Models], measured: Measured) -> tuple[ModelsFinding, ...]:
    """Compare the models of every stage that has two measured ones."""
    known = [(row.stage, measured.only(row.trials)) for row in rows]
    family = _family([trials for _, trials in known])
    return tuple(_finding(stage, trials, measured, family) for stage, trials in known if len(trials) > 1)


def find_splits(found: Sequence[ModelsFinding], measured: Measured) -> tuple[Split, ...]:
    """Return the pairs of stages that prefer different models though both could use both."""
    family = _family([row.trials for row in found])
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


def _family(groups: Sequence[Sequence[Allocation]]) -> int:
    """Count the comparisons: pairs of models in every stage, and in every two stages: the data choose."""
    pairs = [len(trials) * (len(trials) - 1) // 2 for trials in groups]
    return sum(pairs) + sum(min(both) for both in combinations(pairs, 2))


def _finding(stage: str, trials: tuple[Allocation, ...], measured: Measured, pairs: int) -> ModelsFinding:
    found = (
        (a, b, measured.difference(trials[a], trials[b], pairs))
        for a, b in combinations(range(len(trials)), 2)
    )
    differences = tuple((a, b, difference) for a, b, difference in found if difference is not None)
    beaten = {a for a, _, difference in differences if difference.sign > 0}
    preferred = next(place for place in range(len(trials)) if place not in beaten)
    choices = tuple((trial[stage], measured.mean(trial)) for trial in trials)
    return ModelsFinding(stage, trials, choices, differences, choices[preferred][0].model)


def judge_models(found: Sequence[ModelsFinding], splits: Sequence[Split], tolerance: float) -> Judgement:
    """Judge: shown when two stages significantly differ in the model they prefer."""
    for split in splits:
        if split.significant:
            why = f"{split.first!r} prefers {split.model!r}, {split.second!r} prefers {split.other!r}"
            return Judgement("shown", why)
    if len(found) < 2:
        return Judgement("not shown", "fewer than two stages have two models to compare")
    for model in sorted(frozenset.intersection(*(row.models for row in found))):
        if all(row.highest_above(model) <= tolerance for row in found):
            why = f"no model is more than the tolerance {tolerance:g} better than {model!r} in any stage"
            return Judgement("absent", why)
    return Judgement("not shown", "no two stages differ significantly in the model they prefer")
