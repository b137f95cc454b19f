"""The search's own limits: the worst case of a trial is reserved before it runs, and reconciled after. Pure.

Worst case of a trial: every sample as long as its decoding allows, nothing banked. A prompt's length is not
known before its stage runs: it counts twice the length in use, or twice what the items make of it where that
can be rendered, at most what the model's context leaves.
GPU seconds are foreseen from what a token took so far; before the first trial nothing is known, so it runs
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import fuses_by_llm
from agenttts.compiler.lengths import Lengths
from agenttts.runtime.records import Item, Usage
from agenttts.runtime.replies import estimate_tokens
from agenttts.spec.model import Limits, ModelSpec, PipelineSpec, StageSpec
from agenttts.spec.template import BadTemplateError, render

PROMPT_MARGIN = 2.0
RENDERED = 200
"""Items whose prompts are looked at; more would not change a mean much."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is spent, and what running trials may still spend, by trial number."""

    limits: Limits
    spent: Usage = field(default_factory=Usage)
    reserved: Mapping[int, Usage] = field(default_factory=dict)

    def refusal(self, worst: Usage) -> str | None:
        """Say which limit forbids one more such trial now; None when all allow it."""
        total = self.spent + sum(self.reserved.values(), Usage()) + self.foreseen(worst)
        if not self.spent.completions and self.reserved and self.limits.gpu_seconds is not None:
            return "/search/limits/gpu_seconds: the first trial runs alone, to learn what a token takes."
        rows = (
            ("usd", total.usd, self.limits.usd),
            ("tokens", float(total.prompt_tokens + total.output_tokens), self.limits.tokens),
            ("gpu_seconds", total.seconds, self.limits.gpu_seconds),
        )
        for name, amount, limit in rows:
            if limit is not None and amount > limit:
                return (
                    f"/search/limits/{name}: {limit:g} would not cover the next trial's worst case, "
                    f"{amount:g} in all. Raise the limit, or lower max_tokens, samples or items."
                )
        return None

    def foreseen(self, worst: Usage) -> Usage:
        """Add the seconds that so many tokens take at the pace so far."""
        known = self.spent.prompt_tokens + self.spent.output_tokens
        pace = self.spent.seconds / known if known else 0.0
        return replace(worst, seconds=pace * (worst.prompt_tokens + worst.output_tokens))

    def reserve(self, number: int, worst: Usage) -> Ledger:
        """Return the ledger with a trial's worst case set aside."""
        return replace(self, reserved={**self.reserved, number: self.foreseen(worst)})

    def settle(self, number: int, drawn: Usage) -> Ledger:
        """Return the ledger with what the trial really drew in place of its reservation."""
        reserved = {other: usage for other, usage in self.reserved.items() if other != number}
        return replace(self, spent=self.spent + drawn, reserved=reserved)


def written_prompts(spec: PipelineSpec, items: Sequence[Item]) -> dict[str, float]:
    """Guess the mean prompt of every stage that needs no other one, in tokens, from the items themselves: a
    spec's planned length may be far too small, and limits must hold from the first trial on.
    """
    first = [stage for stage in spec.model_stages if not stage.needs and stage.prompt is not None]
    lengths = {stage.name: [_written(stage, item) for item in items[:RENDERED]] for stage in first}
    return {name: sum(tokens) / len(tokens) for name, tokens in lengths.items() if tokens}


def _written(stage: StageSpec, item: Item) -> int:
    texts = (template.text for template in (stage.system, stage.prompt) if template is not None)
    try:
        return sum(estimate_tokens(render(text, item.fields, {})) for text in texts)
    except BadTemplateError:
        return 0  # this item will be unscored, and draw nothing


def worst_case(
    spec: PipelineSpec,
    allocation: Allocation,
    lengths: Lengths,
    items: int,
    written: Mapping[str, float] | None = None,
) -> Usage:
    """Return the most that so many items can draw. written: see `written_prompts`."""
    known = written or {}
    calls = (
        use
        for stage, choice in allocation
        for use in _worst(spec, spec.stage(stage), choice, lengths, known.get(stage, 0.0))
    )
    once = sum(calls, Usage())
    return Usage(
        once.requests * items,
        once.completions * items,
        once.prompt_tokens * items,
        once.output_tokens * items,
        once.usd * items,
    )


def _worst(
    spec: PipelineSpec, stage: StageSpec, choice: Choice, lengths: Lengths, written: float
) -> Iterator[Usage]:
    model, longest = spec.model(choice.model), stage.decoding.longest_output
    prompt = PROMPT_MARGIN * max(written, lengths[stage.name, choice.model].prompt)
    if model.context is not None:
        prompt = min(prompt, max(0, model.context - longest))
    yield _usage(model, prompt, longest, choice.samples)
    if fuses_by_llm(stage, choice.samples):
        fuser = spec.model(stage.fusion.model or choice.model)
        yield _usage(fuser, prompt + choice.samples * longest, stage.fusion.max_tokens, 1)


def _usage(model: ModelSpec, prompt: float, output: int, samples: int) -> Usage:
    total = output * samples
    price = model.price
    usd = (price.input * prompt + price.output * total) / 1e6 if price else 0.0
    return Usage(1, samples, int(prompt), total, usd)
