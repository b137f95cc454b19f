"""The answer when something does not fit the budget: a value with the numbers, not an exception."""

from __future__ import annotations

from dataclasses import dataclass

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.cost import Cost, stage_cost
from agenttts.compiler.lengths import Lengths
from agenttts.spec.model import PipelineSpec


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Why an allocation, or every allocation, is too expensive.

    stage: the one that costs most. cost: planned per item, all stages together. costs: by stage.
    """

    reason: str
    stage: str
    cost: Cost
    limit: Cost
    costs: tuple[tuple[str, Cost], ...] = ()


def infeasible(
    spec: PipelineSpec, allocation: Allocation, lengths: Lengths, limit: Cost, what: str
) -> Infeasible:
    """Explain that an allocation does not fit; `what` names it, e.g. 'the cheapest allocation'."""
    costs = tuple((name, stage_cost(spec, spec.stage(name), choice, lengths)) for name, choice in allocation)
    largest, most = max(costs, key=lambda row: row[1].amount)
    total = sum((cost for _, cost in costs), Cost(0.0, limit.unit))
    reason = (
        f"{what} ({allocation.key}) costs {total} per item, limit {limit}; "
        f"most in stage {largest!r}, {most}. "
        f"Raise /budget/per_item, or give {largest!r} fewer samples, shorter prompts or a cheaper model."
    )
    return Infeasible(reason, largest, total, limit, costs)
