"""The paper's settings come out of the compiler: unit costs, default budgets, and what they leave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agenttts.compiler.allocation import Choice
from agenttts.compiler.cost import budget, stage_cost
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.spec.model import PipelineSpec, PlannedTokens

from .presets import BUDGETS, UNIT_COSTS, unit_costs
from .specs import paper_spec, with_llm_fusion

TASKS = {
    "2wiki": "2wiki",
    "hotpot": "2wiki",
    "cwq": "kgqa",
    "webqsp": "kgqa",
    "webqsp as in the authors' program": "kgqa",
    "taskbench": "taskbench",
    "chatdev": "chatdev",
}


def preset(name: str, per_item: float = 1e4) -> PipelineSpec:
    """Build a data set's pipeline; WebQSP's own lengths are those of Table 4."""
    spec = paper_spec(TASKS[name], per_item)
    if name != "webqsp":
        return spec
    retrieve, answer = spec.stages
    return replace(spec, stages=(retrieve, replace(answer, tokens=PlannedTokens(128, 64))))


@pytest.mark.parametrize("name", UNIT_COSTS)
def test_one_sample_of_the_largest_model_costs_what_the_paper_says(name: str) -> None:
    assert tuple(round(cost) for cost in unit_costs(preset(name))) == UNIT_COSTS[name]


@pytest.mark.parametrize("name", BUDGETS)
def test_the_default_budget_is_one_pass_of_the_largest_models(name: str) -> None:
    assert sum(unit_costs(preset(name))) == pytest.approx(BUDGETS[name][0], abs=0.67)


@pytest.mark.parametrize("name", UNIT_COSTS)
def test_fusion_is_not_charged(name: str) -> None:
    spec = preset(name)
    fused = with_llm_fusion(spec, *(stage.name for stage in spec.stages))
    for stage, other in zip(spec.stages, fused.stages, strict=True):
        choice = Choice(stage.models[0], 5)
        lengths = Lengths.planned(spec)
        assert stage_cost(spec, stage, choice, lengths) == stage_cost(fused, other, choice, lengths)


@pytest.mark.parametrize(("name", "per_item"), [(name, b) for name, many in BUDGETS.items() for b in many])
def test_something_fits_every_budget_and_nothing_exceeds_it(name: str, per_item: float) -> None:
    spec = preset(name, per_item)
    space = Space.of(spec, Lengths.planned(spec))
    first = next(iter(space))
    assert budget(spec).amount == per_item
    assert space.cost(first).amount <= per_item
