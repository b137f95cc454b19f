"""The last check of a search: its winner on items that no trial has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agenttts.compiler.errors import CompileError
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import Plan, plan
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.context import SearchContext
from agenttts.runtime.crew import Crew
from agenttts.runtime.ledger import Ledger, expected
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
    total: Amount,
    halted: Callable[[], str | None],
) -> Holdout | Unchecked:
    """Run the winner on the held-out items as far as the limits allow.

    total: what counts against the limits. halted: says why to stop at once, None to go on.
    """
    amount = expected(context.spec, winner.allocation, lengths, len(context.holdout))
    refusal = halted() or Ledger(context.spec.search.limits, total).refusal(amount)
    if refusal:
        return Unchecked(refusal)
    planned = plan_anyway(context.spec, winner, lengths)
    if planned is None:
        return Unchecked("the winner does not fit the budget by the lengths measured since")
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
    """Plan a measured allocation: with today's lengths, else with the planned ones it was chosen under."""
    for known in (lengths, Lengths.planned(spec)):
        try:
            made = plan(spec, winner.allocation, known)
        except CompileError:
            continue
        if not isinstance(made, Infeasible):
            return made
    return None
