"""A plan: an allocation with its order and its costs, or the reason why it does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import Cost, budget, fuses_by_llm, stage_cost
from agenttts.compiler.errors import AllocationError, GraphError
from agenttts.compiler.infeasible import Infeasible, infeasible
from agenttts.compiler.lengths import Lengths, Tokens
from agenttts.spec.model import PipelineSpec, StageSpec


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of a plan, per item. choice: None for a Python stage, which has no tokens either.

    prompt_tokens, output_tokens: prompt once and output over all samples, the fusion call apart.
    planned, measured: the two sources of the lengths; measured wins where it exists.
    """

    name: str
    needs: tuple[str, ...]
    choice: Choice | None
    cost: Cost
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0
    fusion_prompt_tokens: float = 0.0
    fusion_output_tokens: float = 0.0
    planned: Tokens | None = None
    measured: Tokens | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An allocation that fits: its stages in topological order, and its cost per item."""

    allocation: Allocation
    stages: tuple[StagePlan, ...]
    cost: Cost
    limit: Cost

    def document(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "allocation": self.allocation.document(),
            "stages": [_stage_document(stage) for stage in self.stages],
            "cost": self.cost.document(),
            "limit": self.limit.document(),
        }


def plan(spec: PipelineSpec, allocation: Allocation, lengths: Lengths) -> Plan | Infeasible:
    """Plan an allocation, whose stages may come in any order.

    Raises:
        AllocationError: if the allocation does not belong to the spec, with every fault.
        CostError: if the spec lacks a number that the budget's unit needs.
    """
    faults = tuple(_faults(spec, allocation))
    if faults:
        raise AllocationError("; ".join(faults))
    choices = dict(allocation.stages)
    allocation = Allocation(tuple((stage.name, choices[stage.name]) for stage in spec.model_stages))
    stages = tuple(_stage_plan(spec, s, choices.get(s.name), lengths) for s in topological(spec.stages))
    limit = budget(spec)
    cost = sum((stage.cost for stage in stages), Cost(0.0, limit.unit))
    if cost.fits(limit):
        return Plan(allocation, stages, cost, limit)
    return infeasible(spec, allocation, lengths, limit, "the allocation")


def topological(stages: tuple[StageSpec, ...]) -> tuple[StageSpec, ...]:
    """Order stages so that each follows its needs; among ready ones the order written wins.

    Raises:
        GraphError: if stages need each other in a circle, or need an unknown stage.
    """
    ordered: list[StageSpec] = []
    waiting = list(stages)
    while waiting:
        done = {stage.name for stage in ordered}
        ready = next((stage for stage in waiting if done.issuperset(stage.needs)), None)
        if ready is None:
            names = ", ".join(repr(stage.name) for stage in waiting)
            raise GraphError((f"stages {names} wait for each other or for unknown stages. Fix 'needs'.",))
        ordered.append(ready)
        waiting.remove(ready)
    return tuple(ordered)


def _faults(spec: PipelineSpec, allocation: Allocation) -> Iterator[str]:
    given = dict(allocation.stages)
    stages = {stage.name: stage for stage in spec.model_stages}
    known = ", ".join(stages)
    for name in given:
        if name not in stages:
            yield f"/{name}: no model stage of that name. Known: {known}."
    for name, stage in stages.items():
        if name not in given:
            yield f"/{name}: missing. Give it a model and samples."
        else:
            yield from _choice_faults(stage, given[name])


def _choice_faults(stage: StageSpec, choice: Choice) -> Iterator[str]:
    allowed = stage.samples.values()
    if choice.model not in stage.models:
        yield f"/{stage.name}/model: {choice.model!r} is not allowed. Use one of: {', '.join(stage.models)}."
    if choice.samples not in allowed:
        words = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else f"one of {allowed}"
        yield f"/{stage.name}/samples: {choice.samples} is not allowed. Use {words}."


def _stage_plan(spec: PipelineSpec, stage: StageSpec, choice: Choice | None, lengths: Lengths) -> StagePlan:
    cost = stage_cost(spec, stage, choice, lengths)
    if choice is None:
        return StagePlan(stage.name, stage.needs, None, cost)
    key = (stage.name, choice.model)
    tokens, drawn = lengths[key], choice.samples * lengths[key].output
    fused = fuses_by_llm(stage, choice.samples)
    return StagePlan(
        name=stage.name,
        needs=stage.needs,
        choice=choice,
        cost=cost,
        prompt_tokens=tokens.prompt,
        output_tokens=drawn,
        fusion_prompt_tokens=tokens.prompt + drawn if fused else 0.0,
        fusion_output_tokens=tokens.output if fused else 0.0,
        planned=lengths.planned_tokens.get(key),
        measured=lengths.measured_tokens.get(key),
    )


def _stage_document(stage: StagePlan) -> dict[str, object]:
    choice = stage.choice
    return {
        "name": stage.name,
        "needs": list(stage.needs),
        "model": choice.model if choice else None,
        "samples": choice.samples if choice else None,
        "cost": stage.cost.document(),
        "prompt_tokens": stage.prompt_tokens,
        "output_tokens": stage.output_tokens,
        "fusion_prompt_tokens": stage.fusion_prompt_tokens,
        "fusion_output_tokens": stage.fusion_output_tokens,
        "planned": _tokens_document(stage.planned),
        "measured": _tokens_document(stage.measured),
    }


def _tokens_document(tokens: Tokens | None) -> dict[str, float] | None:
    return None if tokens is None else {"prompt": tokens.prompt, "output": tokens.output}
