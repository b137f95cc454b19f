"""Exploration reaches every model of every stage, however many combinations there are."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.records import Archive
from agenttts.runtime.search.evidence import Evidence, read_evidence
from agenttts.runtime.search.insights import Insights
from agenttts.runtime.search.rules import MOST_COMBINATIONS, untried_combinations
from agenttts.spec.model import Budget, Samples
from tests.compiler.specs import MODELS, spec_of, stage

NAMES = tuple(model.name for model in MODELS)


def evidence(stages: int, models: int) -> Evidence:
    names = "ABCDEF"[:stages]
    rows = [stage(name, NAMES[:models], samples=Samples(1, 4)) for name in names]
    spec = spec_of(*rows, budget=Budget("flops", 1e20))
    return read_evidence(Space.of(spec, Lengths.planned(spec)), Archive(), Insights(), 0.01, "maximize")


def combinations(found: Evidence, seed: int) -> list[tuple[str, ...]]:
    ideas = untried_combinations(found, Random(seed))
    return [tuple(choice.model for _, choice in idea.allocation) for idea in ideas]


@pytest.mark.parametrize(("stages", "models"), [(1, 6), (2, 6), (3, 3)])
def test_of_few_combinations_all_are_looked_at(stages: int, models: int) -> None:
    assert set(combinations(evidence(stages, models), 1)) == set(product(NAMES[:models], repeat=stages))


@pytest.mark.parametrize(("stages", "models"), [(4, 4), (6, 6)])
def test_of_many_combinations_some_with_every_model_of_every_stage_are(stages: int, models: int) -> None:
    found = combinations(evidence(stages, models), 1)
    assert MOST_COMBINATIONS / 2 < len(found) <= MOST_COMBINATIONS
    assert all(set(column) == set(NAMES[:models]) for column in zip(*found, strict=True))


def test_others_of_many_combinations_are_looked_at_another_time() -> None:
    found = evidence(6, 6)
    assert set(combinations(found, 1)) != set(combinations(found, 2))
