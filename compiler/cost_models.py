"""Cost models: what one model's calls for one item cost, in each unit that can be planned.

M parameters, L layers, D hidden size, N_p prompt tokens, N_d output tokens of one sample, S samples. The
prompt is read once for all samples (arXiv 2508.00890, Appendix A.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agenttts.compiler.errors import CostError
from agenttts.spec.model import ModelSpec, Unit

UNIT_PARAMETERS = 3e9  # the paper's smallest model,
UNIT_TOKENS = 64  # and its shortest output: together they are the unit of Theorem 1
PAPER_OFFSET = -2.0  # makes one sample of 128 + 64 tokens cost exactly 1


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one model for one item: one prompt and `samples` completions of `output` tokens each."""

    prompt: float
    output: float
    samples: int


@dataclass(frozen=True, slots=True)
class CostModel:
    """How a unit prices calls.

    formula: model, calls -> amount. needs: fields of the model that must be given.
    offset: added once per stage, not per call.
    """

    formula: Callable[[ModelSpec, Calls], float]
    needs: tuple[str, ...]
    offset: float = 0.0


def paper_amount(parameters: float, samples: float, prompt: float, output: float) -> float:
    """Give a stage's budget B in the paper's unit: B = M/3e9 * (N_p + S*N_d) / 64 - 2.

    Closed form of Theorem 1 (arXiv 2508.00890, Section 4.1); not clamped, so tiny models go below 0.

    >>> paper_amount(72e9, 1, 2048, 128)
    814.0
    """
    return parameters / UNIT_PARAMETERS * (prompt + samples * output) / UNIT_TOKENS + PAPER_OFFSET


def paper_samples(parameters: float, amount: float, prompt: float, output: float) -> int:
    """Give the most whole samples that B pays for: S = ((B+2)*64 / (M/3e9) - N_p) / N_d, rounded down.

    A hair (1e-9, relative) is added first, so that the inverse of B at S is S and never S - 1.

    >>> paper_samples(32e9, 814, 2048, 128)
    22
    """
    tokens = (amount - PAPER_OFFSET) * UNIT_TOKENS / (parameters / UNIT_PARAMETERS)
    samples = (tokens - prompt) / output
    return max(0, math.floor(samples + 1e-9 * max(1.0, abs(samples), tokens / output)))


def _paper(model: ModelSpec, calls: Calls) -> float:
    """Give B without its offset, which is charged once per stage: sum of B_i + 2n stays total FLOPs."""
    amount = paper_amount(_number(model.parameters), calls.samples, calls.prompt, calls.output)
    return amount - PAPER_OFFSET


def _flops(model: ModelSpec, calls: Calls) -> float:
    """Give Eq. 8 with attention: 2MN_p + 2LDN_p^2 once, and 2MN_d + 2LD(2N_pN_d + N_d^2) for every sample."""
    parameters, prompt, output = _number(model.parameters), calls.prompt, calls.output
    attention = 2 * _number(model.layers) * _number(model.hidden)
    once = 2 * parameters * prompt + attention * prompt**2
    each = 2 * parameters * output + attention * (2 * prompt * output + output**2)
    return once + calls.samples * each


def _usd(model: ModelSpec, calls: Calls) -> float:
    """Give dollars: the input price for the prompt once (one `n=S` request), the output price per sample."""
    price = model.price
    assert price is not None  # `cost_model` was asked for its needs first
    return (price.input * calls.prompt + price.output * calls.samples * calls.output) / 1e6


def _number(value: float | None) -> float:
    assert value is not None  # `amount` has checked the needs
    return float(value)


COST_MODELS: Mapping[Unit, CostModel] = {
    "paper": CostModel(_paper, ("parameters",), offset=PAPER_OFFSET),
    "flops": CostModel(_flops, ("parameters", "layers", "hidden")),
    "usd": CostModel(_usd, ("price",)),
}


def cost_model(unit: Unit) -> CostModel:
    """Return the cost model of a unit; CostError for a unit that can only be measured."""
    if unit not in COST_MODELS:
        known = ", ".join(COST_MODELS)
        raise CostError(f"/budget/unit: {unit!r} cannot be planned yet. Use one of: {known}.")
    return COST_MODELS[unit]


def amount(unit: Unit, model: ModelSpec, calls: Calls) -> float:
    """Price calls in a unit, without the stage's offset; CostError when the model lacks a needed number."""
    table = cost_model(unit)
    missing = [name for name in table.needs if getattr(model, name) is None]
    if missing:
        raise CostError(
            f"model {model.name!r}: no {' and no '.join(missing)}, needed for costs in {unit!r}. "
            "Add it to the model, or choose another /budget/unit."
        )
    return table.formula(model, calls)
