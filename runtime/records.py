"""The values that flow through a search: samples, outcomes, results, proposals, the archive.

Plain frozen data, no behaviour beyond reading: everything here can be printed, compared, pickled to a Ray
worker, and written to the journal as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from agenttts.compiler.allocation import Allocation
from agenttts.spec.model import Json


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the data set: its id and its mapped fields."""

    id: str
    fields: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What identifies a stream of samples. Two equal requests share their samples in the bank.

    identity: the model's identity: endpoint model name, revision, engine, quantisation.
    temperature, top_p: None means not sent. extra: further fields of the request body.
    """

    identity: str
    messages: tuple[Message, ...]
    temperature: float | None
    top_p: float | None
    max_tokens: int
    stop: tuple[str, ...] = ()
    seed: int | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion. finish_reason as the endpoint gave it; output_tokens of this completion alone.

    seconds: this completion's share of its request's endpoint time, kept so that banked samples still cost
    time.
    """

    index: int
    text: str
    finish_reason: str
    prompt_tokens: int
    output_tokens: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and calls. `planned`-style use counts what the trial needs, `drawn`-style what was really paid.

    prompt_tokens counts a shared prompt once per request. seconds: sum over requests of endpoint time.
    estimated: completions whose tokens the endpoint did not report, so that they were estimated from their
    text.
    """

    requests: int = 0
    completions: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    estimated: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Add two usages field by field."""
        return Usage(
            self.requests + other.requests,
            self.completions + other.completions,
            self.prompt_tokens + other.prompt_tokens,
            self.output_tokens + other.output_tokens,
            self.usd + other.usd,
            self.seconds + other.seconds,
            self.estimated + other.estimated,
        )


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What one stage made of one item.

    output: the fused value, JSON; None with `problem` set when the stage produced nothing.
    score: in [0, 1], None = unscored (which is not 0): no metric, or nothing to score.
    usage: what the stage needed, counted as if nothing had been banked (measured tokens).
    fusion: the part of `usage` that its fusion call took.
    drawn: what was really requested from endpoints now.
    """

    output: Json
    score: float | None
    usage: Usage
    drawn: Usage
    unparsed: int = 0
    problem: str | None = None
    fusion: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """One item's way through the pipeline: outcomes by stage name."""

    item: str
    stages: Mapping[str, StageOutcome]


class TrialState(StrEnum):
    """How a trial ended. INFEASIBLE: it ran, but its measured cost breaks the budget. DROPPED: a race stopped
    it on part of the items, because it could not win any more.
    """

    COMPLETE = "complete"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a searcher asks for, with the reason in words and who decided (`rules`, `random`, `agent`,
    ...).
    """

    allocation: Allocation
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A measured trial.

    scores: objective score per item id, None = unscored. stage_scores: stage -> item id -> score.
    score, standard_error: mean over scored items and its standard error; None when nothing was scored.
    planned_cost, measured_cost: per item, in the budget's unit. unscored: number of items without a score.
    """

    number: int
    proposal: Proposal
    state: TrialState
    score: float | None
    standard_error: float | None
    scores: Mapping[str, float | None]
    stage_scores: Mapping[str, Mapping[str, float | None]]
    planned_cost: float
    measured_cost: float | None
    usage: Usage
    drawn: Usage
    seconds: float
    problem: str | None = None

    @property
    def allocation(self) -> Allocation:
        """The allocation that was measured."""
        return self.proposal.allocation


@dataclass(frozen=True, slots=True)
class Guideline:
    """One lesson in words, numbered, with the numbers of the trials it rests on."""

    number: int
    text: str
    trials: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """Every result and guideline of a search, in order; the controller's whole state.

    finals: what the best trials scored on further items at the end, one for each of them, by its number.
    """

    results: tuple[TrialResult, ...] = ()
    guidelines: tuple[Guideline, ...] = ()
    finals: tuple[TrialResult, ...] = ()

    def with_result(self, result: TrialResult) -> Archive:
        """Return the archive with one more result, kept in the order of trial numbers."""
        results = sorted((*self.results, result), key=lambda r: r.number)
        return replace(self, results=tuple(results))

    def with_guidelines(self, guidelines: tuple[Guideline, ...]) -> Archive:
        """Return the archive with more guidelines."""
        return replace(self, guidelines=(*self.guidelines, *guidelines))

    @property
    def complete(self) -> tuple[TrialResult, ...]:
        """The results that count: complete, with a score."""
        return tuple(r for r in self.results if r.state is TrialState.COMPLETE and r.score is not None)

    @property
    def dropped(self) -> tuple[TrialResult, ...]:
        """The results of part of the items, with a score: they teach, and never win."""
        return tuple(r for r in self.results if r.state is TrialState.DROPPED and r.score is not None)


@dataclass(frozen=True, slots=True)
class StageInput:
    """What one stage needs for one item: the item and the outputs of its upstream stages.

    blocked: the name of an upstream stage that produced nothing; the stage is then skipped and unscored.
    """

    item: Item
    upstream: Mapping[str, Json] = field(default_factory=dict)
    blocked: str | None = None
