"""What one item costs in one stage, in the budget's unit: planned, measured, and the inverse.

A stage fused by the `llm` fusion also pays for one fusion call, unless the budget says otherwise: its prompt
is N_p + S*N_d tokens, its output N_d, its model `fusion.model` or the stage's own. The runtime skips that
call when a single sample was drawn, so none is charged at S = 1. Python stages cost 0.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost_models import Calls, amount, cost_model
from agenttts.compiler.errors import UnitError
from agenttts.compiler.lengths import Lengths
from agenttts.spec.model import PipelineSpec, StageSpec, Unit

TOLERANCE = 1e-9  # relative; absorbs the rounding of sums, far below any real difference


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount with its unit. Adds and compares only within one unit.

    >>> Cost(1.0, "usd") + Cost(0.5, "usd")
    Cost(amount=1.5, unit='usd')
    """

    amount: float
    unit: Unit

    def __add__(self, other: Cost) -> Cost:
        """Add two costs of one unit."""
        return Cost(self.amount + self._same_unit(other), self.unit)

    def __sub__(self, other: Cost) -> Cost:
        """Subtract a cost of the same unit."""
        return Cost(self.amount - self._same_unit(other), self.unit)

    def __mul__(self, factor: float) -> Cost:
        """Multiply by a plain number."""
        return Cost(self.amount * factor, self.unit)

    def __lt__(self, other: Cost) -> bool:
        """Compare within one unit."""
        return self.amount < self._same_unit(other)

    def __le__(self, other: Cost) -> bool:
        """Compare within one unit."""
        return self.amount <= self._same_unit(other)

    def fits(self, limit: Cost) -> bool:
        """Say whether the cost is within the limit, up to a relative 1e-9."""
        return self.amount <= self._same_unit(limit) + TOLERANCE * abs(limit.amount)

    def document(self) -> dict[str, float | str]:
        """Return the JSON form."""
        return {"amount": self.amount, "unit": self.unit}

    def __str__(self) -> str:
        """Return e.g. `814 paper`."""
        return f"{self.amount:.6g} {self.unit}"

    def _same_unit(self, other: Cost) -> float:
        if self.unit != other.unit:
            raise UnitError(
                f"costs in {self.unit!r} and {other.unit!r} do not mix. Convert one of them first."
            )
        return other.amount


def budget(spec: PipelineSpec) -> Cost:
    """Return the budget per item as a cost."""
    return Cost(spec.budget.per_item, spec.budget.unit)


def fuses_by_llm(stage: StageSpec, samples: int) -> bool:
    """Say whether the stage makes a fusion call for so many samples."""
    return stage.fusion.name == "llm" and samples > 1


def sampling_cost(
    spec: PipelineSpec, stage: StageSpec, choice: Choice, lengths: Lengths, unit: Unit | None = None
) -> Cost:
    """Plan what drawing the samples of one item costs, fusion apart; unit: None means the budget's."""
    unit = unit or spec.budget.unit
    tokens = lengths[stage.name, choice.model]
    calls = Calls(tokens.prompt, tokens.output, choice.samples)
    return Cost(amount(unit, spec.model(choice.model), calls) + cost_model(unit).offset, unit)


def fusion_cost(
    spec: PipelineSpec, stage: StageSpec, choice: Choice, lengths: Lengths, unit: Unit | None = None
) -> Cost:
    """Plan what the fusion call of one item costs, charged to the budget or not; 0 when there is none."""
    unit = unit or spec.budget.unit
    if not fuses_by_llm(stage, choice.samples):
        return Cost(0.0, unit)
    tokens = lengths[stage.name, choice.model]
    calls = Calls(tokens.prompt + choice.samples * tokens.output, tokens.output, 1)
    return Cost(amount(unit, spec.model(stage.fusion.model or choice.model), calls), unit)


def stage_cost(spec: PipelineSpec, stage: StageSpec, choice: Choice | None, lengths: Lengths) -> Cost:
    """Plan what one item costs in one stage, in the budget's unit.

    Args:
        choice: None for a Python stage.
    Raises:
        CostError: if the spec lacks a number that the unit needs.
    """
    if choice is None or stage.function is not None:
        return Cost(0.0, spec.budget.unit)
    cost = sampling_cost(spec, stage, choice, lengths)
    return cost + fusion_cost(spec, stage, choice, lengths) if spec.budget.charge_fusion else cost


def total_cost(spec: PipelineSpec, allocation: Allocation, lengths: Lengths) -> Cost:
    """Plan what one item costs in all stages of an allocation."""
    costs = (stage_cost(spec, spec.stage(stage), choice, lengths) for stage, choice in allocation)
    return sum(costs, Cost(0.0, spec.budget.unit))


def measured_cost(
    spec: PipelineSpec,
    stage: StageSpec,
    choice: Choice,
    *,
    prompt_tokens: float,
    output_tokens: float,
    fusion_prompt_tokens: float = 0.0,
    fusion_output_tokens: float = 0.0,
) -> Cost:
    """Price really measured tokens of one item in one stage, in the budget's unit.

    In `flops` the samples are taken as equally long, which leaves out the spread in the N_d^2 term.

    Args:
        prompt_tokens: of the shared prompt, counted once.
        output_tokens: summed over the samples.
        fusion_prompt_tokens: 0 when no fusion call was made; charged as `budget.charge_fusion` says.
    """
    unit = spec.budget.unit
    calls = Calls(prompt_tokens, output_tokens / choice.samples, choice.samples)
    total = amount(unit, spec.model(choice.model), calls) + cost_model(unit).offset
    if spec.budget.charge_fusion and fusion_prompt_tokens + fusion_output_tokens > 0:
        fusion = Calls(fusion_prompt_tokens, fusion_output_tokens, 1)
        total += amount(unit, spec.model(stage.fusion.model or choice.model), fusion)
    return Cost(total, unit)


def max_samples(spec: PipelineSpec, stage: StageSpec, model: str, cost_left: Cost, lengths: Lengths) -> int:
    """Give the largest allowed number of samples whose stage cost fits what is left; 0 when none fits."""
    allowed = stage.samples.values()
    fitting = bisect_right(
        allowed,
        False,
        key=lambda samples: not stage_cost(spec, stage, Choice(model, samples), lengths).fits(cost_left),
    )
    return allowed[fitting - 1] if fitting else 0
