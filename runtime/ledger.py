"""Whether a trial may begin under the search's limits. Pure.

The limits hold without this: every request reserves its worst case in the store before it is sent. This only
avoids to begin what would probably not come to its end, by what trials of this kind took so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import fuses_by_llm
from agenttts.compiler.lengths import Lengths
from agenttts.runtime.records import TrialResult, Usage
from agenttts.runtime.store.accounts import Account, Amount, amount_of
from agenttts.spec.model import Limits, ModelSpec, PipelineSpec, StageSpec

LEAST_SHARE = 0.1
"""However much the bank gave so far, the next trial is expected to draw this share of what it needs."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The limits and what counts against them: total, reservations of requests in flight included."""

    limits: Limits
    total: Amount

    def refusal(self, expected: Amount) -> str | None:
        """Say which limit would probably be reached; None when all allow it."""
        after = self.total + expected
        rows = (
            ("usd", after.usd, self.limits.usd),
            ("tokens", float(after.tokens), self.limits.tokens),
            ("gpu_seconds", after.seconds, self.limits.gpu_seconds),
        )
        for name, amount, limit in rows:
            if limit is not None and amount > limit:
                return (
                    f"/search/limits/{name}: {limit:g} would not cover the next trial, "
                    f"{amount:g} in all. Raise the limit, or lower samples or items."
                )
        return None


@dataclass(frozen=True, slots=True)
class Pace:
    """What finished trials say about the next one.

    share: of the tokens a trial needs, those it draws, because the bank has the rest. seconds: of endpoint
    time for a token.
    """

    share: float = 1.0
    seconds: float = 0.0

    @property
    def unshared(self) -> Pace:
        """The pace on items that no trial has seen, of which the bank has nothing."""
        return replace(self, share=1.0)


def pace(results: tuple[TrialResult, ...], account: Account) -> Pace:
    """Return the pace of a search so far."""
    needed = sum(amount_of(result.usage).tokens for result in results)
    drawn = sum(amount_of(result.drawn).tokens for result in results)
    spent = amount_of(account.spent)
    share = min(1.0, max(LEAST_SHARE, drawn / needed)) if needed else 1.0
    return Pace(share, spent.seconds / spent.tokens if spent.tokens else 0.0)


def expected(
    spec: PipelineSpec, allocation: Allocation, lengths: Lengths, items: int, known: Pace | None = None
) -> Amount:
    """Return what so many items will probably draw, by the lengths in use."""
    known = known or Pace()
    calls = (use for stage, choice in allocation for use in _uses(spec, spec.stage(stage), choice, lengths))
    once = sum(calls, Usage())
    tokens = round((once.prompt_tokens + once.output_tokens) * items * known.share)
    return Amount(tokens, once.usd * items * known.share, tokens * known.seconds)


@dataclass(frozen=True, slots=True)
class Size:
    """How many items a trial and the held-out check take; finals: their share of the trials' item
    evaluations.
    """

    items: int
    holdout: int
    finals: float = 0.0


def trial_refusal(
    spec: PipelineSpec,
    trials: Sequence[Allocation],
    lengths: Lengths,
    size: Size,
    results: tuple[TrialResult, ...],
    account: Account,
) -> str | None:
    """Say which limit would probably not cover trials that run or shall begin, and what comes after them.

    trials: the one that shall begin first. results: of the trials before them.
    """
    if spec.search.limits == Limits():
        return None
    known = pace(results, account)
    running = (expected(spec, trial, lengths, size.items, known) for trial in trials)
    check = expected(spec, trials[0], lengths, size.holdout, known.unshared)
    spent = replace(account, reserved=Amount()).total  # what runs is expected as a whole
    return Ledger(spec.search.limits, spent).refusal(sum(running, check + _finals(results, known, size)))


def _finals(results: tuple[TrialResult, ...], known: Pace, size: Size) -> Amount:
    """Return what the finals will take: their items are new, so what trials needed counts, not what they
    drew.
    """
    needed = sum((amount_of(result.usage) for result in results), Amount()) * size.finals
    return replace(needed, seconds=needed.tokens * known.seconds)


def _uses(spec: PipelineSpec, stage: StageSpec, choice: Choice, lengths: Lengths) -> Iterator[Usage]:
    model, length = spec.model(choice.model), lengths[stage.name, choice.model]
    yield _usage(model, length.prompt, length.output * choice.samples)
    if fuses_by_llm(stage, choice.samples):
        fuser = spec.model(stage.fusion.model or choice.model)
        prompt = length.prompt + choice.samples * length.output
        yield _usage(fuser, prompt, min(length.output, stage.fusion.max_tokens))


def _usage(model: ModelSpec, prompt: float, output: float) -> Usage:
    price = model.price
    usd = (price.input * prompt + price.output * output) / 1e6 if price else 0.0
    return Usage(prompt_tokens=round(prompt), output_tokens=round(output), usd=usd)
