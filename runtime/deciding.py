"""The answer that an archive supports: from the finals where they were run, else from estimates. Pure."""

from __future__ import annotations

from dataclasses import replace

from agenttts.compiler.cost import Cost, budget
from agenttts.runtime.decision import Decision, best, choose
from agenttts.runtime.estimating import ranking
from agenttts.runtime.measuring import joined
from agenttts.runtime.records import Archive, TrialResult, TrialState
from agenttts.spec.model import PipelineSpec


def decide(spec: PipelineSpec, archive: Archive) -> Decision | None:
    """Decide: the cheapest trial that is not worse than the best one by more than the tolerance.

    After finals the best one is that with the best mean over all items that the last finalists scored, and
    the others are compared with it item by item. Without finals it is the best by estimate, and a cheaper one
    must be within the tolerance with some certainty. The winner is returned with the scores of its finals.
    A finalist whose cost over all its items breaks the budget does not win; where fewer than two are left,
    estimates decide. None when no trial is complete.
    """
    search, direction = spec.search, spec.objective.direction
    ranked = ranking(spec, archive)
    if not ranked.results:
        return None
    finalists = finalists_of(archive)
    known = {result.number: result for result in finalists}
    compared = [known.get(result.number, result) for result in ranked.results]
    affordable = tuple(result for result in finalists if affords(spec, result))
    settled = best(Archive(affordable), search.tolerance, direction) if len(affordable) > 1 else None
    if settled is None:
        rows = zip(ranked.results, ranked.losses, strict=True)
        open_to = [row for row in rows if affords(spec, known.get(row[0].number, row[0]))]
        results, losses = zip(*open_to or [(ranked.results[0], 0.0)], strict=True)
        least = min(losses)  # of those that are left: what they lose to one that breaks the budget is no loss
        return choose(results, [lost - least for lost in losses], search.tolerance, compared)
    chosen = choose([settled.winner], [0.0], search.tolerance, compared)
    return replace(chosen, leader=settled.leader, eligible=settled.eligible, in_finals=True)


def affords(spec: PipelineSpec, result: TrialResult) -> bool:
    """Say whether a trial's measured cost, where it is known, fits the budget."""
    amount = result.measured_cost
    return amount is None or Cost(amount, spec.budget.unit).fits(budget(spec))


def finalists_of(archive: Archive) -> tuple[TrialResult, ...]:
    """Return the trials that were measured again, each with all its scores; those that failed there are
    left out.
    """
    trials = {result.number: result for result in archive.complete}
    return tuple(
        joined(trials[final.number], final)
        for final in archive.finals
        if final.number in trials and final.state is TrialState.COMPLETE
    )
