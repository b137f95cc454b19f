"""The last check of a search: its winner on items that no trial has seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from agenttts.compiler.errors import CompileError
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import Plan, plan
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.context import SearchContext
from agenttts.runtime.crew import Crew
from agenttts.runtime.ledger import Ledger, Pace, expected
from agenttts.runtime.measuring import Run, measure
from agenttts.runtime.racing import Race
from agenttts.runtime.records import TrialResult, Usage
from agenttts.runtime.statistics import Summary, summarise
from agenttts.runtime.store.accounts import Amount
from agenttts.spec.model import PipelineSpec

HOLDOUT = 0
"""The number under which the check runs."""


@dataclass(frozen=True, slots=True)
class Holdout:
    """The check was done. drawn: what it took."""

    summary: Summary
    drawn: Usage


@dataclass(frozen=True, slots=True)
class Unchecked:
    """There was no check, or it came to nothing, and why."""

    reason: str


def run_holdout(
    context: SearchContext,
    crew: Crew,
    winner: TrialResult,
    lengths: Lengths,
    known: Pace,
    total: Amount,
    halted: Callable[[], str | None],
) -> Holdout | Unchecked:
    """Run the winner on the held-out items as far as the limits allow.

    known: what trials took so far. total: what counts against the limits. halted: says why to stop at once,
    None to go on.
    """
    amount = expected(context.spec, winner.allocation, lengths, len(context.holdout), known.unshared)
    refusal = halted() or Ledger(context.spec.search.limits, total).refusal(amount)
    if refusal:
        return Unchecked(refusal)
    planned = plan_anyway(context.spec, winner, lengths)
    if planned is None:
        return Unchecked("the winner cannot be planned by the lengths measured since")
    crew.submit(HOLDOUT, planned, Race((context.holdout,)))
    while (why := halted()) is None:
        finished = crew.next()
        if finished is not None and finished.number == HOLDOUT:
            return _checked(context.spec, winner, finished.outcome)
    crew.drain()
    return Unchecked(why)


def _checked(spec: PipelineSpec, winner: TrialResult, outcome: TrialOutcome) -> Holdout | Unchecked:
    run = Run(HOLDOUT, winner.proposal, winner.planned_cost, 0.0)
    result = measure(spec, run, outcome).result
    if result.score is None:
        return Unchecked(result.problem or "no item has a score")
    return Holdout(summarise(result.scores), result.drawn)


def plan_anyway(spec: PipelineSpec, winner: TrialResult, lengths: Lengths) -> Plan | None:
    """Plan an allocation that was measured, and so fits the budget, whatever it would cost by the lengths
    measured since.
    """
    free = replace(spec, budget=replace(spec.budget, per_item=math.inf))
    try:
        made = plan(free, winner.allocation, lengths)
    except CompileError:
        return None
    return None if isinstance(made, Infeasible) else made
