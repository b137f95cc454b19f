"""What drawing costs in every measure at once: calls, tokens, budget units, dollars."""

from __future__ import annotations

from dataclasses import dataclass

from agenttts.compiler.allocation import Choice
from agenttts.compiler.cost import fuses_by_llm, fusion_cost, sampling_cost
from agenttts.compiler.lengths import Lengths
from agenttts.spec.model import PipelineSpec, StageSpec


@dataclass(frozen=True, slots=True)
class Footprint:
    """Completions (fusion calls included), tokens read and written, cost in the budget's unit, dollars.

    usd: None where some model has no price.
    """

    calls: float = 0.0
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0
    cost: float = 0.0
    usd: float | None = 0.0

    def __add__(self, other: Footprint) -> Footprint:
        """Add measure by measure."""
        return Footprint(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
        )

    def __mul__(self, factor: float) -> Footprint:
        """Multiply every measure."""
        return Footprint(
            self.calls * factor,
            self.prompt_tokens * factor,
            self.output_tokens * factor,
            self.cost * factor,
            None if self.usd is None else self.usd * factor,
        )


def drawing(spec: PipelineSpec, stage: StageSpec, choice: Choice, lengths: Lengths) -> Footprint:
    """Give the footprint of one item's samples in one stage, fusion apart."""
    tokens = lengths[stage.name, choice.model]
    return Footprint(
        calls=choice.samples,
        prompt_tokens=tokens.prompt,
        output_tokens=choice.samples * tokens.output,
        cost=sampling_cost(spec, stage, choice, lengths).amount,
        usd=sampling_cost(spec, stage, choice, lengths, "usd").amount if _priced(spec, stage) else None,
    )


def fusing(spec: PipelineSpec, stage: StageSpec, choice: Choice, lengths: Lengths) -> Footprint:
    """Give the footprint of one item's fusion call; its cost is 0 where the budget does not charge it."""
    if not fuses_by_llm(stage, choice.samples):
        return Footprint()
    tokens = lengths[stage.name, choice.model]
    charged = spec.budget.charge_fusion
    return Footprint(
        calls=1,
        prompt_tokens=tokens.prompt + choice.samples * tokens.output,
        output_tokens=tokens.output,
        cost=fusion_cost(spec, stage, choice, lengths).amount if charged else 0.0,
        usd=fusion_cost(spec, stage, choice, lengths, "usd").amount if _priced(spec, stage) else None,
    )


def _priced(spec: PipelineSpec, stage: StageSpec) -> bool:
    models = (*stage.models, *((stage.fusion.model,) if stage.fusion.model else ()))
    return all(spec.model(name).price is not None for name in models)
