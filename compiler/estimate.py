"""What a whole search will take, before anything is spent: three footprints, low, expected, high.

With T trials (at most as many as there are allocations), I items per trial, F item evaluations in the finals
and H held-out items, per item and measure (calls, tokens, cost, dollars):

- low = (I + H) * sum over stages of the cheapest choice: every trial after the first reuses banked samples.
- expected = I * bank(T allocations spread evenly over the space) + (F + H) * their mean. `bank` counts what
  the sample bank would really draw: trials that agree on everything upstream of a stage and on its model
  share the stage's samples, so only the largest number is drawn; the fusion of equal sample sets is paid
  once.
- high = (T * I + F + H) * sum over stages of the dearest choice that fits, nothing reused; its cost is capped
  at the budget.

A searcher that settles on few allocations reuses more, and racing stops trials early, so expected leans
high; low is what is left when both do all they can. The search agent's own tokens stand apart, see
`agent_estimate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from agenttts.compiler.agent_estimate import AgentEstimate, estimate_agent
from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import Cost
from agenttts.compiler.footprint import Footprint, drawing, fusing
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import topological
from agenttts.compiler.space import Space
from agenttts.spec.model import PipelineSpec, StageSpec

FINALISTS = 8
"""How many trials at most are measured on further items, see `runtime.heats`."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Three footprints of a search, and the sizes they were computed for.

    allocations: the space's count; slightly too few where not allocations_exact (see `Space`).
    finals: item evaluations of the finals, at most. racing: trials may be dropped early, which only low
    reckons with. agent: None where none is asked.
    """

    low: Footprint
    expected: Footprint
    high: Footprint
    trials: int
    items: int
    holdout_items: int
    allocations: int
    allocations_exact: bool
    limit: Cost
    finals: int = 0
    racing: bool = False
    agent: AgentEstimate | None = None

    def document(self) -> dict[str, object]:
        """Return the JSON form: a range per measure; `usd` is null where some model has no price."""
        unit = self.limit.unit
        priced = self.low.usd is not None
        return {
            "trials": self.trials,
            "items": self.items,
            "holdout_items": self.holdout_items,
            "finals": self.finals,
            "calls": self._range(lambda row: row.calls),
            "tokens": {
                "prompt": self._range(lambda row: row.prompt_tokens),
                "output": self._range(lambda row: row.output_tokens),
            },
            "cost": self._range(lambda row: Cost(row.cost, unit).document()),
            "usd": self._range(lambda row: row.usd) if priced else None,
            "racing": self.racing,
            "agent": self.agent.document() if self.agent else None,
        }

    def _range(self, measure: Callable[[Footprint], object]) -> dict[str, object]:
        rows = {"low": self.low, "expected": self.expected, "high": self.high}
        return {name: measure(row) for name, row in rows.items()}


def estimate(
    spec: PipelineSpec, lengths: Lengths, items: int, holdout_items: int, further: int = 0
) -> Estimate | Infeasible:
    """Estimate a search of `spec.search.trials` trials over `items` items each, the finals on `further` ones,
    and one held-out pass.
    """
    space = Space.of(spec, lengths)
    problem = space.infeasible()
    if problem is not None:
        return problem
    trials = min(spec.search.trials, space.count()) if space.count_is_exact else spec.search.trials
    least, most = _extreme(space, min), _capped(space, _extreme(space, max))
    spread = _spread(space, trials)
    mean = _total(_footprint(space, allocation) for allocation in spread) * (1 / len(spread))
    finals = min(round(spec.search.finals * trials * items), FINALISTS * further)
    low, expected, high = _in_order(
        least * (items + holdout_items),
        _bank(space, spread) * items + mean * (finals + holdout_items),
        most * (trials * items + finals + holdout_items),
    )
    return Estimate(
        low=low,
        expected=expected,
        high=high,
        trials=trials,
        items=items,
        holdout_items=holdout_items,
        finals=finals,
        allocations=space.count(),
        allocations_exact=space.count_is_exact,
        limit=space.limit,
        racing=spec.search.racing,
        agent=estimate_agent(space),
    )


def _in_order(*rows: Footprint) -> list[Footprint]:
    """Return footprints with their costs in order: in the paper's unit a small model costs less than nothing,
    and many trials of it even less.
    """
    costs = sorted(row.cost for row in rows)
    return [replace(row, cost=cost) for row, cost in zip(rows, costs, strict=True)]


def estimate_listed(space: Space, allocations: Sequence[Allocation], items: int) -> Estimate:
    """Estimate trials of these allocations over `items` items each, without a held-out pass.

    low and expected: each sample drawn once and shared. high: nothing shared, as if every trial were alone.
    """
    drawn = _bank(space, list(allocations)) * items
    return Estimate(
        low=drawn,
        expected=drawn,
        high=_total(_footprint(space, allocation) for allocation in allocations) * items,
        trials=len(allocations),
        items=items,
        holdout_items=0,
        allocations=space.count(),
        allocations_exact=space.count_is_exact,
        limit=space.limit,
    )


def _spread(space: Space, trials: int) -> list[Allocation]:
    """Take `trials` allocations (all, if there are fewer) evenly over the space's numbering."""
    count = space.count()
    taken = min(trials, count)
    return [space.number((2 * place + 1) * count // (2 * taken)) for place in range(taken)]


def _bank(space: Space, allocations: list[Allocation]) -> Footprint:
    """Add up what is drawn when all allocations share one sample bank, per item."""
    drawn: dict[tuple[str, Allocation, str], int] = {}
    fused: dict[tuple[str, Allocation, Choice], None] = {}
    for allocation in allocations:
        for stage, choice in allocation:
            upstream = _upstream(space.spec, stage, allocation)
            key = (stage, upstream, choice.model)
            drawn[key] = max(drawn.get(key, 0), choice.samples)
            fused[stage, upstream, choice] = None
    spec, lengths = space.spec, space.lengths
    draws = (
        drawing(spec, spec.stage(s), Choice(model, samples), lengths)
        for (s, _, model), samples in drawn.items()
    )
    fusions = (fusing(spec, spec.stage(s), choice, lengths) for s, _, choice in fused)
    return _total(draws) + _total(fusions)


def _upstream(spec: PipelineSpec, name: str, allocation: Allocation) -> Allocation:
    """Return the choices of every stage before `name`, near or far."""
    before: set[str] = set(spec.stage(name).needs)
    for stage in reversed(topological(spec.stages)):
        if stage.name in before:
            before.update(stage.needs)
    return Allocation(tuple(row for row in allocation if row[0] in before))


def _footprint(space: Space, allocation: Allocation) -> Footprint:
    return _total(_both(space, space.spec.stage(stage), choice) for stage, choice in allocation)


def _extreme(space: Space, pick: Callable[[list[float]], float]) -> Footprint:
    """Sum over stages the least or most of each measure; it grows with samples, so the ends suffice."""
    total = Footprint()
    for options in space.options:
        stage = space.spec.stage(options.stage)
        rows = [row for row in options.by_model.values() if row.samples]
        ends = {Choice(row.model, samples) for row in rows for samples in (row.samples[0], row.samples[-1])}
        prints = [_both(space, stage, choice) for choice in ends]
        dollars = [row.usd for row in prints if row.usd is not None]
        total += Footprint(
            calls=pick([row.calls for row in prints]),
            prompt_tokens=pick([row.prompt_tokens for row in prints]),
            output_tokens=pick([row.output_tokens for row in prints]),
            cost=pick([row.cost for row in prints]),
            usd=pick(dollars) if len(dollars) == len(prints) else None,
        )
    return total


def _capped(space: Space, most: Footprint) -> Footprint:
    """Cap the cost at the budget, and the dollars too where they are what the budget limits."""
    limit = space.limit.amount
    dollars = space.limit.unit == "usd" and space.spec.budget.charge_fusion and most.usd is not None
    return replace(most, cost=min(most.cost, limit), usd=min(most.cost, limit) if dollars else most.usd)


def _both(space: Space, stage: StageSpec, choice: Choice) -> Footprint:
    """Give the samples and the fusion of one item in one stage."""
    spec, lengths = space.spec, space.lengths
    return drawing(spec, stage, choice, lengths) + fusing(spec, stage, choice, lengths)


def _total(footprints: Iterator[Footprint]) -> Footprint:
    return sum(footprints, Footprint())
