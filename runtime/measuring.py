"""What a trial measured: outcomes of items to scores, cost, state, and token lengths. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.cost import Cost, budget, measured_cost
from agenttts.compiler.lengths import Lengths
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.records import ItemOutcome, Proposal, StageOutcome, TrialResult, TrialState, Usage
from agenttts.runtime.statistics import mean, scored_values, standard_error
from agenttts.spec.model import PipelineSpec

FAILURE_QUOTA = 0.2


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens summed over the items of one stage with one model, fusion calls apart."""

    items: int = 0
    prompt_tokens: int = 0
    samples: int = 0
    output_tokens: int = 0
    fusion_prompt_tokens: int = 0
    fusion_output_tokens: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Add field by field."""
        return Counts(
            self.items + other.items,
            self.prompt_tokens + other.prompt_tokens,
            self.samples + other.samples,
            self.output_tokens + other.output_tokens,
            self.fusion_prompt_tokens + other.fusion_prompt_tokens,
            self.fusion_output_tokens + other.fusion_output_tokens,
        )


TrialCounts = Mapping[str, Counts]
"""Counts of one trial by stage."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A result, and the token counts that its cost was measured by."""

    result: TrialResult
    counts: TrialCounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a trial before its outcome: number, proposal, planned cost, and how long it took."""

    number: int
    proposal: Proposal
    planned_cost: float
    seconds: float


def failure_quota(spec: PipelineSpec) -> float:
    """Return the share of items that errors may leave unscored: `/search/options/failure_quota`, or 0.2."""
    given = spec.search.options.get("failure_quota", FAILURE_QUOTA)
    return float(given) if isinstance(given, int | float) else FAILURE_QUOTA


def measure(spec: PipelineSpec, run: Run, outcome: TrialOutcome) -> Measurement:
    """Judge a trial: FAILED by failure or too many errors, INFEASIBLE by measured cost, else COMPLETE."""
    if outcome.failure is not None:
        return Measurement(_result(run, TrialState.FAILED, problem=outcome.failure.problem))
    counts = count_tokens(run.proposal.allocation, outcome.items)
    cost = _measured(spec, run.proposal.allocation, counts, len(outcome.items))
    problem = _errors(spec, outcome.items)
    state = TrialState.FAILED if problem else TrialState.COMPLETE
    if problem is None and cost is not None and not cost.fits(budget(spec)):
        problem, state = _too_expensive(spec, run, counts, cost), TrialState.INFEASIBLE
    amount = None if cost is None else cost.amount
    return Measurement(_result(run, state, amount, problem, outcome.items, spec.objective.stage), counts)


def joined(first: TrialResult, second: TrialResult) -> TrialResult:
    """Return two measurements of one trial, on different items, as one; it is in the state of the second."""
    stages = first.stage_scores.keys() | second.stage_scores.keys()
    scores = {**first.scores, **second.scores}
    values = scored_values(scores)
    return replace(
        second,
        scores=scores,
        score=mean(values),
        standard_error=standard_error(values),
        stage_scores={s: {**first.stage_scores.get(s, {}), **second.stage_scores.get(s, {})} for s in stages},
        measured_cost=_cost_of(first, second),
        usage=first.usage + second.usage,
        drawn=first.drawn + second.drawn,
        seconds=first.seconds + second.seconds,
    )


def added(first: TrialCounts, second: TrialCounts) -> dict[str, Counts]:
    """Return the counts of two measurements of one trial together."""
    stages = dict.fromkeys((*first, *second))
    return {stage: first.get(stage, Counts()) + second.get(stage, Counts()) for stage in stages}


def _cost_of(first: TrialResult, second: TrialResult) -> float | None:
    """Return the mean cost of an item over both."""
    if first.measured_cost is None or second.measured_cost is None:
        return first.measured_cost if second.measured_cost is None else second.measured_cost
    mine, other = len(first.scores), len(second.scores)
    return (first.measured_cost * mine + second.measured_cost * other) / max(1, mine + other)


def count_tokens(allocation: Allocation, items: Sequence[ItemOutcome]) -> dict[str, Counts]:
    """Sum tokens by stage over the items whose stage drew samples."""
    counts = {stage: Counts() for stage, _ in allocation}
    for item in items:
        for stage, choice in allocation:
            outcome = item.stages.get(stage)
            if outcome is not None and outcome.usage.completions:
                counts[stage] += _counts(outcome, choice.samples)
    return counts


def calibrate(lengths: Lengths, archive: Sequence[tuple[Allocation, TrialCounts]]) -> Lengths:
    """Return the lengths with the mean prompt and sample of every stage and model measured so far."""
    sums: dict[tuple[str, str], Counts] = {}
    for allocation, counts in archive:
        for stage, choice in allocation:
            key = (stage, choice.model)
            sums[key] = sums.get(key, Counts()) + counts.get(stage, Counts())
    for (stage, model), total in sums.items():
        if total.items and total.samples:
            prompt, output = total.prompt_tokens / total.items, total.output_tokens / total.samples
            lengths = lengths.calibrated(stage, model, prompt, output)
    return lengths


def _counts(outcome: StageOutcome, samples: int) -> Counts:
    used, fusion = outcome.usage, outcome.fusion
    return Counts(
        items=1,
        prompt_tokens=used.prompt_tokens - fusion.prompt_tokens,
        samples=samples,
        output_tokens=used.output_tokens - fusion.output_tokens,
        fusion_prompt_tokens=fusion.prompt_tokens,
        fusion_output_tokens=fusion.output_tokens,
    )


def _measured(spec: PipelineSpec, allocation: Allocation, counts: TrialCounts, items: int) -> Cost | None:
    """Price the mean tokens of one item, all stages together; None when no item drew a sample."""
    if not any(count.items for count in counts.values()):
        return None
    costs = _stage_costs(spec, allocation, counts)
    zero = Cost(0.0, spec.budget.unit)
    return sum((cost * (counts[s].items / items) for s, cost in costs.items()), zero)


def _stage_costs(spec: PipelineSpec, allocation: Allocation, counts: TrialCounts) -> dict[str, Cost]:
    """Price each stage for one item that reached it."""
    return {
        stage: measured_cost(
            spec,
            spec.stage(stage),
            choice,
            prompt_tokens=counts[stage].prompt_tokens / counts[stage].items,
            output_tokens=counts[stage].output_tokens / counts[stage].items,
            fusion_prompt_tokens=counts[stage].fusion_prompt_tokens / counts[stage].items,
            fusion_output_tokens=counts[stage].fusion_output_tokens / counts[stage].items,
        )
        for stage, choice in allocation
        if counts[stage].items
    }


def _too_expensive(spec: PipelineSpec, run: Run, counts: TrialCounts, cost: Cost) -> str:
    stages = _stage_costs(spec, run.proposal.allocation, counts)
    most = max(stages, key=lambda stage: stages[stage].amount)
    return (
        f"measured {cost} per item, budget {budget(spec)}, planned {run.planned_cost:.6g}; "
        f"most in stage {most!r}, {stages[most]}. Its tokens are longer than planned: later plans use them."
    )


def _errors(spec: PipelineSpec, items: Sequence[ItemOutcome]) -> str | None:
    """Say that too many items have no score because of errors, or that nothing has one; None when fine."""
    stage = spec.objective.stage
    unscored = [item for item in items if stage not in item.stages or item.stages[stage].score is None]
    problems = [p for item in unscored if (p := _problem(item)) is not None]
    quota = failure_quota(spec)
    if problems and len(problems) > quota * len(items):
        return (
            f"{len(problems)} of {len(items)} items are unscored because of errors, more than {quota:.0%}. "
            f"The first: {problems[0]}"
        )
    return "no item has a score" if len(unscored) == len(items) else None


def _problem(item: ItemOutcome) -> str | None:
    """Return where an item first went wrong."""
    found = (f"item {item.item!r}, stage {s!r}: {o.problem}" for s, o in item.stages.items() if o.problem)
    return next(found, None)


def _result(
    run: Run,
    state: TrialState,
    cost: float | None = None,
    problem: str | None = None,
    items: Sequence[ItemOutcome] = (),
    objective: str = "",
) -> TrialResult:
    scores = _scores(items, objective)
    values = scored_values(scores)
    outcomes = [outcome for item in items for outcome in item.stages.values()]
    stages = dict.fromkeys(s for item in items for s, o in item.stages.items() if o.score is not None)
    return TrialResult(
        number=run.number,
        proposal=run.proposal,
        state=state,
        score=mean(values),
        standard_error=standard_error(values),
        scores=scores,
        stage_scores={stage: _scores(items, stage) for stage in stages},
        planned_cost=run.planned_cost,
        measured_cost=cost,
        usage=sum((outcome.usage for outcome in outcomes), Usage()),
        drawn=sum((outcome.drawn for outcome in outcomes), Usage()),
        seconds=run.seconds,
        problem=problem,
    )


def _scores(items: Sequence[ItemOutcome], stage: str) -> dict[str, float | None]:
    return {item.item: item.stages[stage].score if stage in item.stages else None for item in items}
